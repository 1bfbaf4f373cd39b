package main

import "math"

// Registers of soft that hold constants, from 31 or 15 down where there are as many; AVX2 reads the
// polynomial's from memory.
var constants = []struct {
	name string
	v    float32
}{
	{"log2e", math.Log2E},
	{"ln2hi", 0x1.62ep-1}, // few bits, so that its products with whole numbers are exact
	{"ln2lo", math.Ln2 - 0x1.62ep-1},
	{"least", -87.33},
	{"c7", 1.9875691500e-4}, // the polynomial is that of Cephes' expf
	{"c6", 1.3981999507e-3},
	{"c5", 8.3334519073e-3},
	{"c4", 4.1665795894e-2},
	{"c3", 1.6666665459e-1},
	{"c2", 5.0000001201e-1},
	{"one", 1},
	{"hidden", float32(math.Inf(-1))},
}

// soft writes the online softmax of a block: a register's lanes are queries, steps are cells.
func (g *gen) soft() {
	name := "softConsts" + g.suffix
	g.out.WriteString("\n")
	for i, c := range constants {
		for l := range g.lanes {
			g.outData(name, (i*g.lanes+l)*4, math.Float32bits(c.v))
		}
	}
	g.outGlobl(name, len(constants)*g.lanes*4)

	g.begin("soft", "softBlock")
	g.p("LEAQ %s<>(SB), BX", name)
	g.p("MOVQ softBlock_s(AX), DI")
	g.p("MOVQ softBlock_step(AX), R8")
	g.p("MOVQ softBlock_maximum(AX), R9")
	g.p("MOVQ softBlock_total(AX), R10")
	g.p("MOVQ softBlock_down(AX), R11")
	g.p("MOVQ softBlock_registers(AX), R12")
	g.label("column")
	old, most, away, sum, x := g.r(0), g.r(1), g.r(2), g.r(3), g.r(4)
	g.p("VMOVUPS (R9), %s", old)
	g.p("VMOVAPS %s, %s", old, most)
	g.p("MOVQ DI, SI")
	g.p("MOVQ softBlock_n(AX), CX")
	g.label("greatest")
	g.p("VMAXPS (SI), %s, %s", most, most)
	g.p("ADDQ R8, SI")
	g.p("DECQ CX")
	g.p("JNZ greatest")
	g.p("VMOVUPS %s, (R9)", most)
	// Where all is hidden, 0 is taken away instead: -Inf less itself would be no number.
	if g.reg == "Z" {
		g.p("VCMPPS $4, %s, %s, K1", g.mem("hidden"), most) // not equal
		g.p("VMOVAPS.Z %s, K1, %s", most, away)
	} else {
		g.p("VCMPPS $4, %s, %s, %s", g.mem("hidden"), most, away)
		g.p("VANDPS %s, %s, %s", most, away, away)
	}
	g.p("VSUBPS %s, %s, %s", away, old, x)
	g.exp()
	g.p("VMOVUPS %s, (R11)", x)
	g.p("VMOVAPS %s, %s", x, old)
	g.p("VXORPS %[1]s, %[1]s, %[1]s", "X3")
	g.p("MOVQ DI, SI")
	g.p("MOVQ softBlock_n(AX), CX")
	g.label("cell")
	g.p("VMOVUPS (SI), %s", x)
	g.p("VSUBPS %s, %s, %s", away, x, x)
	g.exp()
	g.p("VMOVUPS %s, (SI)", x)
	g.p("VADDPS %s, %s, %s", x, sum, sum)
	g.p("ADDQ R8, SI")
	g.p("DECQ CX")
	g.p("JNZ cell")
	g.p("VFMADD231PS (R10), %s, %s", old, sum)
	g.p("VMOVUPS %s, (R10)", sum)
	for _, r := range []string{"DI", "R9", "R10", "R11"} {
		g.p("ADDQ $%d, %s", g.bytes(), r)
	}
	g.p("DECQ R12")
	g.p("JNZ column")
	g.end()
}

// mem is the place of a constant.
func (g *gen) mem(name string) string {
	for i, c := range constants {
		if c.name == name {
			return fmtOff(i*g.bytes(), "BX")
		}
	}
	panic(name)
}

// exp makes register 4 its exponential, 0 where that is no normal number; registers 5 to 8 are spoilt. Its
// argument is not above 0.
func (g *gen) exp() {
	x, k, r, p, t := g.r(4), g.r(5), g.r(6), g.r(7), g.r(8)
	g.p("VMULPS %s, %s, %s", g.mem("log2e"), x, k)
	if g.reg == "Z" {
		g.p("VRNDSCALEPS $8, %s, %s", k, k)
	} else {
		g.p("VROUNDPS $8, %s, %s", k, k)
	}
	g.p("VMOVAPS %s, %s", x, r)
	g.p("VFNMADD231PS %s, %s, %s", g.mem("ln2hi"), k, r)
	g.p("VFNMADD231PS %s, %s, %s", g.mem("ln2lo"), k, r)
	g.p("VMOVUPS %s, %s", g.mem("c7"), p)
	for _, c := range []string{"c6", "c5", "c4", "c3", "c2"} {
		g.p("VFMADD213PS %s, %s, %s", g.mem(c), r, p)
	}
	g.p("VMULPS %s, %s, %s", r, r, t)
	g.p("VFMADD213PS %s, %s, %s", r, t, p)
	g.p("VADDPS %s, %s, %s", g.mem("one"), p, p)
	if g.reg == "Z" {
		g.p("VCMPPS $5, %s, %s, K2", g.mem("least"), x) // not less, or NaN
		g.p("VSCALEFPS.Z %s, %s, K2, %s", k, p, x)
		return
	}
	g.p("VCVTPS2DQ %s, %s", k, k)
	g.p("VPSLLD $23, %s, %s", k, k)
	g.p("VPADDD %s, %s, %s", k, p, p)
	g.p("VCMPPS $5, %s, %s, %s", g.mem("least"), x, t)
	// What is no number must stay so, whatever the sum of exponents has made of it.
	g.p("VCMPPS $3, %s, %s, %s", x, x, r)
	g.p("VBLENDVPS %s, %s, %s, %s", r, x, p, p)
	g.p("VANDPS %s, %s, %s", p, t, x)
}
