package ref

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// dot returns Σ a*b, and the root of the sum of the terms' squares: what a sum of as many terms of
// random sign is about as large as.
func dot(a, b []float64) (sum, mag float64) {
	for i, x := range a {
		p := x * b[i]
		sum += p
		mag += p * p
	}
	return sum, math.Sqrt(mag)
}

func matMul(n *tensor.Tensor, src []Value) Value {
	a, b := &src[0], &src[1]
	out := newValue(n.Type, n.Shape).withMag()
	out.Terms = a.Shape[0]
	r2, r3 := 1, 1 // how often a's planes repeat
	if n.Shape.Elems() > 0 {
		r2, r3 = n.Shape[2]/a.Shape[2], n.Shape[3]/a.Shape[3]
	}
	each(n.Shape, func(row, _, i2, i3 int) {
		for i := range n.Shape[0] {
			w := a.row(i + a.Shape[1]*(i2/r2+a.Shape[2]*(i3/r3)))
			out.row(row)[i], out.Mag[row*n.Shape[0]+i] = dot(w, b.row(row))
		}
	})
	return out
}

func matMulID(n *tensor.Tensor, src []Value) (Value, error) {
	a, b, ids := &src[0], &src[1], &src[2]
	out := newValue(n.Type, n.Shape).withMag()
	out.Terms = a.Shape[0]
	for t := range n.Shape[2] {
		for j := range n.Shape[1] {
			id := ids.I[t*n.Shape[1]+j]
			if err := checkIndex(n, id, a.Shape[2]); err != nil {
				return out, err
			}
			r := t*n.Shape[1] + j
			x := b.row(t*b.Shape[1] + j%b.Shape[1])
			for i := range n.Shape[0] {
				out.row(r)[i], out.Mag[r*n.Shape[0]+i] = dot(a.row(i+a.Shape[1]*int(id)), x)
			}
		}
	}
	return out, nil
}
