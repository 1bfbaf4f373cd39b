package ref

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// copied converts. Numbers are rounded where they are stored, integers go to the nearest that dst holds.
func copied(n *tensor.Tensor, src []Value) (Value, error) {
	x := src[0]
	switch {
	case n.Type == x.Type:
		return x, nil
	case Integer(n.Type):
		out := Value{Type: n.Type, Shape: n.Shape, I: make([]int64, n.Shape.Elems())}
		_, size := n.Type.Block()
		most := int64(math.MaxInt64) >> (64 - 8*size)
		for i := range out.I {
			if x.I != nil {
				out.I[i] = min(max(x.I[i], -most-1), most)
			} else {
				out.I[i] = nearest(x.F[i], most)
			}
		}
		return out, nil
	}
	out := Value{Type: n.Type, Shape: n.Shape, F: x.F}
	if x.I != nil {
		out.F = make([]float64, len(x.I))
		for i, v := range x.I {
			out.F[i] = float64(v)
		}
	}
	return out.encoded()
}

// nearest rounds to an integer between -most-1 and most, halves to even; NaN is 0.
func nearest(f float64, most int64) int64 {
	switch f = math.RoundToEven(f); {
	case math.IsNaN(f):
		return 0
	case f >= float64(most):
		return most
	case f <= float64(-most-1):
		return -most - 1
	}
	return int64(f)
}

// encoded gives v the bytes that the reference encoder makes of it, if its type is quantized. F stays
// what was to be encoded.
func (v Value) encoded() (Value, error) {
	if !v.Type.Quantized() {
		return v, nil
	}
	var err error
	v.Raw, err = v.Bytes()
	return v, err
}

func concat(op tensor.Concat, n *tensor.Tensor, src []Value) Value {
	// One after the other, so that an index names an element of either.
	both := Value{Type: n.Type, Shape: tensor.MakeShape(n.Shape.Elems())}
	for _, v := range src {
		both.F, both.I, both.Raw = append(both.F, v.F...), append(both.I, v.I...), append(both.Raw, v.Raw...)
	}
	if !Integer(n.Type) {
		both.I = nil
	}
	a, b := src[0].Shape, src[1].Shape
	return both.pick(n.Shape, func(i0, i1, i2, i3 int) int {
		i := [4]int{i0, i1, i2, i3}
		if i[op.Dim] < a[op.Dim] {
			return at(&a, i0, i1, i2, i3)
		}
		i[op.Dim] -= a[op.Dim]
		return a.Elems() + at(&b, i[0], i[1], i[2], i[3])
	})
}

func repeat(n *tensor.Tensor, src []Value) Value {
	s := src[0].Shape
	return src[0].pick(n.Shape, func(i0, i1, i2, i3 int) int {
		return at(&s, i0%s[0], i1%s[1], i2%s[2], i3%s[3])
	})
}
