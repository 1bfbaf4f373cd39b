package main

import "fmt"

// Weights that are floats, and what else is done with floats.

// floatType is a type of weights and how they become F32.
type floatType struct {
	name string
	size int
	// load converts 16 weights at an address, of which tail takes those of mask K1 and zeros for others.
	load func(f *file, from string, dst vec, tail bool)
}

var floatTypes = []floatType{
	{"F32", 4, func(f *file, from string, dst vec, tail bool) {
		if tail {
			f.op("VMOVUPS.Z", from, "K1", dst)
		} else {
			f.op("VMOVUPS", from, dst)
		}
	}},
	{"F16", 2, func(f *file, from string, dst vec, tail bool) {
		if tail {
			f.op("VMOVDQU16.Z", from, "K1", dst.y())
			from = dst.y()
		}
		f.op("VCVTPH2PS", from, dst)
	}},
	{"BF16", 2, func(f *file, from string, dst vec, tail bool) {
		if tail {
			f.op("VMOVDQU16.Z", from, "K1", dst.y())
			from = dst.y()
		}
		f.op("VPMOVZXWD", from, dst)
		f.op("VPSLLD", "$16", dst, dst)
	}},
}

// ahead is how far before what is multiplied memory is fetched, in bytes of a row.
const ahead = 1024

// unitFloats is a row unit for floats. Rows are taken four at a time, as the tokens' floats may have to come
// from the second cache, with one vector of sums for each row and token.
type unitFloats struct {
	unit
	floatType
	w   [4]vec // of each row
	x   vec    // of a token
	sum [4][]vec
}

func emitFloats(f *file, typ floatType, tokens int) {
	u := &unitFloats{unit: unit{file: f, tokens: tokens, rows: 4}, floatType: typ}
	u.x = u.take()
	for r := range u.rows {
		u.w[r], u.sum[r] = u.take(), u.several(tokens)
	}
	name := fmt.Sprintf("dot%sAVX512x%d", typ.name, tokens)
	f.function(fmt.Sprintf("func %s(p *product)", name), name, 0, 8)
	rows, full, single, done := f.label("rows"), f.label("full"), f.label("single"), f.label("done")
	f.op("MOVQ", "p+0(FP)", regA)
	f.op("MOVQ", "product_rows("+regA+")", regRows)
	f.op("MOVQ", "product_w("+regA+")", regRow)
	f.op("MOVQ", "product_dst("+regA+")", regDst)
	f.op("MOVQ", "product_wStride("+regA+")", regStride)
	f.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regStride, regStride), regStride3)
	f.op("MOVQ", "product_xStride("+regA+")", regXS)
	f.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regXS, regXS), regXS3)
	f.tailMask("product_k("+regA+")", "$15")

	f.place(rows)
	f.op("MOVQ", regRow, regW)
	f.op("CMPQ", regRows, "$4")
	f.op("JGE", full)
	f.op("XORL", regStride, regStride)
	f.op("XORL", regStride3, regStride3)
	f.place(full)
	u.products()

	f.op("MOVQ", "p+0(FP)", regA)
	f.op("MOVQ", "product_dstStride("+regA+")", regX)
	f.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regX, regX), regB)
	f.op("CMPQ", regRows, "$4")
	f.op("JLT", single)
	for t := range tokens {
		u.sums(t)
		f.op("VMOVUPS", u.sum[0][t].x(), strided(regDst, regX, regB, t).at(0))
	}
	f.op("ADDQ", "$16", regDst)
	f.op("LEAQ", fmt.Sprintf("(%s)(%s*4)", regRow, regStride), regRow)
	f.op("SUBQ", "$4", regRows)
	f.op("JNZ", rows)
	f.op("JMP", done)
	f.place(single)
	for t := range tokens {
		u.sums(t)
		f.op("VMOVSS", u.sum[0][t].x(), strided(regDst, regX, regB, t).at(0))
	}
	f.op("ADDQ", "$4", regDst)
	f.op("ADDQ", "product_wStride("+regA+")", regRow)
	f.op("DECQ", regRows)
	f.op("JNZ", rows)
	f.place(done)
	f.op("VZEROUPPER")
	f.op("RET")
}

// products multiplies the rows with the tokens.
func (u *unitFloats) products() {
	loop32, few, rest, sum := u.label("loop32"), u.label("few"), u.label("rest"), u.label("sum")
	u.op("MOVQ", "p+0(FP)", regA)
	u.op("MOVQ", "product_x("+regA+")", regX)
	u.op("MOVQ", "product_k("+regA+")", regB)
	for _, v := range u.sum {
		for _, a := range v {
			u.zero(a)
		}
	}
	u.op("MOVQ", regB, regBlocks)
	u.op("SHRQ", "$5", regBlocks)
	u.op("JZ", few)
	u.op("PCALIGN", "$32")
	u.place(loop32)
	for r := range u.rows {
		u.op("PREFETCHT0", u.weights(r).at(ahead))
		if u.floatType.size == 4 {
			u.op("PREFETCHT0", u.weights(r).at(ahead+64))
		}
	}
	u.step(0, false)
	u.step(1, false)
	u.op("ADDQ", imm(32*u.floatType.size), regW)
	u.op("ADDQ", "$128", regX)
	u.op("DECQ", regBlocks)
	u.op("JNZ", loop32)

	u.place(few)
	u.op("TESTQ", "$16", regB)
	u.op("JZ", rest)
	u.step(0, false)
	u.op("ADDQ", imm(16*u.floatType.size), regW)
	u.op("ADDQ", "$64", regX)

	u.place(rest)
	u.op("ANDQ", "$15", regB)
	u.op("JZ", sum)
	u.step(0, true)
	u.place(sum)
}

// step multiplies the i-th 16 weights of the rows, or the rest.
func (u *unitFloats) step(i int, tail bool) {
	for r, w := range u.w {
		u.load(u.file, u.weights(r).at(16*i*u.floatType.size), w, tail)
	}
	for t := range u.tokens {
		if tail {
			u.op("VMOVUPS.Z", u.token(regX, t).at(64*i), "K1", u.x)
		} else {
			u.op("VMOVUPS", u.token(regX, t).at(64*i), u.x)
		}
		for r, w := range u.w {
			u.op("VFMADD231PS", u.x, w, u.sum[r][t])
		}
	}
}

// sums adds up a token's vectors: the rows' sums are the first elements of that of the first row.
func (u *unitFloats) sums(t int) {
	v := func(r int) vec { return u.sum[r][t] }
	for r := range u.rows {
		u.op("VEXTRACTF64X4", "$1", v(r), u.x.y())
		u.op("VADDPS", u.x.y(), v(r).y(), v(r).y())
		u.op("VEXTRACTF32X4", "$1", v(r).y(), u.x.x())
		u.op("VADDPS", u.x.x(), v(r).x(), v(r).x())
	}
	// Four by four: pairs, and pairs of these.
	pairs := func(a, b vec) {
		u.op("VSHUFPS", "$0xDD", b.x(), a.x(), u.x.x())
		u.op("VSHUFPS", "$0x88", b.x(), a.x(), a.x())
		u.op("VADDPS", u.x.x(), a.x(), a.x())
	}
	pairs(v(0), v(1))
	pairs(v(2), v(3))
	pairs(v(0), v(2))
}

// tailMask sets K1 to as many bits as the lower bits of n say. It uses AX to CX.
func (f *file) tailMask(n, lower string) {
	f.op("MOVQ", n, "CX")
	f.op("ANDQ", lower, "CX")
	f.op("MOVL", "$1", regB)
	f.op("SHLQ", "CX", regB)
	f.op("DECQ", regB)
	f.op("KMOVW", regB, "K1")
}

// horizontal adds up four vectors: the sum is the first element of the first one.
func (f *file) horizontal(v []vec, tmp vec) {
	a := v[0]
	f.op("VADDPS", v[1], a, a)
	f.op("VADDPS", v[3], v[2], v[2])
	f.op("VADDPS", v[2], a, a)
	f.op("VEXTRACTF64X4", "$1", a, tmp.y())
	f.op("VADDPS", tmp.y(), a.y(), a.y())
	f.op("VEXTRACTF32X4", "$1", a.y(), tmp.x())
	f.op("VADDPS", tmp.x(), a.x(), a.x())
	f.op("VPERMILPS", "$0x4E", a.x(), tmp.x())
	f.op("VADDPS", tmp.x(), a.x(), a.x())
	f.op("VPERMILPS", "$0xB1", a.x(), tmp.x())
	f.op("VADDPS", tmp.x(), a.x(), a.x())
}

// emitDot writes dotF32: a product of one row.
func emitDot(f *file) {
	f.function("func dotF32AVX512(a, b *float32, n int) float32", "dotF32AVX512", 0, 28)
	var r vecs
	acc, x := r.several(4), r.take()
	loop64, few, loop16, rest, sum := f.label("loop64"), f.label("few"), f.label("loop16"), f.label("rest"), f.label("sum")
	a, b := place{base: "SI"}, place{base: "DI"}
	step := func(n int, v vec) {
		f.op("VMOVUPS", a.at(n), x)
		f.op("VFMADD231PS", b.at(n), x, v)
	}
	f.op("MOVQ", "a+0(FP)", "SI")
	f.op("MOVQ", "b+8(FP)", "DI")
	f.tailMask("n+16(FP)", "$15")
	f.op("MOVQ", "n+16(FP)", "DX")
	for _, v := range acc {
		f.op("VPXORD", v, v, v)
	}
	f.op("SUBQ", "$64", "DX")
	f.op("JLT", few)
	f.place(loop64)
	for i, v := range acc {
		step(64*i, v)
	}
	f.op("ADDQ", "$256", "SI")
	f.op("ADDQ", "$256", "DI")
	f.op("SUBQ", "$64", "DX")
	f.op("JGE", loop64)
	f.place(few)
	f.op("ADDQ", "$48", "DX")
	f.op("JLT", rest)
	f.place(loop16)
	step(0, acc[0])
	f.op("ADDQ", "$64", "SI")
	f.op("ADDQ", "$64", "DI")
	f.op("SUBQ", "$16", "DX")
	f.op("JGE", loop16)
	f.place(rest)
	f.op("ADDQ", "$16", "DX")
	f.op("JZ", sum)
	f.op("VMOVUPS.Z", a.at(0), "K1", x)
	f.op("VMOVUPS.Z", b.at(0), "K1", vec(5))
	f.op("VFMADD231PS", vec(5), x, acc[1])
	f.place(sum)
	f.horizontal(acc, x)
	f.op("VZEROUPPER")
	f.op("VMOVSS", acc[0].x(), "ret+24(FP)")
	f.op("RET")
}

// each writes a loop over 16 elements of dst and source at a time, and the rest by mask K1. body is given
// whether it is the rest.
func (f *file) each(dst, src, n string, srcSize int, body func(tail bool)) {
	loop, rest, done := f.label("loop"), f.label("rest"), f.label("done")
	f.op("MOVQ", dst, "DI")
	f.op("MOVQ", src, "SI")
	f.tailMask(n, "$15")
	f.op("MOVQ", n, "DX")
	f.op("SUBQ", "$16", "DX")
	f.op("JLT", rest)
	f.op("PCALIGN", "$32")
	f.place(loop)
	body(false)
	f.op("ADDQ", "$64", "DI")
	f.op("ADDQ", imm(16*srcSize), "SI")
	f.op("SUBQ", "$16", "DX")
	f.op("JGE", loop)
	f.place(rest)
	f.op("ADDQ", "$16", "DX")
	f.op("JZ", done)
	body(true)
	f.place(done)
	f.op("VZEROUPPER")
	f.op("RET")
}

// store writes 16 elements, or those of K1.
func (f *file) store(v vec, tail bool) {
	if tail {
		f.op("VMOVUPS", v, "K1", "(DI)")
	} else {
		f.op("VMOVUPS", v, "(DI)")
	}
}

func emitAddScaled(f *file) {
	f.function("func addScaledF32AVX512(dst, x *float32, n int, s float32)", "addScaledF32AVX512", 0, 28)
	s, d, x := vec(0), vec(1), vec(2)
	f.op("VBROADCASTSS", "s+24(FP)", s)
	f.each("dst+0(FP)", "x+8(FP)", "n+16(FP)", 4, func(tail bool) {
		if tail {
			f.op("VMOVUPS.Z", "(DI)", "K1", d)
			f.op("VMOVUPS.Z", "(SI)", "K1", x)
			f.op("VFMADD231PS", x, s, d)
		} else {
			f.op("VMOVUPS", "(DI)", d)
			f.op("VFMADD231PS", "(SI)", s, d)
		}
		f.store(d, tail)
	})
}

// emitDecodeFloats writes the conversion of packed floats.
func emitDecodeFloats(f *file, typ floatType) {
	name := "decode" + typ.name + "AVX512"
	f.function(fmt.Sprintf("func %s(dst *float32, src *byte, n int)", name), name, 0, 24)
	f.each("dst+0(FP)", "src+8(FP)", "n+16(FP)", typ.size, func(tail bool) {
		typ.load(f, "(SI)", vec(0), tail)
		f.store(vec(0), tail)
	})
}
