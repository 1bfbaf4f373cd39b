package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

type softMaxParams struct {
	s, m  tensor.Shape // of x and of the mask; m is zero for none
	scale float32
	bias  float32
	sinks bool
}

var softMaxes = []softMaxParams{
	{s: tensor.Shape{37, 5, 3, 2}, scale: 1},
	{s: tensor.Shape{37, 5, 3, 2}, scale: 0.125, sinks: true},
	{s: tensor.Shape{1, 5, 3, 2}, scale: 1},
	{s: tensor.Shape{1, 5, 3, 2}, scale: 1, sinks: true},
	{s: tensor.Shape{21, 3, 6, 2}, m: tensor.Shape{21, 3, 1, 1}, scale: 0.3},
	{s: tensor.Shape{21, 3, 6, 2}, m: tensor.Shape{21, 3, 1, 2}, scale: 0.3, bias: 8},
	{s: tensor.Shape{21, 3, 6, 2}, m: tensor.Shape{21, 8, 3, 1}, scale: 0.3, sinks: true},
	{s: tensor.Shape{21, 3, 6, 2}, m: tensor.Shape{21, 3, 6, 2}, scale: 0.3, bias: 8, sinks: true},
	{s: tensor.Shape{33, 4, 5, 1}, m: tensor.Shape{33, 4, 1, 1}, scale: 0.3, bias: 4},
	{s: tensor.Shape{33, 4, 12, 1}, m: tensor.Shape{33, 4, 4, 1}, scale: 0.3, bias: 16},
	{s: tensor.Shape{33, 4, 1, 1}, m: tensor.Shape{33, 4, 1, 1}, scale: 0.3, bias: 1},
	{s: tensor.Shape{256, 4, 2, 1}, m: tensor.Shape{256, 32, 1, 1}, scale: 0.1},
	{s: tensor.Shape{1025, 3, 2, 1}, m: tensor.Shape{1025, 3, 1, 1}, scale: 0.1, sinks: true},
	{s: tensor.Shape{4099, 1, 2, 1}, m: tensor.Shape{4099, 1, 1, 1}, scale: 2},
	{s: tensor.Shape{0, 2, 2, 1}, scale: 1},
	{s: tensor.Shape{9, 0, 2, 1}, m: tensor.Shape{9, 4, 1, 1}, scale: 1},
}

func softMaxCases(t *table) {
	for _, p := range softMaxes {
		for _, mt := range []tensor.DType{tensor.F32, tensor.F16} {
			if p.m[0] == 0 && mt != tensor.F32 {
				continue
			}
			for _, l := range []layout{packed, gaps, permuted, transposed} {
				if l != packed && (mt == tensor.F16 || p.s.Elems() == 0) {
					continue
				}
				t.op(p.id("mask", mt, "l", l), tensor.F32, 0, func(g *gen) *tensor.Tensor { return g.softMax(p, mt, l) })
			}
		}
		if p.s.Elems() > 0 {
			t.op(p.id("mask", tensor.F32), tensor.F32, inPlace, func(g *gen) *tensor.Tensor { return g.softMax(p, tensor.F32, packed) })
		}
	}
	softMaxValues(t)
}

func (p softMaxParams) id(more ...any) string {
	mask := "none"
	if p.m[0] > 0 {
		mask = dims4(p.m)
	}
	all := []any{"ne", dims4(p.s), "mne", mask, "scale", p.scale, "bias", p.bias, "sinks", p.sinks}
	return id("SoftMax", append(all, more...)...)
}

func (g *gen) softMax(p softMaxParams, mt tensor.DType, l layout) *tensor.Tensor {
	x := g.put(tensor.F32, p.s, l, g.normal(p.s.Elems(), 3))
	var mask, sinks *tensor.Tensor
	if p.m[0] > 0 {
		mask = g.masked(mt, p.m, layout(max(0, int(l)-1)))
	}
	if p.sinks {
		sinks = g.values(tensor.F32, tensor.MakeShape(p.s[2]), g.normal(p.s[2], 2))
	}
	return g.Apply(tensor.SoftMax{Scale: p.scale, MaxBias: p.bias}, x, mask, sinks)
}

// softMaxValues has scores whose exponential would overflow, rows that are hidden whole, and NaN.
func softMaxValues(t *table) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	rows := map[string][]float32{
		"large": {1e30, 1e30, -1e30}, "negative": {-1e30, -1e30, -inf}, "hidden": {-inf, -inf, -inf},
		"nan": {1, nan, 2}, "inf": {inf, 1, 2}, "spread": {-100, 0, 100}, "high": {1000, 1001, 999}, "low": {-1000, -1001, -999},
	}
	for _, name := range []string{"large", "negative", "hidden", "nan", "inf", "spread", "high", "low"} {
		t.op(id("SoftMax", "values", name), tensor.F32, 0, func(g *gen) *tensor.Tensor {
			v := append([]float32{0.5, 1, -1}, rows[name]...) // a good row before and after
			v = append(v, 2, 2, 2)
			return g.SoftMax(g.values(tensor.F32, tensor.MakeShape(3, 3), v), nil, 1)
		})
	}
	for _, sink := range []float32{-inf, -1000, 0, 1000} {
		t.op(id("SoftMax", "values", "hidden", "sink", sink), tensor.F32, 0, func(g *gen) *tensor.Tensor {
			mask := make([]float32, 40)
			for i := range mask[:20] {
				mask[i] = -inf
			}
			x := g.random(tensor.F32, tensor.MakeShape(20, 2, 2))
			return g.Apply(tensor.SoftMax{Scale: 1}, x, g.values(tensor.F32, tensor.MakeShape(20, 2), mask),
				g.values(tensor.F32, tensor.MakeShape(2), []float32{sink, sink / 2}))
		})
	}
}
