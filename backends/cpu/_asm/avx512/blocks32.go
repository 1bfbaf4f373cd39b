package main

import "fmt"

// Blocks of 32: four or eight rows at a time, each with its part of every vector, so that scaling a block's
// products, which are integers until then, is paid once for all of them. Four rows have a quarter each. Of
// eight, rows r and r+4 share a quarter, which gathers a block's codes by two shuffles more.

// block is what differs between the types.
type block struct {
	name string
	size int
	rows int
	// offset is what codes stand shifted by, so that they are not negative.
	offset int
	// hasM says that an element is d*q + m; d and m are the first two numbers then.
	hasM  bool
	setup func(u *unit32)
	scale func(u *unit32) // leaves d, and m
	codes func(u *unit32) // leaves codes
}

// unit32 is a row unit for blocks, and its registers.
type unit32 struct {
	unit
	block
	tmp     vec
	d, m    vec   // of the rows; m once for each row
	codes   []vec // of all rows: elements from first to last, as many as fit
	mask    vec   // 0x0f in each byte
	correct vec   // what times the sum of a token's codes corrects the offset
	product []vec
	more    [2]vec
}

func emit32(f *file, b block, tokens int) {
	u := &unit32{unit: unit{file: f, tokens: tokens, rows: b.rows, block: 32, size: b.size, sums: 4}, block: b}
	u.tmp, u.d, u.m, u.mask, u.correct = u.take(), u.take(), u.take(), u.take(), u.take()
	u.codes = u.several(b.rows / 2)
	u.product = u.several(tokens)
	u.emit(fmt.Sprintf("dot%sAVX512x%d", b.name, tokens), func() {
		if b.offset != 0 {
			// Each of a row's places takes its part.
			part := b.offset * b.rows / 16
			u.fill(u.correct, u.dword(fmt.Sprintf("minus%d", part), uint32(uint16(-part))))
		}
		b.setup(u)
	}, u.multiply)
}

// span returns where row r stands in a vector of n parts: its first part, and how many they are.
func (u *unit32) span(r, n int) (first, parts int) {
	if u.unit.rows == 4 {
		return r * n / 4, n / 4
	}
	return r%4*n/4 + r/4*n/8, n / 8
}

// rowMasks fills K1 and so on with the places of rows in a vector of n parts.
func (u *unit32) rowMasks(n int) {
	for r := 1; r < u.unit.rows; r++ {
		first, parts := u.span(r, n)
		u.unit.mask(r, (1<<parts-1)<<first)
	}
}

// load loads 16 bytes of all rows to dst, of which there are as many as it takes.
func (u *unit32) load(offset int, dst []vec) {
	u.quarters(offset, 0, dst[0])
	if u.unit.rows == 8 {
		u.pairUp(offset, dst, u.tmp)
	}
}

// halves converts the binary16 numbers that blocks begin with.
func halves(u *unit32) {
	d := u.d
	if u.hasM {
		d = u.tmp
	}
	u.op("VPBROADCASTD", u.weights(0).at(0), d.y())
	for r := 1; r < u.unit.rows; r++ {
		u.op("VPBROADCASTD", u.weights(r).at(0), kreg(r), d.y())
	}
	u.op("VCVTPH2PS", d.y(), d)
	u.op("VMOVSLDUP", d, u.d)
	if u.hasM {
		parts := 16 / u.unit.rows
		u.op("VMOVSHDUP", d, u.m)
		u.op("VPANDD", u.vector(fmt.Sprintf("first%d", parts), func(i int) byte {
			if i/4%parts == 0 {
				return 0xff
			}
			return 0
		}), u.m, u.m)
	}
}

// exponents looks up the scales of MXFP4.
func exponents(u *unit32) {
	u.op("LEAQ", "·mxfp4Half(SB)", regB)
	for r := range u.unit.rows {
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
	half := len(u.codes) / 2
	low, high := u.codes[:half], u.codes[half:]
	u.load(offset, low)
	for i := range half {
		u.shiftAnd(low[i], u.mask, high[i], 4)
		u.op("VPANDD", u.mask, low[i], low[i])
	}
}

// fifths adds the fifth bits, which are 32 bits of each row at offset.
func (u *unit32) fifths(offset int) {
	for i, to := range u.codes {
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
	for _, c := range u.codes {
		u.op("VPSHUFB", c, u.more[0], c)
	}
}

// multiply multiplies a block of the four rows with the tokens.
func (u *unit32) multiply() {
	u.scale(u)
	u.block.codes(u)
	u.fetch()
	u.eachToken(func(t int) {
		p := u.product[t]
		u.fetchLines(t, u.tokens)
		u.zero(p)
		if u.offset != 0 {
			u.op("VPDPWSSD.BCST", u.token(regSum, t).at(0), u.correct, p)
		}
		for i, c := range u.codes {
			if u.unit.rows == 8 {
				u.op("VPBROADCASTQ", u.token(regX, t).at(8*i), u.tmp)
			} else {
				u.op("VBROADCASTI32X4", u.token(regX, t).at(16*i), u.tmp)
			}
			u.op("VPDPBUSD", u.tmp, c, p)
		}
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
	})
}
