package main

import "fmt"

// Rounding tokens. It does what roundBlock does in Go, to the same bits: the greatest magnitude, of
// which 127 is divided, and halves away from zero, by adding a half with the sign of the number and
// cutting off.

const (
	vRound   = 0  // eight vectors of the block, to 7
	vAbs     = 16 // their magnitudes and what they become, to 23
	vMost    = 24 // the greatest magnitude
	vInverse = 25
	vInf     = 26
	vSign    = 27
	vHalf    = 28
	v127     = 29
	vOnes    = 30
	vRoundN  = 31 // sums
)

var constsRound = constants{base: "R6"}

// float32s is a constant of four equal words.
func float32s(bits uint32) (v [16]byte) {
	for i := range v {
		v[i] = byte(bits >> (i % 4 * 8))
	}
	return v
}

func roundUnits(g *gen) {
	g.round32()
	g.round256()
	constsRound.data(g, "constsRound")
}

// begin loads arguments and constants.
func (g *gen) roundBegin(name, sum string) {
	g.text(fmt.Sprintf("%s(q *int8, scale *float32, sum *%s, x *float32, blocks int)", name, sum), name, 40)
	g.f("MOVD q+0(FP), R0")
	g.f("MOVD scale+8(FP), R1")
	g.f("MOVD sum+16(FP), R2")
	g.f("MOVD x+24(FP), R3")
	g.f("MOVD blocks+32(FP), R4")
	g.f("MOVD $constsRound<>(SB), R6")
	constsRound.load(g, vInf, float32s(0x7f800000))
	constsRound.load(g, vSign, float32s(0x80000000))
	constsRound.load(g, vHalf, float32s(0x3f000000))
	constsRound.load(g, v127, float32s(0x42fe0000))
	constsRound.load(g, vOnes, all(1))
}

// greatest8 leaves the greatest of the eight vectors' magnitudes by lane in vAbs. NaN is greatest.
func (g *gen) greatest8() {
	for i := range 8 {
		g.m("FABS4S", vAbs+i, vRound+i)
	}
	for n := 4; n > 0; n /= 2 {
		for i := range n {
			g.m("FMAX4S", vAbs+i, vAbs+i, vAbs+i+n)
		}
	}
}

// scale makes a scale and an inverse of the lanes of vMost. Inf-Inf is NaN, and so is the scale of what is
// not finite. An inverse that is not finite becomes 0.
func (g *gen) scale() {
	g.m("FMAXV4S", vMost, vMost)
	g.f("FDIVS F%d, F%d, F%d", vMost, v127, vInverse)
	g.f("FDIVS F%d, F%d, F%d", v127, vMost, vAbs)
	g.f("FSUBS F%d, F%[1]d, F%[1]d", vMost)
	g.f("FADDS F%d, F%d, F%[2]d", vMost, vAbs)
	g.f("FMOVS.P F%d, 4(R1)", vAbs)
	g.m("FCMGT4S", vMost, vInf, vInverse)
	g.and(vInverse, vInverse, vMost)
}

// round8 makes codes of the eight vectors, in vAbs and the next one, and writes them.
func (g *gen) round8() {
	for i := range 8 {
		g.m("FMULI", vRound+i, vRound+i, vInverse, 0)
	}
	for i := range 8 {
		g.and(vAbs+i, vRound+i, vSign)
		g.orr(vAbs+i, vAbs+i, vHalf)
		g.m("FADD4S", vRound+i, vRound+i, vAbs+i)
		g.m("FCVTZS4S", vAbs+i, vRound+i)
	}
	for i := range 4 {
		g.f("VUZP1 V%d.H8, V%d.H8, V%d.H8", vAbs+2*i+1, vAbs+2*i, vAbs+i)
	}
	for i := range 2 {
		g.f("VUZP1 V%d.B16, V%d.B16, V%d.B16", vAbs+2*i+1, vAbs+2*i, vAbs+i)
	}
	g.f("FSTPQ.P (F%d, F%d), 32(R0)", vAbs, vAbs+1)
}

func (g *gen) load8(base string) {
	for i := range 4 {
		g.f("FLDPQ.P 32(%s), (F%d, F%d)", base, vRound+2*i, vRound+2*i+1)
	}
}

func (g *gen) round32() {
	g.roundBegin("round32NEON", "int32")
	g.label("block")
	g.load8("R3")
	g.greatest8()
	g.f("VMOV V%d.B16, V%d.B16", vAbs, vMost)
	g.scale()
	g.round8()
	g.zero(vRoundN)
	g.m("SDOT", vRoundN, vAbs, vOnes)
	g.m("SDOT", vRoundN, vAbs+1, vOnes)
	g.f("VADDV V%d.S4, V%[1]d", vRoundN)
	g.f("FMOVS.P F%d, 4(R2)", vRoundN)
	g.f("SUBS $1, R4, R4")
	g.f("BNE block")
	g.f("RET")
}

func (g *gen) round256() {
	g.roundBegin("round256NEON", "int16")
	g.label("block")
	g.f("MOVD R3, R7")
	g.f("MOVD $8, R5")
	g.zero(vMost)
	g.label("greatest")
	g.load8("R7")
	g.greatest8()
	g.m("FMAX4S", vMost, vMost, vAbs)
	g.f("SUBS $1, R5, R5")
	g.f("BNE greatest")
	g.scale()
	g.f("MOVD $8, R5")
	g.label("codes")
	g.load8("R3")
	g.round8()
	for i := range 2 {
		g.m("SADDLV", vRoundN, vAbs+i)
		g.f("VST1.P V%d.H[0], 2(R2)", vRoundN)
	}
	g.f("SUBS $1, R5, R5")
	g.f("BNE codes")
	g.f("SUBS $1, R4, R4")
	g.f("BNE block")
	g.f("RET")
}
