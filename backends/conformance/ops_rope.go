package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

type ropeParams struct {
	name string // of the op's parameters, for ids
	op   tensor.RoPE
	head int // elements of a head
}

var (
	yarnGPT   = tensor.YaRN{ExtFactor: 1, AttnFactor: 1, BetaFast: 32, BetaSlow: 1, OrigCtx: 4096}
	yarnShort = tensor.YaRN{ExtFactor: 0.5, AttnFactor: 0.8, BetaFast: 16, BetaSlow: 2, OrigCtx: 64}
)

var ropes = []ropeParams{
	{"full", tensor.RoPE{Dims: 64, Base: 10000}, 64},
	{"full128", tensor.RoPE{Dims: 128, Base: 500000}, 128},
	{"partial", tensor.RoPE{Dims: 20, Base: 10000}, 64},
	{"one", tensor.RoPE{Dims: 2, Base: 10000}, 33},
	{"linear", tensor.RoPE{Dims: 64, Base: 10000, Scale: 0.25}, 80},
	{"attn", tensor.RoPE{Dims: 32, Base: 10000, YaRN: tensor.YaRN{AttnFactor: 1.2}}, 32},
	{"yarn", tensor.RoPE{Dims: 64, Base: 150000, Scale: 1. / 32, YaRN: yarnGPT}, 64},
	{"yarnpartial", tensor.RoPE{Dims: 48, Base: 10000, Scale: 0.125, YaRN: yarnShort}, 80},
	{"inverse", tensor.RoPE{Dims: 64, Base: 10000, Inverse: true}, 64},
	{"yarninverse", tensor.RoPE{Dims: 64, Base: 150000, Scale: 1. / 32, YaRN: yarnGPT, Inverse: true}, 64},
}

// The sections of the modes with several axes: as models have them, and such that they begin again, are
// empty, or do not divide.
var ropeSections = map[tensor.RoPEMode][][4]int32{
	tensor.RoPEMulti:  {{16, 24, 24, 0}, {3, 5, 2, 1}, {32, 0, 0, 0}},
	tensor.RoPEIMulti: {{24, 20, 20, 0}, {11, 11, 10, 0}, {4, 3, 2, 7}},
	tensor.RoPEVision: {{16, 16, 0, 0}, {20, 12, 0, 0}, {3, 5, 0, 0}},
}

func ropeCases(t *table) {
	for _, mode := range []tensor.RoPEMode{tensor.RoPENormal, tensor.RoPENeoX} {
		for _, p := range ropes {
			p.op.Mode = mode
			ropeOf(t, p)
		}
	}
	for _, mode := range []tensor.RoPEMode{tensor.RoPEMulti, tensor.RoPEIMulti, tensor.RoPEVision} {
		for _, sections := range ropeSections[mode] {
			p := ropeParams{"sections", tensor.RoPE{Dims: 64, Mode: mode, Base: 10000, Sections: sections}, 80}
			if mode == tensor.RoPEVision {
				p.op.Dims = 32
			}
			ropeOf(t, p)
			p.name, p.op.Inverse = "inverse", true
			ropeOf(t, p)
			p.name, p.op.Inverse, p.op.Scale, p.op.YaRN = "yarn", false, 0.125, yarnShort
			ropeOf(t, p)
		}
	}
	ropeLayouts(t)
	ropePositions(t)
}

func ropeID(p ropeParams, typ tensor.DType, more ...any) string {
	all := []any{"mode", p.op.Mode, "x", typ, "p", p.name, "head", p.head, "dims", p.op.Dims}
	if p.op.Mode.Axes() > 1 {
		s := p.op.Sections
		all = append(all, "sections", id("", "", tensor.Shape{int(s[0]), int(s[1]), int(s[2]), int(s[3])})[2:])
	}
	return id("RoPE", append(all, more...)...)
}

func ropeOf(t *table, p ropeParams) {
	for _, typ := range []tensor.DType{tensor.F32, tensor.F16} {
		for _, freq := range []bool{false, true} {
			t.op(ropeID(p, typ, "freq", freq), typ, 0, func(g *gen) *tensor.Tensor {
				return g.rope(p, typ, tensor.Shape{p.head, 3, 5, 1}, packed, freq, 1024)
			})
		}
		t.op(ropeID(p, typ, "freq", true), typ, inPlace, func(g *gen) *tensor.Tensor {
			return g.rope(p, typ, tensor.Shape{p.head, 2, 4, 1}, packed, true, 1024)
		})
	}
}

// rope turns random rows at positions below most; the first is 0.
func (g *gen) rope(p ropeParams, typ tensor.DType, s tensor.Shape, l layout, freq bool, most int) *tensor.Tensor {
	x := g.laid(typ, s, l)
	pos := make([]int64, s[2]*p.op.Mode.Axes())
	for i := range pos {
		if i > 0 {
			pos[i] = g.rand.Int64N(int64(most))
		}
	}
	var f *tensor.Tensor
	if freq {
		n := int(p.op.Dims) / 2
		if p.op.Mode == tensor.RoPEVision { // one for each pair that turns
			n = int(p.op.Dims)
		}
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(0.5 + 7*g.rand.Float64())
		}
		f = g.values(tensor.F32, tensor.MakeShape(n), v)
	}
	return g.RoPE(p.op, x, g.ints(tensor.I32, tensor.MakeShape(len(pos)), pos), f)
}

func ropeLayouts(t *table) {
	multi := tensor.RoPE{Dims: 32, Mode: tensor.RoPEMulti, Base: 10000, Sections: [4]int32{8, 4, 4, 0}}
	for _, p := range []ropeParams{
		{"full", tensor.RoPE{Dims: 40, Base: 10000}, 40},
		{"partial", tensor.RoPE{Dims: 32, Mode: tensor.RoPENeoX, Base: 10000}, 40},
		{"sections", multi, 40},
	} {
		for _, typ := range []tensor.DType{tensor.F32, tensor.F16} {
			for l := gaps; l < numLayouts; l++ {
				t.op(ropeID(p, typ, "n3", 2, "l", l), typ, 0, func(g *gen) *tensor.Tensor {
					return g.rope(p, typ, tensor.Shape{p.head, 3, 5, 2}, l, true, 1024)
				})
			}
		}
		for _, s := range []tensor.Shape{{40, 1, 1, 1}, {40, 0, 3, 1}, {40, 4, 0, 1}, {40, 33, 1, 1}, {40, 2, 65, 1}} {
			t.op(ropeID(p, tensor.F32, "ne", dims4(s)), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				if s[2] == 0 {
					x := g.random(tensor.F32, s)
					return g.RoPE(p.op, x, g.ints(tensor.I32, tensor.MakeShape(0), nil), nil)
				}
				return g.rope(p, tensor.F32, s, packed, false, 1024)
			})
		}
	}
}

// ropePositions goes far, and below 0 as a shift of a cache does.
func ropePositions(t *table) {
	for _, p := range []ropeParams{
		{"full", tensor.RoPE{Dims: 64, Base: 10000}, 64},
		{"full", tensor.RoPE{Dims: 64, Mode: tensor.RoPENeoX, Base: 1e6}, 64},
		{"yarn", tensor.RoPE{Dims: 64, Mode: tensor.RoPENeoX, Base: 150000, Scale: 1. / 32, YaRN: yarnGPT}, 64},
	} {
		for _, at := range []int64{1, 4095, 131071, 1 << 20, math.MaxInt32, -1, -5000} {
			t.op(ropeID(p, tensor.F32, "pos", at), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				x := g.random(tensor.F32, tensor.MakeShape(p.head, 2, 3))
				return g.RoPE(p.op, x, g.ints(tensor.I32, tensor.MakeShape(3), []int64{at, 0, at}), nil)
			})
		}
	}
	p := ropeParams{"full", tensor.RoPE{Dims: 64, Base: 10000}, 64}
	t.op(ropeID(p, tensor.F32, "values", "nan"), tensor.F32, 0, func(g *gen) *tensor.Tensor { // spoils its pair only
		v := g.normal(64*3, 1)
		v[70] = float32(math.NaN())
		return g.RoPE(p.op, g.values(tensor.F32, tensor.MakeShape(64, 1, 3), v), g.ints(tensor.I32, tensor.MakeShape(3), []int64{3, 4, 5}), nil)
	})
}
