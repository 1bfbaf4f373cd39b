package ref

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// binary2 computes Add, Sub, Mul and Div. Products and quotients cancel nothing, and neither do sums
// of two numbers: float arithmetic rounds them once.
func binary2(n *tensor.Tensor, src []Value) Value {
	a, b := &src[0], &src[1]
	out := newValue(n.Type, n.Shape)
	s := &b.Shape
	each(n.Shape, func(row, i1, i2, i3 int) {
		for i0 := range n.Shape[0] {
			x := a.row(row)[i0]
			y := b.F[at(s, i0%s[0], i1%s[1], i2%s[2], i3%s[3])]
			var z float64
			switch n.Op.(type) {
			case tensor.Add:
				z = x + y
			case tensor.Sub:
				z = x - y
			case tensor.Mul:
				z = x * y
			default:
				z = x / y
			}
			out.row(row)[i0] = z
		}
	})
	return out
}

func addID(n *tensor.Tensor, src []Value) (Value, error) {
	a, b, ids := &src[0], &src[1], &src[2]
	out := newValue(n.Type, n.Shape)
	for t := range n.Shape[2] {
		for j := range n.Shape[1] {
			id := ids.I[t*n.Shape[1]+j]
			if err := checkIndex(n, id, b.Shape[1]); err != nil {
				return out, err
			}
			r := t*n.Shape[1] + j
			for i, x := range a.row(r) {
				out.row(r)[i] = x + b.row(int(id))[i]
			}
		}
	}
	return out, nil
}

func scale(op tensor.Scale, n *tensor.Tensor, src []Value) Value {
	out := newValue(n.Type, n.Shape).withMag()
	for i, x := range src[0].F {
		p := x * float64(op.Scale)
		out.F[i] = p + float64(op.Bias)
		out.Mag[i] = math.Max(math.Abs(p), math.Abs(float64(op.Bias)))
	}
	return out
}

func clamp(op tensor.Clamp, n *tensor.Tensor, src []Value) Value {
	out := newValue(n.Type, n.Shape)
	for i, x := range src[0].F {
		out.F[i] = math.Min(math.Max(x, float64(op.Min)), float64(op.Max)) // these keep a NaN
	}
	return out
}
