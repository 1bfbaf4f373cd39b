package main

import "fmt"

// Weights that are floats: 64 of a row at a time, in four partial sums for each token, which hide the
// latency of the multiply-add.

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

const partials = 4 // sums of a token

func emitFloats(f *file, typ floatType, tokens int) {
	name := fmt.Sprintf("dot%sAVX512x%d", typ.name, tokens)
	f.function(fmt.Sprintf("func %s(p *product)", name), name, 0, 8)
	row, loop64, few, loop16, rest, sum := f.label("row"), f.label("loop64"), f.label("few"), f.label("loop16"), f.label("rest"), f.label("sum")
	var r vecs
	w, x := r.several(partials), r.take()
	acc := make([][]vec, tokens)
	for t := range acc {
		acc[t] = r.several(partials)
	}
	token := func(t, offset int) string { return strided(regX, regXS, regXS3, t).at(offset) }

	f.op("MOVQ", "p+0(FP)", regA)
	f.op("MOVQ", "product_rows("+regA+")", regRows)
	f.op("MOVQ", "product_w("+regA+")", "R12")
	f.op("MOVQ", "product_dst("+regA+")", regDst)
	f.op("MOVQ", "product_xStride("+regA+")", regXS)
	f.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regXS, regXS), regXS3)
	f.op("MOVQ", "product_dstStride("+regA+")", regStride)
	f.op("LEAQ", fmt.Sprintf("(%s)(%s*2)", regStride, regStride), regStride3)
	f.tailMask("product_k("+regA+")", "$15")

	f.place(row)
	f.op("MOVQ", "p+0(FP)", regA)
	f.op("MOVQ", "R12", regW)
	f.op("MOVQ", "product_x("+regA+")", regX)
	f.op("MOVQ", "product_k("+regA+")", regB)
	for _, sums := range acc {
		for _, a := range sums {
			f.op("VPXORD", a, a, a)
		}
	}
	f.op("MOVQ", regB, regBlocks)
	f.op("SHRQ", "$6", regBlocks)
	f.op("JZ", few)
	f.op("PCALIGN", "$32")
	f.place(loop64)
	for i := range partials {
		typ.load(f, place{base: regW}.at(16*i*typ.size), w[i], false)
		for t := range acc {
			f.op("VFMADD231PS", token(t, 64*i), w[i], acc[t][i])
		}
	}
	f.op("ADDQ", imm(64*typ.size), regW)
	f.op("ADDQ", "$256", regX)
	f.op("DECQ", regBlocks)
	f.op("JNZ", loop64)

	f.place(few)
	f.op("MOVQ", regB, regBlocks)
	f.op("ANDQ", "$48", regBlocks)
	f.op("JZ", rest)
	f.place(loop16)
	typ.load(f, place{base: regW}.at(0), w[0], false)
	for t := range acc {
		f.op("VFMADD231PS", token(t, 0), w[0], acc[t][0])
	}
	f.op("ADDQ", imm(16*typ.size), regW)
	f.op("ADDQ", "$64", regX)
	f.op("SUBQ", "$16", regBlocks)
	f.op("JNZ", loop16)

	f.place(rest)
	f.op("ANDQ", "$15", regB)
	f.op("JZ", sum)
	typ.load(f, place{base: regW}.at(0), w[0], true)
	for t := range acc {
		f.op("VMOVUPS.Z", token(t, 0), "K1", x)
		f.op("VFMADD231PS", x, w[0], acc[t][1])
	}

	f.place(sum)
	for t := range acc {
		f.horizontal(acc[t], x)
		f.op("VMOVSS", acc[t][0].x(), strided(regDst, regStride, regStride3, t).at(0))
	}
	f.op("ADDQ", "$4", regDst)
	f.op("MOVQ", "p+0(FP)", regA)
	f.op("ADDQ", "product_wStride("+regA+")", "R12")
	f.op("DECQ", regRows)
	f.op("JNZ", row)
	f.op("VZEROUPPER")
	f.op("RET")
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
	acc, x := r.several(partials), r.take()
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
