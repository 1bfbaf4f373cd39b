package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

var normOps = []struct {
	name string
	op   func(eps float32) tensor.Op
}{
	{"RMSNorm", func(eps float32) tensor.Op { return tensor.RMSNorm{Eps: eps} }},
	{"LayerNorm", func(eps float32) tensor.Op { return tensor.LayerNorm{Eps: eps} }},
	{"L2Norm", func(eps float32) tensor.Op { return tensor.L2Norm{Eps: eps} }},
	{"SumRows", func(float32) tensor.Op { return tensor.SumRows{} }},
}

var normShapes = []tensor.Shape{
	{1, 1, 1, 1},
	{2, 3, 1, 1},
	{7, 5, 3, 2},
	{32, 4, 1, 1},
	{33, 2, 2, 1},
	{64, 33, 1, 1},
	{255, 3, 1, 1},
	{256, 1, 1, 1},
	{1000, 2, 1, 1},
	{4097, 2, 1, 1},
	{11008, 1, 1, 1},
	{5, 0, 2, 1},
}

func normCases(t *table) {
	for _, o := range normOps {
		for i, s := range normShapes {
			eps := []float32{1e-6, 1e-5, 1e-2}[i%3]
			t.op(id(o.name, "x", tensor.F32, "ne", dims4(s), "eps", eps), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				return g.Apply(o.op(eps), g.random(tensor.F32, s))
			})
		}
		for l := range numLayouts {
			t.op(id(o.name, "x", tensor.F32, "ne", "45x3x2x2", "l", l), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				return g.Apply(o.op(1e-5), g.laid(tensor.F32, tensor.Shape{45, 3, 2, 2}, l))
			})
		}
		if o.name != "SumRows" {
			t.op(id(o.name, "x", tensor.F32, "ne", "100x7"), tensor.F32, inPlace, func(g *gen) *tensor.Tensor {
				return g.Apply(o.op(1e-5), g.random(tensor.F32, tensor.MakeShape(100, 7)))
			})
		}
		normValues(t, o.name, o.op)
	}
	t.op(id("SumRows", "x", tensor.F32, "ne", "0x3"), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		return g.SumRows(g.random(tensor.F32, tensor.MakeShape(0, 3)))
	})
}

// normValues has rows of one size, of zeros, with an offset, and with numbers that are not finite.
func normValues(t *table, name string, op func(float32) tensor.Op) {
	rows := func(n int, f func(g *gen, row, i int) float64) func(g *gen) *tensor.Tensor {
		return func(g *gen) *tensor.Tensor {
			v := make([]float32, n*4)
			for i := range v {
				v[i] = float32(f(g, i/n, i%n))
			}
			return g.Apply(op(1e-6), g.values(tensor.F32, tensor.MakeShape(n, 4), v))
		}
	}
	t.op(id(name, "values", "zero"), tensor.F32, 0, rows(48, func(*gen, int, int) float64 { return 0 }))
	t.op(id(name, "values", "small"), tensor.F32, 0, rows(48, func(g *gen, _, _ int) float64 { return 1e-8 * g.rand.NormFloat64() }))
	t.op(id(name, "values", "large"), tensor.F32, 0, rows(48, func(g *gen, _, _ int) float64 { return 1e15 * g.rand.NormFloat64() }))
	t.op(id(name, "values", "outlier"), tensor.F32, 0, rows(300, func(g *gen, _, i int) float64 {
		if i == 299 {
			return 1e4
		}
		return g.rand.NormFloat64()
	}))
	t.op(id(name, "values", "offset"), tensor.F32, 0, rows(130, func(g *gen, row, _ int) float64 {
		return float64(row)*10 + g.rand.NormFloat64()
	}))
	if name == "SumRows" {
		t.op(id(name, "values", "cancel"), tensor.F32, 0, rows(200, func(g *gen, _, i int) float64 {
			return float64(1-2*(i%2)) * (100 + g.rand.Float64())
		}))
	}
	// A NaN or an infinity spoils its own row and no other.
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		t.op(id(name, "values", bad), tensor.F32, 0, rows(70, func(g *gen, row, i int) float64 {
			if row == 2 && i == 69 {
				return bad
			}
			return g.rand.NormFloat64()
		}))
	}
}
