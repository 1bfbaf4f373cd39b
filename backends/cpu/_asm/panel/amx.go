package main

import "fmt"

// amx writes kernels of 16 rows with one group of tokens. A tile holds the sums of 16 rows and 16 tokens
// for one group of elements; it is stored, and a register for each row takes it on with its scales. Two
// places in memory take turns, so that one is multiplied while the other is taken on. Registers:
//
//	Z0-Z15 float sums, Z16 token scales, Z17 Z18, Z19 token sums
//	SI codes, R8 their distance; DI scales, R10 theirs; DX the group; CX blocks; R12 the stored tile; R13 64
func amx(f *file) {
	for _, v := range variants {
		codesAMX(f, v)
	}
}

const rowsAMX = 16

func codesAMX(f *file, v variant) {
	f.function(fmt.Sprintf("panel%sAMX", v.name),
		fmt.Sprintf("16 rows, a group of tokens, a scale for each %d elements.", v.group), 0)
	f.ins("MOVQ panel_q(AX), SI")
	f.ins("MOVQ panel_qStride(AX), R8")
	f.ins("MOVQ panel_scales(AX), DI")
	f.ins("MOVQ panel_scaleStride(AX), R10")
	f.ins("MOVQ panel_x(AX), DX")
	f.ins("MOVQ panel_n(AX), CX")
	f.ins("MOVQ panel_tiles(AX), R12")
	f.ins("MOVQ $64, R13")
	f.ins("MOVQ panel_config(AX), BX")
	f.ldtilecfg("BX")
	for r := range rowsAMX {
		f.ins("VPXORD Z%d, Z%d, Z%d", r, r, r)
	}
	f.line("block:")
	per, entry := 32/v.group, 8
	if v.least {
		entry = 16
	}
	for h := range per {
		turn := h // tiles 0-2, or 3-5
		sum, a, b := 3*turn, 3*turn+1, 3*turn+2
		f.tilezero(sum)
		f.ins("LEAQ %d(SI), BX", h*v.group)
		f.tileload(a, "BX", "R8")
		f.ins("LEAQ %d(DX), BX", h*v.group*16)
		f.tileload(b, "BX", "R13")
		f.tdpbssd(sum, a, b)
		f.ins("LEAQ %d(R12), BX", 1024*turn)
		f.tilestore(sum, "BX", "R13")
		f.ins("VMOVUPS %d(DX), Z16", atScales)
		if v.least {
			f.ins("VMOVUPS %d(DX), Z19", atSums)
		}
		f.ins("MOVQ DI, R11")
		for r := range rowsAMX {
			t := 17 + r%2
			f.ins("VCVTDQ2PS %d(R12), Z20", 1024*turn+64*r)
			f.ins("VMULPS.BCST %d(R11), Z16, Z%d", h*entry+4, t)
			f.ins("VFMADD231PS Z%d, Z20, Z%d", t, r)
			if v.least {
				f.ins("VFMADD231PS.BCST %d(R11), Z19, Z%d", h*entry+8, r)
			}
			if r < rowsAMX-1 {
				f.ins("ADDQ R10, R11")
			}
		}
	}
	if per == 1 {
		f.ins("XORQ $1024, R12")
	}
	f.ins("ADDQ $32, SI")
	f.ins("ADDQ $%d, DI", per*entry)
	f.ins("ADDQ $%d, DX", tokenBlock)
	f.ins("DECQ CX")
	f.ins("JNZ block")
	f.tilerelease()
	f.ins("MOVQ panel_out(AX), DI")
	f.ins("MOVQ panel_outStride(AX), R8")
	for r := range rowsAMX {
		f.ins("VMOVUPS Z%d, (DI)", r)
		if r < rowsAMX-1 {
			f.ins("ADDQ R8, DI")
		}
	}
	f.ins("VZEROUPPER")
	f.ins("RET")
}

var regNumber = map[string]int{"AX": 0, "CX": 1, "DX": 2, "BX": 3, "SI": 6, "DI": 7, "R8": 8, "R9": 9, "R10": 10, "R11": 11, "R12": 12, "R13": 13}

// The instructions of tiles, which the assembler does not have.

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

// tdpbssd adds to tile sum the products of signed bytes of rows a and of columns b.
func (f *file) tdpbssd(sum, a, b int) {
	f.bytes(fmt.Sprintf("TDPBSSD TMM%d, TMM%d, TMM%d", b, a, sum), 0xC4, 0xE2, (^b&15)<<3|3, 0x5E, 0xC0|sum<<3|a)
}
