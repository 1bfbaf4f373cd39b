package main

// Decoding of rows, bit for bit as package quant does it: products and differences are rounded one by
// one.
//
//	SI  blocks       DI  floats       CX  blocks to go

const decodeSignature = "(dst *float32, src *byte, blocks int)"

func (f *file) decoder(name string, frame, block, elems int, body func()) {
	f.fn(name, decodeSignature, frame, 24, "")
	f.i("MOVQ dst+0(FP), DI; MOVQ src+8(FP), SI; MOVQ blocks+16(FP), CX")
	loop := f.label("block")
	f.at(loop)
	body()
	f.i("ADDQ $%d, SI; ADDQ $%d, DI; DECQ CX; JNZ %s; VZEROUPPER; RET", block, 4*elems, loop)
}

// half loads the binary16 number at off, everywhere in register d.
func (f *file) half(off, d int) {
	f.i("MOVWLZX %d(SI), AX; VMOVD AX, X%d; VCVTPH2PS X%d, X%d; VBROADCASTSS X%d, Y%d", off, d, d, d, d, d)
}

// decoders writes the units. A block of BF16 is eight numbers.
func decoders(f *file) {
	f.decoder("decodeBF16AVX2", 0, 16, 8, func() {
		f.i("VPMOVZXWD (SI), Y0; VPSLLD $16, Y0, Y0; VMOVUPS Y0, (DI)")
	})
	f.decoder("decodeQ80AVX2", 0, 34, 32, func() {
		f.half(0, 15)
		for i := range 4 {
			f.i("VPMOVSXBD %d(SI), Y%d; VCVTDQ2PS Y%d, Y%d; VMULPS Y15, Y%d, Y%d; VMOVUPS Y%d, %d(DI)", 2+8*i, i, i, i, i, i, i, 32*i)
		}
	})
	f.decoder("decodeQ40AVX2", 0, 18, 32, func() {
		f.half(0, 15)
		f.i("VMOVDQU %s, Y14; VMOVDQU %s, Y13", f.dwordsOf("fifteen", 15), f.dwordsOf("eight", 8))
		for i := range 2 {
			f.i("VPMOVZXBD %d(SI), Y0; VPSRLD $4, Y0, Y1; VPAND Y14, Y0, Y0", 2+8*i)
			for j := range 2 {
				f.i("VPSUBD Y13, Y%d, Y%d; VCVTDQ2PS Y%d, Y%d; VMULPS Y15, Y%d, Y%d; VMOVUPS Y%d, %d(DI)", j, j, j, j, j, j, j, 64*j+32*i)
			}
		}
	})
	f.decoder("decodeQ4KAVX2", 64, 144, 256, func() { f.decodeQ4K() })
	f.decoder("decodeQ6KAVX2", 64, 210, 256, func() { f.decodeQ6K() })
}

func (f *file) decodeQ4K() {
	f.i("MOVL 4(SI), R8; MOVL 8(SI), R9; MOVL 12(SI), R10")
	// Scales in R8 and R11, least values in R9 and R10.
	f.i("MOVL R8, R11; SHRL $2, R11; ANDL $0x30303030, R11; MOVL R10, AX; ANDL $0x0f0f0f0f, AX; ORL AX, R11; ANDL $0x3f3f3f3f, R8")
	f.i("MOVL R9, AX; SHRL $2, AX; ANDL $0x30303030, AX; SHRL $4, R10; ANDL $0x0f0f0f0f, R10; ORL AX, R10; ANDL $0x3f3f3f3f, R9")
	f.i("SHLQ $32, R11; ORQ R11, R8; SHLQ $32, R10; ORQ R10, R9")
	for i, r := range []string{"R8", "R9"} {
		f.half(2*i, 15)
		f.i("VMOVQ %s, X0; VPMOVZXBD X0, Y0; VCVTDQ2PS Y0, Y0; VMULPS Y15, Y0, Y0; VMOVUPS Y0, f-%d(SP)", r, 64-32*i)
	}
	f.i("VMOVDQU %s, Y14", f.dwordsOf("fifteen", 15))
	for pair := range 4 {
		for half := range 2 {
			g := 2*pair + half
			f.i("VBROADCASTSS f-%d(SP), Y%d; VBROADCASTSS f-%d(SP), Y%d", 64-4*g, 10+half, 32-4*g, 12+half)
		}
		for i := range 4 {
			f.i("VPMOVZXBD %d(SI), Y0; VPSRLD $4, Y0, Y1; VPAND Y14, Y0, Y0", 16+32*pair+8*i)
			for half := range 2 {
				f.i("VCVTDQ2PS Y%d, Y%d; VMULPS Y%d, Y%d, Y%d; VSUBPS Y%d, Y%d, Y%d; VMOVUPS Y%d, %d(DI)",
					half, half, 10+half, half, half, 12+half, half, half, half, 256*pair+128*half+32*i)
			}
		}
	}
}

func (f *file) decodeQ6K() {
	f.half(208, 15)
	for i := range 2 {
		f.i("VPMOVSXBD %d(SI), Y0; VCVTDQ2PS Y0, Y0; VMULPS Y15, Y0, Y0; VMOVUPS Y0, f-%d(SP)", 192+8*i, 64-32*i)
	}
	f.i("VMOVDQU %s, Y14; VMOVDQU %s, Y13; VMOVDQU %s, Y12", f.dwordsOf("fifteen", 15), f.dwordsOf("fortyEight", 48), f.dwordsOf("thirtyTwo", 32))
	for n := range 2 {
		for i := range 4 {
			f.i("VPMOVZXBD %d(SI), Y4; VPMOVZXBD %d(SI), Y5; VPMOVZXBD %d(SI), Y6", 64*n+8*i, 64*n+32+8*i, 128+32*n+8*i)
			f.i("VPAND Y14, Y4, Y0; VPAND Y14, Y5, Y1; VPSRLD $4, Y4, Y2; VPSRLD $4, Y5, Y3")
			f.i("VPSLLD $4, Y6, Y7; VPSLLD $2, Y6, Y8; VPSRLD $2, Y6, Y9")
			for j, high := range []int{7, 8, 6, 9} {
				f.i("VPAND Y13, Y%d, Y10; VPOR Y10, Y%d, Y%d; VPSUBD Y12, Y%d, Y%d; VCVTDQ2PS Y%d, Y%d", high, j, j, j, j, j, j)
				f.i("VBROADCASTSS f-%d(SP), Y11; VMULPS Y11, Y%d, Y%d; VMOVUPS Y%d, %d(DI)", 64-4*(8*n+2*j+i/2), j, j, j, 512*n+128*j+32*i)
			}
		}
	}
}
