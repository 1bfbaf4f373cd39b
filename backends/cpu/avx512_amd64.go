//go:build !purego

package cpu

//go:generate go -C _asm/avx512 run . -o ../..

import "github.com/tenon-go/tenon/tensor"

func init() {
	addUnits(AVX512, func(u *units) {
		u.rows[tensor.Q4_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ4KAVX512x1, dotQ4KAVX512x2, dotQ4KAVX512x3, dotQ4KAVX512x4}}
		u.rows[tensor.Q5_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ5KAVX512x1, dotQ5KAVX512x2, dotQ5KAVX512x3, dotQ5KAVX512x4}}
		u.rows[tensor.Q6_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ6KAVX512x1, dotQ6KAVX512x2, dotQ6KAVX512x3, dotQ6KAVX512x4}}
		u.rows[tensor.Q2_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ2KAVX512x1, dotQ2KAVX512x2, dotQ2KAVX512x3, dotQ2KAVX512x4}}
		u.rows[tensor.Q3_K] = rowUnits{blocks256, [mostTokens]func(*product){dotQ3KAVX512x1, dotQ3KAVX512x2, dotQ3KAVX512x3, dotQ3KAVX512x4}}
		u.rows[tensor.IQ4_XS] = rowUnits{blocks256, [mostTokens]func(*product){dotIQ4XSAVX512x1, dotIQ4XSAVX512x2, dotIQ4XSAVX512x3, dotIQ4XSAVX512x4}}
	})
}

//go:noescape
func dotQ4KAVX512x1(p *product)

//go:noescape
func dotQ4KAVX512x2(p *product)

//go:noescape
func dotQ4KAVX512x3(p *product)

//go:noescape
func dotQ4KAVX512x4(p *product)

//go:noescape
func dotQ5KAVX512x1(p *product)

//go:noescape
func dotQ5KAVX512x2(p *product)

//go:noescape
func dotQ5KAVX512x3(p *product)

//go:noescape
func dotQ5KAVX512x4(p *product)

//go:noescape
func dotQ6KAVX512x1(p *product)

//go:noescape
func dotQ6KAVX512x2(p *product)

//go:noescape
func dotQ6KAVX512x3(p *product)

//go:noescape
func dotQ6KAVX512x4(p *product)

//go:noescape
func dotQ2KAVX512x1(p *product)

//go:noescape
func dotQ2KAVX512x2(p *product)

//go:noescape
func dotQ2KAVX512x3(p *product)

//go:noescape
func dotQ2KAVX512x4(p *product)

//go:noescape
func dotQ3KAVX512x1(p *product)

//go:noescape
func dotQ3KAVX512x2(p *product)

//go:noescape
func dotQ3KAVX512x3(p *product)

//go:noescape
func dotQ3KAVX512x4(p *product)

//go:noescape
func dotIQ4XSAVX512x1(p *product)

//go:noescape
func dotIQ4XSAVX512x2(p *product)

//go:noescape
func dotIQ4XSAVX512x3(p *product)

//go:noescape
func dotIQ4XSAVX512x4(p *product)
