package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/tensor"
)

// layers says which layers of a model a case builds, and over what.
type layers struct {
	weights, cache tensor.DType
	n              int // layers
	tok, past      int // tokens of the batch, and before it
	experts        int // of a mixture in place of a feed-forward block; 0 for none
	exact          bool
}

// The sizes of the layers: small, and whole blocks of every format.
const (
	embd, headDim, heads, kvHeads, feedForward, usedExperts = 256, 64, 4, 2, 256, 2
	cacheCells                                              = 48
)

func (p layers) id() string {
	all := []any{"w", p.weights, "cache", p.cache, "layers", p.n, "tok", p.tok, "past", p.past}
	if p.experts > 0 {
		all = append(all, "experts", p.experts)
	}
	if p.exact {
		all = append(all, "exact", true)
	}
	return id("layer", all...)
}

// tolerance is that of the products, for each layer a few of them, most of which a residual dilutes.
func (p layers) tolerance() Tolerance {
	switch {
	case p.exact && p.cache == tensor.F32:
		return Tolerance{NMSE: 1e-9, ULP: -1, Why: "F32 throughout"}
	case p.exact:
		return Tolerance{NMSE: 1e-5, ULP: -1, Why: "rows of the cache near the middle of two halves may fall on either side"}
	case p.weights.Quantized():
		return Tolerance{NMSE: 5e-4, ULP: -1, Why: "8-bit activations: 4e-5 for each product in a row"}
	}
	return Tolerance{NMSE: 1e-4, ULP: -1, Why: "activations in half precision or bfloat16"}
}

func graphCases(t *table) {
	add := func(p layers) {
		t.check(ChapterGraphs, p.id(), func(ctx context.Context, s *session) (measure, error) { return p.run(ctx, s) })
	}
	for _, tok := range []int{1, 5} {
		for _, experts := range []int{0, 5} {
			add(layers{weights: tensor.F32, cache: tensor.F32, n: 2, tok: tok, past: 21, experts: experts, exact: true})
			add(layers{weights: tensor.F16, cache: tensor.F16, n: 2, tok: tok, past: 21, experts: experts})
			for _, w := range []tensor.DType{tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.Q6_K, tensor.MXFP4} {
				add(layers{weights: w, cache: tensor.F16, n: 2, tok: tok, past: 21, experts: experts})
			}
		}
	}
	add(layers{weights: tensor.Q8_0, cache: tensor.Q8_0, n: 1, tok: 5, past: 3})
	add(layers{weights: tensor.BF16, cache: tensor.BF16, n: 1, tok: 5})
	add(layers{weights: tensor.F32, cache: tensor.F16, n: 1, tok: 33, exact: true})
}

// run runs the layers as one program, written over where that is allowed, and node by node: whatever a
// device fuses or reorders in the first, both must come to the same.
func (p layers) run(ctx context.Context, s *session) (m measure, err error) {
	g, out, err := p.build(s)
	if err != nil {
		return m, err
	}
	tol := p.tolerance()
	b, err := s.bind(g, true, out)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for range 2 { // the second run finds the caches as the first has left them, which changes nothing
		if err := b.reset(); err != nil {
			return m, err
		}
		if err := b.submit(ctx, false); err != nil {
			return m, err
		}
		if m, err = b.check(&tol, out); err != nil {
			return m, err
		}
	}
	if err := b.reset(); err != nil {
		return m, err
	}
	if err := b.eachNode(ctx); err != nil {
		return m, err
	}
	one, err := b.check(&tol, out)
	if err != nil {
		return one, fmt.Errorf("node by node: %w", err)
	}
	m.worst(one)
	return m, nil
}

// build makes the layers, anew until no token's choice of experts is a close one: rounding may decide
// that another way.
func (p layers) build(s *session) (*gen, *tensor.Tensor, error) {
	for i := -1; i < 50; i++ {
		g := newGen(s.rand(fmt.Sprintf("%s#%d", p.id(), i)))
		g.dry = i < 0 // only to ask whether the device supports it
		x, routers := g.layers(p)
		graph, err := g.Build(x)
		if err != nil {
			return nil, nil, fmt.Errorf("the case itself is wrong: %w", err)
		}
		if g.dry {
			if err := s.supports(graph.Nodes); err != nil {
				return nil, nil, err
			}
			continue
		}
		if len(routers) == 0 {
			return g, x, nil
		}
		memory, err := g.oracle(graph.Nodes)
		if err != nil {
			return nil, nil, fmt.Errorf("the case itself is wrong: %w", err)
		}
		if clearChoice(memory, routers) {
			return g, x, nil
		}
	}
	return nil, nil, errors.New("the case itself is wrong: every choice of experts is a close one")
}

// layers builds them, and returns the result and what the routers of mixtures say.
func (g *gen) layers(p layers) (out *tensor.Tensor, routers []*tensor.Tensor) {
	in := g.layerInputs(p)
	out = in.x
	for l := range p.n {
		g.Layer(l)
		out = g.attentionBlock(p, in, out)
		var router *tensor.Tensor
		if out, router = g.feedForwardBlock(p, out); router != nil {
			routers = append(routers, router)
		}
	}
	return out, routers
}

// clearChoice reports whether the last expert chosen for each token is well before the first that is not.
func clearChoice(m *ref.Memory, routers []*tensor.Tensor) bool {
	for _, r := range routers {
		v, _ := m.Result(r)
		n := v.Shape[0]
		for t := range v.Shape[1] {
			row := slices.Clone(v.F[t*n : (t+1)*n])
			slices.Sort(row)
			if row[n-usedExperts]-row[n-usedExperts-1] < 0.1 {
				return false
			}
		}
	}
	return true
}

// layerInputs are what every layer reads.
type layerInputs struct{ x, pos, cells, mask *tensor.Tensor }

func (g *gen) layerInputs(p layers) layerInputs {
	in := layerInputs{x: g.random(tensor.F32, tensor.MakeShape(embd, p.tok))}
	pos, cells, mask := make([]int64, p.tok), make([]int64, p.tok), make([]float32, cacheCells*p.tok)
	for t := range p.tok {
		pos[t] = int64(p.past + t)
		cells[t] = pos[t] // the past lies in the first cells
		for c := range cacheCells {
			if c > p.past+t {
				mask[t*cacheCells+c] = float32(math.Inf(-1))
			}
		}
	}
	in.pos = g.ints(tensor.I32, tensor.MakeShape(p.tok), pos)
	in.cells = g.ints(tensor.I64, tensor.MakeShape(p.tok), cells)
	in.mask = g.values(tensor.F16, tensor.MakeShape(cacheCells, p.tok), mask)
	return in
}

// matrix adds a weight of n rows whose products are about as large as what they multiply.
func (g *gen) matrix(p layers, n int) *tensor.Tensor {
	return g.weight(p.weights, tensor.MakeShape(embd, n), 1/math.Sqrt(embd))
}

// attentionBlock is the first half of a layer: norm, attention over the cache, residual.
func (g *gen) attentionBlock(p layers, in layerInputs, x *tensor.Tensor) *tensor.Tensor {
	product := tensor.MatMul{Exact: p.exact}
	h := g.Mul(g.RMSNorm(x, 1e-6), g.weight(tensor.F32, tensor.MakeShape(embd), 1))
	rope := tensor.RoPE{Dims: headDim, Mode: tensor.RoPENeoX, Base: 10000}
	q := g.RoPE(rope, g.Reshape(g.Apply(product, g.matrix(p, heads*headDim), h), headDim, heads, p.tok), in.pos, nil)
	k := g.RoPE(rope, g.Reshape(g.Apply(product, g.matrix(p, kvHeads*headDim), h), headDim, kvHeads, p.tok), in.pos, nil)
	v := g.Apply(product, g.matrix(p, kvHeads*headDim), h)
	keys := g.cached(p, g.Reshape(k, kvHeads*headDim, p.tok), in.cells)
	values := g.cached(p, v, in.cells)
	op := tensor.FlashAttn{Scale: 1 / float32(math.Sqrt(headDim))}
	attn := g.Reshape(g.FlashAttn(op, q, keys, values, in.mask, nil), heads*headDim, p.tok)
	return g.Add(g.Apply(product, g.matrix(p, embd), attn), x)
}

// cached writes rows into a cache with a past, and returns all of its cells as heads.
func (g *gen) cached(p layers, rows, cells *tensor.Tensor) *tensor.Tensor {
	cache := g.as(tensor.Cache, g.random(p.cache, tensor.MakeShape(kvHeads*headDim, cacheCells)))
	return g.Reshape(g.SetRows(cache, rows, cells), headDim, kvHeads, cacheCells)
}

// feedForwardBlock is the second half of a layer. It returns what a mixture's router says, too.
func (g *gen) feedForwardBlock(p layers, x *tensor.Tensor) (out, router *tensor.Tensor) {
	product := tensor.MatMul{Exact: p.exact}
	h := g.Mul(g.RMSNorm(x, 1e-6), g.weight(tensor.F32, tensor.MakeShape(embd), 1))
	if p.experts == 0 {
		gate, up := g.Apply(product, g.matrix(p, feedForward), h), g.Apply(product, g.matrix(p, feedForward), h)
		return g.Add(g.Apply(product, g.matrix(p, embd), g.GLU(tensor.SiLU, gate, up)), x), nil
	}
	// The router's weights are large, so that its choices are clear.
	router = g.MatMulExact(g.weight(tensor.F32, tensor.MakeShape(embd, p.experts), 4/math.Sqrt(embd)), h)
	probs := g.SoftMax(router, nil, 1)
	ids := g.TopK(probs, usedExperts)
	share := g.Reshape(g.GetRows(g.Reshape(probs, 1, p.experts, p.tok), ids), usedExperts, p.tok)
	share = g.Reshape(g.Div(share, g.SumRows(share)), 1, usedExperts, p.tok)
	expert := func(rows *tensor.Tensor) *tensor.Tensor {
		w := g.weight(p.weights, tensor.MakeShape(embd, feedForward, p.experts), 1/math.Sqrt(embd))
		return g.Apply(tensor.MatMulID{Exact: p.exact}, w, rows, ids)
	}
	h = g.Reshape(h, embd, 1, p.tok)
	y := g.Mul(expert(g.GLU(tensor.SiLU, expert(h), expert(h))), share)
	sum := x
	for i := range usedExperts {
		sum = g.Add(sum, g.Reshape(g.Contiguous(g.Slice(y, 1, i, i+1)), embd, p.tok))
	}
	return sum, router
}
