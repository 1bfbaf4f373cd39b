package cpu

import (
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

// refusesGLU says why the gate and the products before it are not run as one.
func refusesGLU(n []*tensor.Tensor) string {
	gate, up := n[0].Src[0], n[1].Src[0]
	if gate.Type != up.Type {
		return fmt.Sprintf("weights are %s and %s: tokens would be made ready twice", gate.Type, up.Type)
	}
	return ""
}

// gated are the products of a gate, which is the last of n.
func gated(n []member, exact bool) *matmuls {
	dst, each := n[2].dst, n[2].dst.u.gateOf(n[2].t.Op.(tensor.GLU))
	return &matmuls{
		weights: []operand{n[0].src[0], n[1].src[0]}, x: n[0].src[1], dst: dst, exact: exact,
		finish: func(_ *worker, j, i int, v [2][]float32) {
			at := dst.row(j) + 4*i
			each(f32s(dst.p[at:at+4*len(v[0])]), v[0], v[1])
		},
	}
}

func matMulGLU(c *compiler, n []member) {
	c.matMul(gated(n, n[0].t.Op.(tensor.MatMul).Exact))
}

func matMulIDGLU(c *compiler, n []member) {
	c.matMulID(n[0].t, n[0].src[2], gated(n, n[0].t.Op.(tensor.MatMulID).Exact))
}

// refusesMatMulAdd says why a product and what is added to it are not run as one.
func refusesMatMulAdd(n []*tensor.Tensor) string {
	if b := addend(n); b.Type != tensor.F32 || b.Shape[0] != n[0].Shape[0] || b.Stride[0] != 4 {
		return fmt.Sprintf("what is added is %s %v, and no F32 rows of %d", b.Type, b.Shape, n[0].Shape[0])
	}
	return ""
}

// addend returns what the second of n adds to the product.
func addend(n []*tensor.Tensor) *tensor.Tensor {
	if n[1].Src[0] == n[0] {
		return n[1].Src[1]
	}
	return n[1].Src[0]
}

func matMulAdd(c *compiler, n []member) {
	dst, b := n[1].dst, n[1].src[0]
	if b.t == n[0].t {
		b = n[1].src[1]
	}
	c.matMul(&matmuls{
		weights: n[0].src[:1], x: n[0].src[1], dst: dst, exact: n[0].t.Op.(tensor.MatMul).Exact,
		finish: func(_ *worker, j, i int, v [2][]float32) {
			r := rowsFrom(&dst.t.Shape, j)
			y := f32s(b.p[r.repeated(&b)+4*i:])
			out := f32s(dst.p[r.of(&dst)+4*i:])[:len(v[0])]
			y = y[:len(out)]
			for k, p := range v[0] {
				out[k] = p + y[k]
			}
		},
	})
}
