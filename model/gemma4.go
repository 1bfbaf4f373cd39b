package model

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() {
	families["gemma4"] = newGemma4
}

// gemma4 is the decoder of Gemma 4. Over Gemma 3 it has heads of other sizes in its full layers, values
// that are normed (and are the keys where there is no projection of their own), last layers that read
// the cache of earlier ones, and, in some sizes, an embedding of its own for each layer, or a mixture of
// experts beside the feed-forward block.
type gemma4 struct {
	embd     *tensor.Tensor
	perLayer *perLayerEmbedding // nil if there is none
	layers   []gemma4Layer
	head     head
	eps      float32
	logitCap float32
}

// perLayerEmbedding gives each layer an input of its own, width wide: of the token, and of the scaled
// embedding x,
//
//	(rms(proj·x / sqrt(embd)) * norm + embd[token] * sqrt(width)) / sqrt(2)
type perLayerEmbedding struct {
	width      int
	embd       *tensor.Tensor // [width*layers, vocab]
	proj, norm *tensor.Tensor // [embd, width*layers], [width]
}

type gemma4Layer struct {
	attnNorm, attnPost *tensor.Tensor
	attn               gemma4Attention
	ffnNorm, ffnPost   *tensor.Tensor
	ffn                feedForward
	experts            *gemma4Experts // beside ffn, unless nil
	gate, proj, norm   *tensor.Tensor // of the layer's own embedding, or nil
	scale              *tensor.Tensor // [1]: of the layer's result, or nil
}

// gemma4Attention is attention with scale 1, normed queries, keys and values.
type gemma4Attention struct {
	heads
	q, k, v, out *tensor.Tensor // k is nil where the layer reads another's cache, v where values are keys
	qNorm, kNorm *tensor.Tensor
	rope         ropeParams
}

// gemma4Shape is what the hyper-parameters say of each layer.
type gemma4Shape struct {
	heads   []heads
	slides  []bool
	window  int
	global  ropeParams
	sliding ropeParams
	owners  int // layers from here on read the cache of earlier ones
}

// gemma4Shape reads it; the assistant has the same keys.
func (l *loader) gemma4Shape() gemma4Shape {
	n := l.m.Layers
	s := gemma4Shape{
		heads:  l.heads(),
		slides: l.BoolPerLayer("attention.sliding_window_pattern", n),
		window: l.Int("attention.sliding_window"),
		owners: n - l.IntOr("attention.shared_kv_layers", 0),
	}
	if !l.ok() {
		return s
	}
	key, value := l.Int("attention.key_length_swa"), l.Int("attention.value_length_swa")
	globalKey := s.heads[0].key
	for i := range s.heads {
		if s.slides[i] {
			s.heads[i].key, s.heads[i].value = key, value
		}
	}
	s.global = l.rope(tensor.RoPENeoX, globalKey)
	s.sliding = s.global
	s.sliding.freq = nil
	s.sliding.op.Base = l.FloatOr("rope.freq_base_swa", s.global.op.Base)
	s.sliding.op.Dims = int32(l.IntOr("rope.dimension_count_swa", key))
	s.sliding.op.Scale = 1
	l.check(s.sliding.op.Base > 0, "rope.freq_base_swa", "%g, want more than 0", s.sliding.op.Base)
	l.check(s.window > 0, "attention.sliding_window", "%d, want more than 0", s.window)
	l.check(s.sliding.op.Dims > 0 && s.sliding.op.Dims%2 == 0 && int(s.sliding.op.Dims) <= key,
		"rope.dimension_count_swa", "%d of a head of %d", s.sliding.op.Dims, key)
	return s
}

func (s *gemma4Shape) rope(i int) ropeParams {
	if s.slides[i] {
		return s.sliding
	}
	return s.global
}

func newGemma4(l *loader) family {
	m := &gemma4{eps: l.rmsEps(), logitCap: l.FloatOr("final_logit_softcapping", 0)}
	s := l.gemma4Shape()
	embd := l.m.Embd
	width := l.IntPerLayer("feed_forward_length", l.m.Layers)
	experts := l.IntOr("expert_count", 0)
	if !l.ok() {
		return m
	}
	l.check(s.owners >= 2 || s.owners == l.m.Layers, "attention.shared_kv_layers", "%d of %d layers", l.m.Layers-s.owners, l.m.Layers)
	m.embd = l.weight(-1, "token_embd.weight", embd, l.m.Vocab)
	m.readPerLayer(l)
	for i := 0; i < l.m.Layers && l.ok(); i++ {
		layer := gemma4Layer{
			attnNorm: l.weight(i, "attn_norm.weight", embd),
			attnPost: l.weight(i, "post_attention_norm.weight", embd),
			attn:     l.gemma4Attention(i, &s),
			ffnNorm:  l.weight(i, "ffn_norm.weight", embd),
			ffnPost:  l.weight(i, "post_ffw_norm.weight", embd),
			ffn:      l.feedForward(i, width[i], tensor.GELU),
			scale:    l.optional(i, "layer_output_scale.weight", 1),
		}
		if experts > 0 {
			layer.experts = l.gemma4Experts(i, experts)
		}
		if p := m.perLayer; p != nil {
			layer.gate = l.weight(i, "inp_gate.weight", embd, p.width)
			layer.proj = l.weight(i, "proj.weight", p.width, embd)
			layer.norm = l.weight(i, "post_norm.weight", embd)
		}
		m.layers = append(m.layers, layer)
	}
	m.head = l.head(m.embd)
	return m
}

func (m *gemma4) readPerLayer(l *loader) {
	width := l.IntOr("embedding_length_per_layer_input", 0)
	if width == 0 {
		return
	}
	m.perLayer = &perLayerEmbedding{
		width: width,
		embd:  l.weight(-1, "per_layer_token_embd.weight", width*l.m.Layers, l.m.Vocab),
		proj:  l.weight(-1, "per_layer_model_proj.weight", l.m.Embd, width*l.m.Layers),
		norm:  l.weight(-1, "per_layer_proj_norm.weight", width),
	}
}

// gemma4Attention reads layer i's attention and says what it keeps.
func (l *loader) gemma4Attention(i int, s *gemma4Shape) gemma4Attention {
	h, embd := s.heads[i], l.m.Embd
	a := gemma4Attention{
		heads: h,
		q:     l.weight(i, "attn_q.weight", embd, h.q*h.key),
		out:   l.weight(i, "attn_output.weight", h.q*h.value, embd),
		qNorm: l.weight(i, "attn_q_norm.weight", h.key),
		rope:  s.rope(i),
	}
	window := 0
	if s.slides[i] {
		window = s.window
	}
	if i >= s.owners {
		source := s.owners - 1
		if s.slides[i] {
			source = s.owners - 2
		}
		if owner := l.m.Layer[source]; owner.Window != window || owner.HeadsKV != h.kv || owner.KeyDim != h.key || owner.ValueDim != h.value {
			l.check(false, "attention.shared_kv_layers", "layer %d cannot read the cache of layer %d, which has other heads or another window", i, source)
			return a
		}
		l.reuse(i, source)
		return a
	}
	l.cache(i, h, window)
	a.k = l.weight(i, "attn_k.weight", embd, h.kv*h.key)
	a.kNorm = l.weight(i, "attn_k_norm.weight", h.key)
	a.v = l.optional(i, "attn_v.weight", embd, h.kv*h.value)
	l.check(a.v != nil || h.key == h.value, "attention.value_length", "%d, but keys of %d are the values of layer %d", h.value, h.key, i)
	return a
}

// gemma4Experts is the mixture beside the feed-forward block: gate and up are one matrix, and each
// expert's result has a scale.
type gemma4Experts struct {
	router      *tensor.Tensor // [embd, experts]
	routerScale *tensor.Tensor // [embd]
	gateUp      *tensor.Tensor // [embd, 2*width, experts]
	down        *tensor.Tensor // [width, embd, experts]
	downScale   *tensor.Tensor // [experts], or nil
	norm        *tensor.Tensor // [embd], before the experts
	postFFN     *tensor.Tensor // [embd], after the feed-forward block
	post        *tensor.Tensor // [embd], after the experts
	width, used int
}

func (l *loader) gemma4Experts(i, experts int) *gemma4Experts {
	embd, width, used := l.m.Embd, l.Int("expert_feed_forward_length"), l.Int("expert_used_count")
	l.check(experts <= maxExperts, "expert_count", "%d, want 1 to %d", experts, maxExperts)
	l.check(used > 0 && used <= experts, "expert_used_count", "%d of %d experts", used, experts)
	return &gemma4Experts{
		router:      l.weight(i, "ffn_gate_inp.weight", embd, experts),
		routerScale: l.weight(i, "ffn_gate_inp.scale", embd),
		gateUp:      l.weight(i, "ffn_gate_up_exps.weight", embd, 2*width, experts),
		down:        l.weight(i, "ffn_down_exps.weight", width, embd, experts),
		downScale:   l.optional(i, "ffn_down_exps.scale", experts),
		norm:        l.weight(i, "pre_ffw_norm_2.weight", embd),
		postFFN:     l.weight(i, "post_ffw_norm_1.weight", embd),
		post:        l.weight(i, "post_ffw_norm_2.weight", embd),
		width:       width,
		used:        used,
	}
}

func (m *gemma4) forward(g *Graph) *tensor.Tensor {
	x := g.Name("embedding", g.scaledEmbedding(m.embd))
	inputs := m.inputs(g, x) // [width, layers, tokens], or nil
	for i, l := range m.layers {
		g.Layer(i)
		attn := g.gemma4Attention(i, l.attn, g.rmsNorm(l.attnNorm, x, m.eps), m.eps)
		if i == len(m.layers)-1 {
			attn, x = g.rows(attn), g.rows(x)
		}
		x = g.Add(x, g.rmsNorm(l.attnPost, attn, m.eps))
		x = g.Add(x, g.rmsNorm(l.ffnPost, m.feedForward(g, l, x), m.eps))
		if inputs != nil {
			in := g.Contiguous(g.Slice(inputs, 1, i, i+1))
			in = g.Reshape(in, m.perLayer.width, g.Tokens)
			if i == len(m.layers)-1 {
				in = g.rows(in)
			}
			own := g.matMul(l.proj, g.GLU(tensor.GELU, g.matMul(l.gate, x), in))
			x = g.Add(x, g.rmsNorm(l.norm, own, m.eps))
		}
		if l.scale != nil {
			x = g.Mul(x, l.scale)
		}
		x = g.Name("out", x)
	}
	g.Layer(len(m.layers))
	return g.Name("hidden", g.rmsNorm(m.head.norm, x, m.eps))
}

// inputs returns each layer's own embedding of each token.
func (m *gemma4) inputs(g *Graph, x *tensor.Tensor) *tensor.Tensor {
	p := m.perLayer
	if p == nil {
		return nil
	}
	sizes := func(t *tensor.Tensor) *tensor.Tensor { return g.Reshape(t, p.width, len(m.layers), g.Tokens) }
	token := g.Scale(sizes(g.GetRows(p.embd, g.TokenIDs)), sqrt(p.width))
	state := g.rmsNorm(p.norm, sizes(g.Scale(g.matMul(p.proj, x), rsqrt(g.m.Embd))), m.eps)
	return g.Scale(g.Add(state, token), float32(1/math.Sqrt2))
}

// feedForward returns the feed-forward block's result and, where there are experts, theirs added.
func (m *gemma4) feedForward(g *Graph, l gemma4Layer, x *tensor.Tensor) *tensor.Tensor {
	ffn := g.feedForward(l.ffn, g.rmsNorm(l.ffnNorm, x, m.eps))
	if l.experts == nil {
		return ffn
	}
	e := l.experts
	moe := m.mixture(g, e, x)
	return g.Add(g.rmsNorm(e.postFFN, ffn, m.eps), g.rmsNorm(e.post, moe, m.eps))
}

// mixture routes by the state itself, and feeds the experts its norm.
func (m *gemma4) mixture(g *Graph, e *gemma4Experts, x *tensor.Tensor) *tensor.Tensor {
	score := g.Mul(g.Scale(g.RMSNorm(x, m.eps), rsqrt(g.m.Embd)), e.routerScale)
	ids, weights := g.route(e.router, score, e.used, true)
	if g.Err() != nil {
		return x
	}
	if e.downScale != nil {
		n := ids.Shape[1]
		scales := g.GetRows(g.Repeat(g.Reshape(e.downScale, 1, e.downScale.Shape[0], 1), 1, e.downScale.Shape[0], n), ids)
		weights = g.Mul(weights, scales)
	}
	return g.experts(x.Shape[0], ids, weights, func(rows *tensor.Tensor) *tensor.Tensor {
		both := g.matMulID(e.gateUp, rows, ids)
		return g.matMulID(e.down, g.GLU(tensor.GELU, g.Slice(both, 0, 0, e.width), g.Slice(both, 0, e.width, 2*e.width)), ids)
	}, g.rmsNorm(e.norm, x, m.eps))
}

// gemma4Attention returns the attention of layer i, projected back.
func (g *Graph) gemma4Attention(i int, a gemma4Attention, x *tensor.Tensor, eps float32) *tensor.Tensor {
	n := g.Tokens
	q := g.turn(a.rope, g.rmsNorm(a.qNorm, g.Reshape(g.matMul(a.q, x), a.key, a.heads.q, n), eps))
	var k, v *tensor.Tensor
	if a.k != nil {
		k = g.Reshape(g.matMul(a.k, x), a.key, a.kv, n)
		v = k
		if a.v != nil {
			v = g.Reshape(g.matMul(a.v, x), a.value, a.kv, n)
		}
		k = g.turn(a.rope, g.rmsNorm(a.kNorm, k, eps))
		v = g.Reshape(g.RMSNorm(v, eps), a.kv*a.value, n)
	}
	return g.matMul(a.out, g.attend(i, a.heads, tensor.FlashAttn{Scale: 1}, q, k, v))
}

func (m *gemma4) logits(g *Graph, hidden *tensor.Tensor) *tensor.Tensor {
	return g.capped(g.matMul(m.head.output, hidden), m.logitCap)
}

func (m *gemma4) keyRoPE(i int) (ropeParams, bool) { return m.layers[i].attn.rope, true }
