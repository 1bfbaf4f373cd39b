package ref

import (
	"github.com/tenon-go/tenon/tensor"
)

func getRows(n *tensor.Tensor, src []Value) (Value, error) {
	x, idx := &src[0], &src[1]
	s := x.Shape
	for _, id := range idx.I {
		if err := checkIndex(n, id, s[1]); err != nil && n.Shape[0] > 0 { // of empty rows nothing is read
			return Value{}, err
		}
	}
	out := x.pick(n.Shape, func(i0, i1, i2, i3 int) int {
		return at(&s, i0, int(idx.I[i1+n.Shape[1]*(i2+n.Shape[2]*i3)]), i2, i3)
	})
	if out.Type != n.Type { // decoded on the way: float32 holds every value of every type
		out.Type, out.Raw = n.Type, nil
	}
	return out, nil
}

// setRows returns the cache after the rows were written. Of two rows for one place either may stay:
// Or is the result if the first does.
func setRows(n *tensor.Tensor, src []Value) (Value, error) {
	last, err := scatter(n, src, false)
	if err != nil || !repeats(src[2], src[1].Shape[1]) {
		return last, err
	}
	first, err := scatter(n, src, true)
	last.Or = &first
	return last, err
}

// repeats reports whether an index comes twice in a plane of k.
func repeats(idx Value, k int) bool {
	for p := 0; k > 0 && p < len(idx.I); p += k {
		seen := map[int64]bool{}
		for _, id := range idx.I[p : p+k] {
			if seen[id] {
				return true
			}
			seen[id] = true
		}
	}
	return false
}

func scatter(n *tensor.Tensor, src []Value, backwards bool) (Value, error) {
	cache, x, idx := &src[0], &src[1], &src[2]
	out := Value{
		Type: n.Type, Shape: n.Shape,
		F: append([]float64(nil), cache.F...), Raw: append([]byte(nil), cache.Raw...),
	}
	rows := Value{Type: n.Type, Shape: x.Shape, F: x.F}
	raw, err := rows.Bytes()
	if err != nil {
		return out, err
	}
	rowBytes := n.Type.RowBytes(n.Shape[0])
	k := x.Shape[1]
	for p3 := range x.Shape[3] {
		for p2 := range x.Shape[2] {
			for j := range k {
				if backwards {
					j = k - 1 - j
				}
				id := idx.I[at(&idx.Shape, j, p2%idx.Shape[1], p3%idx.Shape[2], 0)]
				if err := checkIndex(n, id, n.Shape[1]); err != nil {
					return out, err
				}
				from, to := j+k*(p2+x.Shape[2]*p3), int(id)+n.Shape[1]*(p2+n.Shape[2]*p3)
				copy(out.row(to), x.row(from))
				copy(out.Raw[to*rowBytes:(to+1)*rowBytes], raw[from*rowBytes:])
			}
		}
	}
	return out, nil
}
