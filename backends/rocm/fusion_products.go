//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"github.com/tenon-go/tenon/tensor"
)

// gatedProduct returns the product of two products and their gate.
func gatedProduct(n []*tensor.Tensor) product {
	p := product{n: n[2], a: n[0].Src[0], a2: n[1].Src[0], b: n[0].Src[1], glu: n[2].Op.(tensor.GLU)}
	switch op := n[0].Op.(type) {
	case tensor.MatMul:
		p.exact = op.Exact
	case tensor.MatMulID:
		p.ids, p.exact = n[0].Src[2], op.Exact
	}
	return p
}

func refusesGated(_ *Device, n []*tensor.Tensor) string {
	p := gatedProduct(n)
	if n[2].Type != tensor.F32 || n[0].Shape != n[1].Shape || p.matVec() == "" {
		return "no matrix-vector kernel takes both products"
	}
	return ""
}

func recordGated(r *recorder, n []*tensor.Tensor) error {
	p := gatedProduct(n)
	return r.recordMatVec(&p)
}

func addedProduct(n []*tensor.Tensor) product {
	p := product{n: n[1], a: n[0].Src[0], b: n[0].Src[1], exact: n[0].Op.(tensor.MatMul).Exact, addend: n[1].Src[1]}
	if p.addend == n[0] {
		p.addend = n[1].Src[0]
	}
	return p
}

func refusesMatMulAdd(_ *Device, n []*tensor.Tensor) string {
	p := addedProduct(n)
	t := p.addend
	whole := t.Shape == n[1].Shape || t.Shape == tensor.MakeShape(n[1].Shape[0])
	switch {
	case t.Type != tensor.F32 || n[1].Type != tensor.F32 || !t.Contiguous() || !whole || !flat(n[1]):
		return "what is added is neither a row nor of the product's shape"
	case p.matVec() == "" && !p.tiled():
		return "no fast kernel takes the product"
	}
	return ""
}

func recordMatMulAdd(r *recorder, n []*tensor.Tensor) error { return r.product(addedProduct(n)) }
