package main

import "fmt"

// avx512 writes kernels of six rows with one or two groups of tokens. A group fills a register, and
// the codes of weights are broadcast: two groups share the broadcast. Registers:
//
//	Z0-Z11 integer sums, Z12-Z23 float sums, Z24 Z25 tokens, Z26 Z27 weights, Z28 Z29 token scales, Z30 Z31
//	SI R9 codes of rows 0 and 3, R8 their distance; DI R11 the same of scales, R10; DX BX groups; CX blocks
func avx512(f *file) {
	for _, v := range variants {
		for groups := 1; groups <= 2; groups++ {
			codes512(f, v, groups)
		}
	}
	for groups := 1; groups <= 2; groups++ {
		floats512(f, groups)
	}
	pack512(f)
	spread512(f)
}

const rows512 = 6

func codes512(f *file, v variant, groups int) {
	f.function(fmt.Sprintf("panel%sx%dAVX512", v.name, groups),
		fmt.Sprintf("Six rows, %d groups of tokens, a scale for each %d elements.", groups, v.group), 0)
	loadPanel(f, groups)
	for i := range rows512 * groups {
		f.ins("VPXORD Z%d, Z%d, Z%d", 12+i, 12+i, 12+i)
	}
	f.line("block:")
	ints := func(r, g int) int { return r*groups + g }
	x := []string{"DX", "BX"}
	per := 32 / v.group
	entry := 8
	if v.least {
		entry = 16
	}
	for h := range per {
		for r := range rows512 {
			f.ins("VPBROADCASTD %s, Z%d", rowAddress(h*entry, r, "DI", "R11", "R10"), ints(r, 0))
			if groups == 2 {
				f.ins("VMOVDQA64 Z%d, Z%d", ints(r, 0), ints(r, 1))
			}
		}
		for k := range v.group / 4 {
			at := h*v.group/4 + k
			for g := range groups {
				f.ins("VMOVDQU64 %d(%s), Z%d", 64*at, x[g], 24+g)
			}
			for r := range rows512 {
				w := 26 + r%2
				f.ins("VPBROADCASTD %s, Z%d", rowAddress(4*at, r, "SI", "R9", "R8"), w)
				for g := range groups {
					f.ins("VPDPBUSD Z%d, Z%d, Z%d", w, 24+g, ints(r, g))
				}
			}
		}
		for g := range groups {
			f.ins("VMOVUPS %d(%s), Z%d", atScales, x[g], 28+g)
			if v.least {
				f.ins("VMOVUPS %d(%s), Z%d", atSums, x[g], 24+g)
			}
		}
		for r := range rows512 {
			for g := range groups {
				f.ins("VMULPS.BCST %s, Z%d, Z%d", rowAddress(h*entry+4, r, "DI", "R11", "R10"), 28+g, 30+g)
				f.ins("VCVTDQ2PS Z%d, Z%d", ints(r, g), ints(r, g))
				f.ins("VFMADD231PS Z%d, Z%d, Z%d", 30+g, ints(r, g), 12+ints(r, g))
				if v.least {
					f.ins("VFMADD231PS.BCST %s, Z%d, Z%d", rowAddress(h*entry+8, r, "DI", "R11", "R10"), 24+g, 12+ints(r, g))
				}
			}
		}
	}
	f.ins("ADDQ $32, SI")
	f.ins("ADDQ $32, R9")
	f.ins("ADDQ $%d, DI", per*entry)
	f.ins("ADDQ $%d, R11", per*entry)
	for g := range groups {
		f.ins("ADDQ $%d, %s", tokenBlock, x[g])
	}
	f.ins("DECQ CX")
	f.ins("JNZ block")
	store512(f, groups, 12)
}

// loadPanel loads the registers from p, in AX.
func loadPanel(f *file, groups int) {
	f.ins("MOVQ panel_q(AX), SI")
	f.ins("MOVQ panel_qStride(AX), R8")
	f.ins("MOVQ panel_scales(AX), DI")
	f.ins("MOVQ panel_scaleStride(AX), R10")
	f.ins("MOVQ panel_x(AX), DX")
	if groups == 2 {
		f.ins("MOVQ panel_group(AX), BX")
		f.ins("ADDQ DX, BX")
	}
	f.ins("MOVQ panel_n(AX), CX")
	f.ins("LEAQ (SI)(R8*2), R9")
	f.ins("ADDQ R8, R9")
	f.ins("LEAQ (DI)(R10*2), R11")
	f.ins("ADDQ R10, R11")
}

// store512 writes the sums of six rows, from register first on, and returns.
func store512(f *file, groups, first int) {
	f.ins("MOVQ panel_out(AX), DI")
	f.ins("MOVQ panel_outStride(AX), R8")
	for r := range rows512 {
		for g := range groups {
			f.ins("VMOVUPS Z%d, %d(DI)", first+r*groups+g, 64*g)
		}
		if r < rows512-1 {
			f.ins("ADDQ R8, DI")
		}
	}
	f.ins("VZEROUPPER")
	f.ins("RET")
}

// floats512 multiplies six rows of float32 with groups of float32 tokens, one k after the other.
func floats512(f *file, groups int) {
	f.function(fmt.Sprintf("panelFloatsx%dAVX512", groups),
		fmt.Sprintf("Six rows of float32, %d groups of tokens.", groups), 0)
	loadPanel(f, groups)
	for i := range rows512 * groups {
		f.ins("VPXORD Z%d, Z%d, Z%d", 12+i, 12+i, 12+i)
	}
	x := []string{"DX", "BX"}
	step := func(k int) {
		for g := range groups {
			f.ins("VMOVUPS %d(%s), Z%d", 64*k, x[g], 24+g)
		}
		for r := range rows512 {
			w := 26 + r%4
			f.ins("VBROADCASTSS %s, Z%d", rowAddress(4*k, r, "SI", "R9", "R8"), w)
			for g := range groups {
				f.ins("VFMADD231PS Z%d, Z%d, Z%d", w, 24+g, r*groups+g)
			}
		}
	}
	advance := func(k int) {
		f.ins("ADDQ $%d, SI", 4*k)
		f.ins("ADDQ $%d, R9", 4*k)
		for g := range groups {
			f.ins("ADDQ $%d, %s", 64*k, x[g])
		}
	}
	f.line("part:") // R12 elements, whose sums begin anew: errors grow with the length of a sum
	f.ins("MOVQ $64, R12")
	f.ins("CMPQ CX, R12")
	f.ins("CMOVQLT CX, R12")
	f.ins("SUBQ R12, CX")
	for i := range rows512 * groups {
		f.ins("VPXORD Z%d, Z%d, Z%d", i, i, i)
	}
	f.ins("SUBQ $4, R12")
	f.ins("JL rest")
	f.line("four:")
	for k := range 4 {
		step(k)
	}
	advance(4)
	f.ins("SUBQ $4, R12")
	f.ins("JGE four")
	f.line("rest:")
	f.ins("ADDQ $4, R12")
	f.ins("JZ add")
	f.line("one:")
	step(0)
	advance(1)
	f.ins("DECQ R12")
	f.ins("JNZ one")
	f.line("add:")
	for i := range rows512 * groups {
		f.ins("VADDPS Z%d, Z%d, Z%d", i, 12+i, 12+i)
	}
	f.ins("TESTQ CX, CX")
	f.ins("JNZ part")
	store512(f, groups, 12)
}

// pack512 gathers: the 16 lanes are tokens, whose distance is in panel.qStride. Each step takes four bytes
// of each and turns the bits that panel.flip has; panel.n steps, from panel.q to panel.out.
func pack512(f *file) {
	f.function("packAVX512", "Four bytes of each of 16 tokens at a time.", 0)
	f.ins("MOVQ panel_q(AX), SI")
	f.ins("MOVQ panel_out(AX), DI")
	f.ins("MOVQ panel_outStride(AX), R8")
	f.ins("MOVQ panel_n(AX), CX")
	f.ins("MOVQ panel_lanes(AX), DX")
	f.ins("VMOVDQU64 (DX), Z0")
	f.ins("VPBROADCASTD panel_flip(AX), Z1")
	f.line("loop:")
	f.ins("KXNORW K0, K0, K1")
	f.ins("VPGATHERDD (SI)(Z0*1), K1, Z2")
	f.ins("VPXORD Z1, Z2, Z2")
	f.ins("VMOVDQU64 Z2, (DI)")
	f.ins("ADDQ $4, SI")
	f.ins("ADDQ R8, DI")
	f.ins("DECQ CX")
	f.ins("JNZ loop")
	f.ins("VZEROUPPER")
	f.ins("RET")
}

// spread512 writes results to where they belong: of each of panel.n tokens, up to 16 rows, gathered from
// the tile at panel.x with the row distance in panel.lanes.
func spread512(f *file) {
	f.function("spreadAVX512", "The rows named by panel.flip, a mask, of each token.", 0)
	f.ins("MOVQ panel_x(AX), SI")
	f.ins("MOVQ panel_out(AX), DI")
	f.ins("MOVQ panel_outStride(AX), R8")
	f.ins("MOVQ panel_n(AX), CX")
	f.ins("MOVQ panel_lanes(AX), DX")
	f.ins("VMOVDQU64 (DX), Z0")
	f.ins("KMOVW panel_flip(AX), K2")
	f.line("loop:")
	f.ins("KMOVW K2, K1")
	f.ins("VGATHERDPS (SI)(Z0*1), K1, Z2")
	f.ins("VMOVUPS Z2, K2, (DI)")
	f.ins("ADDQ $4, SI")
	f.ins("ADDQ R8, DI")
	f.ins("DECQ CX")
	f.ins("JNZ loop")
	f.ins("VZEROUPPER")
	f.ins("RET")
}
