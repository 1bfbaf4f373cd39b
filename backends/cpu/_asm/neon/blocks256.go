package main

// Types in superblocks of 256. The partial sums that SDOT gives for a group are multiplied with the
// group's scale as integers, so that a superblock has one conversion. Least values, and what is
// subtracted from all codes, meet the record's sums of codes. A superblock is done in four parts
// of 64 codes.

// A type256 says how superblocks become codes and scales.
type type256 struct {
	name  string
	size  int
	least least
	// consts loads what codes needs into v256K and the next one.
	consts func(g *gen)
	// scales leaves the groups' scales as int32 in the lanes of v256Scale and so on, and least values
	// as int16 in v256Least and the next one. It may use registers 0 to 15.
	scales func(g *gen)
	// codes leaves those of part i in registers 0 to 3. It may use 4 to 11, and 12 to 15 stay.
	codes func(g *gen, i int)
	// group says that scales are for so many codes, or 0 that codes are multiplied with them already.
	group int
	// d is where the superblock's scale is. That of least values follows it.
	d int
}

type least int

const (
	noLeast   least = iota
	perGroup        // 16 least values, with a scale of their own
	perTwo          // 8 of them, each for 32 elements
	inProduct       // 16, negative, with the scale of the codes
)

const (
	v256Q     = 4  // a token's codes, to 7
	v256Part  = 8  // partial sums, to 11
	v256Raw   = 12 // weights as they are, to 15
	v256Scale = 16 // to 19
	v256Least = 20 // and 21
	v256K     = 22 // constants, and 23
	v256Sum   = 24 // integer sums of each token, to 27
	v256D     = 12 // scales of the superblock, at its end
)

var consts256 = constants{base: rTable}

// part multiplies the codes of part i with token t.
func (t *type256) part(g *gen, i, tok int) {
	g.load32(v256Q, rCodes(tok), 64*i)
	g.load32(v256Q+2, rCodes(tok), 64*i+32)
	sum := v256Sum + tok
	if t.group == 0 {
		for j := range 4 {
			g.m("SDOT", sum, j, v256Q+j)
		}
		return
	}
	groups := 64 / t.group
	for j := range groups {
		g.zero(v256Part + j)
	}
	for j := range 4 / groups {
		for k := range groups {
			reg := k*4/groups + j
			g.m("SDOT", v256Part+k, reg, v256Q+reg)
		}
	}
	for j := range groups {
		s := i*groups + j
		g.m("MLAI", sum, v256Part+j, v256Scale+s/4, s%4)
	}
}

// meetSums multiplies least values with token t's sums, into the four lanes of d.
func (t *type256) meetSums(g *gen, d, tok int) {
	g.f("FLDPQ.P 32(%s), (F%d, F%d)", rSums(tok), v256Q, v256Q+1)
	if t.least == perTwo {
		g.f("VADDP V%d.H8, V%d.H8, V%[2]d.H8", v256Q+1, v256Q)
	}
	g.m("SMULL", d, v256Q, v256Least)
	g.m("SMLAL2", d, v256Q, v256Least)
	if t.least != perTwo {
		g.m("SMLAL", d, v256Q+1, v256Least+1)
		g.m("SMLAL2", d, v256Q+1, v256Least+1)
	}
}

// end adds the superblock to token t's float sum.
func (t *type256) end(g *gen, tok int) {
	sum := vSum + tok
	const scales, least = v256Part, v256Part + 1
	g.f("FMOVS.P 4(%s), F%d", rD(tok), scales)
	g.m("SCVTF4S", v256Sum+tok, v256Sum+tok)
	g.m("FMULI", scales, v256D, scales, 0)
	g.m("FMLAI", sum, v256Sum+tok, scales, 0)
	if t.least == perGroup || t.least == perTwo {
		t.meetSums(g, least, tok)
		g.m("SCVTF4S", least, least)
		g.m("FMLSI", sum, least, scales, 1)
	}
	g.f("ADD $256, %s", rCodes(tok))
}

func blocks256Units(g *gen) {
	for _, t := range types256 {
		for n := 1; n <= most; n++ {
			g.rowUnit(t.name, n, func() {
				g.f("MOVD $consts256<>(SB), %s", rTable)
				t.consts(g)
			}, func() { t.row(g, n) }, true, 6, t.least != noLeast)
		}
	}
	consts256.data(g, "consts256")
}

func (t *type256) row(g *gen, n int) {
	for tok := range n {
		g.zero(vSum + tok)
	}
	g.f("LSR $8, %s, %s", rCount, rCount)
	g.label("superblock")
	t.scales(g)
	for tok := range n {
		if t.least == inProduct {
			t.meetSums(g, v256Sum+tok, tok)
		} else {
			g.zero(v256Sum + tok)
		}
	}
	for i := range 4 {
		t.codes(g, i)
		for tok := range n {
			t.part(g, i, tok)
		}
	}
	if t.least == perGroup || t.least == perTwo {
		g.f("FMOVS %d(%s), F%d", t.d, rW, v256D)
	} else {
		g.f("MOVHU %d(%s), %s", t.d, rW, rTmp)
		g.f("FMOVS %s, F%d", rTmp, v256D)
	}
	g.m("FCVTL", v256D, v256D)
	for tok := range n {
		t.end(g, tok)
	}
	g.f("ADD $%d, %s", t.size, rW)
	g.f("SUBS $1, %s, %s", rCount, rCount)
	g.f("BNE superblock")
	g.reduce(n)
}
