package main

import "fmt"

// Superblocks of small codes, four rows at a time, each with a quarter of every vector. VPDPBUSD multiplies 16
// codes of each row with the token's, and a dword then has 4 products. Those of two vectors, which are a group of 32,
// add up to what fits 16 bits, so that VPDPWSSD multiplies with the scale and adds up in one instruction.

// wide is what differs between the types. Both have scales and least values of six bits behind d and dmin.
type wide struct {
	name  string
	size  int
	begin func(u *unitWide)        // of a superblock
	codes func(u *unitWide, c int) // leaves codes 64c to 64c+31 in u.low, the next 32 in u.high
}

// unitWide is a row unit for them, and its registers.
type unitWide struct {
	unit
	wide
	tmp, tmp2 vec
	low4      vec
	table     vec // 8 scales and 8 least values of each row
	scale     vec
	d         vec
	low, high []vec
	sum       []vec // of each token
}

func emitWide(f *file, s wide, tokens int) {
	u := &unitWide{unit: unit{file: f, tokens: tokens, rows: 4, block: 256, size: s.size, sums: 32, frame: keptFrame}, wide: s}
	u.tmp, u.tmp2, u.low4, u.table, u.scale, u.d = u.take(), u.take(), u.take(), u.take(), u.take(), u.take()
	u.low, u.high = u.several(2), u.several(2)
	u.sum = u.several(tokens)
	u.emit(fmt.Sprintf("dot%sAVX512x%d", s.name, tokens), func() {
		u.fill(u.low4, u.dword("low4", dwords(15)))
	}, u.superblock)
}

// keptFrame is what of the frame the type may use: see kept.
const keptFrame = 2 * 64

// superblock multiplies a superblock of the rows with the tokens.
func (u *unitWide) superblock() {
	u.header()
	u.fetch()
	if u.begin != nil {
		u.begin(u)
	}
	for c := range 4 {
		u.codes(u, c)
		u.group(2*c, u.low)
		u.group(2*c+1, u.high)
	}
	u.eachToken(func(t int) {
		u.op("VCVTDQ2PS", u.sum[t], u.sum[t])
		u.op("VMULPS.BCST", u.token(regScale, t).at(0), u.d, u.tmp)
		u.op("VFMADD231PS", u.tmp, u.sum[t], u.acc[t])
	})
}

// header takes the first 16 bytes of a superblock of each row apart: d and dmin, and 8 scales and 8 least values. What
// least values come to is subtracted here, so that nothing of it has to stay.
func (u *unitWide) header() {
	h, dmin := u.table, u.high[0]
	u.quarters(0, 0, h)
	u.op("VMOVDQU64", u.vector("heads", func(i int) byte { // the first dword of each row, twice
		if i%4 == 0 && i < 32 {
			return byte(i / 8 * 4)
		}
		return 0
	}), u.tmp)
	u.op("VPERMD", h, u.tmp, u.tmp)
	u.op("VCVTPH2PS", u.tmp.y(), u.tmp)
	u.op("VMOVSLDUP", u.tmp, u.d)
	u.op("VMOVSHDUP", u.tmp, dmin)
	// The last three dwords, A, B and C, have six bits of scales 0 to 3 in A and of least values 0 to 3 in B, each in a
	// byte. The others have four bits in C, and two above those of A and B.
	u.op("VPSHUFD", "$0xA5", h, u.tmp) // A A B B
	u.op("VPSHUFD", "$0xED", h, h)     // A C B C
	u.op("VPSRLVD", u.vector("fours", func(i int) byte {
		if i%16 == 12 {
			return 4
		}
		return 0
	}), h, h)
	u.op("VPANDD", u.vector("sixOrFour", func(i int) byte { return []byte{0x3f, 0x0f}[i/4%2] }), h, h)
	u.op("VPSRLD", "$2", u.tmp, u.tmp)
	u.op("VPTERNLOGD", "$0xF8", u.vector("upperTwo", func(i int) byte { return []byte{0, 0x30}[i/4%2] }), u.tmp, h)
	spread := u.low
	for i, v := range spread { // twice each of four least values, for the sums of 16 codes
		u.op("VPSHUFB", u.vector(fmt.Sprintf("leasts%d", i), func(b int) byte {
			if b%2 == 1 {
				return 0x80
			}
			return byte(8 + 4*i + b/4%4)
		}), h, v)
	}
	u.eachToken(func(t int) {
		s := u.sum[t]
		u.zero(s)
		for i, v := range spread {
			u.op("VBROADCASTI32X4", u.token(regSum, t).at(16*i), u.tmp)
			u.op("VPDPWSSD", u.tmp, v, s)
		}
		u.op("VCVTDQ2PS", s, s)
		u.op("VMULPS.BCST", u.token(regScale, t).at(0), dmin, u.tmp)
		u.op("VFNMADD231PS", u.tmp, s, u.acc[t])
		u.zero(s)
	})
}

// group multiplies 32 codes of each row with the tokens.
func (u *unitWide) group(j int, codes []vec) {
	u.op("VPSHUFB", u.vector(fmt.Sprintf("scale%d", j), func(b int) byte {
		if b%4 > 0 {
			return 0x80
		}
		return byte(j)
	}), u.table, u.scale)
	u.fetchLines(j, 8)
	u.eachToken(func(t int) {
		p := u.tmp2
		u.zero(p)
		for i, c := range codes {
			u.op("VBROADCASTI32X4", u.token(regX, t).at(32*j+16*i), u.tmp)
			u.op("VPDPBUSD", u.tmp, c, p)
		}
		u.op("VPDPWSSD", u.scale, p, u.sum[t])
	})
}

// wides are the types. Layouts are those of package quant.
var wides = []wide{
	{
		name: "Q4_K", size: 144,
		codes: func(u *unitWide, c int) {
			u.load(16+32*c, u.high)
			for i, v := range u.high {
				u.op("VPANDD", u.low4, v, u.low[i])
				u.shiftAnd(v, u.low4, v, 4)
			}
		},
	},
	{
		name: "Q5_K", size: 176,
		begin: func(u *unitWide) { // the fifth bits: bit j of a byte belongs to group j
			u.load(16, u.low)
			for i, v := range u.low {
				u.op("VMOVDQU64", v, u.kept(i))
			}
		},
		codes: func(u *unitWide, c int) {
			u.load(48+32*c, u.high)
			bit4 := u.vector("bit4s", func(int) byte { return 0x10 })
			for i, v := range u.high {
				u.op("VPANDD", u.low4, v, u.low[i])
				u.shiftAnd(v, u.low4, v, 4)
				for h, to := range []vec{u.low[i], v} {
					switch j := 2*c + h; {
					case j < 4:
						u.op("VPSLLD", imm(4-j), u.kept(i), u.tmp)
					case j > 4:
						u.op("VPSRLD", imm(j-4), u.kept(i), u.tmp)
					default:
						u.op("VMOVDQU64", u.kept(i), u.tmp)
					}
					u.op("VPTERNLOGD", "$0xF8", bit4, u.tmp, to)
				}
			}
		},
	},
}

// kept returns where in the frame vector i of two is kept during a superblock.
func (u *unitWide) kept(i int) string { return fmt.Sprintf("%d(SP)", 64*i) }

// load loads 32 bytes of each row, a half to each of dst.
func (u *unitWide) load(offset int, dst []vec) {
	for i, v := range dst {
		u.quarters(offset+16*i, 0, v)
	}
}
