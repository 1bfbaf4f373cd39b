package main

import "fmt"

// A typeFloat is a type of floats.
type typeFloat struct {
	name string
	size int // bytes of an element
	// load makes floats of eight elements at an operand, in register d, and one makes one of one.
	load func(f *file, from string, d int)
	one  func(f *file, from string, d int)
}

var typesFloat = []typeFloat{
	{name: "F32", size: 4, load: func(f *file, from string, d int) {
		f.i("VMOVUPS %s, Y%d", from, d)
	}, one: func(f *file, from string, d int) {
		f.i("VMOVSS %s, X%d", from, d)
	}},
	{name: "F16", size: 2, load: func(f *file, from string, d int) {
		f.i("VCVTPH2PS %s, Y%d", from, d)
	}, one: func(f *file, from string, d int) {
		f.i("MOVWLZX %s, DX; VMOVD DX, X%d; VCVTPH2PS X%d, X%d", from, d, d, d)
	}},
	{name: "BF16", size: 2, load: func(f *file, from string, d int) {
		// One shuffle puts words in order above zeros, which a shift would do where products are made.
		var up []byte
		for i := range 8 {
			up = append(up, 0x80, 0x80, byte(2*i), byte(2*i+1))
		}
		f.i("VBROADCASTI128 %s, Y%d; VPSHUFB %s, Y%d, Y%d", from, d, f.constant("wordsUp", up), d, d)
	}, one: func(f *file, from string, d int) {
		f.i("MOVWLZX %s, DX; SHLL $16, DX; VMOVD DX, X%d", from, d)
	}},
}

// unitFloat writes the unit of a type of floats for some tokens. It takes as many rows at once as there
// are registers for their sums, so that a token is read once for all of them: it is longer than they are,
// and four do not fit the first cache.
//
//	R8 to R11           rows
//	SI, R12, R13, BX    tokens
//	CX                  offset in the rows
//	AX                  where eight more elements end
//	R14                 what is fetched ahead
//	Y0 and on           sums of each row and token, then elements of each row
//	Y15                 elements of a token
func unitFloat(f *file, typ typeFloat, tokens int) {
	many := 4
	if tokens > 2 {
		many = 3
	}
	toks := []string{"SI", "R12", "R13", "BX"}[:tokens]
	x := fmt.Sprintf("(CX*%d)", 4/typ.size)
	sum := func(row, t int) int { return row*tokens + t }
	f.fn(unitName(typ.name, "AVX2", tokens), "(p *product)", 32, 8, "")
	f.i("MOVQ p+0(FP), DX; MOVQ product_rows(DX), CX; MOVQ CX, left-8(SP); MOVQ product_w(DX), R8; MOVQ product_dst(DX), DI")
	f.i("MOVQ product_x(DX), SI; MOVQ product_xStride(DX), CX")
	for t := 1; t < tokens; t++ {
		f.i("LEAQ (%s)(CX*1), %s", toks[t-1], toks[t])
	}
	next, loop, tail, last, store, done := f.label("rows"), f.label("loop"), f.label("tail"), f.label("last"), f.label("store"), f.label("done")
	f.at(next)
	f.i("MOVQ p+0(FP), DX; MOVQ product_wStride(DX), DX; MOVQ left-8(SP), CX")
	for r := 1; r < many; r++ {
		f.i("LEAQ (%s)(DX*1), %s; CMPQ CX, $%d; CMOVQLE %s, %s", rows[r-1], rows[r], r, rows[r-1], rows[r])
	}
	f.i("LEAQ (%s)(DX*1), R14; MOVQ R14, w-16(SP)", rows[many-1])
	f.i("MOVQ p+0(FP), DX; MOVQ product_k(DX), AX; ANDQ $-8, AX; IMULQ $%d, AX; XORL CX, CX", typ.size)
	for i := range many * tokens {
		f.i("VXORPS Y%d, Y%d, Y%d", i, i, i)
	}
	f.i("CMPQ CX, AX; JGE %s", tail)
	f.at(loop)
	for r := range many {
		typ.load(f, fmt.Sprintf("(%s)(CX*1)", rows[r]), sum(many, 0)+r)
	}
	for t := range tokens {
		f.i("VMOVUPS (%s)%s, Y15", toks[t], x)
		for r := range many {
			f.i("VFMADD231PS Y15, Y%d, Y%d", sum(many, 0)+r, sum(r, t))
		}
	}
	f.fetch("R14", 8*typ.size*many)
	f.i("ADDQ $%d, CX; CMPQ CX, AX; JLT %s", 8*typ.size, loop)
	f.at(tail)
	for s := range many * tokens {
		f.i("VEXTRACTF128 $1, Y%d, X15; VADDPS X15, X%d, X%d; VHADDPS X%d, X%d, X%d; VHADDPS X%d, X%d, X%d", s, s, s, s, s, s, s, s, s)
	}
	f.i("MOVQ p+0(FP), DX; MOVQ product_k(DX), AX; IMULQ $%d, AX; CMPQ CX, AX; JGE %s", typ.size, store)
	f.at(last)
	for r := range many {
		typ.one(f, fmt.Sprintf("(%s)(CX*1)", rows[r]), 15)
		for t := range tokens {
			f.i("VFMADD231SS (%s)%s, X15, X%d", toks[t], x, sum(r, t))
		}
	}
	f.i("ADDQ $%d, CX; CMPQ CX, AX; JLT %s", typ.size, last)
	f.at(store)
	f.i("MOVQ p+0(FP), DX; MOVQ product_dstStride(DX), DX")
	for r := range many {
		f.i("MOVQ DI, CX")
		for t := range tokens {
			f.i("VMOVSS X%d, (CX)", sum(r, t))
			if t < tokens-1 {
				f.i("ADDQ DX, CX")
			}
		}
		f.i("ADDQ $4, DI; DECQ left-8(SP); JZ %s", done)
	}
	f.i("MOVQ w-16(SP), R8; JMP %s", next)
	f.at(done)
	f.i("VZEROUPPER; RET")
}
