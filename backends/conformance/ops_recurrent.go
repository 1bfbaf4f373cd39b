package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func convCases(t *table) {
	for _, p := range []struct{ k, channels, tok, seqs int }{
		{4, 96, 1, 1}, {4, 96, 7, 1}, {4, 33, 5, 3}, {1, 8, 4, 2}, {2, 1, 9, 1}, {3, 130, 2, 2}, {7, 65, 40, 1}, {4, 1000, 3, 1}, {4, 20, 0, 2}, {4, 0, 5, 1}, {4, 9, 5, 0},
	} {
		for _, l := range []layout{packed, gaps, inside, permuted, transposed} {
			if l != packed && (p.channels > 200 || p.tok*p.channels*p.seqs == 0) {
				continue
			}
			t.op(id("SSMConv", "k", p.k, "channels", p.channels, "tok", p.tok, "seqs", p.seqs, "l", l), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				x := g.laid(tensor.F32, tensor.MakeShape(p.k-1+p.tok, p.channels, p.seqs), l)
				return g.SSMConv(x, g.laid(tensor.F32, tensor.MakeShape(p.k, p.channels), layout(max(0, int(l)-1))))
			})
		}
	}
	t.op(id("SSMConv", "k", 4, "values", "nan"), tensor.F32, 0, func(g *gen) *tensor.Tensor { // spoils the windows it is in
		v := g.normal(20*6, 1)
		v[47] = float32(math.NaN())
		return g.SSMConv(g.values(tensor.F32, tensor.MakeShape(20, 6), v), g.random(tensor.F32, tensor.MakeShape(4, 6)))
	})
}

// deltaNet is a GatedDeltaNet.
type deltaNet struct {
	dk, dv, headsK, heads, tok, seqs, states int
	perKey                                   bool // g has a number for each element of the key
	l                                        layout
}

func (p deltaNet) id() string {
	all := []any{
		"dk", p.dk, "dv", p.dv, "headsk", p.headsK, "heads", p.heads, "tok", p.tok, "seqs", p.seqs, "states", p.states, "perkey", p.perKey,
	}
	if p.l != packed {
		all = append(all, "l", p.l)
	}
	return id("GatedDeltaNet", all...)
}

func deltaNetCases(t *table) {
	add := func(p deltaNet) {
		t.op(p.id(), tensor.F32, 0, func(g *gen) *tensor.Tensor { return g.deltaNet(p) })
	}
	for _, perKey := range []bool{false, true} {
		for _, p := range []deltaNet{
			{dk: 64, dv: 64, headsK: 2, heads: 2, tok: 1, seqs: 1, states: 1},
			{dk: 64, dv: 64, headsK: 2, heads: 4, tok: 6, seqs: 1, states: 1},
			{dk: 128, dv: 128, headsK: 1, heads: 2, tok: 3, seqs: 2, states: 3},
			{dk: 32, dv: 48, headsK: 1, heads: 3, tok: 9, seqs: 2, states: 4},
			{dk: 33, dv: 17, headsK: 2, heads: 6, tok: 5, seqs: 1, states: 2},
			{dk: 1, dv: 1, headsK: 1, heads: 1, tok: 3, seqs: 3, states: 3},
			{dk: 16, dv: 16, headsK: 2, heads: 2, tok: 70, seqs: 1, states: 1},
		} {
			p.perKey = perKey
			add(p)
		}
		for l := gaps; l < numLayouts; l++ {
			add(deltaNet{dk: 24, dv: 20, headsK: 2, heads: 4, tok: 4, seqs: 2, states: 2, perKey: perKey, l: l})
		}
	}
}

func (g *gen) deltaNet(p deltaNet) *tensor.Tensor {
	unit := func() *tensor.Tensor { // keys and queries have length 1
		v := g.normal(p.dk*p.headsK*p.tok*p.seqs, 1)
		for r := 0; r < len(v); r += p.dk {
			sum := 0.0
			for _, x := range v[r : r+p.dk] {
				sum += float64(x) * float64(x)
			}
			for i := range p.dk {
				v[r+i] /= float32(math.Sqrt(sum))
			}
		}
		return g.put(tensor.F32, tensor.Shape{p.dk, p.headsK, p.tok, p.seqs}, p.l, v)
	}
	q, k := unit(), unit()
	between := func(n int, lo, hi float64) *tensor.Tensor {
		s := tensor.Shape{n, p.heads, p.tok, p.seqs}
		v := make([]float32, s.Elems())
		for i := range v {
			v[i] = float32(lo + (hi-lo)*g.rand.Float64())
		}
		return g.put(tensor.F32, s, p.l, v)
	}
	gates := 1
	if p.perKey {
		gates = p.dk
	}
	v := g.laid(tensor.F32, tensor.Shape{p.dv, p.heads, p.tok, p.seqs}, p.l)
	state := g.laid(tensor.F32, tensor.Shape{p.dk, p.dv, p.heads, p.seqs}, p.l)
	return g.Apply(tensor.GatedDeltaNet{States: p.states}, q, k, v, between(gates, -2, 0), between(1, 0, 1), state)
}
