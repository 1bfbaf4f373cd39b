package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

func rowsCases(t *table) {
	getRowsCases(t)
	setRowsCases(t)
}

func getRowsCases(t *table) {
	for _, typ := range quant.Types() {
		if typ == tensor.F64 {
			continue
		}
		n, _ := typ.Block()
		for _, idx := range []tensor.DType{tensor.I32, tensor.I64} {
			for _, wide := range []int{1, 3} {
				s := tensor.MakeShape(wide*n, 11)
				t.op(id("GetRows", "x", typ, "idx", idx, "ne", s, "k", 7), typ, 0, func(g *gen) *tensor.Tensor {
					return g.GetRows(g.random(typ, s), g.indices(idx, tensor.MakeShape(7), 11))
				})
			}
			t.op(id("GetRows", "x", typ, "idx", idx, "planes", "2x3"), typ, 0, func(g *gen) *tensor.Tensor {
				return g.GetRows(g.random(typ, tensor.Shape{n, 5, 2, 3}), g.indices(idx, tensor.MakeShape(4, 2, 3), 5))
			})
		}
		for _, l := range []layout{gaps, inside, permuted, transposed} {
			t.op(id("GetRows", "x", typ, "l", l), typ, 0, func(g *gen) *tensor.Tensor {
				return g.GetRows(g.laid(typ, tensor.Shape{2 * n, 5, 2, 1}, l), g.indices(tensor.I32, tensor.MakeShape(9, 2), 5))
			})
		}
	}
	for _, n := range []int{1, 33, 1025, 4099} {
		t.op(id("GetRows", "x", tensor.F32, "n", n), tensor.F32, 0, func(g *gen) *tensor.Tensor {
			return g.GetRows(g.random(tensor.F32, tensor.MakeShape(n, 9)), g.indices(tensor.I32, tensor.MakeShape(5), 9))
		})
	}
	t.op(id("GetRows", "x", tensor.F32, "idx", "view"), tensor.F32, 0, func(g *gen) *tensor.Tensor { // every other index
		idx := g.indices(tensor.I32, tensor.MakeShape(2, 8), 6)
		v := g.View(idx, tensor.MakeShape(8), tensor.Strides{8, 64, 64, 64}, 4)
		return g.GetRows(g.random(tensor.F32, tensor.MakeShape(20, 6)), v)
	})
	t.op(id("GetRows", "x", tensor.F32, "values", "special"), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		x := g.values(tensor.F32, tensor.MakeShape(70, 2), g.special(140, true, true))
		return g.GetRows(x, g.indices(tensor.I32, tensor.MakeShape(5), 2))
	})
	t.op(id("GetRows", "x", tensor.F32, "k", 0), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		return g.GetRows(g.random(tensor.F32, tensor.MakeShape(20, 6)), g.ints(tensor.I32, tensor.MakeShape(0), nil))
	})
	for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.I32, tensor.Q8_0, tensor.Q4_K} {
		n, _ := typ.Block()
		for _, bad := range badIndices(11) {
			t.op(id("GetRows", "x", typ, "idx", bad.t, "bad", bad.index, "at", bad.at), typ, indexError, func(g *gen) *tensor.Tensor {
				return g.GetRows(g.random(typ, tensor.MakeShape(n, 11)), g.badIndices(bad, 9, 11))
			})
		}
	}
}

// badIndex is an index that no tensor of so many rows has. As I64 some look right in their low 32 bits.
type badIndex struct {
	t     tensor.DType
	index int64
	at    int
}

func badIndices(rows int64) []badIndex {
	return []badIndex{
		{tensor.I32, -1, 0},
		{tensor.I32, rows, 8},
		{tensor.I32, math.MaxInt32, 4},
		{tensor.I32, math.MinInt32, 8},
		{tensor.I64, -1, 8},
		{tensor.I64, rows, 0},
		{tensor.I64, 1<<32 + 2, 3},
		{tensor.I64, -1<<32 + 1, 5},
		{tensor.I64, math.MaxInt64, 8},
		{tensor.I64, math.MinInt64, 0},
	}
}

// badIndices adds n indices, all of them right but one, each row at most once.
func (g *gen) badIndices(bad badIndex, n, rows int) *tensor.Tensor {
	v := make([]int64, n)
	for i, r := range g.rand.Perm(rows)[:n] {
		v[i] = int64(r)
	}
	v[bad.at] = bad.index
	return g.ints(bad.t, tensor.MakeShape(n), v)
}

// cacheTypes are the types that a KV cache may have.
func cacheTypes() []tensor.DType {
	all := append([]tensor.DType(nil), floats...)
	for _, q := range quantized() {
		if !activations(q) {
			all = append(all, q)
		}
	}
	return all
}

func setRowsCases(t *table) {
	for _, typ := range cacheTypes() {
		n, _ := typ.Block()
		for _, idx := range []tensor.DType{tensor.I32, tensor.I64} {
			for _, k := range []int{1, 7} {
				s := tensor.MakeShape(2*n, 19)
				t.op(id("SetRows", "x", typ, "idx", idx, "ne", s, "k", k), typ, 0, setRowsOf(typ, idx, s, k, packed, packed))
			}
			s := tensor.Shape{n, 6, 2, 3}
			t.op(id("SetRows", "x", typ, "idx", idx, "ne", s, "k", 4), typ, 0, setRowsOf(typ, idx, s, 4, packed, packed))
		}
		for _, l := range []layout{gaps, inside, permuted} {
			t.op(id("SetRows", "x", typ, "l", l), typ, 0, setRowsOf(typ, tensor.I64, tensor.Shape{2 * n, 9, 2, 2}, 5, l, permuted))
		}
		t.op(id("SetRows", "x", typ, "src", "transposed"), typ, 0,
			setRowsOf(typ, tensor.I64, tensor.Shape{2 * n, 9, 2, 2}, 5, packed, transposed))
		t.op(id("SetRows", "x", typ, "idx", "shared"), typ, 0, func(g *gen) *tensor.Tensor { // one index for all planes
			s := tensor.Shape{n, 8, 3, 2}
			x := g.random(tensor.F32, tensor.Shape{n, 5, 3, 2})
			return g.SetRows(g.cache(typ, s, packed), x, g.distinct(tensor.I64, tensor.MakeShape(5), 8))
		})
		t.op(id("SetRows", "x", typ, "idx", "twice"), typ, 0, func(g *gen) *tensor.Tensor { // either row stays
			x := g.random(tensor.F32, tensor.MakeShape(4*n, 6))
			return g.SetRows(g.cache(typ, tensor.MakeShape(4*n, 8), packed), x, g.ints(tensor.I64, tensor.MakeShape(6), []int64{1, 5, 1, 0, 5, 7}))
		})
	}
	for _, n := range []int{1, 33, 1025, 4099} {
		t.op(id("SetRows", "x", tensor.F32, "n", n), tensor.F32, 0, setRowsOf(tensor.F32, tensor.I64, tensor.MakeShape(n, 9), 5, packed, packed))
		t.op(id("SetRows", "x", tensor.F16, "n", n), tensor.F16, 0, setRowsOf(tensor.F16, tensor.I64, tensor.MakeShape(n, 9), 5, gaps, packed))
	}
	t.op(id("SetRows", "x", tensor.F32, "k", 0), tensor.F32, 0, setRowsOf(tensor.F32, tensor.I64, tensor.MakeShape(20, 6), 0, packed, packed))
	for _, typ := range floats {
		t.op(id("SetRows", "x", typ, "values", "special"), typ, 0, func(g *gen) *tensor.Tensor {
			x := g.values(tensor.F32, tensor.MakeShape(70, 2), g.special(140, false, true))
			return g.SetRows(g.cache(typ, tensor.MakeShape(70, 5), packed), x, g.distinct(tensor.I32, tensor.MakeShape(2), 5))
		})
	}
	for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0} {
		n, _ := typ.Block()
		for _, bad := range badIndices(11) {
			t.op(id("SetRows", "x", typ, "idx", bad.t, "bad", bad.index, "at", bad.at), typ, indexError, func(g *gen) *tensor.Tensor {
				return g.SetRows(g.cache(typ, tensor.MakeShape(n, 11), packed), g.random(tensor.F32, tensor.MakeShape(n, 9)), g.badIndices(bad, 9, 11))
			})
		}
	}
}

// cache adds a cache that holds something already.
func (g *gen) cache(typ tensor.DType, s tensor.Shape, l layout) *tensor.Tensor {
	return g.as(tensor.Cache, g.laid(typ, s, l))
}

// distinct adds indices below rows, of which none comes twice in a plane.
func (g *gen) distinct(t tensor.DType, s tensor.Shape, rows int) *tensor.Tensor {
	v := make([]int64, 0, s.Elems())
	for range s.Rows() {
		for _, r := range g.rand.Perm(rows)[:s[0]] {
			v = append(v, int64(r))
		}
	}
	return g.ints(t, s, v)
}

// setRowsOf writes k rows into each plane of a cache of shape s.
func setRowsOf(typ, idx tensor.DType, s tensor.Shape, k int, lc, lx layout) build {
	return func(g *gen) *tensor.Tensor {
		xs := s
		xs[1] = k
		x := g.laid(tensor.F32, xs, lx)
		return g.SetRows(g.cache(typ, s, lc), x, g.distinct(idx, tensor.MakeShape(k, s[2], s[3]), s[1]))
	}
}
