package main

// Rounding of tokens' rows to records, bit for bit as plain Go does it.
//
//	SI  floats       DI  codes       R8  scales       R9  sums       CX  blocks

// roundUnits writes the units for blocks of 32 and of 256.
func roundUnits(f *file) {
	f.roundUnit("round32AVX2", "int32", 32)
	f.roundUnit("round256AVX2", "int16", 256)
}

func (f *file) roundUnit(name, sum string, elems int) {
	f.fn(name, "(q *int8, d *float32, sums *"+sum+", x *float32, blocks int)", 0, 40, "")
	f.i("MOVQ q+0(FP), DI; MOVQ d+8(FP), R8; MOVQ sums+16(FP), R9; MOVQ x+24(FP), SI; MOVQ blocks+32(FP), CX")
	f.i("VMOVDQU %s, Y15; VMOVDQU %s, Y14", f.dwordsOf("magnitude", 0x7fffffff), f.dwordsOf("half", 0x3f000000))
	loop := f.label("block")
	f.at(loop)
	f.greatest(elems)
	f.inverse()
	for at := 0; at < elems; at += 32 {
		f.codes(at)
		if elems == 256 {
			// Sums of four codes in each dword: those of 16 stand in a half.
			f.i("VPHADDD Y1, Y1, Y1; VPHADDD Y1, Y1, Y1; VEXTRACTI128 $1, Y1, X2")
			f.i("VPEXTRW $0, X1, %d(R9); VPEXTRW $0, X2, %d(R9)", at/8, at/8+2)
			continue
		}
		f.i("VEXTRACTI128 $1, Y1, X2; VPADDD X2, X1, X1; VPHADDD X1, X1, X1; VPHADDD X1, X1, X1; VMOVD X1, (R9)")
	}
	bytes := 4
	if elems == 256 {
		bytes = 32
	}
	f.i("ADDQ $%d, SI; ADDQ $%d, DI; ADDQ $4, R8; ADDQ $%d, R9", 4*elems, elems, bytes)
	f.i("DECQ CX; JNZ %s; VZEROUPPER; RET", loop)
}

// greatest leaves the greatest magnitude of a block in AX. Magnitudes of floats are ordered as integers
// are, with infinities and what is no number above all others.
func (f *file) greatest(elems int) {
	f.i("VPAND (SI), Y15, Y0; VPAND 32(SI), Y15, Y1")
	for at := 64; at < 4*elems; at += 64 {
		f.i("VPAND %d(SI), Y15, Y2; VPMAXSD Y2, Y0, Y0; VPAND %d(SI), Y15, Y3; VPMAXSD Y3, Y1, Y1", at, at+32)
	}
	f.i("VPMAXSD Y1, Y0, Y0; VEXTRACTI128 $1, Y0, X1; VPMAXSD X1, X0, X0")
	f.i("VPSHUFD $0x4E, X0, X1; VPMAXSD X1, X0, X0; VPSHUFD $0xB1, X0, X1; VPMAXSD X1, X0, X0; VMOVD X0, AX")
}

// inverse writes the scale of a block and leaves its inverse in Y13. It is zero where it would be no
// number, and the scale of what is not finite is no number.
func (f *file) inverse() {
	nan, zero, done := f.label("nan"), f.label("zero"), f.label("codes")
	most := f.dwordsOf("oneHundredTwentySeven", 0x42fe0000)
	f.i("CMPL AX, $0x7f800000; JGE %s", nan)
	f.i("VMOVSS %s, X1; VDIVSS X1, X0, X2; VMOVSS X2, (R8)", most)
	f.i("VDIVSS X0, X1, X2; VMOVD X2, AX; CMPL AX, $0x7f800000; JGE %s; VBROADCASTSS X2, Y13; JMP %s", zero, done)
	f.at(nan)
	f.i("MOVL $0x7fc00000, (R8)")
	f.at(zero)
	f.i("VPXOR X13, X13, X13")
	f.at(done)
}

// codes rounds 32 elements from element at on, half away from zero: a half of the same sign is added,
// and the rest cut off. It leaves sums of four codes in Y1.
func (f *file) codes(at int) {
	for i := range 4 {
		f.i("VMULPS %d(SI), Y13, Y%d; VPANDN Y%d, Y15, Y4; VPOR Y14, Y4, Y4; VADDPS Y4, Y%d, Y%d; VCVTTPS2DQ Y%d, Y%d", 4*at+32*i, i, i, i, i, i, i)
	}
	order := []uint32{0, 4, 1, 5, 2, 6, 3, 7}
	f.i("VPACKSSDW Y1, Y0, Y0; VPACKSSDW Y3, Y2, Y2; VPACKSSWB Y2, Y0, Y0")
	f.i("VMOVDQU %s, Y1; VPERMD Y0, Y1, Y0; VMOVDQU Y0, %d(DI)", f.dwordsList("order", order), at)
	f.i("VMOVDQU %s, Y1; VPMADDUBSW Y0, Y1, Y1; VPMADDWD %s, Y1, Y1", f.bytesOf("byteOnes", 1), f.wordsOf("ones", 1))
}
