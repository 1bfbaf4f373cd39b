package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// mixture is a MatMulID: rows of k numbers, each multiplied by those of experts that its ids name.
type mixture struct {
	a                        tensor.DType
	m, k, experts, used, tok int
	shared                   bool // one row of b for all experts of a token
	exact                    bool
	pick                     string // how ids are chosen; "" is at random, with repeats between tokens
	la                       layout
}

func (p mixture) id(more ...any) string {
	all := []any{"a", p.a, "m", p.m, "k", p.k, "experts", p.experts, "used", p.used, "tok", p.tok, "shared", p.shared}
	if p.pick != "" {
		all = append(all, "ids", p.pick)
	}
	if p.la != packed {
		all = append(all, "la", p.la)
	}
	if p.exact {
		all = append(all, "exact", true)
	}
	return id("MatMulID", append(all, more...)...)
}

func (t *table) mixture(p mixture) {
	t.op(p.id(), p.a, 0, func(g *gen) *tensor.Tensor {
		v := make([]int64, p.used*p.tok)
		for i := range v {
			switch p.pick {
			case "one": // all of them one expert, also of one token
				v[i] = int64(p.experts - 1)
			case "falling":
				v[i] = int64(p.experts - 1 - i%p.experts)
			default:
				v[i] = g.rand.Int64N(int64(p.experts))
			}
		}
		return g.mixture(p, g.ints(tensor.I32, tensor.MakeShape(p.used, p.tok), v))
	})
}

func (g *gen) mixture(p mixture, ids *tensor.Tensor) *tensor.Tensor {
	a := g.as(tensor.Weight, g.laid(p.a, tensor.MakeShape(p.k, p.m, p.experts), p.la))
	rows := p.used
	if p.shared {
		rows = 1
	}
	return g.Apply(tensor.MatMulID{Exact: p.exact}, a, g.random(tensor.F32, tensor.MakeShape(p.k, rows, p.tok)), ids)
}

func matMulIDCases(t *table) {
	for _, a := range factorTypes() {
		k, _ := a.Block()
		k = max(2*k, 35)
		if a.Quantized() && k < 64 {
			k = 64
		}
		for _, exact := range []bool{false, true} {
			for _, tok := range []int{1, 6, 45} {
				t.mixture(mixture{a: a, m: 13, k: k, experts: 4, used: 2, tok: tok, shared: true, exact: exact})
				t.mixture(mixture{a: a, m: 13, k: k, experts: 4, used: 2, tok: tok, exact: exact})
			}
		}
	}
	for _, a := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_K} {
		k, _ := a.Block()
		k = max(k, 32)
		for _, pick := range []string{"one", "falling"} {
			t.mixture(mixture{a: a, m: 9, k: k, experts: 5, used: 3, tok: 7, pick: pick})
			t.mixture(mixture{a: a, m: 9, k: k, experts: 5, used: 3, tok: 7, pick: pick, shared: true})
		}
		t.mixture(mixture{a: a, m: 1, k: k, experts: 1, used: 1, tok: 1})
		t.mixture(mixture{a: a, m: 65, k: k, experts: 128, used: 8, tok: 2, shared: true})
		t.mixture(mixture{a: a, m: 16, k: k, experts: 8, used: 2, tok: 40, shared: true})
		t.mixture(mixture{a: a, m: 110, k: k, experts: 5, used: 3, tok: 70, pick: "one"})
		t.mixture(mixture{a: a, m: 7, k: k, experts: 5, used: 2, tok: 50, pick: "falling", shared: true})
		t.mixture(mixture{a: a, m: 16, k: k, experts: 3, used: 4, tok: 5}) // more uses than experts
		for _, l := range []layout{gaps, inside, permuted} {
			t.mixture(mixture{a: a, m: 9, k: k, experts: 3, used: 2, tok: 4, la: l})
		}
		t.mixture(mixture{a: a, m: 9, k: k, experts: 3, used: 2, tok: 0})
		t.mixture(mixture{a: a, m: 0, k: k, experts: 3, used: 2, tok: 4})
		t.mixture(mixture{a: a, m: 4, k: 0, experts: 3, used: 2, tok: 4})
		for _, bad := range []int64{-1, 5, 1 << 20, math.MinInt32} {
			p := mixture{a: a, m: 9, k: k, experts: 5, used: 2, tok: 3}
			t.op(p.id("bad", bad), a, indexError, func(g *gen) *tensor.Tensor {
				return g.mixture(p, g.ints(tensor.I32, tensor.MakeShape(2, 3), []int64{0, 4, 1, bad, 2, 3}))
			})
		}
	}
	p := mixture{a: tensor.Q8_0, m: 9, k: 64, experts: 6, used: 2, tok: 5, shared: true}
	t.op(p.id("ids", "view"), p.a, 0, func(g *gen) *tensor.Tensor { // the first of wider rows, as a router gives them
		return g.mixture(p, g.Slice(g.indices(tensor.I32, tensor.MakeShape(6, 5), 6), 0, 0, 2))
	})
}
