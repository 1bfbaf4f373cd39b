package main

import "fmt"

// amx writes kernels of 32 rows with one or two groups of tokens, all of them bfloat16: tile registers take
// the sums through all of k. What a bfloat16 leaves of a number can be a second one; three products of both
// parts are then as good as one of numbers with 16 bits. Registers:
//
//	TMM0-TMM3 sums (of rows 0 and groups 0 and 1, then rows 16), TMM4 TMM5 rows, TMM6 TMM7 tokens
//	SI rows 0, R9 rows 16, R8 the distance of rows; DX BX groups, R13 64; CX steps of 32 elements
func amx(f *file) {
	for groups := 1; groups <= 2; groups++ {
		for _, products := range []int{1, 3} {
			bfloatsAMX(f, groups, products)
		}
	}
	splitAMX(f)
	for _, v := range variants {
		scaleAMX(f, v)
	}
}

func bfloatsAMX(f *file, groups, products int) {
	f.function(fmt.Sprintf("panelBF16p%dx%dAMX", products, groups),
		fmt.Sprintf("32 rows, %d groups of tokens, %d products of parts.", groups, products), 0)
	f.ins("MOVQ panel_config(AX), BX")
	f.ldtilecfg("BX")
	for r := range 2 {
		for g := range groups {
			f.tilezero(2*r + g)
		}
	}
	f.ins("MOVQ $64, R13")
	f.ins("MOVQ panel_qStride(AX), R8")
	for i := range products { // high with high, high with low, low with high
		f.ins("MOVQ panel_q(AX), SI")
		f.ins("MOVQ panel_x(AX), DX")
		if i == 2 {
			f.ins("ADDQ panel_low(AX), SI")
		}
		if i == 1 {
			f.ins("ADDQ panel_xLow(AX), DX")
		}
		f.ins("MOVQ R8, R9")
		f.ins("SHLQ $4, R9")
		f.ins("ADDQ SI, R9")
		if groups == 2 {
			f.ins("MOVQ panel_group(AX), BX")
			f.ins("ADDQ DX, BX")
		}
		f.ins("MOVQ panel_n(AX), CX")
		f.line("step%d:", i)
		f.tileload(4, "SI", "R8")
		f.tileload(6, "DX", "R13")
		f.tdpbf16ps(0, 4, 6)
		f.tileload(5, "R9", "R8")
		f.tdpbf16ps(2, 5, 6)
		if groups == 2 {
			f.tileload(7, "BX", "R13")
			f.tdpbf16ps(1, 4, 7)
			f.tdpbf16ps(3, 5, 7)
			f.ins("ADDQ $1024, BX")
		}
		f.ins("ADDQ $64, SI")
		f.ins("ADDQ $64, R9")
		f.ins("ADDQ $1024, DX")
		f.ins("DECQ CX")
		f.ins("JNZ step%d", i)
	}
	f.ins("MOVQ panel_out(AX), DI")
	f.ins("MOVQ panel_outStride(AX), R8")
	for r := range 2 {
		for g := range groups {
			if g == 0 {
				f.tilestore(2*r, "DI", "R8")
				continue
			}
			f.ins("LEAQ 64(DI), BX")
			f.tilestore(2*r+g, "BX", "R8")
		}
		if r == 0 {
			f.ins("MOVQ R8, R9")
			f.ins("SHLQ $4, R9")
			f.ins("ADDQ R9, DI")
		}
	}
	f.tilerelease()
	f.ins("RET")
}

// splitAMX rounds panel.n times 16 float32 at panel.x to bfloat16 at panel.q, and what is left of them to
// bfloat16 panel.low bytes further, unless that is 0.
func splitAMX(f *file) {
	f.function("splitBF16AMX", "See splitBF16Go.", 0)
	f.ins("MOVQ panel_x(AX), SI")
	f.ins("MOVQ panel_q(AX), DI")
	f.ins("MOVQ panel_low(AX), BX")
	f.ins("MOVQ panel_n(AX), CX")
	f.ins("TESTQ BX, BX")
	f.ins("JZ one")
	f.ins("ADDQ DI, BX")
	f.line("both:")
	f.ins("VMOVUPS (SI), Z0")
	f.vcvtneps2bf16(0, 1)
	f.ins("VMOVDQU Y1, (DI)")
	f.ins("VPMOVZXWD Y1, Z1")
	f.ins("VPSLLD $16, Z1, Z1")
	f.ins("VSUBPS Z1, Z0, Z0")
	f.vcvtneps2bf16(0, 1)
	f.ins("VMOVDQU Y1, (BX)")
	f.ins("ADDQ $64, SI")
	f.ins("ADDQ $32, DI")
	f.ins("ADDQ $32, BX")
	f.ins("DECQ CX")
	f.ins("JNZ both")
	f.ins("VZEROUPPER")
	f.ins("RET")
	f.line("one:")
	f.ins("VMOVUPS (SI), Z0")
	f.vcvtneps2bf16(0, 1)
	f.ins("VMOVDQU Y1, (DI)")
	f.ins("ADDQ $64, SI")
	f.ins("ADDQ $32, DI")
	f.ins("DECQ CX")
	f.ins("JNZ one")
	f.ins("VZEROUPPER")
	f.ins("RET")
}

// scaleAMX makes bfloat16 at panel.out of panel.n blocks of codes at panel.q and their entries of scales.
func scaleAMX(f *file, v variant) {
	f.function("scale"+v.name+"AMX", fmt.Sprintf("A scale for each %d codes.", v.group), 0)
	f.ins("MOVQ panel_q(AX), SI")
	f.ins("MOVQ panel_scales(AX), DX")
	f.ins("MOVQ panel_out(AX), DI")
	f.ins("MOVQ panel_n(AX), CX")
	entry := 8
	if v.least {
		entry = 16
	}
	f.line("block:")
	for half := range 2 {
		at := 0
		if v.group == 16 {
			at = half * entry
		}
		f.ins("VPMOVSXBD %d(SI), Z0", 16*half)
		f.ins("VCVTDQ2PS Z0, Z0")
		if v.least {
			f.ins("VBROADCASTSS %d(DX), Z1", at+4)
			f.ins("VFMADD213PS.BCST %d(DX), Z1, Z0", at+8)
		} else {
			f.ins("VMULPS.BCST %d(DX), Z0, Z0", at+4)
		}
		f.vcvtneps2bf16(0, 1)
		f.ins("VMOVDQU Y1, %d(DI)", 32*half)
	}
	f.ins("ADDQ $32, SI")
	f.ins("ADDQ $64, DI")
	f.ins("ADDQ $%d, DX", 32/v.group*entry)
	f.ins("DECQ CX")
	f.ins("JNZ block")
	f.ins("VZEROUPPER")
	f.ins("RET")
}

var regNumber = map[string]int{"AX": 0, "CX": 1, "DX": 2, "BX": 3, "SI": 6, "DI": 7, "R8": 8, "R9": 9, "R10": 10, "R11": 11, "R12": 12, "R13": 13}

// The instructions of tiles and of bfloat16, which the assembler does not have.

func (f *file) bytes(comment string, b ...int) {
	s := ""
	for i, v := range b {
		if i > 0 {
			s += "; "
		}
		s += fmt.Sprintf("BYTE $0x%02X", v)
	}
	f.ins("%s // %s", s, comment)
}

func (f *file) ldtilecfg(base string) {
	f.bytes("LDTILECFG ("+base+")", 0xC4, 0xE2, 0x78, 0x49, regNumber[base]) // BX: no displacement, no SIB
}

func (f *file) tilerelease() { f.bytes("TILERELEASE", 0xC4, 0xE2, 0x78, 0x49, 0xC0) }

func (f *file) tilezero(t int) {
	f.bytes(fmt.Sprintf("TILEZERO TMM%d", t), 0xC4, 0xE2, 0x7B, 0x49, 0xC0|t<<3)
}

// sib returns the second VEX byte, ModRM and SIB of tile t at (base)(index*1).
func sib(t int, base, index string) (vex, modrm, sib int) {
	b, i := regNumber[base], regNumber[index]
	return 1<<7 | (^(i>>3)&1)<<6 | (^(b>>3)&1)<<5 | 2, t<<3 | 4, i&7<<3 | b&7
}

func (f *file) tileload(t int, base, index string) {
	v, m, s := sib(t, base, index)
	f.bytes(fmt.Sprintf("TILELOADD (%s)(%s*1), TMM%d", base, index, t), 0xC4, v, 0x7B, 0x4B, m, s)
}

func (f *file) tilestore(t int, base, index string) {
	v, m, s := sib(t, base, index)
	f.bytes(fmt.Sprintf("TILESTORED TMM%d, (%s)(%s*1)", t, base, index), 0xC4, v, 0x7A, 0x4B, m, s)
}

// tdpbf16ps adds to tile sum the products of rows a and columns b.
func (f *file) tdpbf16ps(sum, a, b int) {
	f.bytes(fmt.Sprintf("TDPBF16PS TMM%d, TMM%d, TMM%d", b, a, sum), 0xC4, 0xE2, (^b&15)<<3|2, 0x5C, 0xC0|sum<<3|a)
}

// vcvtneps2bf16 rounds 16 float32 of register z, below 8, to the lower half of register y, below 8.
func (f *file) vcvtneps2bf16(z, y int) {
	f.bytes(fmt.Sprintf("VCVTNEPS2BF16 Z%d, Y%d", z, y), 0x62, 0xF2, 0x7E, 0x48, 0x72, 0xC0|y<<3|z)
}
