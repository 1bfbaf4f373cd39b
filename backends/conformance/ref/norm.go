package ref

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func rmsNorm(op tensor.RMSNorm, n *tensor.Tensor, src []Value) Value {
	out := newValue(n.Type, n.Shape)
	out.Terms = n.Shape[0]
	for r := range n.Shape.Rows() {
		x := src[0].row(r)
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		root := math.Sqrt(sum/float64(len(x)) + float64(op.Eps))
		for i, v := range x {
			out.row(r)[i] = v / root
		}
	}
	return out
}

// layerNorm's elements are differences: of the element and the row's mean.
func layerNorm(op tensor.LayerNorm, n *tensor.Tensor, src []Value) Value {
	out := newValue(n.Type, n.Shape).withMag()
	out.Terms = n.Shape[0]
	for r := range n.Shape.Rows() {
		x := src[0].row(r)
		mean, variance, size := 0.0, 0.0, 0.0
		for _, v := range x {
			mean += v / float64(len(x))
			size = math.Max(size, math.Abs(v))
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(len(x))
		}
		root := math.Sqrt(variance + float64(op.Eps))
		for i, v := range x {
			out.row(r)[i] = (v - mean) / root
			out.Mag[r*len(x)+i] = size / root
		}
	}
	return out
}

func l2Norm(op tensor.L2Norm, n *tensor.Tensor, src []Value) Value {
	out := newValue(n.Type, n.Shape)
	out.Terms = n.Shape[0]
	for r := range n.Shape.Rows() {
		x := src[0].row(r)
		sum := 0.0
		for _, v := range x {
			sum += v * v
		}
		length := math.Max(math.Sqrt(sum), float64(op.Eps))
		for i, v := range x {
			out.row(r)[i] = v / length
		}
	}
	return out
}
