//go:build !purego

package cpu

import (
	"golang.org/x/sys/cpu"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// The assembly forms need AVX2, FMA and F16C; the last has no flag of its own in package cpu, and every
// processor with AVX2 has it.
var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA

func init() {
	if hasAVX2 {
		dotF32, dotQ8, addScaledF32 = dotF32Asm, dotQ8Asm, addScaledF32Asm
		decoders[tensor.F16] = decodeF16Asm
	}
}

// kernelFeatures names the instruction sets that the kernels use here.
func kernelFeatures() []string {
	if hasAVX2 {
		return []string{"avx2", "fma"}
	}
	return nil
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

// dotQ8Asm is dotQ8Go with another order of sums over blocks.
func dotQ8Asm(w []byte, q []int8, scale []float32) float32 {
	n := len(scale)
	if n == 0 {
		return 0
	}
	_, _ = w[n*34-1], q[n*q8Block-1]
	return dotQ8AVX2(&w[0], &q[0], &scale[0], n)
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
