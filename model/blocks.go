package model

import (
	"fmt"
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// What families share. Each block is a few weights, a loader method that reads them, and a Graph method
// that is its mathematics. x is the hidden state [embd, tokens].

// linear is a weight matrix [in, out] with an optional bias [out].
type linear struct{ weight, bias *tensor.Tensor }

// linear reads NAME.weight and, if it is there, NAME.bias.
func (l *loader) linear(layer int, name string, in, out int) linear {
	return linear{l.weight(layer, name+".weight", in, out), l.optional(layer, name+".bias", out)}
}

// linear returns w·x + bias.
func (g *Graph) linear(w linear, x *tensor.Tensor) *tensor.Tensor {
	return g.biased(g.matMul(w.weight, x), w.bias)
}

func (g *Graph) biased(x, bias *tensor.Tensor) *tensor.Tensor {
	if bias == nil {
		return x
	}
	return g.Add(x, bias)
}

// matMul returns w·x, with activations rounded as the batch allows.
func (g *Graph) matMul(w, x *tensor.Tensor) *tensor.Tensor {
	return g.Apply(tensor.MatMul{Exact: g.Exact}, w, x)
}

// matMulID returns the products of x's rows with the experts that ids names.
func (g *Graph) matMulID(w, x, ids *tensor.Tensor) *tensor.Tensor {
	return g.Apply(tensor.MatMulID{Exact: g.Exact}, w, x, ids)
}

// rmsNorm returns x over its root mean square, times w.
func (g *Graph) rmsNorm(w, x *tensor.Tensor, eps float32) *tensor.Tensor {
	return g.Mul(g.RMSNorm(x, eps), w)
}

// ropeParams are how a family's positions turn: one op and, for some models, frequency factors.
type ropeParams struct {
	op   tensor.RoPE
	freq *tensor.Tensor // rope_freqs.weight, or nil
}

// rope reads {arch}.rope.*; dims is the default number of rotated elements.
func (l *loader) rope(mode tensor.RoPEMode, dims int) ropeParams {
	op := tensor.RoPE{
		Dims:  int32(l.IntOr("rope.dimension_count", dims)),
		Mode:  mode,
		Base:  l.FloatOr("rope.freq_base", 10000),
		Scale: 1,
	}
	factor := l.FloatOr("rope.scaling.factor", l.FloatOr("rope.scale_linear", 1))
	kind := l.StringOr("rope.scaling.type", "linear")
	attn := l.FloatOr("rope.scaling.attn_factor", 1)
	switch {
	case kind == "none" || factor == 0: // a factor of 0 is written where none is meant
	case kind == "linear" || kind == "longrope":
		op.Scale = 1 / factor
	case kind == "yarn":
		op.Scale = 1 / factor
		op.YaRN = tensor.YaRN{
			ExtFactor:  l.FloatOr("rope.scaling.yarn_ext_factor", 1),
			AttnFactor: attn * l.FloatOr("rope.scaling.yarn_attn_factor", 1),
			BetaFast:   l.FloatOr("rope.scaling.yarn_beta_fast", 32),
			BetaSlow:   l.FloatOr("rope.scaling.yarn_beta_slow", 1),
			OrigCtx:    int32(l.IntOr("rope.scaling.original_context_length", l.m.Context)),
		}
		l.check(op.YaRN.OrigCtx > 0, "rope.scaling.original_context_length", "%d, want more than 0", op.YaRN.OrigCtx)
	default:
		l.check(false, "rope.scaling.type", "%q, want none, linear, yarn or longrope", kind)
	}
	l.check(op.Dims > 0 && op.Dims%2 == 0 && int(op.Dims) <= dims, "rope.dimension_count", "%d of a head of %d", op.Dims, dims)
	l.check(op.Base > 0, "rope.freq_base", "%g, want more than 0", op.Base)
	// A factor so small that its inverse is no number would turn every key into NaN.
	l.check(op.Scale > 0 && op.Scale <= math.MaxFloat32, "rope.scaling.factor", "%g, want more than 0", factor)
	freq := l.optional(-1, "rope_freqs.weight", int(op.Dims)/2)
	if freq != nil && freq.Type != tensor.F32 {
		l.err = &TensorError{File: l.f.Path(0), Name: freq.Name, Have: freq.Type.String(), Want: "F32"}
	}
	return ropeParams{op: op, freq: freq}
}

// rmsEps reads what RMS norms add to the mean square.
func (l *loader) rmsEps() float32 {
	const key = "attention.layer_norm_rms_epsilon"
	eps := l.Float(key)
	l.check(eps >= 0, key, "%g, want 0 or more", eps)
	return eps
}

// String says how positions turn, for comparison and for people.
func (p ropeParams) String() string {
	text := fmt.Sprintf("%s RoPE of %d, base %g, scale %g", p.op.Mode, p.op.Dims, p.op.Base, p.op.Scale)
	if p.op.YaRN != (tensor.YaRN{}) {
		text += fmt.Sprintf(", YaRN %+v", p.op.YaRN)
	}
	if p.freq != nil {
		text += ", frequency factors"
	}
	return text
}

// turn returns x [headDim, heads, tokens] turned by the batch's positions.
func (g *Graph) turn(p ropeParams, x *tensor.Tensor) *tensor.Tensor {
	return g.RoPE(p.op, x, g.Pos, p.freq)
}

// heads are the sizes of a layer's attention.
type heads struct {
	q, kv      int // how many
	key, value int // elements of each
}

// heads reads {arch}.attention.* for layer i.
func (l *loader) heads() []heads {
	n := l.m.Layers
	q := l.IntPerLayer("attention.head_count", n)
	kv := q
	if l.Has("attention.head_count_kv") {
		kv = l.IntPerLayer("attention.head_count_kv", n)
	}
	all := make([]heads, n)
	if !l.ok() {
		return all
	}
	for i := range all {
		l.check(q[i] > 0 && kv[i] > 0 && q[i]%max(kv[i], 1) == 0, "attention.head_count", "%d heads over %d of keys in layer %d", q[i], kv[i], i)
		dim := l.m.Embd / max(q[i], 1)
		all[i] = heads{q[i], kv[i], l.IntOr("attention.key_length", dim), l.IntOr("attention.value_length", dim)}
		l.check(all[i].key > 0 && all[i].value > 0, "attention.key_length", "heads of %d and %d", all[i].key, all[i].value)
	}
	return all
}

// attention is a layer's attention: projections of x to queries, keys and values and of their result
// back; q and k may be normed per head.
type attention struct {
	heads
	q, k, v, out linear
	qNorm, kNorm *tensor.Tensor // [key], or nil
	op           tensor.FlashAttn
	eps          float32
	noRoPE       bool
}

// attention reads the projections of layer i, whose tokens see window tokens, or all if that is 0.
func (l *loader) attention(i int, h heads, window int, eps float32) attention {
	embd := l.m.Embd
	l.cache(i, h, window)
	return attention{
		heads: h,
		q:     l.linear(i, "attn_q", embd, h.q*h.key),
		k:     l.linear(i, "attn_k", embd, h.kv*h.key),
		v:     l.linear(i, "attn_v", embd, h.kv*h.value),
		out:   l.linear(i, "attn_output", h.q*h.value, embd),
		op:    tensor.FlashAttn{Scale: float32(1 / math.Sqrt(float64(h.key)))},
		eps:   eps,
	}
}

// qkNorm reads the norms of queries and keys, of one head each.
func (l *loader) qkNorm(i int, a *attention) {
	a.qNorm = l.weight(i, "attn_q_norm.weight", a.key)
	a.kNorm = l.weight(i, "attn_k_norm.weight", a.key)
}

// attention returns the attention of layer i, projected back to the hidden state's width.
func (g *Graph) attention(i int, a attention, rope ropeParams, x *tensor.Tensor) *tensor.Tensor {
	n := g.Tokens
	q := g.Reshape(g.linear(a.q, x), a.key, a.heads.q, n)
	k := g.Reshape(g.linear(a.k, x), a.key, a.kv, n)
	v := g.linear(a.v, x)
	if a.qNorm != nil {
		q = g.rmsNorm(a.qNorm, q, a.eps)
		k = g.rmsNorm(a.kNorm, k, a.eps)
	}
	if !a.noRoPE {
		q, k = g.turn(rope, q), g.turn(rope, k)
	}
	return g.linear(a.out, g.attend(i, a.heads, a.op, g.Name("q", q), g.Name("k", k), g.Name("v", v)))
}

// attend writes k and v into layer i's cache and returns the attention of q over what the batch may
// see there: [heads*value, tokens]. k is [key, kv, tokens], v is [kv*value, tokens]; both are nil where
// the layer reads what another has written.
func (g *Graph) attend(i int, h heads, op tensor.FlashAttn, q, k, v *tensor.Tensor) *tensor.Tensor {
	layer, ok := g.cache.Layer(i)
	if !ok {
		panic("model: layer without a cache") // its family has not called loader.cache
	}
	n, cells := g.Tokens, g.Cells[layer.Group]
	slots, mask := g.Slots[layer.Group], g.Masks[layer.Group]
	keys, values := layer.K, layer.V
	if k != nil {
		keys = g.SetRows(keys, g.Reshape(k, h.kv*h.key, n), slots)
		values = g.SetRows(values, g.Reshape(v, h.kv*h.value, n), slots)
	}
	out := g.FlashAttn(op, q, g.cacheHeads(keys, h.key, h.kv, cells), g.cacheHeads(values, h.value, h.kv, cells), mask, nil)
	return g.Name("attn", g.Reshape(out, h.q*h.value, n))
}

// cacheHeads looks at the first cells of a cache [dim*heads, all cells] as [dim, heads, cells].
func (g *Graph) cacheHeads(c *tensor.Tensor, dim, heads, cells int) *tensor.Tensor {
	row := c.Type.RowBytes(dim)
	return g.View(c, tensor.MakeShape(dim, heads, cells), tensor.Strides{c.Stride[0], row, c.Stride[1], c.Stride[1] * cells}, 0)
}

// feedForward is a gated feed-forward block: down·(act(gate·x) * up·x).
type feedForward struct {
	gate, up, down linear
	act            tensor.Func
}

// feedForward reads the block of layer i, width wide.
func (l *loader) feedForward(i, width int, act tensor.Func) feedForward {
	embd := l.m.Embd
	return feedForward{
		gate: l.linear(i, "ffn_gate", embd, width),
		up:   l.linear(i, "ffn_up", embd, width),
		down: l.linear(i, "ffn_down", width, embd),
		act:  act,
	}
}

func (g *Graph) feedForward(f feedForward, x *tensor.Tensor) *tensor.Tensor {
	gate, up := g.linear(f.gate, x), g.linear(f.up, x)
	return g.linear(f.down, g.GLU(f.act, gate, up))
}

// mixture is a mixture of experts: each token goes through the used most probable of experts
// feed-forward blocks, whose results are weighted by their probabilities.
type mixture struct {
	router         *tensor.Tensor // [embd, experts]
	gate, up, down *tensor.Tensor // [in, out, experts]
	used           int
	act            tensor.Func
	normalize      bool // the weights of the used experts add up to 1
}

// mixture reads the experts of layer i, each width wide.
func (l *loader) mixture(i, width int, act tensor.Func, normalize bool) mixture {
	embd, experts, used := l.m.Embd, l.Int("expert_count"), l.Int("expert_used_count")
	l.check(experts > 0 && experts <= maxExperts, "expert_count", "%d, want 1 to %d", experts, maxExperts)
	l.check(used > 0 && used <= experts, "expert_used_count", "%d of %d experts", used, experts)
	return mixture{
		router:    l.weight(i, "ffn_gate_inp.weight", embd, experts),
		gate:      l.weight(i, "ffn_gate_exps.weight", embd, width, experts),
		up:        l.weight(i, "ffn_up_exps.weight", embd, width, experts),
		down:      l.weight(i, "ffn_down_exps.weight", width, embd, experts),
		used:      used,
		act:       act,
		normalize: normalize,
	}
}

func (g *Graph) mixture(m mixture, x *tensor.Tensor) *tensor.Tensor {
	ids, weights := g.route(m.router, x, m.used, m.normalize)
	return g.experts(x.Shape[0], ids, weights, func(rows *tensor.Tensor) *tensor.Tensor {
		inner := g.GLU(m.act, g.matMulID(m.gate, rows, ids), g.matMulID(m.up, rows, ids))
		return g.matMulID(m.down, inner, ids)
	}, x)
}

// route returns which experts each token goes through, the most probable first, and their weights:
// I32 [used, tokens] and F32 [1, used, tokens].
func (g *Graph) route(router, x *tensor.Tensor, used int, normalize bool) (ids, weights *tensor.Tensor) {
	probs := g.SoftMax(g.MatMulExact(router, x), nil, 1) // a rounded score could choose another expert
	ids = g.TopK(probs, used)
	if g.Err() != nil {
		return ids, probs
	}
	experts, n := probs.Shape[0], probs.Shape[1]
	weights = g.GetRows(g.Reshape(probs, 1, experts, n), ids)
	if normalize {
		flat := g.Reshape(weights, used, n)
		weights = g.Reshape(g.Div(flat, g.SumRows(flat)), 1, used, n)
	}
	return ids, weights
}

// experts returns the weighted sum of what each token's experts make of x; apply takes its rows
// [embd, 1, tokens] to [embd, used, tokens].
func (g *Graph) experts(embd int, ids, weights *tensor.Tensor, apply func(rows *tensor.Tensor) *tensor.Tensor, x *tensor.Tensor) *tensor.Tensor {
	used, n := ids.Shape[0], ids.Shape[1]
	outs := g.Mul(apply(g.Reshape(x, embd, 1, n)), weights)
	// Experts are added in the order of their weight, so that the sum does not depend on the batch.
	sum := g.Slice(outs, 1, 0, 1)
	for e := 1; e < used; e++ {
		sum = g.Add(sum, g.Slice(outs, 1, e, e+1))
	}
	return g.Reshape(g.Contiguous(sum), embd, n)
}

// rows returns the rows of x that are wanted, after which the others need not be computed.
func (g *Graph) rows(x *tensor.Tensor) *tensor.Tensor {
	if g.OutRows == nil {
		return x
	}
	return g.GetRows(x, g.OutRows)
}

// head is what stands after the layers: a norm and the projection to logits.
type head struct{ norm, output *tensor.Tensor }

// head reads both; a file without output.weight uses the token embedding for it.
func (l *loader) head(embd *tensor.Tensor) head {
	after := l.m.Layers
	h := head{norm: l.weight(after, "output_norm.weight", l.m.Embd), output: l.optional(after, "output.weight", l.m.Embd, l.m.Vocab)}
	if h.output == nil {
		h.output = embd
	}
	return h
}
