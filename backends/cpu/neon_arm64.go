//go:build !purego

package cpu

import (
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

//go:generate sh -c "cd _asm/neon && GOWORK=off go run . -o ../.."

func init() {
	addUnits(NEON, func(u *units) {
		u.dotF32, u.addScaledF32 = dotF32OnNEON, addScaledF32OnNEON
		u.decode[tensor.F16] = decodeF16OnNEON
		u.decode[tensor.BF16] = decodeBF16OnNEON
		u.round[blocks32], u.round[blocks256] = round32OnNEON, round256OnNEON
		for t, r := range neonRows {
			u.rows[t] = r
		}
	})
}

//go:noescape
func dotF32NEON(a, b *float32, n int) float32

//go:noescape
func addScaledF32NEON(dst, x *float32, n int, s float32)

//go:noescape
func decodeF16NEON(dst *float32, src *byte, n int)

//go:noescape
func decodeBF16NEON(dst *float32, src *byte, n int)

//go:noescape
func round32NEON(q *int8, scale *float32, sum *int32, x *float32, blocks int)

//go:noescape
func round256NEON(q *int8, scale *float32, sum *int16, x *float32, blocks int)

// dotF32OnNEON is dotF32Go with other partial sums.
func dotF32OnNEON(a, b []float32) float32 {
	n := len(a) &^ 3
	b = b[:len(a)]
	var sum float32
	if n > 0 {
		sum = dotF32NEON(&a[0], &b[0], n)
	}
	for i := n; i < len(a); i++ {
		sum += a[i] * b[i]
	}
	return sum
}

// addScaledF32OnNEON is addScaledF32Go, rounded once per element.
func addScaledF32OnNEON(dst, x []float32, s float32) {
	n := len(dst) &^ 3
	x = x[:len(dst)]
	if n > 0 {
		addScaledF32NEON(&dst[0], &x[0], n, s)
	}
	for i := n; i < len(dst); i++ {
		dst[i] += s * x[i]
	}
}

// decodeF16OnNEON is quant.DecodeF16; a signalling NaN comes out quiet.
func decodeF16OnNEON(dst []float32, src []byte) {
	n := len(dst) &^ 7
	src = src[:2*len(dst)]
	if n > 0 {
		decodeF16NEON(&dst[0], &src[0], n)
	}
	quant.DecodeF16(dst[n:], src[2*n:])
}

// decodeBF16OnNEON is quant.DecodeBF16.
func decodeBF16OnNEON(dst []float32, src []byte) {
	n := len(dst) &^ 7
	src = src[:2*len(dst)]
	if n > 0 {
		decodeBF16NEON(&dst[0], &src[0], n)
	}
	quant.DecodeBF16(dst[n:], src[2*n:])
}

// round32OnNEON is round32Go.
func round32OnNEON(rec []byte, x []float32) {
	if len(x) == 0 {
		return
	}
	q, d, sums := record32(rec, len(x))
	round32NEON(&q[0], &d[0], &sums[0], &x[0], len(d))
}

// round256OnNEON is round256Go.
func round256OnNEON(rec []byte, x []float32) {
	if len(x) == 0 {
		return
	}
	q, d, sums := record256(rec, len(x))
	round256NEON(&q[0], &d[0], &sums[0], &x[0], len(d))
}
