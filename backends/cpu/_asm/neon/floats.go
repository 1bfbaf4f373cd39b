package main

// Floats: a token has four sums of four lanes, so that multiply-adds do not wait for each other, and
// these are the same however many tokens there are.

// A typeFloat says how weights become floats. wide loads 16 into registers 0 to 3, narrow 4 into 0, one 1 into
// the lowest lane of 0; all go on behind them.
type typeFloat struct {
	name              string
	wide, narrow, one func(g *gen)
}

const (
	vFX   = 4  // a token's floats, to 7
	vFRaw = 8  // weights as they are, and 9
	vZero = 10 // zero, for BF16
)

// vFSum is the first of a token's sums.
func vFSum(tok int) int { return 12 + 4*tok }

var typesFloat = []typeFloat{
	{
		name: "F32",
		wide: func(g *gen) {
			g.f("FLDPQ.P 32(%s), (F0, F1)", rW)
			g.f("FLDPQ.P 32(%s), (F2, F3)", rW)
		},
		narrow: func(g *gen) { g.f("FMOVQ.P 16(%s), F0", rW) },
		one:    func(g *gen) { g.f("FMOVS.P 4(%s), F0", rW) },
	},
	{
		name: "F16",
		wide: func(g *gen) {
			g.f("FLDPQ.P 32(%s), (F%d, F%d)", rW, vFRaw, vFRaw+1)
			g.m("FCVTL", 0, vFRaw)
			g.m("FCVTL2", 1, vFRaw)
			g.m("FCVTL", 2, vFRaw+1)
			g.m("FCVTL2", 3, vFRaw+1)
		},
		narrow: func(g *gen) {
			g.f("FMOVD.P 8(%s), F0", rW)
			g.m("FCVTL", 0, 0)
		},
		one: func(g *gen) {
			g.f("MOVHU.P 2(%s), %s", rW, rTmp)
			g.f("FMOVS %s, F0", rTmp)
			g.m("FCVTL", 0, 0)
		},
	},
	{
		name: "BF16",
		wide: func(g *gen) {
			g.f("FLDPQ.P 32(%s), (F%d, F%d)", rW, vFRaw, vFRaw+1)
			for i := range 2 {
				g.f("VZIP1 V%d.H8, V%d.H8, V%d.H8", vFRaw+i, vZero, 2*i)
				g.f("VZIP2 V%d.H8, V%d.H8, V%d.H8", vFRaw+i, vZero, 2*i+1)
			}
		},
		narrow: func(g *gen) {
			g.f("FMOVD.P 8(%s), F0", rW)
			g.f("VZIP1 V0.H8, V%d.H8, V0.H8", vZero)
		},
		one: func(g *gen) {
			g.f("MOVHU.P 2(%s), %s", rW, rTmp)
			g.f("LSL $16, %s, %[1]s", rTmp)
			g.f("FMOVS %s, F0", rTmp)
		},
	},
}

func floatUnits(g *gen) {
	for _, t := range typesFloat {
		for n := 1; n <= most; n++ {
			g.rowUnit(t.name, n, func() { g.zero(vZero) }, func() { t.row(g, n) }, false, 0, false)
		}
	}
	g.dotF32()
	g.addScaledF32()
	g.decode("F16")
	g.decode("BF16")
}

func (t *typeFloat) row(g *gen, n int) {
	for tok := range n {
		for i := range 4 {
			g.zero(vFSum(tok) + i)
		}
	}
	g.f("SUBS $16, %s, %s", rCount, rCount)
	g.f("BLT rest")
	g.label("wide")
	t.wide(g)
	for tok := range n {
		g.f("FLDPQ.P 32(%s), (F%d, F%d)", rCodes(tok), vFX, vFX+1)
		g.f("FLDPQ.P 32(%s), (F%d, F%d)", rCodes(tok), vFX+2, vFX+3)
		for i := range 4 {
			g.f("VFMLA V%d.S4, V%d.S4, V%d.S4", vFX+i, i, vFSum(tok)+i)
		}
	}
	g.f("SUBS $16, %s, %s", rCount, rCount)
	g.f("BGE wide")
	g.label("rest")
	g.f("ADDS $12, %s, %s", rCount, rCount)
	g.f("BLT few")
	g.label("narrow")
	t.narrow(g)
	for tok := range n {
		g.f("FMOVQ.P 16(%s), F%d", rCodes(tok), vFX)
		g.f("VFMLA V%d.S4, V0.S4, V%d.S4", vFX, vFSum(tok))
	}
	g.f("SUBS $4, %s, %s", rCount, rCount)
	g.f("BGE narrow")
	g.label("few")
	for tok := range n {
		s := vFSum(tok)
		g.m("FADD4S", s, s, s+1)
		g.m("FADD4S", s+2, s+2, s+3)
		g.m("FADD4S", s, s, s+2)
		g.m("FADDP4S", s, s, s)
		g.m("FADDP4S", s, s, s)
	}
	g.f("ADDS $4, %s, %s", rCount, rCount)
	g.f("BEQ done")
	g.label("one")
	t.one(g)
	for tok := range n {
		g.f("FMOVS.P 4(%s), F%d", rCodes(tok), vFX)
		g.f("FMADDS F%d, F%d, F0, F%[2]d", vFX, vFSum(tok))
	}
	g.f("SUBS $1, %s, %s", rCount, rCount)
	g.f("BNE one")
	g.label("done")
	for tok := range n {
		g.f("FMOVS F%d, F%d", vFSum(tok), vSum+tok)
	}
}

// dotF32 emits the loop of a multiple of 4 products.
func (g *gen) dotF32() {
	g.text("dotF32NEON(a, b *float32, n int) float32", "dotF32NEON", 28)
	g.note("n is a multiple of 4, and at least 4.")
	g.f("MOVD a+0(FP), R0")
	g.f("MOVD b+8(FP), R1")
	g.f("MOVD n+16(FP), R2")
	for i := range 4 {
		g.zero(16 + i)
	}
	g.f("SUBS $16, R2, R2")
	g.f("BLT rest")
	g.label("wide")
	for i := range 2 {
		g.f("FLDPQ.P 32(R0), (F%d, F%d)", 2*i, 2*i+1)
		g.f("FLDPQ.P 32(R1), (F%d, F%d)", 4+2*i, 5+2*i)
	}
	for i := range 4 {
		g.f("VFMLA V%d.S4, V%d.S4, V%d.S4", 4+i, i, 16+i)
	}
	g.f("SUBS $16, R2, R2")
	g.f("BGE wide")
	g.label("rest")
	g.f("ADDS $16, R2, R2")
	g.f("BEQ done")
	g.label("narrow")
	g.f("FMOVQ.P 16(R0), F0")
	g.f("FMOVQ.P 16(R1), F4")
	g.f("VFMLA V4.S4, V0.S4, V16.S4")
	g.f("SUBS $4, R2, R2")
	g.f("BNE narrow")
	g.label("done")
	g.m("FADD4S", 16, 16, 17)
	g.m("FADD4S", 18, 18, 19)
	g.m("FADD4S", 16, 16, 18)
	g.m("FADDP4S", 16, 16, 16)
	g.m("FADDP4S", 16, 16, 16)
	g.f("FMOVS F16, ret+24(FP)")
	g.f("RET")
}

// addScaledF32 emits the loop of a multiple of 4 sums.
func (g *gen) addScaledF32() {
	g.text("addScaledF32NEON(dst, x *float32, n int, s float32)", "addScaledF32NEON", 28)
	g.note("n is a multiple of 4, and at least 4.")
	g.f("MOVD dst+0(FP), R0")
	g.f("MOVD x+8(FP), R1")
	g.f("MOVD n+16(FP), R2")
	g.f("FMOVS s+24(FP), F16")
	g.f("SUBS $16, R2, R2")
	g.f("BLT rest")
	g.label("wide")
	for i := range 2 {
		g.load32(2*i, "R0", 32*i)
		g.f("FLDPQ.P 32(R1), (F%d, F%d)", 4+2*i, 5+2*i)
	}
	for i := range 4 {
		g.m("FMLAI", i, 4+i, 16, 0)
	}
	g.f("FSTPQ.P (F0, F1), 32(R0)")
	g.f("FSTPQ.P (F2, F3), 32(R0)")
	g.f("SUBS $16, R2, R2")
	g.f("BGE wide")
	g.label("rest")
	g.f("ADDS $16, R2, R2")
	g.f("BEQ done")
	g.label("narrow")
	g.f("FMOVQ (R0), F0")
	g.f("FMOVQ.P 16(R1), F4")
	g.m("FMLAI", 0, 4, 16, 0)
	g.f("FMOVQ.P F0, 16(R0)")
	g.f("SUBS $4, R2, R2")
	g.f("BNE narrow")
	g.label("done")
	g.f("RET")
}

// decode emits the loop that makes floats of a multiple of 8 numbers of 16 bits.
func (g *gen) decode(typ string) {
	name := "decode" + typ + "NEON"
	g.text(name+"(dst *float32, src *byte, n int)", name, 24)
	g.note("n is a multiple of 8, and at least 8.")
	g.f("MOVD dst+0(FP), R0")
	g.f("MOVD src+8(FP), R1")
	g.f("MOVD n+16(FP), R2")
	g.zero(3)
	g.label("loop")
	g.f("FMOVQ.P 16(R1), F0")
	if typ == "F16" {
		g.m("FCVTL", 1, 0)
		g.m("FCVTL2", 2, 0)
	} else {
		g.f("VZIP1 V0.H8, V3.H8, V1.H8")
		g.f("VZIP2 V0.H8, V3.H8, V2.H8")
	}
	g.f("FSTPQ.P (F1, F2), 32(R0)")
	g.f("SUBS $8, R2, R2")
	g.f("BNE loop")
	g.f("RET")
}
