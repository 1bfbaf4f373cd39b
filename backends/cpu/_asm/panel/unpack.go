package main

import "fmt"

// unpack writes what takes blocks of weights apart: codes as signed bytes, in order, and for blocks of 32
// the scale, and the summand where there is one. Registers:
//
//	SI blocks, DI codes, DX scales, R8 the bytes of an entry of scales, CX blocks, AX scratch
//	Y15 16 times the low half of a byte; Y12-Y14 constants of a format
func unpack(f *file) {
	constants(f)
	for _, b := range []struct {
		name string
		size int // bytes of a block
		at   int // of its codes
		m    bool
		body func(at int)
	}{
		{"Q8_0", 34, 2, false, func(at int) {
			f.ins("VMOVDQU %d(SI), Y0", at)
			f.ins("VMOVDQU Y0, (DI)")
		}},
		{"Q4_0", 18, 2, false, func(at int) {
			f.halves(at)
			f.ins("VPADDB Y14, Y0, Y0")
			f.ins("VMOVDQU Y0, (DI)")
		}},
		{"Q4_1", 20, 4, true, func(at int) {
			f.halves(at)
			f.ins("VMOVDQU Y0, (DI)")
		}},
		{"Q5_0", 22, 6, false, func(at int) {
			f.halves(at)
			f.fifths(at - 4)
			f.ins("VPADDB Y14, Y0, Y0")
			f.ins("VMOVDQU Y0, (DI)")
		}},
		{"Q5_1", 24, 8, true, func(at int) {
			f.halves(at)
			f.fifths(at - 4)
			f.ins("VMOVDQU Y0, (DI)")
		}},
		{"IQ4_NL", 18, 2, false, func(at int) {
			f.halves(at)
			f.ins("VPSHUFB Y0, Y14, Y0")
			f.ins("VMOVDQU Y0, (DI)")
		}},
		{"MXFP4", 17, 1, false, func(at int) {
			f.halves(at)
			f.ins("VPSHUFB Y0, Y14, Y0")
			f.ins("VMOVDQU Y0, (DI)")
		}},
	} {
		f.openUnpack(b.name)
		b.body(b.at)
		if b.name != "MXFP4" { // whose scale is no binary16
			f.scale(0, 4)
		}
		if b.m {
			f.scale(2, 8)
		}
		f.closeUnpack(b.size, 32, true)
	}
	for _, b := range []struct {
		name string
		size int
		body func()
	}{
		{"Q3_K", 110, f.q3},
		{"Q4_K", 144, func() {
			for i := range 4 {
				f.ins("VMOVDQU %d(SI), Y0", 16+32*i)
				f.ins("VPSRLW $4, Y0, Y1")
				f.ins("VPAND Y15, Y0, Y0")
				f.ins("VPAND Y15, Y1, Y1")
				f.ins("VMOVDQU Y0, %d(DI)", 64*i)
				f.ins("VMOVDQU Y1, %d(DI)", 64*i+32)
			}
		}},
		{"Q5_K", 176, func() {
			f.ins("VMOVDQU 16(SI), Y2")
			for i := range 4 {
				f.ins("VMOVDQU %d(SI), Y0", 48+32*i)
				f.ins("VPSRLW $4, Y0, Y1")
				f.ins("VPAND Y15, Y0, Y0")
				f.ins("VPAND Y15, Y1, Y1")
				for half := range 2 { // bit 2*i+half of Y2, as 16
					if at := 4 - 2*i - half; at >= 0 {
						f.ins("VPSLLW $%d, Y2, Y3", at)
					} else {
						f.ins("VPSRLW $%d, Y2, Y3", -at)
					}
					f.ins("VPAND Y13, Y3, Y3")
					f.ins("VPOR Y3, Y%d, Y%d", half, half)
				}
				f.ins("VMOVDQU Y0, %d(DI)", 64*i)
				f.ins("VMOVDQU Y1, %d(DI)", 64*i+32)
			}
		}},
		{"Q6_K", 210, f.q6},
		{"IQ4_XS", 136, func() {
			for i := range 8 {
				f.halves(8 + 16*i)
				f.ins("VPSHUFB Y0, Y14, Y0")
				f.ins("VMOVDQU Y0, %d(DI)", 32*i)
			}
		}},
	} {
		f.openUnpack(b.name)
		b.body()
		f.closeUnpack(b.size, 256, false)
	}
	sums(f)
}

// constants are bytes that all formats share.
func constants(f *file) {
	table := func(name string, b ...int) {
		f.line("")
		for i := 0; i < len(b); i += 8 {
			var v uint64
			for j := range 8 {
				v |= uint64(uint8(b[i+j])) << (8 * j)
			}
			f.line("DATA ·%s<>+%d(SB)/8, $0x%016x", name, i, v)
		}
		f.line("GLOBL ·%s<>(SB), RODATA|NOPTR, $%d", name, len(b))
	}
	repeat := func(v, n int) []int {
		b := make([]int, n)
		for i := range b {
			b[i] = v
		}
		return b
	}
	iq4 := []int{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	mx := []int{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
	table("low", repeat(15, 32)...)
	table("addQ4_0", repeat(-8, 32)...)
	table("addQ5_0", repeat(-16, 32)...)
	table("addQ6_K", repeat(-32, 32)...)
	table("addQ3_K", repeat(-4, 32)...)
	table("bit4", repeat(16, 32)...)
	table("bits01", repeat(3, 32)...)
	table("bit2", repeat(4, 32)...)
	table("bits45", repeat(48, 32)...)
	table("tableIQ4", append(iq4, iq4...)...)
	table("tableMXFP4", append(mx, mx...)...)
	// Byte i of 32 gets byte i/8 of four, and keeps bit i%8.
	var which, bit []int
	for i := range 32 {
		which = append(which, i/8)
		bit = append(bit, 1<<(i%8))
	}
	table("whichByte", which...)
	table("whichBit", bit...)
}

// openUnpack loads pointers and what the format needs.
func (f *file) openUnpack(name string) {
	f.function("unpack"+name+"AVX2", "Blocks of "+name+".", 0)
	f.ins("MOVQ unpacking_w(AX), SI")
	f.ins("MOVQ unpacking_q(AX), DI")
	f.ins("MOVQ unpacking_scales(AX), DX")
	f.ins("MOVQ unpacking_entry(AX), R8")
	f.ins("MOVQ unpacking_n(AX), CX")
	f.ins("VMOVDQU ·low<>(SB), Y15")
	load := func(table, reg string) { f.ins("VMOVDQU ·%s<>(SB), %s", table, reg) }
	switch name {
	case "Q4_0":
		load("addQ4_0", "Y14")
	case "Q5_0":
		load("addQ5_0", "Y14")
	case "IQ4_NL", "IQ4_XS":
		load("tableIQ4", "Y14")
	case "MXFP4":
		load("tableMXFP4", "Y14")
	case "Q6_K":
		load("addQ6_K", "Y14")
		load("bits45", "Y13")
	case "Q3_K":
		load("addQ3_K", "Y14")
		load("bits01", "Y13")
		load("bit2", "Y12")
	}
	switch name {
	case "Q5_0", "Q5_1":
		load("whichByte", "Y12")
		load("whichBit", "Y11")
		load("bit4", "Y13")
	case "Q5_K":
		load("bit4", "Y13")
	}
	f.line("block:")
}

func (f *file) closeUnpack(size, elems int, scales bool) {
	f.ins("ADDQ $%d, SI", size)
	f.ins("ADDQ $%d, DI", elems)
	if scales {
		f.ins("ADDQ R8, DX")
	}
	f.ins("DECQ CX")
	f.ins("JNZ block")
	f.ins("VZEROUPPER")
	f.ins("RET")
}

// halves puts the low halves of 16 bytes, then their high halves, into Y0.
func (f *file) halves(at int) {
	f.ins("VMOVDQU %d(SI), X0", at)
	f.ins("VPSRLW $4, X0, X1")
	f.ins("VINSERTI128 $1, X1, Y0, Y0")
	f.ins("VPAND Y15, Y0, Y0")
}

// fifths adds 16 to the bytes of Y0 whose bit of the four bytes at is set.
func (f *file) fifths(at int) {
	f.ins("VPBROADCASTD %d(SI), Y1", at)
	f.ins("VPSHUFB Y12, Y1, Y1")
	f.ins("VPAND Y11, Y1, Y1")
	f.ins("VPCMPEQB Y11, Y1, Y1")
	f.ins("VPAND Y13, Y1, Y1")
	f.ins("VPOR Y1, Y0, Y0")
}

// scale writes the binary16 at to a float in the entry.
func (f *file) scale(at, to int) {
	f.ins("MOVWLZX %d(SI), AX", at)
	f.ins("VMOVD AX, X2")
	f.ins("VCVTPH2PS X2, X2")
	f.ins("VMOVSS X2, %d(DX)", to)
}

// q6: low halves of 64 bytes in two parts, high pairs of bits of 32; twice.
func (f *file) q6() {
	for n := range 2 {
		f.ins("VMOVDQU %d(SI), Y0", 64*n)
		f.ins("VMOVDQU %d(SI), Y1", 64*n+32)
		f.ins("VMOVDQU %d(SI), Y2", 128+32*n)
		for part := range 4 { // low of Y0, low of Y1, high of Y0, high of Y1
			l := part % 2
			if part < 2 {
				f.ins("VPAND Y15, Y%d, Y3", l)
			} else {
				f.ins("VPSRLW $4, Y%d, Y3", l)
				f.ins("VPAND Y15, Y3, Y3")
			}
			if at := 4 - 2*part; at >= 0 {
				f.ins("VPSLLW $%d, Y2, Y4", at)
			} else {
				f.ins("VPSRLW $%d, Y2, Y4", -at)
			}
			f.ins("VPAND Y13, Y4, Y4")
			f.ins("VPOR Y4, Y3, Y3")
			f.ins("VPADDB Y14, Y3, Y3")
			f.ins("VMOVDQU Y3, %d(DI)", 128*n+32*part)
		}
	}
}

// q3: pairs of bits, and a third bit of 32 bytes.
func (f *file) q3() {
	f.ins("VMOVDQU (SI), Y2")
	for n := range 2 {
		f.ins("VMOVDQU %d(SI), Y0", 32+32*n)
		for part := range 4 {
			f.ins("VPSRLW $%d, Y0, Y3", 2*part)
			f.ins("VPAND Y13, Y3, Y3")
			bit := 4*n + part
			if at := 2 - bit; at >= 0 {
				f.ins("VPSLLW $%d, Y2, Y4", at)
			} else {
				f.ins("VPSRLW $%d, Y2, Y4", -at)
			}
			f.ins("VPAND Y12, Y4, Y4")
			f.ins("VPOR Y4, Y3, Y3")
			f.ins("VPADDB Y14, Y3, Y3")
			f.ins("VMOVDQU Y3, %d(DI)", 128*n+32*part)
		}
	}
}

// sums writes -128 times the sum of each group of codes into its entry of scales, for groups of 32 and 16.
func sums(f *file) {
	for _, group := range []int{32, 16} {
		f.function(fmt.Sprintf("unpackSums%dAVX2", group), fmt.Sprintf("The sums of groups of %d codes.", group), 0)
		f.ins("MOVQ unpacking_q(AX), DI")
		f.ins("MOVQ unpacking_scales(AX), DX")
		f.ins("MOVQ unpacking_entry(AX), R8")
		f.ins("MOVQ unpacking_n(AX), CX")
		f.ins("VPCMPEQB Y15, Y15, Y15") // -1
		f.ins("VPABSB Y15, Y14")        // 1
		f.ins("VPCMPEQW Y13, Y13, Y13")
		f.ins("VPSLLW $7, Y13, Y13") // -128
		f.line("block:")
		f.ins("VMOVDQU (DI), Y0")
		f.ins("VPMADDUBSW Y0, Y14, Y0")
		f.ins("VPMADDWD Y13, Y0, Y0")
		if group == 32 {
			f.ins("VEXTRACTI128 $1, Y0, X1")
			f.ins("VPADDD X1, X0, X0")
			f.ins("VPSHUFD $0x4E, X0, X1")
			f.ins("VPADDD X1, X0, X0")
			f.ins("VPSHUFD $0xB1, X0, X1")
			f.ins("VPADDD X1, X0, X0")
			f.ins("VMOVD X0, (DX)")
			f.ins("ADDQ R8, DX")
		} else {
			f.ins("VPSHUFD $0x4E, Y0, Y1")
			f.ins("VPADDD Y1, Y0, Y0")
			f.ins("VPSHUFD $0xB1, Y0, Y1")
			f.ins("VPADDD Y1, Y0, Y0")
			f.ins("VEXTRACTI128 $1, Y0, X1")
			f.ins("VMOVD X0, (DX)")
			f.ins("ADDQ R8, DX")
			f.ins("VMOVD X1, (DX)")
			f.ins("ADDQ R8, DX")
		}
		f.ins("ADDQ $32, DI")
		f.ins("DECQ CX")
		f.ins("JNZ block")
		f.ins("VZEROUPPER")
		f.ins("RET")
	}
}
