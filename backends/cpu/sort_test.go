package cpu

import (
	"cmp"
	"math"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// order returns the indices of row from the least element to the greatest, or the other way round: NaN
// is the least, and the lower index comes first of two that are equal.
func order(row []float64, descending bool) []float64 {
	idx := make([]int, len(row))
	for i := range idx {
		idx[i] = i
	}
	slices.SortStableFunc(idx, func(a, b int) int { // cmp.Compare has NaN first and equal zeros
		if descending {
			a, b = b, a
		}
		return cmp.Compare(row[a], row[b])
	})
	v := make([]float64, len(row))
	for i, j := range idx {
		v[i] = float64(j)
	}
	return v
}

// ties adds an input of few different values, with NaN, infinities and both zeros among them.
func (r *rig) ties(s tensor.Shape) *tensor.Tensor {
	values := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0, float32(math.Copysign(0, -1)), 1, -1, 1e-40, 7}
	v := make([]float32, s.Elems())
	for i := range v {
		v[i] = values[r.rand.IntN(len(values))]
	}
	return r.values(tensor.F32, s, v)
}

var sortShapes = []tensor.Shape{{1, 3, 2, 1}, {7, 3, 2, 2}, {130, 3, 1, 1}, {1000, 1, 1, 2}, {5, 0, 1, 1}}

func TestArgSort(t *testing.T) {
	devs := devices(t)
	for _, descending := range []bool{false, true} {
		for _, s := range append(sortShapes, tensor.Shape{0, 4, 1, 1}) {
			for layout := range layouts + 1 {
				r := newRig(t, 6)
				x := r.ties(s)
				if layout < layouts {
					x = r.strided(tensor.F32, s, layout)
				}
				want := rowsOf(r.input(x), s[0], func(row []float64) { copy(row, order(row, descending)) })
				r.expect(devs, r.Apply(tensor.ArgSort{Descending: descending}, x), want, 0)
			}
		}
	}
}

func TestTopK(t *testing.T) {
	devs := devices(t)
	for _, s := range sortShapes {
		for _, k := range []int{1, 2, 3, 40, s[0] - 1, s[0]} {
			if k < 1 || k > s[0] {
				continue
			}
			for layout := range layouts + 1 {
				r := newRig(t, 6)
				x := r.ties(s)
				if layout < layouts {
					x = r.strided(tensor.F32, s, layout)
				}
				var want []float64
				rowsOf(r.input(x), s[0], func(row []float64) { want = append(want, order(row, true)[:k]...) })
				r.expect(devs, r.TopK(x, k), want, 0)
			}
		}
	}
}

func TestArgMax(t *testing.T) {
	devs := devices(t)
	for _, s := range []tensor.Shape{{1, 1, 1, 1}, {50, 6, 1, 1}, {3, 900, 1, 1}, {5, 0, 1, 1}} {
		for layout := range 3 {
			r := newRig(t, 6)
			x := r.ties(s)
			switch layout {
			case 1:
				x = r.strided(tensor.F32, s, 1)
			case 2:
				x = r.Permute(r.random(tensor.F32, tensor.MakeShape(s[1], s[0])), 1, 0, 2, 3)
			}
			var want []float64
			rowsOf(r.input(x), s[0], func(row []float64) {
				best := order(row, true)[0]
				if v := row[int(best)]; v != v {
					best = 0
				}
				want = append(want, best)
			})
			r.expect(devs, r.ArgMax(x), want, 0)
		}
	}
}
