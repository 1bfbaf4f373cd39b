package main

import "fmt"

// avxvnni writes kernels of three rows with one group of tokens, in two registers of eight. Registers:
//
//	Y0-Y5 integer sums, Y6-Y11 float sums, Y12 Y13 tokens, Y14 weights, Y15
//	SI codes of row 0, R8 their distance; DI R10 the same of scales; DX the group; CX blocks
func avxvnni(f *file) {
	for _, v := range variants {
		codes256(f, v)
	}
}

const rows256 = 3

func codes256(f *file, v variant) {
	f.function(fmt.Sprintf("panel%sAVXVNNI", v.name),
		fmt.Sprintf("Three rows, a group of tokens, a scale for each %d elements.", v.group), 0)
	loadPanel(f, 1)
	for i := range 2 * rows256 {
		f.ins("VPXOR Y%d, Y%d, Y%d", 6+i, 6+i, 6+i)
	}
	f.line("block:")
	per, entry := 32/v.group, 8
	if v.least {
		entry = 16
	}
	for h := range per {
		for r := range rows256 {
			f.ins("VPBROADCASTD %s, Y%d", rowAddress(h*entry, r, "DI", "", "R10"), 2*r)
			f.ins("VMOVDQA Y%d, Y%d", 2*r, 2*r+1)
		}
		for k := range v.group / 4 {
			at := h*v.group/4 + k
			f.ins("VMOVDQU %d(DX), Y12", 64*at)
			f.ins("VMOVDQU %d(DX), Y13", 64*at+32)
			for r := range rows256 {
				w := 14 + r%2
				f.ins("VPBROADCASTD %s, Y%d", rowAddress(4*at, r, "SI", "", "R8"), w)
				f.vpdpbusd(w, 12, 2*r)
				f.vpdpbusd(w, 13, 2*r+1)
			}
		}
		for r := range rows256 {
			f.ins("VBROADCASTSS %s, Y14", rowAddress(h*entry+4, r, "DI", "", "R10"))
			for half := range 2 {
				i := 2*r + half
				f.ins("VMULPS %d(DX), Y14, Y15", atScales+32*half)
				f.ins("VCVTDQ2PS Y%d, Y%d", i, i)
				f.ins("VFMADD231PS Y15, Y%d, Y%d", i, 6+i)
			}
			if v.least {
				f.ins("VBROADCASTSS %s, Y14", rowAddress(h*entry+8, r, "DI", "", "R10"))
				for half := range 2 {
					f.ins("VFMADD231PS %d(DX), Y14, Y%d", atSums+32*half, 6+2*r+half)
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
	for r := range rows256 {
		f.ins("VMOVUPS Y%d, (DI)", 6+2*r)
		f.ins("VMOVUPS Y%d, 32(DI)", 6+2*r+1)
		if r < rows256-1 {
			f.ins("ADDQ R8, DI")
		}
	}
	f.ins("VZEROUPPER")
	f.ins("RET")
}

// vpdpbusd writes the short form, which the assembler does not have: acc += Σ4 signed * unsigned.
func (f *file) vpdpbusd(signed, unsigned, acc int) {
	not := func(bit int) int { return ^bit & 1 }
	f.ins("BYTE $0xC4; BYTE $0x%02X; BYTE $0x%02X; BYTE $0x50; BYTE $0x%02X // VPDPBUSD Y%d, Y%d, Y%d",
		not(acc>>3)<<7|1<<6|not(signed>>3)<<5|2, (^unsigned&15)<<3|1<<2|1, 0xC0|acc&7<<3|signed&7, signed, unsigned, acc)
}
