package card

import "github.com/tenon-go/tenon/tensor"

// Cost returns about how many operations a node takes. It only decides where a program is cut.
func Cost(n *tensor.Tensor) float64 {
	cost := 4 * float64(n.Shape.Elems())
	switch n.Op.(type) {
	case tensor.MatMul, tensor.MatMulID:
		cost += 2 * float64(n.Shape.Elems()) * float64(n.Src[0].Shape[0])
	case tensor.FlashAttn:
		q, k := n.Src[0].Shape, n.Src[1].Shape
		cost += 2 * float64(q[1]*q[2]*q[3]) * float64(k[2]) * float64(q[0]+n.Shape[0])
	case tensor.GatedDeltaNet:
		v, k := n.Src[2].Shape, n.Src[1].Shape
		cost += 8 * float64(v.Elems()) * float64(k[0])
	case tensor.ArgSort, tensor.TopK:
		cost += 100 * float64(n.Src[0].Shape.Elems())
	case tensor.Unary, tensor.GLU, tensor.RoPE:
		cost *= 8
	}
	return cost
}
