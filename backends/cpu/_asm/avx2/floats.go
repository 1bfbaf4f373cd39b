package main

import "fmt"

// A typeFloat is a type of floats.
type typeFloat struct {
	name string
	size int // bytes of an element
	// load makes floats of elements from operand at on: eight into register a, and eight more into b
	// unless that is negative.
	load func(f *file, base string, a, b int)
	one  func(f *file, base string) // and one into X15
}

var typesFloat = []typeFloat{
	{name: "F32", size: 4, load: func(f *file, base string, a, b int) {
		f.i("VMOVUPS (%s), Y%d", base, a)
		if b >= 0 {
			f.i("VMOVUPS 32(%s), Y%d", base, b)
		}
	}, one: func(f *file, base string) { f.i("VMOVSS (%s), X15", base) }},
	{name: "F16", size: 2, load: func(f *file, base string, a, b int) {
		f.i("VCVTPH2PS (%s), Y%d", base, a)
		if b >= 0 {
			f.i("VCVTPH2PS 16(%s), Y%d", base, b)
		}
	}, one: func(f *file, base string) { f.i("MOVWLZX (%s), CX; VMOVD CX, X15; VCVTPH2PS X15, X15", base) }},
	{name: "BF16", size: 2, load: func(f *file, base string, a, b int) {
		if b < 0 {
			f.i("VPMOVZXWD (%s), Y%d; VPSLLD $16, Y%d, Y%d", base, a, a, a)
			return
		}
		// Words of a quarter each stand so that unpacking them below zeros leaves them in order.
		f.i("VPERMQ $0xD8, (%s), Y%d; VPXOR Y%d, Y%d, Y%d", base, b, a, a, a)
		f.i("VPUNPCKHWD Y%d, Y%d, Y15; VPUNPCKLWD Y%d, Y%d, Y%d; VMOVDQA Y15, Y%d", b, a, b, a, a, b)
	}, one: func(f *file, base string) { f.i("MOVWLZX (%s), CX; SHLL $16, CX; VMOVD CX, X15", base) }},
}

// unitFloat writes the unit of a type of floats for some tokens. Two rows are taken at once where there
// are registers for them: each token's sum of each row has two, for the first and the second eight of 16
// elements, and their latency is what a single row would wait for.
//
//	R8, R9  rows          SI  tokens         DX, BX  their stride, and three of it
//	Y0..    sums          Y12, Y13  16 elements of a row
func unitFloat(f *file, typ typeFloat, tokens int) {
	pair := 2
	if tokens == 4 {
		pair = 1
	}
	sum := func(row, t, half int) int { return 2*(row*tokens+t) + half }
	f.fn(unitName(typ.name, "AVX2", tokens), "(p *product)", 32, 8, "")
	f.i("MOVQ p+0(FP), AX; MOVQ product_rows(AX), CX; MOVQ CX, left-8(SP)")
	f.i("MOVQ product_w(AX), R10; MOVQ product_dst(AX), DI; MOVQ product_dstStride(AX), R11")
	f.i("MOVQ product_xStride(AX), DX; LEAQ (DX)(DX*2), BX")
	rows := f.label("rows")
	f.at(rows)
	f.i("MOVQ p+0(FP), AX; MOVQ product_x(AX), SI; MOVQ product_wStride(AX), CX; MOVQ product_k(AX), AX; MOVQ R10, R8")
	if pair == 2 {
		f.i("LEAQ (R8)(CX*1), R9; LEAQ (R8)(CX*2), R10; CMPQ left-8(SP), $1; CMOVQLE R8, R9")
	} else {
		f.i("ADDQ CX, R10")
	}
	for i := range 2 * pair * tokens {
		f.i("VXORPS Y%d, Y%d, Y%d", i, i, i)
	}
	step := func(n int) {
		for row := range pair {
			b := 13
			if n == 8 {
				b = -1
			}
			typ.load(f, []string{"R8", "R9"}[row], 12, b)
			for t := range tokens {
				f.i("VFMADD231PS %s, Y12, Y%d", token("SI", t, 0), sum(row, t, 0))
				if n == 16 {
					f.i("VFMADD231PS %s, Y13, Y%d", token("SI", t, 32), sum(row, t, 1))
				}
			}
		}
		for row := range pair {
			f.i("ADDQ $%d, %s", n*typ.size, []string{"R8", "R9"}[row])
		}
		f.i("ADDQ $%d, SI", 4*n)
	}
	loop, short, tail, last, store := f.label("loop"), f.label("short"), f.label("tail"), f.label("last"), f.label("store")
	f.i("SUBQ $16, AX; JLT %s", short)
	f.at(loop)
	step(16)
	f.i("SUBQ $16, AX; JGE %s", loop)
	f.at(short)
	f.i("ADDQ $16, AX; CMPQ AX, $8; JLT %s", tail)
	step(8)
	f.i("SUBQ $8, AX")
	f.at(tail)
	for row := range pair {
		for t := range tokens {
			s := sum(row, t, 0)
			f.i("VADDPS Y%d, Y%d, Y%d; VEXTRACTF128 $1, Y%d, X15; VADDPS X15, X%d, X%d", s+1, s, s, s, s, s)
			f.i("VHADDPS X%d, X%d, X%d; VHADDPS X%d, X%d, X%d", s, s, s, s, s, s)
		}
	}
	f.i("TESTQ AX, AX; JZ %s", store)
	f.at(last)
	for row := range pair {
		typ.one(f, []string{"R8", "R9"}[row])
		for t := range tokens {
			f.i("VFMADD231SS %s, X15, X%d", token("SI", t, 0), sum(row, t, 0))
		}
		f.i("ADDQ $%d, %s", typ.size, []string{"R8", "R9"}[row])
	}
	f.i("ADDQ $4, SI; DECQ AX; JNZ %s", last)
	f.at(store)
	for row := range pair {
		if row == 1 {
			f.i("DECQ left-8(SP); JZ %s", f.label("done"))
		}
		f.i("MOVQ DI, CX")
		for t := range tokens {
			f.i("VMOVSS X%d, (CX)", sum(row, t, 0))
			if t < tokens-1 {
				f.i("ADDQ R11, CX")
			}
		}
		f.i("ADDQ $4, DI")
	}
	f.i("DECQ left-8(SP); JNZ %s", rows)
	if pair == 2 {
		f.at(fmt.Sprintf("done%d", f.labels))
	}
	f.i("VZEROUPPER; RET")
}
