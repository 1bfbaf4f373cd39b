package main

import "fmt"

// Blocks of 32: four rows at a time, a quarter of each vector for each of them, so that scaling a block's
// products, which are integers until then, is paid once for four rows.

// block is what differs between the types.
type block struct {
	name string
	size int
	// offset is what codes stand shifted by, so that they are not negative.
	offset int
	// hasM says that an element is d*q + m; d and m are the first two numbers then.
	hasM  bool
	setup func(u *unit32)
	scale func(u *unit32) // leaves d, and m
	codes func(u *unit32) // leaves low, the first 16 elements of each row, and high, the others
}

// unit32 is a row unit for blocks, and its registers.
type unit32 struct {
	unit
	block
	tmp       vec
	d, m      vec // of the four rows; m once in each quarter
	low, high vec
	mask      vec // 0x0f in each byte
	correct   vec // what times the sum of a token's codes corrects the offset
	product   []vec
	more      [2]vec
}

func emit32(f *file, b block, tokens int) {
	u := &unit32{unit: unit{file: f, tokens: tokens, rows: 4, block: 32, size: b.size, sums: 4}, block: b}
	u.tmp, u.d, u.m, u.low, u.high, u.mask, u.correct = u.take(), u.take(), u.take(), u.take(), u.take(), u.take(), u.take()
	u.product = u.several(tokens)
	u.emit(fmt.Sprintf("dot%sAVX512x%d", b.name, tokens), func() {
		for r := 1; r < 4; r++ {
			u.unit.mask(r, 0xf<<(4*r))   // row r's dwords in a full register
			u.unit.mask(3+r, 0x3<<(2*r)) // and in a half one
		}
		if b.offset != 0 {
			// Each of the four places of a row takes its part.
			u.fill(u.correct, u.dword(fmt.Sprintf("minus%d", b.offset/4), uint32(uint16(-b.offset/4))))
		}
		b.setup(u)
	}, u.multiply)
}

// quarters loads 16 bytes of the four rows into the quarters of dst.
func (u *unit32) quarters(offset int, dst vec) {
	u.op("VBROADCASTI32X4", u.weights(0).at(offset), dst)
	for r := 1; r < 4; r++ {
		u.op("VBROADCASTI32X4", u.weights(r).at(offset), kreg(r), dst)
	}
}

// halves converts the binary16 numbers that blocks begin with.
func halves(u *unit32) {
	d := u.d
	if u.hasM {
		d = u.tmp
	}
	u.op("VPBROADCASTD", u.weights(0).at(0), d.y())
	for r := 1; r < 4; r++ {
		u.op("VPBROADCASTD", u.weights(r).at(0), kreg(3+r), d.y())
	}
	u.op("VCVTPH2PS", d.y(), d)
	u.op("VMOVSLDUP", d, u.d)
	if u.hasM {
		u.op("VMOVSHDUP", d, u.m)
		u.op("VPANDD", u.vector("first", func(i int) byte {
			if i%16 < 4 {
				return 0xff
			}
			return 0
		}), u.m, u.m)
	}
}

// exponents looks up the scales of MXFP4.
func exponents(u *unit32) {
	u.op("LEAQ", "·mxfp4Half(SB)", regB)
	for r := range 4 {
		u.op("MOVBLZX", u.weights(r).at(0), regA)
		from := fmt.Sprintf("(%s)(%s*4)", regB, regA)
		if r == 0 {
			u.op("VBROADCASTSS", from, u.d)
		} else {
			u.op("VBROADCASTSS", from, kreg(r), u.d)
		}
	}
}

// nibbles loads codes of four bits.
func (u *unit32) nibbles(offset int) {
	u.quarters(offset, u.low)
	u.shiftAnd(u.low, u.mask, u.high, 4)
	u.op("VPANDD", u.mask, u.low, u.low)
}

// fifths adds the fifth bits, which are 32 bits of each row at offset.
func (u *unit32) fifths(offset int) {
	for i, to := range []vec{u.low, u.high} {
		u.op("MOVWLZX", u.weights(3).at(offset+2*i), regA)
		for r := 2; r >= 0; r-- {
			u.op("SHLQ", "$16", regA)
			u.op("MOVWLZX", u.weights(r).at(offset+2*i), regB)
			u.op("ORQ", regB, regA)
		}
		u.op("KMOVQ", regA, "K7")
		u.op("VPADDB", u.more[0], to, "K7", to)
	}
}

// lookUp replaces codes by the table's values.
func (u *unit32) lookUp() {
	u.op("VPSHUFB", u.low, u.more[0], u.low)
	u.op("VPSHUFB", u.high, u.more[0], u.high)
}

// multiply multiplies a block of the four rows with the tokens.
func (u *unit32) multiply() {
	u.scale(u)
	u.codes(u)
	for t, p := range u.product {
		u.zero(p)
		if u.offset != 0 {
			u.op("VPDPWSSD.BCST", u.token(regSum, t).at(0), u.correct, p)
		}
		u.op("VBROADCASTI32X4", u.token(regX, t).at(0), u.tmp)
		u.op("VPDPBUSD", u.tmp, u.low, p)
		u.op("VBROADCASTI32X4", u.token(regX, t).at(16), u.tmp)
		u.op("VPDPBUSD", u.tmp, u.high, p)
		u.op("VCVTDQ2PS", p, p)
		if u.hasM {
			u.op("VMULPS", u.d, p, p)
			u.op("VCVTDQ2PS.BCST", u.token(regSum, t).at(0), u.tmp)
			u.op("VFMADD231PS", u.tmp, u.m, p)
			u.op("VFMADD231PS.BCST", u.token(regScale, t).at(0), p, u.acc[t])
		} else {
			u.op("VMULPS.BCST", u.token(regScale, t).at(0), u.d, u.tmp)
			u.op("VFMADD231PS", u.tmp, p, u.acc[t])
		}
	}
}
