//go:build !purego

package cpu

// The row units of level AVX512: dotTYPEAVX512xN multiplies rows of TYPE with N tokens.

//go:noescape
func dotF32AVX512x1(p *product)

//go:noescape
func dotF32AVX512x2(p *product)

//go:noescape
func dotF32AVX512x3(p *product)

//go:noescape
func dotF32AVX512x4(p *product)

//go:noescape
func dotF16AVX512x1(p *product)

//go:noescape
func dotF16AVX512x2(p *product)

//go:noescape
func dotF16AVX512x3(p *product)

//go:noescape
func dotF16AVX512x4(p *product)

//go:noescape
func dotBF16AVX512x1(p *product)

//go:noescape
func dotBF16AVX512x2(p *product)

//go:noescape
func dotBF16AVX512x3(p *product)

//go:noescape
func dotBF16AVX512x4(p *product)

//go:noescape
func dotQ8_0AVX512x1(p *product)

//go:noescape
func dotQ8_0AVX512x2(p *product)

//go:noescape
func dotQ8_0AVX512x3(p *product)

//go:noescape
func dotQ8_0AVX512x4(p *product)

//go:noescape
func dotQ8_0AVX512x5(p *product)

//go:noescape
func dotQ8_0AVX512x6(p *product)

//go:noescape
func dotQ8_0AVX512x7(p *product)

//go:noescape
func dotQ8_0AVX512x8(p *product)

//go:noescape
func dotQ4_0AVX512x1(p *product)

//go:noescape
func dotQ4_0AVX512x2(p *product)

//go:noescape
func dotQ4_0AVX512x3(p *product)

//go:noescape
func dotQ4_0AVX512x4(p *product)

//go:noescape
func dotQ4_0AVX512x5(p *product)

//go:noescape
func dotQ4_0AVX512x6(p *product)

//go:noescape
func dotQ4_0AVX512x7(p *product)

//go:noescape
func dotQ4_0AVX512x8(p *product)

//go:noescape
func dotQ4_1AVX512x1(p *product)

//go:noescape
func dotQ4_1AVX512x2(p *product)

//go:noescape
func dotQ4_1AVX512x3(p *product)

//go:noescape
func dotQ4_1AVX512x4(p *product)

//go:noescape
func dotQ4_1AVX512x5(p *product)

//go:noescape
func dotQ4_1AVX512x6(p *product)

//go:noescape
func dotQ4_1AVX512x7(p *product)

//go:noescape
func dotQ4_1AVX512x8(p *product)

//go:noescape
func dotQ5_0AVX512x1(p *product)

//go:noescape
func dotQ5_0AVX512x2(p *product)

//go:noescape
func dotQ5_0AVX512x3(p *product)

//go:noescape
func dotQ5_0AVX512x4(p *product)

//go:noescape
func dotQ5_0AVX512x5(p *product)

//go:noescape
func dotQ5_0AVX512x6(p *product)

//go:noescape
func dotQ5_0AVX512x7(p *product)

//go:noescape
func dotQ5_0AVX512x8(p *product)

//go:noescape
func dotQ5_1AVX512x1(p *product)

//go:noescape
func dotQ5_1AVX512x2(p *product)

//go:noescape
func dotQ5_1AVX512x3(p *product)

//go:noescape
func dotQ5_1AVX512x4(p *product)

//go:noescape
func dotQ5_1AVX512x5(p *product)

//go:noescape
func dotQ5_1AVX512x6(p *product)

//go:noescape
func dotQ5_1AVX512x7(p *product)

//go:noescape
func dotQ5_1AVX512x8(p *product)

//go:noescape
func dotIQ4_NLAVX512x1(p *product)

//go:noescape
func dotIQ4_NLAVX512x2(p *product)

//go:noescape
func dotIQ4_NLAVX512x3(p *product)

//go:noescape
func dotIQ4_NLAVX512x4(p *product)

//go:noescape
func dotIQ4_NLAVX512x5(p *product)

//go:noescape
func dotIQ4_NLAVX512x6(p *product)

//go:noescape
func dotIQ4_NLAVX512x7(p *product)

//go:noescape
func dotIQ4_NLAVX512x8(p *product)

//go:noescape
func dotMXFP4AVX512x1(p *product)

//go:noescape
func dotMXFP4AVX512x2(p *product)

//go:noescape
func dotMXFP4AVX512x3(p *product)

//go:noescape
func dotMXFP4AVX512x4(p *product)

//go:noescape
func dotMXFP4AVX512x5(p *product)

//go:noescape
func dotMXFP4AVX512x6(p *product)

//go:noescape
func dotMXFP4AVX512x7(p *product)

//go:noescape
func dotMXFP4AVX512x8(p *product)

//go:noescape
func dotQ2_KAVX512x1(p *product)

//go:noescape
func dotQ2_KAVX512x2(p *product)

//go:noescape
func dotQ2_KAVX512x3(p *product)

//go:noescape
func dotQ2_KAVX512x4(p *product)

//go:noescape
func dotQ2_KAVX512x5(p *product)

//go:noescape
func dotQ2_KAVX512x6(p *product)

//go:noescape
func dotQ2_KAVX512x7(p *product)

//go:noescape
func dotQ2_KAVX512x8(p *product)

//go:noescape
func dotQ3_KAVX512x1(p *product)

//go:noescape
func dotQ3_KAVX512x2(p *product)

//go:noescape
func dotQ3_KAVX512x3(p *product)

//go:noescape
func dotQ3_KAVX512x4(p *product)

//go:noescape
func dotQ3_KAVX512x5(p *product)

//go:noescape
func dotQ3_KAVX512x6(p *product)

//go:noescape
func dotQ3_KAVX512x7(p *product)

//go:noescape
func dotQ3_KAVX512x8(p *product)

//go:noescape
func dotQ4_KAVX512x1(p *product)

//go:noescape
func dotQ4_KAVX512x2(p *product)

//go:noescape
func dotQ4_KAVX512x3(p *product)

//go:noescape
func dotQ4_KAVX512x4(p *product)

//go:noescape
func dotQ4_KAVX512x5(p *product)

//go:noescape
func dotQ4_KAVX512x6(p *product)

//go:noescape
func dotQ4_KAVX512x7(p *product)

//go:noescape
func dotQ4_KAVX512x8(p *product)

//go:noescape
func dotQ5_KAVX512x1(p *product)

//go:noescape
func dotQ5_KAVX512x2(p *product)

//go:noescape
func dotQ5_KAVX512x3(p *product)

//go:noescape
func dotQ5_KAVX512x4(p *product)

//go:noescape
func dotQ5_KAVX512x5(p *product)

//go:noescape
func dotQ5_KAVX512x6(p *product)

//go:noescape
func dotQ5_KAVX512x7(p *product)

//go:noescape
func dotQ5_KAVX512x8(p *product)

//go:noescape
func dotQ6_KAVX512x1(p *product)

//go:noescape
func dotQ6_KAVX512x2(p *product)

//go:noescape
func dotQ6_KAVX512x3(p *product)

//go:noescape
func dotQ6_KAVX512x4(p *product)

//go:noescape
func dotQ6_KAVX512x5(p *product)

//go:noescape
func dotQ6_KAVX512x6(p *product)

//go:noescape
func dotQ6_KAVX512x7(p *product)

//go:noescape
func dotQ6_KAVX512x8(p *product)

//go:noescape
func dotIQ4_XSAVX512x1(p *product)

//go:noescape
func dotIQ4_XSAVX512x2(p *product)

//go:noescape
func dotIQ4_XSAVX512x3(p *product)

//go:noescape
func dotIQ4_XSAVX512x4(p *product)

//go:noescape
func dotIQ4_XSAVX512x5(p *product)

//go:noescape
func dotIQ4_XSAVX512x6(p *product)

//go:noescape
func dotIQ4_XSAVX512x7(p *product)

//go:noescape
func dotIQ4_XSAVX512x8(p *product)
