//go:build !purego

package cpu

//go:generate env GOWORK=off go -C _asm/avx512 run . -o ../..

import "github.com/tenon-go/tenon/tensor"

func init() {
	addUnits(AVX512, func(u *units) {
		u.dotF32, u.addScaledF32 = dotF32AVX512Go, addScaledF32AVX512Go
		for t, f := range avx512Decode {
			elems, size := t.Block()
			u.decode[t] = decodeWith(f, elems, size)
		}
		u.round[blocks32], u.round[blocks256] = round32With, round256With
		for t, dot := range avx512Rows {
			u.rows[t] = dot
		}
	})
}

// avx512Rows are the row units, by type.
var avx512Rows = map[tensor.DType]rowUnits{
	tensor.F32:    {floats, [mostTokens]func(*product){dotF32AVX512x1, dotF32AVX512x2, dotF32AVX512x3, dotF32AVX512x4}},
	tensor.F16:    {floats, [mostTokens]func(*product){dotF16AVX512x1, dotF16AVX512x2, dotF16AVX512x3, dotF16AVX512x4}},
	tensor.BF16:   {floats, [mostTokens]func(*product){dotBF16AVX512x1, dotBF16AVX512x2, dotBF16AVX512x3, dotBF16AVX512x4}},
	tensor.Q8_0:   {blocks32, [mostTokens]func(*product){dotQ8_0AVX512x1, dotQ8_0AVX512x2, dotQ8_0AVX512x3, dotQ8_0AVX512x4, dotQ8_0AVX512x5, dotQ8_0AVX512x6, dotQ8_0AVX512x7, dotQ8_0AVX512x8}},
	tensor.Q4_0:   {blocks32, [mostTokens]func(*product){dotQ4_0AVX512x1, dotQ4_0AVX512x2, dotQ4_0AVX512x3, dotQ4_0AVX512x4, dotQ4_0AVX512x5, dotQ4_0AVX512x6, dotQ4_0AVX512x7, dotQ4_0AVX512x8}},
	tensor.Q4_1:   {blocks32, [mostTokens]func(*product){dotQ4_1AVX512x1, dotQ4_1AVX512x2, dotQ4_1AVX512x3, dotQ4_1AVX512x4, dotQ4_1AVX512x5, dotQ4_1AVX512x6, dotQ4_1AVX512x7, dotQ4_1AVX512x8}},
	tensor.Q5_0:   {blocks32, [mostTokens]func(*product){dotQ5_0AVX512x1, dotQ5_0AVX512x2, dotQ5_0AVX512x3, dotQ5_0AVX512x4, dotQ5_0AVX512x5, dotQ5_0AVX512x6, dotQ5_0AVX512x7, dotQ5_0AVX512x8}},
	tensor.Q5_1:   {blocks32, [mostTokens]func(*product){dotQ5_1AVX512x1, dotQ5_1AVX512x2, dotQ5_1AVX512x3, dotQ5_1AVX512x4, dotQ5_1AVX512x5, dotQ5_1AVX512x6, dotQ5_1AVX512x7, dotQ5_1AVX512x8}},
	tensor.IQ4_NL: {blocks32, [mostTokens]func(*product){dotIQ4_NLAVX512x1, dotIQ4_NLAVX512x2, dotIQ4_NLAVX512x3, dotIQ4_NLAVX512x4, dotIQ4_NLAVX512x5, dotIQ4_NLAVX512x6, dotIQ4_NLAVX512x7, dotIQ4_NLAVX512x8}},
	tensor.MXFP4:  {blocks32, [mostTokens]func(*product){dotMXFP4AVX512x1, dotMXFP4AVX512x2, dotMXFP4AVX512x3, dotMXFP4AVX512x4, dotMXFP4AVX512x5, dotMXFP4AVX512x6, dotMXFP4AVX512x7, dotMXFP4AVX512x8}},
	tensor.Q2_K:   {blocks256, [mostTokens]func(*product){dotQ2_KAVX512x1, dotQ2_KAVX512x2, dotQ2_KAVX512x3, dotQ2_KAVX512x4, dotQ2_KAVX512x5, dotQ2_KAVX512x6, dotQ2_KAVX512x7, dotQ2_KAVX512x8}},
	tensor.Q3_K:   {blocks256, [mostTokens]func(*product){dotQ3_KAVX512x1, dotQ3_KAVX512x2, dotQ3_KAVX512x3, dotQ3_KAVX512x4, dotQ3_KAVX512x5, dotQ3_KAVX512x6, dotQ3_KAVX512x7, dotQ3_KAVX512x8}},
	tensor.Q4_K:   {blocks256, [mostTokens]func(*product){dotQ4_KAVX512x1, dotQ4_KAVX512x2, dotQ4_KAVX512x3, dotQ4_KAVX512x4, dotQ4_KAVX512x5, dotQ4_KAVX512x6, dotQ4_KAVX512x7, dotQ4_KAVX512x8}},
	tensor.Q5_K:   {blocks256, [mostTokens]func(*product){dotQ5_KAVX512x1, dotQ5_KAVX512x2, dotQ5_KAVX512x3, dotQ5_KAVX512x4, dotQ5_KAVX512x5, dotQ5_KAVX512x6, dotQ5_KAVX512x7, dotQ5_KAVX512x8}},
	tensor.Q6_K:   {blocks256, [mostTokens]func(*product){dotQ6_KAVX512x1, dotQ6_KAVX512x2, dotQ6_KAVX512x3, dotQ6_KAVX512x4, dotQ6_KAVX512x5, dotQ6_KAVX512x6, dotQ6_KAVX512x7, dotQ6_KAVX512x8}},
	tensor.IQ4_XS: {blocks256, [mostTokens]func(*product){dotIQ4_XSAVX512x1, dotIQ4_XSAVX512x2, dotIQ4_XSAVX512x3, dotIQ4_XSAVX512x4, dotIQ4_XSAVX512x5, dotIQ4_XSAVX512x6, dotIQ4_XSAVX512x7, dotIQ4_XSAVX512x8}},
}

// avx512Decode decode so many blocks, by type.
var avx512Decode = map[tensor.DType]func(dst *float32, src *byte, blocks int){
	tensor.F16: decodeF16AVX512, tensor.BF16: decodeBF16AVX512,
	tensor.Q8_0: decodeQ8_0AVX512, tensor.Q4_0: decodeQ4_0AVX512, tensor.Q4_1: decodeQ4_1AVX512,
	tensor.Q5_0: decodeQ5_0AVX512, tensor.Q5_1: decodeQ5_1AVX512, tensor.IQ4_NL: decodeIQ4_NLAVX512, tensor.MXFP4: decodeMXFP4AVX512,
	tensor.Q3_K: decodeQ3_KAVX512, tensor.IQ4_XS: decodeIQ4_XSAVX512, tensor.Q2_K: decodeQ2_KAVX512, tensor.Q4_K: decodeQ4_KAVX512, tensor.Q5_K: decodeQ5_KAVX512, tensor.Q6_K: decodeQ6_KAVX512,
}

// dotF32AVX512Go is dotF32Go with other partial sums.
func dotF32AVX512Go(a, b []float32) float32 {
	if len(a) == 0 {
		return 0
	}
	b = b[:len(a)]
	return dotF32AVX512(&a[0], &b[0], len(a))
}

// addScaledF32AVX512Go is addScaledF32Go, rounded once per element.
func addScaledF32AVX512Go(dst, x []float32, s float32) {
	if len(dst) == 0 {
		return
	}
	x = x[:len(dst)]
	addScaledF32AVX512(&dst[0], &x[0], len(dst), s)
}

// decodeWith returns a decoder that gives f so many blocks of elems in size bytes.
func decodeWith(f func(dst *float32, src *byte, n int), elems, size int) func(dst []float32, src []byte) {
	return func(dst []float32, src []byte) {
		n := len(dst) / elems
		if n == 0 {
			return
		}
		src = src[:n*size]
		f(&dst[0], &src[0], n)
	}
}

// round32With and round256With are round32Go and round256Go, to the same bits.
func round32With(rec []byte, x []float32) {
	if q, d, sums := record32(rec, len(x)); len(d) > 0 {
		round32AVX512(&q[0], &x[0], &d[0], &sums[0], len(d))
	}
}

func round256With(rec []byte, x []float32) {
	if q, d, sums := record256(rec, len(x)); len(d) > 0 {
		round256AVX512(&q[0], &x[0], &d[0], &sums[0], len(d))
	}
}

//go:noescape
func dotF32AVX512(a, b *float32, n int) float32

//go:noescape
func addScaledF32AVX512(dst, x *float32, n int, s float32)

//go:noescape
func decodeF16AVX512(dst *float32, src *byte, n int)

//go:noescape
func decodeBF16AVX512(dst *float32, src *byte, n int)

//go:noescape
func decodeQ8_0AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ4_0AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ4_1AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ5_0AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ5_1AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeIQ4_NLAVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeMXFP4AVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ2_KAVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ4_KAVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ5_KAVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ6_KAVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ3_KAVX512(dst *float32, src *byte, blocks int)

//go:noescape
func decodeIQ4_XSAVX512(dst *float32, src *byte, blocks int)

//go:noescape
func round32AVX512(q *int8, x, scale *float32, sums *int32, blocks int)

//go:noescape
func round256AVX512(q *int8, x, scale *float32, sums *int16, blocks int)
