package main

// Types in blocks of 32. Four blocks are taken together: SDOT gives four partial sums of each, additions of
// pairs make of them one vector with a block's sum in each lane, and it is converted and multiplied
// with the vectors of scales. The rest is taken block by block.

// A type32 says how blocks become codes. codes emits those of the block whose bytes begin off after rW
// into registers d and d+1.
type type32 struct {
	name     string
	size     int
	hasLeast bool // an element is d*q + m
	consts   func(g *gen)
	codes    func(g *gen, d, off int)
}

// Registers: codes of four blocks in 0 to 7.
const (
	vD     = 8  // scales of the blocks
	vLeast = 9  // and their m
	vQ     = 10 // a token's codes, to 17
	vPart  = 18 // its partial sums, to 21
	vXD    = 22 // its scales
	vXSum  = 23 // its sums of codes
	// 24 to 27 are constants.
	vLow, vA, vB, vC = 24, 25, 26, 27
)

var (
	consts32 = constants{base: rTmp}

	// fifth spreads 32 bits over as many bytes: the byte for each element, and the bit in it.
	fifthLow  = [16]byte{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}
	fifthBits = [16]byte{1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128}

	iq4Codes   = [16]byte{0x81, 0x98, 0xad, 0xbf, 0xcf, 0xdd, 0xea, 0xf6, 1, 13, 25, 38, 53, 69, 89, 113}
	mxfp4Codes = [16]byte{0, 1, 2, 3, 4, 6, 8, 12, 0, 0xff, 0xfe, 0xfd, 0xfc, 0xfa, 0xf8, 0xf4}
)

// nibbles loads 16 bytes and takes them apart.
func nibbles(g *gen, d, off int) {
	g.load16(d+1, rW, off)
	g.and(d, d+1, vLow)
	g.shr(d+1, d+1, 4)
}

// looked up codes: nibbles by the table in vA.
func lookedUp(g *gen, d, off int) {
	nibbles(g, d, off)
	g.table(d, vA, d)
	g.table(d+1, vA, d+1)
}

// fifths are nibbles with fifth bits. If signed, 16 is subtracted: a code without the bit gets all bits
// above its nibble, and one with it none.
func fifths(g *gen, d, high, low int, signed bool) {
	g.f("MOVWU %d(%s), %s", high, rW, rTmp)
	g.f("VDUP %s, V%d.S4", rTmp, vQ)
	nibbles(g, d, low)
	g.table(vQ+1, vQ, vA)
	g.f("VEXT $2, V%d.B16, V%[1]d.B16, V%[1]d.B16", vQ)
	g.table(vQ, vQ, vA)
	for i := range 2 {
		have := vQ + 1 - i
		g.tst(have, have, vB)
		if signed {
			g.m("BIC16B", have, vC, have)
		} else {
			g.and(have, have, vC)
		}
		g.orr(d+i, d+i, have)
	}
}

var types32 = []type32{
	{name: "Q8_0", size: 34, codes: func(g *gen, d, off int) {
		g.load16(d, rW, off+2)
		g.load16(d+1, rW, off+18)
	}},
	{
		name: "Q4_0", size: 18,
		consts: func(g *gen) {
			consts32.load(g, vLow, all(15))
			consts32.load(g, vA, all(8))
		},
		codes: func(g *gen, d, off int) {
			nibbles(g, d, off+2)
			g.sub8(d, d, vA)
			g.sub8(d+1, d+1, vA)
		},
	},
	{
		name: "Q4_1", size: 20, hasLeast: true,
		consts: func(g *gen) { consts32.load(g, vLow, all(15)) },
		codes:  func(g *gen, d, off int) { nibbles(g, d, off+4) },
	},
	{
		name: "Q5_0", size: 22,
		consts: func(g *gen) { constsFifth(g, 0xf0) },
		codes:  func(g *gen, d, off int) { fifths(g, d, off+2, off+6, true) },
	},
	{
		name: "Q5_1", size: 24, hasLeast: true,
		consts: func(g *gen) { constsFifth(g, 0x10) },
		codes:  func(g *gen, d, off int) { fifths(g, d, off+4, off+8, false) },
	},
	{
		name: "IQ4_NL", size: 18,
		consts: func(g *gen) {
			consts32.load(g, vLow, all(15))
			consts32.load(g, vA, iq4Codes)
		},
		codes: func(g *gen, d, off int) { lookedUp(g, d, off+2) },
	},
	{
		name: "MXFP4", size: 17,
		consts: func(g *gen) {
			consts32.load(g, vLow, all(15))
			consts32.load(g, vA, mxfp4Codes)
			g.f("MOVD $·mxfp4Half(SB), %s", rTable)
		},
		codes: func(g *gen, d, off int) { lookedUp(g, d, off+1) },
	},
}

func constsFifth(g *gen, high byte) {
	consts32.load(g, vLow, all(15))
	consts32.load(g, vA, fifthLow)
	consts32.load(g, vB, fifthBits)
	consts32.load(g, vC, all(high))
}

// scales loads scales of n blocks, 4 or 1, and goes on to the next ones. Those of MXFP4 are looked up by
// their byte in Go's table.
func (t *type32) scales(g *gen, n int) {
	lane := "H"
	switch {
	case t.name == "MXFP4":
		for i := range n {
			g.f("MOVBU.P %d(%s), %s", t.size, rScales, rTmp)
			if i == 0 {
				g.f("FMOVS (%s)(%s<<2), F%d", rTable, rTmp, vD)
				continue
			}
			g.f("ADD %s<<2, %s, %s", rTmp, rTable, rTmp)
			g.f("VLD1 (%s), V%d.S[%d]", rTmp, vD, i)
		}
		return
	case t.hasLeast:
		lane = "S"
	}
	g.f("VLD1R.P (%s)(%s), [V%d.%s4]", rScales, rStep, vD, lane) // all lanes, so as to wait for nothing
	for i := 1; i < n; i++ {
		g.f("VLD1.P (%s)(%s), V%d.%s[%d]", rScales, rStep, vD, lane, i)
	}
	if t.hasLeast {
		g.f("VUZP2 V%d.H8, V%[1]d.H8, V%d.H8", vD, vLeast)
		g.f("VUZP1 V%d.H8, V%[1]d.H8, V%[1]d.H8", vD)
		g.m("FCVTL", vLeast, vLeast)
	}
	g.m("FCVTL", vD, vD)
}

// four multiplies four blocks with token t.
func (t *type32) four(g *gen, tok int) {
	sum := vSum + tok
	for b := range 4 {
		g.zero(vPart + b)
	}
	for b := range 4 {
		g.load32(vQ+2*b, rCodes(tok), 32*b)
	}
	for h := range 2 {
		for b := range 4 {
			g.m("SDOT", vPart+b, 2*b+h, vQ+2*b+h)
		}
	}
	g.f("ADD $128, %s", rCodes(tok))
	g.f("FMOVQ.P 16(%s), F%d", rD(tok), vXD)
	g.pairs(vPart, vPart, vPart+1)
	g.pairs(vPart+2, vPart+2, vPart+3)
	g.pairs(vPart, vPart, vPart+2)
	g.m("SCVTF4S", vPart, vPart)
	g.m("FMUL4S", vQ, vXD, vD)
	g.f("VFMLA V%d.S4, V%d.S4, V%d.S4", vQ, vPart, sum)
	if t.hasLeast {
		g.f("FMOVQ.P 16(%s), F%d", rSums(tok), vXSum)
		g.m("SCVTF4S", vXSum, vXSum)
		g.m("FMUL4S", vXD, vXD, vLeast)
		g.f("VFMLA V%d.S4, V%d.S4, V%d.S4", vXD, vXSum, sum)
	}
}

// one multiplies one block with token t.
func (t *type32) one(g *gen, tok int) {
	sum := vSum + tok
	g.zero(vPart)
	g.f("FLDPQ.P 32(%s), (F%d, F%d)", rCodes(tok), vQ, vQ+1)
	g.f("FMOVS.P 4(%s), F%d", rD(tok), vXD)
	g.m("SDOT", vPart, 0, vQ)
	g.m("SDOT", vPart, 1, vQ+1)
	g.m("SCVTF4S", vPart, vPart)
	g.m("FMUL4S", vQ, vXD, vD)
	g.m("FMLAI", sum, vPart, vQ, 0)
	if t.hasLeast {
		// Lanes above the first are zero in the sums.
		g.f("FMOVS.P 4(%s), F%d", rSums(tok), vXSum)
		g.m("SCVTF4S", vXSum, vXSum)
		g.m("FMUL4S", vXD, vXD, vLeast)
		g.m("FMLAI", sum, vXSum, vXD, 0)
	}
}

func blocks32Units(g *gen) {
	for _, t := range types32 {
		for n := 1; n <= most; n++ {
			g.rowUnit(t.name, n, func() {
				g.f("MOVD $%d, %s", t.size, rStep)
				if t.consts != nil {
					g.f("MOVD $consts32<>(SB), %s", rTmp)
					t.consts(g)
				}
			}, func() { t.row(g, n) }, true, 3, t.hasLeast)
		}
	}
	consts32.data(g, "consts32")
}

func (t *type32) row(g *gen, n int) {
	g.f("MOVD %s, %s", rW, rScales)
	for tok := range n {
		g.zero(vSum + tok)
	}
	g.f("LSR $5, %s, %s", rCount, rCount)
	g.f("SUBS $4, %s, %s", rCount, rCount)
	g.f("BLT rest")
	g.label("four")
	t.scales(g, 4)
	for b := range 4 {
		t.codes(g, 2*b, b*t.size)
	}
	g.f("ADD $%d, %s", 4*t.size, rW)
	for tok := range n {
		t.four(g, tok)
	}
	g.f("SUBS $4, %s, %s", rCount, rCount)
	g.f("BGE four")
	g.label("rest")
	g.f("ADDS $4, %s, %s", rCount, rCount)
	g.f("BEQ done")
	g.label("one")
	t.scales(g, 1)
	t.codes(g, 0, 0)
	g.f("ADD $%d, %s", t.size, rW)
	for tok := range n {
		t.one(g, tok)
	}
	g.f("SUBS $1, %s, %s", rCount, rCount)
	g.f("BNE one")
	g.label("done")
	g.reduce(n)
}
