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
