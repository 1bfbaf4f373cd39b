package main

import "fmt"

func fmtOff(off int, reg string) string { return fmt.Sprintf("%d(%s)", off, reg) }

func (g *gen) outData(name string, off int, bits uint32) {
	fmt.Fprintf(&g.out, "DATA %s<>+%d(SB)/4, $0x%08x\n", name, off, bits)
}

func (g *gen) outGlobl(name string, size int) {
	fmt.Fprintf(&g.out, "GLOBL %s<>(SB), RODATA|NOPTR, $%d\n", name, size)
}

// rows writes a loop over rows of bytes, of which body decodes the elements that elems says from SI to DI.
// Rows of a cache lie apart, where the processor does not see the next one coming: it is asked for.
func (g *gen) rows(name string, elems, bytes int, body func()) {
	g.begin(name, "cellRows")
	g.p("MOVQ cellRows_dst(AX), R8")
	g.p("MOVQ cellRows_dstRow(AX), R9")
	g.p("MOVQ cellRows_src(AX), R10")
	g.p("MOVQ cellRows_srcRow(AX), R11")
	g.p("MOVQ cellRows_rows(AX), R12")
	g.p("MOVQ cellRows_n(AX), R13")
	g.label("row")
	g.p("MOVQ R10, SI")
	g.p("MOVQ R8, DI")
	g.p("MOVQ R13, CX")
	g.label("loop")
	g.p("PREFETCHT0 (SI)(R11*8)")
	body()
	g.p("ADDQ $%d, SI", bytes)
	g.p("ADDQ $%d, DI", 4*elems)
	g.p("SUBQ $%d, CX", elems)
	g.p("JNZ loop")
	g.p("ADDQ R9, R8")
	g.p("ADDQ R11, R10")
	g.p("DECQ R12")
	g.p("JNZ row")
	g.end()
}

// halves decodes F16, 16 at a time.
func (g *gen) halves() {
	g.rows("cellsF16", 16, 32, func() {
		for i := 0; i < 16; i += g.lanes {
			g.p("VCVTPH2PS %d(SI), %s", 2*i, g.r(i/g.lanes))
			g.p("VMOVUPS %s, %d(DI)", g.r(i/g.lanes), 4*i)
		}
	})
}

// q8 decodes Q8_0.
func (g *gen) q8() {
	g.rows("cellsQ8", 32, 34, func() {
		g.p("MOVWLZX (SI), DX")
		g.p("VMOVD DX, X4")
		g.p("VCVTPH2PS X4, X4")
		g.p("VBROADCASTSS X4, %s", g.r(4))
		for i := 0; i < 32; i += g.lanes {
			v := g.r(i / g.lanes)
			g.p("VPMOVSXBD %d(SI), %s", 2+i, v)
			g.p("VCVTDQ2PS %s, %s", v, v)
			g.p("VMULPS %s, %s, %s", g.r(4), v, v)
			g.p("VMOVUPS %s, %d(DI)", v, 4*i)
		}
	})
}
