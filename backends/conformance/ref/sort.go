package ref

import (
	"math"
	"slices"

	"github.com/tenon-go/tenon/tensor"
)

// less orders numbers with NaN below all.
func less(a, b float64) bool { return a < b || math.IsNaN(a) && !math.IsNaN(b) }

// ranked returns the indices of x in order; equal elements stay in the order of their indices.
func ranked(x []float64, descending bool) []int64 {
	idx := make([]int64, len(x))
	for i := range idx {
		idx[i] = int64(i)
	}
	slices.SortStableFunc(idx, func(i, j int64) int {
		a, b := x[i], x[j]
		if descending {
			a, b = b, a
		}
		switch {
		case less(a, b):
			return -1
		case less(b, a):
			return 1
		}
		return 0
	})
	return idx
}

func topK(op tensor.TopK, n *tensor.Tensor, src []Value) Value {
	out := Value{Type: n.Type, Shape: n.Shape, I: make([]int64, 0, n.Shape.Elems())}
	for r := range n.Shape.Rows() {
		out.I = append(out.I, ranked(src[0].row(r), true)[:op.K]...)
	}
	return out
}

func argSort(op tensor.ArgSort, n *tensor.Tensor, src []Value) Value {
	out := Value{Type: n.Type, Shape: n.Shape, I: make([]int64, 0, n.Shape.Elems())}
	for r := range n.Shape.Rows() {
		out.I = append(out.I, ranked(src[0].row(r), op.Descending)...)
	}
	return out
}

func argMax(n *tensor.Tensor, src []Value) Value {
	out := Value{Type: n.Type, Shape: n.Shape, I: make([]int64, n.Shape[0])}
	for r := range out.I {
		out.I[r] = ranked(src[0].row(r), true)[0]
	}
	return out
}

func sumRows(n *tensor.Tensor, src []Value) Value {
	out := newValue(n.Type, n.Shape).withMag()
	out.Terms = src[0].Shape[0]
	for r := range out.F {
		var squares float64
		for _, v := range src[0].row(r) {
			out.F[r] += v
			squares += v * v
		}
		out.Mag[r] = math.Sqrt(squares)
	}
	return out
}
