//go:build !purego

package cpu

//go:generate go -C _asm/avx512 run . -o ../..

import "github.com/tenon-go/tenon/tensor"

func init() {
	addUnits(AVX512, func(u *units) {
		u.rows[tensor.Q8_0] = rowUnits{blocks32, [mostTokens]func(*product){dotQ8_0AVX512x1, dotQ8_0AVX512x2, dotQ8_0AVX512x3, dotQ8_0AVX512x4}}
		u.rows[tensor.Q4_0] = rowUnits{blocks32, [mostTokens]func(*product){dotQ4_0AVX512x1, dotQ4_0AVX512x2, dotQ4_0AVX512x3, dotQ4_0AVX512x4}}
		u.rows[tensor.Q4_1] = rowUnits{blocks32, [mostTokens]func(*product){dotQ4_1AVX512x1, dotQ4_1AVX512x2, dotQ4_1AVX512x3, dotQ4_1AVX512x4}}
		u.rows[tensor.Q5_0] = rowUnits{blocks32, [mostTokens]func(*product){dotQ5_0AVX512x1, dotQ5_0AVX512x2, dotQ5_0AVX512x3, dotQ5_0AVX512x4}}
		u.rows[tensor.Q5_1] = rowUnits{blocks32, [mostTokens]func(*product){dotQ5_1AVX512x1, dotQ5_1AVX512x2, dotQ5_1AVX512x3, dotQ5_1AVX512x4}}
		u.rows[tensor.IQ4_NL] = rowUnits{blocks32, [mostTokens]func(*product){dotIQ4_NLAVX512x1, dotIQ4_NLAVX512x2, dotIQ4_NLAVX512x3, dotIQ4_NLAVX512x4}}
		u.rows[tensor.MXFP4] = rowUnits{blocks32, [mostTokens]func(*product){dotMXFP4AVX512x1, dotMXFP4AVX512x2, dotMXFP4AVX512x3, dotMXFP4AVX512x4}}
		u.rows[tensor.Q2_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ2_KAVX512x1, dotQ2_KAVX512x2, dotQ2_KAVX512x3, dotQ2_KAVX512x4}}
		u.rows[tensor.Q3_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ3_KAVX512x1, dotQ3_KAVX512x2, dotQ3_KAVX512x3, dotQ3_KAVX512x4}}
		u.rows[tensor.Q4_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ4_KAVX512x1, dotQ4_KAVX512x2, dotQ4_KAVX512x3, dotQ4_KAVX512x4}}
		u.rows[tensor.Q5_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ5_KAVX512x1, dotQ5_KAVX512x2, dotQ5_KAVX512x3, dotQ5_KAVX512x4}}
		u.rows[tensor.Q6_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ6_KAVX512x1, dotQ6_KAVX512x2, dotQ6_KAVX512x3, dotQ6_KAVX512x4}}
		u.rows[tensor.IQ4_XS] = rowUnits{blocks256, [mostTokens]func(*product){dotIQ4_XSAVX512x1, dotIQ4_XSAVX512x2, dotIQ4_XSAVX512x3, dotIQ4_XSAVX512x4}}
	})
}

//go:noescape
func dotQ8_0AVX512x1(p *product)

//go:noescape
func dotQ8_0AVX512x2(p *product)

//go:noescape
func dotQ8_0AVX512x3(p *product)

//go:noescape
func dotQ8_0AVX512x4(p *product)


//go:noescape
func dotQ4_0AVX512x1(p *product)

//go:noescape
func dotQ4_0AVX512x2(p *product)

//go:noescape
func dotQ4_0AVX512x3(p *product)

//go:noescape
func dotQ4_0AVX512x4(p *product)


//go:noescape
func dotQ4_1AVX512x1(p *product)

//go:noescape
func dotQ4_1AVX512x2(p *product)

//go:noescape
func dotQ4_1AVX512x3(p *product)

//go:noescape
func dotQ4_1AVX512x4(p *product)


//go:noescape
func dotQ5_0AVX512x1(p *product)

//go:noescape
func dotQ5_0AVX512x2(p *product)

//go:noescape
func dotQ5_0AVX512x3(p *product)

//go:noescape
func dotQ5_0AVX512x4(p *product)


//go:noescape
func dotQ5_1AVX512x1(p *product)

//go:noescape
func dotQ5_1AVX512x2(p *product)

//go:noescape
func dotQ5_1AVX512x3(p *product)

//go:noescape
func dotQ5_1AVX512x4(p *product)


//go:noescape
func dotIQ4_NLAVX512x1(p *product)

//go:noescape
func dotIQ4_NLAVX512x2(p *product)

//go:noescape
func dotIQ4_NLAVX512x3(p *product)

//go:noescape
func dotIQ4_NLAVX512x4(p *product)


//go:noescape
func dotMXFP4AVX512x1(p *product)

//go:noescape
func dotMXFP4AVX512x2(p *product)

//go:noescape
func dotMXFP4AVX512x3(p *product)

//go:noescape
func dotMXFP4AVX512x4(p *product)


//go:noescape
func dotQ2_KAVX512x1(p *product)

//go:noescape
func dotQ2_KAVX512x2(p *product)

//go:noescape
func dotQ2_KAVX512x3(p *product)

//go:noescape
func dotQ2_KAVX512x4(p *product)


//go:noescape
func dotQ3_KAVX512x1(p *product)

//go:noescape
func dotQ3_KAVX512x2(p *product)

//go:noescape
func dotQ3_KAVX512x3(p *product)

//go:noescape
func dotQ3_KAVX512x4(p *product)


//go:noescape
func dotQ4_KAVX512x1(p *product)

//go:noescape
func dotQ4_KAVX512x2(p *product)

//go:noescape
func dotQ4_KAVX512x3(p *product)

//go:noescape
func dotQ4_KAVX512x4(p *product)


//go:noescape
func dotQ5_KAVX512x1(p *product)

//go:noescape
func dotQ5_KAVX512x2(p *product)

//go:noescape
func dotQ5_KAVX512x3(p *product)

//go:noescape
func dotQ5_KAVX512x4(p *product)


//go:noescape
func dotQ6_KAVX512x1(p *product)

//go:noescape
func dotQ6_KAVX512x2(p *product)

//go:noescape
func dotQ6_KAVX512x3(p *product)

//go:noescape
func dotQ6_KAVX512x4(p *product)


//go:noescape
func dotIQ4_XSAVX512x1(p *product)

//go:noescape
func dotIQ4_XSAVX512x2(p *product)

//go:noescape
func dotIQ4_XSAVX512x3(p *product)

//go:noescape
func dotIQ4_XSAVX512x4(p *product)

