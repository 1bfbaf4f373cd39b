package main

import "fmt"

// avx2 writes kernels of two rows with one group of tokens, in two registers of eight. Without VPDPBUSD a
// few products are added as words, so codes of weights have to be small: see panelUnits.most. Registers:
//
//	Y0-Y3 sums in words, Y4-Y7 integer sums, Y8-Y11 float sums, Y12 Y13 tokens, Y14 weights, Y15
//	SI codes of row 0, R8 their distance; DI R10 the same of scales; DX the group; CX blocks
func avx2(f *file) {
	f.line("")
	for i := range 4 {
		f.line("DATA panelOnes<>+%d(SB)/8, $0x0001000100010001", 8*i)
	}
	f.line("GLOBL panelOnes<>(SB), RODATA|NOPTR, $32")
	for _, v := range variants {
		words256(f, v)
	}
}

const rowsAVX2 = 2

func words256(f *file, v variant) {
	f.function(fmt.Sprintf("panel%sAVX2", v.name),
		fmt.Sprintf("Two rows, a group of tokens, a scale for each %d elements.", v.group), 0)
	loadPanel(f, 1)
	for i := range 2 * rowsAVX2 {
		f.ins("VPXOR Y%d, Y%d, Y%d", 8+i, 8+i, 8+i)
	}
	f.line("block:")
	per, entry := 32/v.group, 8
	if v.least {
		entry = 16
	}
	for h := range per {
		for part := range 2 {
			halfGroup(f, v.group, h, part)
			for r := range rowsAVX2 {
				if part == 0 {
					f.ins("VPBROADCASTD %s, Y14", rowAddress(h*entry, r, "DI", "", "R10"))
				}
				for i := 2 * r; i < 2*r+2; i++ {
					f.ins("VPMADDWD panelOnes<>(SB), Y%d, Y%d", i, i)
					if part == 0 {
						f.ins("VPADDD Y14, Y%d, Y%d", i, 4+i)
					} else {
						f.ins("VPADDD Y%d, Y%d, Y%d", i, 4+i, 4+i)
					}
				}
			}
		}
		for r := range rowsAVX2 {
			f.ins("VBROADCASTSS %s, Y14", rowAddress(h*entry+4, r, "DI", "", "R10"))
			for half := range 2 {
				i := 2*r + half
				f.ins("VMULPS %d(DX), Y14, Y15", atScales+32*half)
				f.ins("VCVTDQ2PS Y%d, Y%d", 4+i, 4+i)
				f.ins("VFMADD231PS Y15, Y%d, Y%d", 4+i, 8+i)
			}
			if v.least {
				f.ins("VBROADCASTSS %s, Y14", rowAddress(h*entry+8, r, "DI", "", "R10"))
				for half := range 2 {
					f.ins("VFMADD231PS %d(DX), Y14, Y%d", atSums+32*half, 8+2*r+half)
				}
			}
		}
	}
	f.ins("ADDQ $32, SI")
	f.ins("ADDQ $%d, DI", per*entry)
	f.ins("ADDQ $%d, DX", tokenBlock)
	f.ins("DECQ CX")
	f.ins("JNZ block")
	f.ins("MOVQ panel_out(AX), DI")
	f.ins("MOVQ panel_outStride(AX), R8")
	for r := range rowsAVX2 {
		f.ins("VMOVUPS Y%d, (DI)", 8+2*r)
		f.ins("VMOVUPS Y%d, 32(DI)", 8+2*r+1)
		if r < rowsAVX2-1 {
			f.ins("ADDQ R8, DI")
		}
	}
	f.ins("VZEROUPPER")
	f.ins("RET")
}

// halfGroup leaves the products of half of group h's elements in words: as many as fit.
func halfGroup(f *file, group, h, part int) {
	for k := range group / 8 {
		at := h*group/4 + part*group/8 + k
		f.ins("VMOVDQU %d(DX), Y12", 64*at)
		f.ins("VMOVDQU %d(DX), Y13", 64*at+32)
		for r := range rowsAVX2 {
			f.ins("VPBROADCASTD %s, Y14", rowAddress(4*at, r, "SI", "", "R8"))
			for half := range 2 {
				if k == 0 {
					f.ins("VPMADDUBSW Y14, Y%d, Y%d", 12+half, 2*r+half)
					continue
				}
				f.ins("VPMADDUBSW Y14, Y%d, Y15", 12+half)
				f.ins("VPADDW Y15, Y%d, Y%d", 2*r+half, 2*r+half)
			}
		}
	}
}
