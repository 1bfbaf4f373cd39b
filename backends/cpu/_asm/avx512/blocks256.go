package main

import "fmt"

// Superblocks of 256: two rows at a time, a half of each vector for either. Codes of 32 elements of both
// rows are multiplied with the token's by VPMADDUBSW and with the scales, 16 bits wide, by VPDPWSSD, so
// that all of a superblock is added up in integers.

// super is what differs between the types.
type super struct {
	name string
	size int
	// signed says that codes may be negative. Others may stand shifted by offset, so that they are not.
	signed bool
	offset int
	// hasLeast says that there are least values, which are products of their own.
	hasLeast bool
	setup    func(u *unit256)
	scales   func(u *unit256)
	codes    func(u *unit256, group func(j int, codes vec))
}

// unit256 is a row unit for superblocks, and its registers.
type unit256 struct {
	unit
	super
	tmp        vec
	scale      vec // of the group of 32 at hand, a word for each pair of elements
	table      vec // from which it is taken
	d, dmin    vec // of both rows
	least      vec // a word for each 16 elements: least values, or scales times offset
	w0, w1, w2 vec
	high       vec
	product    []vec   // of each token
	product2   []vec   // of odd groups, where the sum would be a chain that is waited for
	more       [4]vec  // constants of the type
	spread     [16]vec // patterns of scales
	groupScale func(j int)
}

// Masks.
const (
	maskRow1     = "K6" // the second row: dwords of a half register, qwords of a full one
	maskNegative = "K4"
)

func emit256(f *file, s super, tokens int) {
	u := &unit256{unit: unit{file: f, tokens: tokens, rows: 2, block: 256, size: s.size, sums: 32, frame: 32}, super: s}
	u.tmp, u.scale, u.table, u.least = u.take(), u.take(), u.take(), u.take()
	u.d, u.dmin = u.take(), u.take()
	u.w0, u.w1, u.w2, u.high = u.take(), u.take(), u.take(), u.take()
	u.product = u.several(tokens)
	u.product2 = u.product
	if tokens <= 2 {
		u.product2 = u.several(tokens)
	}
	u.emit(fmt.Sprintf("dot%sAVX512x%d", s.name, tokens), func() {
		u.mask(6, 0xf0)
		s.setup(u)
	}, u.superblock)
}

// pair loads 32 bytes of both rows into the halves of dst.
func (u *unit256) pair(offset int, dst vec) {
	u.op("VMOVDQU", u.weights(0).at(offset), dst.y())
	u.op("VINSERTI64X4", "$1", u.weights(1).at(offset), dst, dst)
}

// halves converts the two binary16 numbers of the dwords at offset: to d and dmin, each where it is
// wanted.
func (u *unit256) halves(offset int, first, second bool) {
	z := u.tmp
	u.op("VPBROADCASTD", u.weights(0).at(offset), z.y())
	u.op("VPBROADCASTD", u.weights(1).at(offset), maskRow1, z.y())
	u.op("VCVTPH2PS", z.y(), z)
	if first && second {
		u.op("VMOVSHDUP", z, u.dmin)
	}
	if first {
		u.op("VMOVSLDUP", z, u.d)
	} else {
		u.op("VMOVSHDUP", z, u.d)
	}
}

// superblock multiplies a superblock of both rows with the tokens.
func (u *unit256) superblock() {
	u.scales(u)
	u.fetch()
	u.eachToken(func(t int) {
		p := u.product[t]
		if p2 := u.product2[t]; p2 != p {
			u.zero(p2)
		}
		if u.offset == 0 {
			u.zero(p)
			return
		}
		u.op("VBROADCASTI64X4", u.token(regSum, t).at(0), u.tmp)
		u.op("VPMADDWD", u.least, u.tmp, p)
	})
	u.codes(u, u.group)
	u.eachToken(func(t int) {
		p := u.product[t]
		if p2 := u.product2[t]; p2 != p {
			u.op("VPADDD", p2, p, p)
		}
		u.op("VCVTDQ2PS", p, p)
		u.op("VMULPS", u.d, p, p)
		if u.hasLeast {
			u.op("VBROADCASTI64X4", u.token(regSum, t).at(0), u.tmp)
			u.op("VPMADDWD", u.least, u.tmp, u.tmp)
			u.op("VCVTDQ2PS", u.tmp, u.tmp)
			u.op("VFNMADD231PS", u.dmin, u.tmp, p)
		}
		u.op("VFMADD231PS.BCST", u.token(regScale, t).at(0), p, u.acc[t])
	})
}

// group multiplies 32 codes of both rows with the tokens.
func (u *unit256) group(j int, codes vec) {
	u.groupScale(j)
	u.fetchLines(j, 8)
	if u.signed {
		u.op("VPMOVB2M", codes, maskNegative)
		u.op("VPABSB", codes, codes)
	}
	product := u.product
	if j%2 == 1 {
		product = u.product2
	}
	u.eachToken(func(t int) {
		u.op("VBROADCASTI64X4", u.token(regX, t).at(32*j), u.tmp)
		if u.signed { // the sign moves over to the token's codes
			u.op("VPSUBB", u.tmp, u.more[3], maskNegative, u.tmp)
		}
		u.op("VPMADDUBSW", u.tmp, codes, u.tmp)
		u.op("VPDPWSSD", u.scale, u.tmp, product[t])
	})
}
