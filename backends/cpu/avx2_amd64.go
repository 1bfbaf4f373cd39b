//go:build !purego

package cpu

//go:generate env GOWORK=off go run -C _asm/avx2 .

import (
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

func init() {
	addUnits(AVX2, func(u *units) {
		u.dotF32, u.addScaledF32 = dotF32Asm, addScaledF32Asm
		u.decode[tensor.F16] = decodeF16Asm
		u.decode[tensor.BF16] = decodeBF16Asm
		u.decode[tensor.Q8_0] = blockDecoder(tensor.Q8_0, decodeQ80AVX2)
		u.decode[tensor.Q4_0] = blockDecoder(tensor.Q4_0, decodeQ40AVX2)
		u.decode[tensor.Q4_K] = blockDecoder(tensor.Q4_K, decodeQ4KAVX2)
		u.decode[tensor.Q6_K] = blockDecoder(tensor.Q6_K, decodeQ6KAVX2)
		u.round[blocks32], u.round[blocks256] = round32Asm, round256Asm
		for t, r := range unitsAVX2 {
			u.rows[t] = r
		}
	})
	addUnits(AVXVNNI, func(u *units) {
		for t, r := range unitsAVXVNNI {
			u.rows[t] = r
		}
	})
}

//go:noescape
func dotF32AVX2(a, b *float32, n int) float32

//go:noescape
func addScaledF32AVX2(dst, x *float32, n int, s float32)

//go:noescape
func round32AVX2(q *int8, d *float32, sums *int32, x *float32, blocks int)

//go:noescape
func round256AVX2(q *int8, d *float32, sums *int16, x *float32, blocks int)

//go:noescape
func decodeBF16AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ80AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ40AVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ4KAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeQ6KAVX2(dst *float32, src *byte, blocks int)

//go:noescape
func decodeF16AVX2(dst *float32, src *byte, n int)

// dotF32Asm is dotF32Go with other partial sums.
func dotF32Asm(a, b []float32) float32 {
	n := len(a) &^ 7
	b = b[:len(a)]
	var sum float32
	if n > 0 {
		sum = dotF32AVX2(&a[0], &b[0], n)
	}
	for i := n; i < len(a); i++ {
		sum += a[i] * b[i]
	}
	return sum
}

// addScaledF32Asm is addScaledF32Go, rounded once per element.
func addScaledF32Asm(dst, x []float32, s float32) {
	n := len(dst) &^ 7
	x = x[:len(dst)]
	if n > 0 {
		addScaledF32AVX2(&dst[0], &x[0], n, s)
	}
	for i := n; i < len(dst); i++ {
		dst[i] += s * x[i]
	}
}

// decodeF16Asm is quant.DecodeF16; a signalling NaN comes out quiet.
func decodeF16Asm(dst []float32, src []byte) {
	n := len(dst) &^ 7
	src = src[:2*len(dst)]
	if n > 0 {
		decodeF16AVX2(&dst[0], &src[0], n)
	}
	quant.DecodeF16(dst[n:], src[2*n:])
}

// decodeBF16Asm is quant.DecodeBF16.
func decodeBF16Asm(dst []float32, src []byte) {
	n := len(dst) &^ 7
	src = src[:2*len(dst)]
	if n > 0 {
		decodeBF16AVX2(&dst[0], &src[0], n/8)
	}
	quant.DecodeBF16(dst[n:], src[2*n:])
}

// blockDecoder returns package quant's decoder of a type, from a loop over at least one block.
func blockDecoder(t tensor.DType, f func(dst *float32, src *byte, blocks int)) func([]float32, []byte) {
	elems, size := t.Block()
	return func(dst []float32, src []byte) {
		blocks := len(dst) / elems
		if blocks == 0 {
			return
		}
		f(&dst[0], &src[:blocks*size][0], blocks)
	}
}

// round32Asm is round32Go.
func round32Asm(rec []byte, x []float32) {
	q, d, sums := record32(rec, len(x))
	if len(d) > 0 {
		round32AVX2(&q[0], &d[0], &sums[0], &x[0], len(d))
	}
}

// round256Asm is round256Go.
func round256Asm(rec []byte, x []float32) {
	q, d, sums := record256(rec, len(x))
	if len(d) > 0 {
		round256AVX2(&q[0], &d[0], &sums[0], &x[0], len(d))
	}
}
