package main

import "fmt"

// tile writes the product of r rows and w registers of columns. Rows of a are reached from one pointer
// for three of them, so that any distance will do.
func (g *gen) tile(r, w int) {
	bases := []string{"SI", "R12", "R13", "AX"}
	acc := func(i, j int) string { return g.r(i*w + j) }
	b := func(j int) string { return g.r(g.most + j) }
	spare := func(i int) string { return g.r(g.most + g.width + i%2) }
	at := func(i int) string {
		return bases[i/3] + []string{"", "(R9*1)", "(R9*2)"}[i%3]
	}
	addr := func(i int) string {
		if i%3 == 0 {
			return "(" + bases[i/3] + ")"
		}
		return "(" + bases[i/3] + ")" + at(i)[len(bases[i/3]):]
	}

	g.begin(fmt.Sprintf("tile%dx%d", r, w), "attnTile")
	g.p("MOVQ attnTile_c(AX), DI")
	g.p("MOVQ attnTile_cRow(AX), R8")
	g.p("MOVQ attnTile_a(AX), SI")
	g.p("MOVQ attnTile_aRow(AX), R9")
	g.p("MOVQ attnTile_aStep(AX), R10")
	g.p("MOVQ attnTile_b(AX), BX")
	g.p("MOVQ attnTile_bStep(AX), R11")
	g.p("MOVQ attnTile_k(AX), CX")
	g.p("MOVQ attnTile_scale(AX), DX")
	for i := 1; i*3 < r; i++ {
		g.p("LEAQ (%s)(R9*2), %s", bases[i-1], bases[i])
		g.p("ADDQ R9, %s", bases[i])
	}
	g.p("TESTQ DX, DX")
	g.p("JZ zero")
	g.p("MOVQ DI, R15")
	for i := range r {
		g.p("VBROADCASTSS %d(DX), %s", 4*i, spare(i))
		for j := range w {
			g.p("VMULPS %d(R15), %s, %s", j*g.bytes(), spare(i), acc(i, j))
		}
		if i < r-1 {
			g.p("ADDQ R8, R15")
		}
	}
	g.p("JMP loop")
	g.label("zero")
	for i := range r {
		for j := range w {
			if g.reg == "Z" {
				g.p("VPXORQ %[1]s, %[1]s, %[1]s", acc(i, j))
			} else {
				g.p("VXORPS %[1]s, %[1]s, %[1]s", acc(i, j))
			}
		}
	}
	g.label("loop")
	for j := range w {
		g.p("VMOVUPS %d(BX), %s", j*g.bytes(), b(j))
	}
	for i := range r {
		if w == 1 && g.reg == "Z" {
			g.p("VFMADD231PS.BCST %s, %s, %s", addr(i), b(0), acc(i, 0))
			continue
		}
		g.p("VBROADCASTSS %s, %s", addr(i), spare(i))
		for j := range w {
			g.p("VFMADD231PS %s, %s, %s", b(j), spare(i), acc(i, j))
		}
	}
	for i := 0; i*3 < r; i++ {
		g.p("ADDQ R10, %s", bases[i])
	}
	g.p("ADDQ R11, BX")
	g.p("DECQ CX")
	g.p("JNZ loop")
	for i := range r {
		for j := range w {
			g.p("VMOVUPS %s, %d(DI)", acc(i, j), j*g.bytes())
		}
		if i < r-1 {
			g.p("ADDQ R8, DI")
		}
	}
	g.end()
}
