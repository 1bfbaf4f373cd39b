package conformance

import (
	"math"
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

func fusionCases(t *table) {
	normFusions(t)
	ropeFusions(t)
	productFusions(t)
	softCapFusions(t)
	for f, build := range insideGroups() {
		t.check(ChapterFusion, "inside-read/"+backends.Fusion(f).String(), insideRead(backends.Fusion(f), build))
	}
	for _, p := range []layers{
		{weights: tensor.F32, cache: tensor.F32, n: 2, tok: 1, past: 21, exact: true},
		{weights: tensor.F16, cache: tensor.F16, n: 2, tok: 5, past: 21},
		{weights: tensor.Q8_0, cache: tensor.Q8_0, n: 2, tok: 5, past: 21, experts: 5},
	} {
		t.check(ChapterFusion, "planned/"+p.id(), plannedLayers(p))
	}
}

// normed is the end of both groups with a norm.
func (g *gen) normed(eps float32, x, gain *tensor.Tensor) []*tensor.Tensor {
	n := g.RMSNorm(x, eps)
	return []*tensor.Tensor{n, g.Mul(n, gain)}
}

func normFusions(t *table) {
	for i, s := range normShapes {
		if s.Elems() == 0 {
			continue
		}
		eps := []float32{1e-6, 1e-5, 1e-2}[i%3]
		normFusion(t, tensor.F32, s, tensor.MakeShape(s[0]), eps, packed, false, "ne", dims4(s))
		normFusion(t, tensor.F32, s, s, eps, packed, true, "ne", dims4(s), "w", "whole")
	}
	s := tensor.Shape{48, 3, 2, 2}
	for l := range numLayouts {
		normFusion(t, tensor.F32, s, tensor.MakeShape(48), 1e-5, l, l == packed, "ne", dims4(s), "l", l)
	}
	for _, typ := range floats {
		for _, gain := range []tensor.Shape{{1, 1, 1, 1}, {16, 1, 1, 1}, {48, 1, 2, 1}, {24, 3, 1, 2}} {
			normFusion(t, typ, s, gain, 1e-5, packed, false, "ne", dims4(s), "wtype", typ, "w", dims4(gain))
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1)} { // spoils its own row and no other
		spoilt := func(g *gen) *tensor.Tensor {
			v := g.normal(70*4, 1)
			v[2*70+69] = float32(bad)
			return g.values(tensor.F32, tensor.MakeShape(70, 4), v)
		}
		t.group(tensor.F32, groupCase{fusion: backends.RMSNormMul, build: func(g *gen) []*tensor.Tensor {
			return g.normed(1e-6, spoilt(g), g.weight(tensor.F32, tensor.MakeShape(70), 1))
		}}, "values", bad)
	}
}

// normFusion adds both groups with a norm over x of shape s, laid as l, and a gain; over also in place.
func normFusion(t *table, gainType tensor.DType, s, gain tensor.Shape, eps float32, l layout, over bool, params ...any) {
	addends := []tensor.Shape{s}
	for _, repeats := range []tensor.Shape{{s[0], 1, 1, 1}, {1, s[1], s[2], s[3]}} {
		if !slices.Contains(addends, repeats) {
			addends = append(addends, repeats)
		}
	}
	for _, o := range []bool{false, true} {
		if o && !over {
			continue
		}
		if o {
			addends = addends[:1] // nothing lies over what is repeated
		}
		t.group(gainType, groupCase{fusion: backends.RMSNormMul, over: o, build: func(g *gen) []*tensor.Tensor {
			return g.normed(eps, g.laid(tensor.F32, s, l), g.laid(gainType, gain, packed))
		}}, params...)
		for _, repeats := range addends {
			more := append(append([]any(nil), params...), "b", dims4(repeats))
			t.group(gainType, groupCase{fusion: backends.AddRMSNormMul, over: o, build: func(g *gen) []*tensor.Tensor {
				sum := g.Add(g.laid(tensor.F32, s, l), g.laid(gainType, repeats, packed))
				return append([]*tensor.Tensor{sum}, g.normed(eps, sum, g.laid(gainType, gain, packed))...)
			}}, more...)
		}
	}
}

// turnedRows is a RoPE of heads into a cache.
type turnedRows struct {
	p          ropeParams
	heads, tok int
	cache      tensor.DType
	idx        tensor.DType
	freq       bool
	lx, lc     layout
	at         []int64 // indices; nil for some without order
}

func (r turnedRows) build(g *gen) []*tensor.Tensor {
	n := g.rope(r.p, tensor.F32, tensor.Shape{r.p.head, r.heads, r.tok, 1}, r.lx, r.freq, 60)
	cells := r.tok + 3
	at := r.at
	if at == nil {
		for _, c := range g.rand.Perm(cells)[:r.tok] {
			at = append(at, int64(c))
		}
	}
	cache := g.as(tensor.Cache, g.laid(r.cache, tensor.MakeShape(r.p.head*r.heads, cells), r.lc))
	idx := g.ints(r.idx, tensor.MakeShape(r.tok), at)
	return []*tensor.Tensor{n, g.SetRows(cache, g.Reshape(n, r.p.head*r.heads, r.tok), idx)}
}

func (r turnedRows) add(t *table, more ...any) {
	params := []any{"mode", r.p.op.Mode, "p", r.p.name, "cache", r.cache, "idx", r.idx, "head", r.p.head, "heads", r.heads, "tok", r.tok}
	if r.freq {
		params = append(params, "freq", true)
	}
	t.group(r.cache, groupCase{fusion: backends.RoPESetRows, build: r.build}, append(params, more...)...)
}

func ropeFusions(t *table) {
	full := ropeParams{"full", tensor.RoPE{Dims: 64, Base: 10000}, 64}
	half := ropeParams{"half", tensor.RoPE{Dims: 16, Mode: tensor.RoPENeoX, Base: 10000}, 16} // half of a block
	for _, cache := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0, tensor.Q4_0, tensor.Q5_1} {
		for _, p := range []ropeParams{full, half} {
			for _, tok := range []int{1, 5, 33} {
				r := turnedRows{p: p, heads: 2, tok: tok, cache: cache, idx: tensor.I64}
				r.add(t)
			}
			r := turnedRows{p: p, heads: 8, tok: 3, cache: cache, idx: tensor.I32, freq: true}
			r.add(t)
		}
		twice := turnedRows{p: full, heads: 4, tok: 6, cache: cache, idx: tensor.I64, at: []int64{1, 5, 1, 0, 5, 7}}
		twice.add(t, "at", "twice") // either row stays
		for l := gaps; l < numLayouts; l++ {
			r := turnedRows{p: full, heads: 2, tok: 4, cache: cache, idx: tensor.I64, lx: l}
			r.add(t, "lx", l)
		}
	}
	for _, p := range ropes {
		for _, mode := range []tensor.RoPEMode{tensor.RoPENormal, tensor.RoPENeoX} {
			p.op.Mode = mode
			if r := (turnedRows{p: p, heads: 3, tok: 4, cache: tensor.F32, idx: tensor.I32}); p.name != "full" || mode != tensor.RoPENormal {
				r.add(t)
			}
		}
	}
	sections := ropeParams{"sections", tensor.RoPE{Dims: 64, Mode: tensor.RoPEMulti, Base: 10000, Sections: [4]int32{3, 5, 2, 1}}, 80}
	turnedRows{p: sections, heads: 3, tok: 4, cache: tensor.F16, idx: tensor.I32}.add(t)
	for _, bad := range badIndices(9) {
		at := []int64{0, 1, 2, 3, 4, 5}
		at[bad.at%6] = bad.index
		r := turnedRows{p: full, heads: 3, tok: 6, cache: tensor.F16, idx: bad.t, at: at}
		t.group(r.cache, groupCase{fusion: backends.RoPESetRows, build: r.build, bad: &bad.t}, "bad", bad.index, "at", bad.at, "idx", bad.t)
	}
}

func productFusions(t *table) {
	for _, a := range factorTypes() {
		block, _ := a.Block()
		k := max(2*block, 96)
		for _, n := range []int{1, 5} {
			for _, m := range []int{16, 37} {
				productFusion(t, matMulParams{a: a, b: tensor.F32, m: m, n: n, k: k})
			}
		}
	}
	for _, k := range []int{1, 7, 33, 1000} {
		productFusion(t, matMulParams{a: tensor.F32, b: tensor.F32, m: 19, n: 3, k: k, exact: true})
	}
	gates := map[string]tensor.GLU{"ReLU": {Act: tensor.ReLU}, "GELU": {Act: tensor.GELU}, "OAI": {Act: tensor.SiLU, OAI: true, Alpha: 1.702, Limit: 7}}
	for _, name := range []string{"ReLU", "GELU", "OAI"} {
		p := matMulParams{a: tensor.F16, b: tensor.F32, m: 48, n: 4, k: 128}
		t.group(p.a, groupCase{fusion: backends.MatMulGLU, build: func(g *gen) []*tensor.Tensor { return g.gated(p, gates[name]) }}, "act", name)
	}
}

// unit adds the weights of a product whose results are about as large as its other factor.
func (g *gen) unit(p matMulParams, planes ...int) *tensor.Tensor {
	return g.weight(p.a, tensor.MakeShape(append([]int{p.k, p.m}, planes...)...), 1/math.Sqrt(float64(p.k)))
}

func (g *gen) gated(p matMulParams, gate tensor.GLU) []*tensor.Tensor {
	x, op := g.random(p.b, tensor.MakeShape(p.k, p.n)), tensor.MatMul{Exact: p.exact}
	a, b := g.Apply(op, g.unit(p), x), g.Apply(op, g.unit(p), x)
	return []*tensor.Tensor{a, b, g.Apply(gate, a, b)}
}

// productFusion adds the groups with products of the sizes of p.
func productFusion(t *table, p matMulParams) {
	params := []any{"a", p.a, "m", p.m, "n", p.n, "k", p.k}
	if p.exact {
		params = append(params, "exact", true)
	}
	op := tensor.MatMul{Exact: p.exact}
	add := func(with string, over bool, sum func(g *gen, product *tensor.Tensor) *tensor.Tensor) {
		t.group(p.a, groupCase{fusion: backends.MatMulAdd, over: over, build: func(g *gen) []*tensor.Tensor {
			product := g.Apply(op, g.unit(p), g.random(p.b, tensor.MakeShape(p.k, p.n)))
			return []*tensor.Tensor{product, sum(g, product)}
		}}, append([]any{"with", with}, params...)...)
	}
	whole, bias := tensor.MakeShape(p.m, p.n), tensor.MakeShape(p.m)
	add("bias", false, func(g *gen, y *tensor.Tensor) *tensor.Tensor { return g.Add(y, g.weight(tensor.F32, bias, 1)) })
	add("half-bias", false, func(g *gen, y *tensor.Tensor) *tensor.Tensor { return g.Add(y, g.weight(tensor.F16, bias, 1)) })
	for _, over := range []bool{false, true} {
		add("residual", over, func(g *gen, y *tensor.Tensor) *tensor.Tensor { return g.Add(g.random(tensor.F32, whole), y) })
		add("residual-behind", over, func(g *gen, y *tensor.Tensor) *tensor.Tensor { return g.Add(y, g.random(tensor.F32, whole)) })
	}
	t.group(p.a, groupCase{fusion: backends.MatMulGLU, build: func(g *gen) []*tensor.Tensor {
		return g.gated(p, tensor.GLU{Act: tensor.SiLU})
	}}, params...)
	for _, shared := range []bool{true, false} {
		t.group(p.a, groupCase{fusion: backends.MatMulIDGLU, build: func(g *gen) []*tensor.Tensor { return g.gatedExperts(p, shared) }},
			append(append([]any(nil), params...), "shared", shared)...)
	}
}

func (g *gen) gatedExperts(p matMulParams, shared bool) []*tensor.Tensor {
	const experts, used = 5, 3
	rows := used
	if shared {
		rows = 1
	}
	x, ids := g.random(p.b, tensor.MakeShape(p.k, rows, p.n)), g.indices(tensor.I32, tensor.MakeShape(used, p.n), experts)
	op := tensor.MatMulID{Exact: p.exact}
	a, b := g.Apply(op, g.unit(p, experts), x, ids), g.Apply(op, g.unit(p, experts), x, ids)
	return []*tensor.Tensor{a, b, g.GLU(tensor.SiLU, a, b)}
}

func (g *gen) capped(x *tensor.Tensor) []*tensor.Tensor {
	a := g.Scale(x, 1./3)
	b := g.Unary(tensor.Tanh, a)
	return []*tensor.Tensor{a, b, g.Scale(b, 3)}
}

func softCapFusions(t *table) {
	for _, typ := range floats {
		for _, s := range []tensor.Shape{{1, 1, 1, 1}, {33, 5, 1, 1}, {1031, 3, 1, 1}, {20, 3, 2, 2}} {
			for _, over := range []bool{false, true} {
				t.group(typ, groupCase{fusion: backends.SoftCap, over: over, build: func(g *gen) []*tensor.Tensor {
					return g.capped(g.random(typ, s))
				}}, "x", typ, "ne", dims4(s))
			}
		}
		for l := gaps; l < numLayouts; l++ {
			t.group(typ, groupCase{fusion: backends.SoftCap, build: func(g *gen) []*tensor.Tensor {
				return g.capped(g.laid(typ, tensor.Shape{45, 3, 2, 2}, l))
			}}, "x", typ, "l", l)
		}
	}
	t.group(tensor.F32, groupCase{fusion: backends.SoftCap, build: func(g *gen) []*tensor.Tensor {
		return g.capped(g.values(tensor.F32, tensor.MakeShape(70), g.special(70, false, false)))
	}}, "values", "special")
}

// insideGroups builds one group of each fusion.
func insideGroups() []func(g *gen) []*tensor.Tensor {
	p := matMulParams{a: tensor.F32, b: tensor.F32, m: 40, n: 3, k: 64}
	rows := turnedRows{
		p: ropeParams{"full", tensor.RoPE{Dims: 64, Base: 10000}, 64}, heads: 2, tok: 4, cache: tensor.F16, idx: tensor.I64,
	}
	sum := func(g *gen) []*tensor.Tensor {
		y := g.MatMul(g.unit(p), g.random(tensor.F32, tensor.MakeShape(p.k, p.n)))
		return []*tensor.Tensor{y, g.Add(y, g.weight(tensor.F32, tensor.MakeShape(p.m), 1))}
	}
	norm := func(g *gen) []*tensor.Tensor {
		return g.normed(1e-6, g.random(tensor.F32, tensor.MakeShape(64, 5)), g.weight(tensor.F32, tensor.MakeShape(64), 1))
	}
	return []func(g *gen) []*tensor.Tensor{
		backends.AddRMSNormMul: func(g *gen) []*tensor.Tensor {
			s := g.Add(g.random(tensor.F32, tensor.MakeShape(64, 5)), g.random(tensor.F32, tensor.MakeShape(64, 5)))
			return append([]*tensor.Tensor{s}, g.normed(1e-6, s, g.weight(tensor.F32, tensor.MakeShape(64), 1))...)
		},
		backends.RMSNormMul:  norm,
		backends.RoPESetRows: rows.build,
		backends.MatMulGLU:   func(g *gen) []*tensor.Tensor { return g.gated(p, tensor.GLU{Act: tensor.SiLU}) },
		backends.MatMulIDGLU: func(g *gen) []*tensor.Tensor { return g.gatedExperts(p, true) },
		backends.MatMulAdd:   sum,
		backends.SoftCap:     func(g *gen) []*tensor.Tensor { return g.capped(g.random(tensor.F32, tensor.MakeShape(64, 5))) },
	}
}
