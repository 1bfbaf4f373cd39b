//go:build !purego

package cpu

import (
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

func init() {
	addUnits(AVX2, func(u *units) {
		u.dotF32, u.addScaledF32 = dotF32Asm, addScaledF32Asm
		u.decode[tensor.F16] = decodeF16Asm
		u.rows[tensor.Q8_0] = goUnits(blocks32, dotQ8Asm)
	})
}

//go:noescape
func dotF32AVX2(a, b *float32, n int) float32

//go:noescape
func addScaledF32AVX2(dst, x *float32, n int, s float32)

//go:noescape
func decodeF16AVX2(dst *float32, src *byte, n int)

//go:noescape
func dotQ8AVX2(w *byte, q *int8, scale *float32, blocks int) float32

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

// dotQ8Asm is dot32Go for Q8_0, with another order of sums over blocks.
func dotQ8Asm(p *product) {
	q, d, _ := record32(p.token(0, blocks32), p.k)
	for r := range p.rows {
		*p.result(r, 0) = dotQ8AVX2(&p.row(r, p.k/32*34)[0], &q[0], &d[0], len(d))
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
