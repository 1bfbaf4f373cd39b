package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func sortCases(t *table) {
	for _, n := range []int{1, 2, 7, 31, 32, 33, 64, 128, 1000, 4099} {
		rows := 5
		if n > 1000 {
			rows = 2
		}
		for _, descending := range []bool{false, true} {
			t.op(id("ArgSort", "x", tensor.F32, "n", n, "rows", rows, "desc", descending), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				return g.Apply(tensor.ArgSort{Descending: descending}, g.random(tensor.F32, tensor.MakeShape(n, rows)))
			})
		}
		t.op(id("ArgMax", "x", tensor.F32, "n", n, "rows", rows), tensor.F32, 0, func(g *gen) *tensor.Tensor {
			return g.ArgMax(g.random(tensor.F32, tensor.MakeShape(n, rows)))
		})
		for _, k := range []int{1, 2, 8, 40, n} {
			if k > n || k == n && n < 40 && n != 7 {
				continue
			}
			t.op(id("TopK", "x", tensor.F32, "n", n, "rows", rows, "k", k), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				return g.TopK(g.random(tensor.F32, tensor.MakeShape(n, rows)), k)
			})
		}
	}
	ops := []struct {
		name  string
		apply func(g *gen, x *tensor.Tensor) *tensor.Tensor
	}{
		{"ArgSort/desc=false", func(g *gen, x *tensor.Tensor) *tensor.Tensor { return g.Apply(tensor.ArgSort{}, x) }},
		{"ArgSort/desc=true", func(g *gen, x *tensor.Tensor) *tensor.Tensor { return g.Apply(tensor.ArgSort{Descending: true}, x) }},
		{"TopK/k=5", func(g *gen, x *tensor.Tensor) *tensor.Tensor { return g.TopK(x, 5) }},
		{"ArgMax/n=50", func(g *gen, x *tensor.Tensor) *tensor.Tensor { return g.ArgMax(x) }},
	}
	for i, o := range ops {
		add := func(rest string, s tensor.Shape, l layout, f func(g *gen, v []float32)) {
			t.op(o.name+","+rest, tensor.F32, 0, func(g *gen) *tensor.Tensor {
				v := g.normal(s.Elems(), 1)
				f(g, v)
				return o.apply(g, g.put(tensor.F32, s, l, v))
			})
		}
		flat := tensor.MakeShape(50, 6)
		add("values=ties", flat, packed, func(g *gen, v []float32) { // few different numbers
			for i := range v {
				v[i] = float32(g.rand.IntN(4))
			}
		})
		add("values=equal", flat, packed, func(_ *gen, v []float32) { clear(v) })
		add("values=zeros", flat, packed, func(_ *gen, v []float32) { // of both signs, which are equal
			for i := range v {
				if v[i] = 0; i%3 == 0 {
					v[i] = float32(math.Copysign(0, -1))
				}
			}
		})
		add("values=special", flat, packed, func(g *gen, v []float32) { copy(v, g.special(len(v), false, true)) })
		add("ne=50x0", tensor.MakeShape(50, 0), packed, func(*gen, []float32) {})
		for l := gaps; l < numLayouts; l++ {
			s := tensor.Shape{50, 3, 2, 2}
			if i == 3 {
				s = flat
			}
			add("l="+l.String(), s, l, func(*gen, []float32) {})
		}
	}
}
