package model

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() {
	families["qwen35"] = func(l *loader) family {
		if l.target != nil {
			return newQwen35NextN(l)
		}
		return newQwen35(l)
	}
}

// qwen35 is the decoder of Qwen3.5. Most layers are recurrent, by the gated delta rule over a short
// convolution; every few layers one is full attention, whose result is gated by a part of its queries'
// projection. In each layer
//
//	x += mix(rms(x) * w)
//	x += ffn(rms(x) * w)
//
// Sources: arXiv:2412.06464 (gated delta net), arXiv:2505.06708 (gated attention).
type qwen35 struct {
	embd   *tensor.Tensor
	layers []qwen35Layer
	head   head
	rope   ropeParams
	eps    float32
}

// qwen35Layer has either attn or delta.
type qwen35Layer struct {
	attnNorm *tensor.Tensor
	attn     *qwen35Attention
	delta    *qwen35Delta
	ffnNorm  *tensor.Tensor
	ffn      feedForward
}

// qwen35Attention is attention whose queries' projection gives a gate beside each head's query.
type qwen35Attention struct {
	heads
	q, k, v, out *tensor.Tensor // q is [embd, (query, gate) of each head]
	qNorm, kNorm *tensor.Tensor
}

// qwen35Delta is a gated delta net.
type qwen35Delta struct {
	deltaSizes
	qkv, z, out   *tensor.Tensor // z gates the result
	beta, alpha   *tensor.Tensor // [embd, heads]: how much a token corrects, and how much it forgets
	conv          *tensor.Tensor // [window, channels]
	decay, offset *tensor.Tensor // [heads]: -e^A, and what is added to alpha
	norm          *tensor.Tensor // [value]
}

// deltaSizes are the sizes of a gated delta net.
type deltaSizes struct {
	window     int // ssm.conv_kernel, in tokens
	key, value int // elements of a head: ssm.state_size, and ssm.inner_size over heads
	keyHeads   int // ssm.group_count
	valueHeads int // ssm.time_step_rank
}

// channels returns how many channels the convolution has: queries, keys and values.
func (s *deltaSizes) channels() int { return 2*s.key*s.keyHeads + s.value*s.valueHeads }

// maxDelta bounds the sizes of a delta net from a file, before they are multiplied.
const maxDelta = 1 << 20

func (l *loader) deltaSizes() deltaSizes {
	s := deltaSizes{
		window:     l.Int("ssm.conv_kernel"),
		key:        l.Int("ssm.state_size"),
		keyHeads:   l.Int("ssm.group_count"),
		valueHeads: l.Int("ssm.time_step_rank"),
	}
	inner := l.Int("ssm.inner_size")
	for _, x := range []struct {
		key string
		n   int
	}{
		{"ssm.conv_kernel", s.window},
		{"ssm.state_size", s.key},
		{"ssm.group_count", s.keyHeads},
		{"ssm.time_step_rank", s.valueHeads},
		{"ssm.inner_size", inner},
	} {
		l.check(x.n > 0 && x.n <= maxDelta, x.key, "%d, want 1 to %d", x.n, maxDelta)
	}
	if !l.ok() {
		return s
	}
	l.check(s.valueHeads%s.keyHeads == 0, "ssm.time_step_rank", "%d heads over %d of keys", s.valueHeads, s.keyHeads)
	l.check(inner%s.valueHeads == 0, "ssm.inner_size", "%d in %d heads", inner, s.valueHeads)
	s.value = inner / s.valueHeads
	l.check(s.key*s.value <= maxDelta && s.key*s.value*s.valueHeads < 1<<31, "ssm.state_size", "%d by %d in %d heads", s.key, s.value, s.valueHeads)
	return s
}

// qwen35Shape is what the hyper-parameters say of both the model and its NextN block.
type qwen35Shape struct {
	heads []heads
	width []int // of the feed-forward blocks
	rope  ropeParams
	nextN int // blocks after the layers that draft: nextn_predict_layers
}

func (l *loader) qwen35Shape() qwen35Shape {
	s := qwen35Shape{
		heads: l.heads(),
		width: l.IntPerLayer("feed_forward_length", l.m.Layers),
		nextN: l.IntOr("nextn_predict_layers", 0),
	}
	if !l.ok() {
		return s
	}
	l.check(s.nextN >= 0 && s.nextN < l.m.Layers, "nextn_predict_layers", "%d of %d blocks", s.nextN, l.m.Layers)
	// Its rotation has sections for the axes of pictures. The positions of text are the same on all, so
	// that pair i turns as it does without sections.
	s.rope = l.rope(tensor.RoPENeoX, s.heads[0].key)
	return s
}

func newQwen35(l *loader) family {
	m := &qwen35{eps: l.rmsEps()}
	s := l.qwen35Shape()
	delta := l.deltaSizes()
	interval := l.IntOr("full_attention_interval", 4)
	if !l.ok() {
		return m
	}
	l.m.Layers -= s.nextN
	// The positions of a sequence are kept by the cache of a layer with attention: there must be one.
	l.check(interval > 0 && interval <= l.m.Layers, "full_attention_interval", "%d, want 1 to %d layers", interval, l.m.Layers)
	if !l.ok() {
		return m
	}
	m.rope = s.rope
	m.embd = l.weight(-1, "token_embd.weight", l.m.Embd, l.m.Vocab)
	for i := 0; i < l.m.Layers && l.ok(); i++ {
		if (i+1)%interval == 0 {
			l.cache(i, s.heads[i], 0)
			m.layers = append(m.layers, l.qwen35Layer(i, s, l.qwen35Attention(i, s.heads[i]), nil))
		} else {
			m.layers = append(m.layers, l.qwen35Layer(i, s, nil, l.qwen35Delta(i, delta)))
		}
	}
	m.head = l.head(m.embd)
	return m
}

func (l *loader) qwen35Layer(i int, s qwen35Shape, attn *qwen35Attention, delta *qwen35Delta) qwen35Layer {
	return qwen35Layer{
		attnNorm: l.weight(i, "attn_norm.weight", l.m.Embd),
		attn:     attn,
		delta:    delta,
		ffnNorm:  l.weight(i, "post_attention_norm.weight", l.m.Embd),
		ffn:      l.feedForward(i, s.width[i], tensor.SiLU),
	}
}

func (l *loader) qwen35Attention(i int, h heads) *qwen35Attention {
	embd := l.m.Embd
	l.check(h.key == h.value, "attention.value_length", "%d, want %d as queries gate values", h.value, h.key)
	return &qwen35Attention{
		heads: h,
		q:     l.weight(i, "attn_q.weight", embd, 2*h.q*h.key),
		k:     l.weight(i, "attn_k.weight", embd, h.kv*h.key),
		v:     l.weight(i, "attn_v.weight", embd, h.kv*h.value),
		out:   l.weight(i, "attn_output.weight", h.q*h.value, embd),
		qNorm: l.weight(i, "attn_q_norm.weight", h.key),
		kNorm: l.weight(i, "attn_k_norm.weight", h.key),
	}
}

func (l *loader) qwen35Delta(i int, s deltaSizes) *qwen35Delta {
	embd, values := l.m.Embd, s.value*s.valueHeads
	l.state(i, (s.window-1)*s.channels(), s.key*s.value*s.valueHeads)
	d := &qwen35Delta{
		deltaSizes: s,
		qkv:        l.weight(i, "attn_qkv.weight", embd, s.channels()),
		z:          l.weight(i, "attn_gate.weight", embd, values),
		out:        l.weight(i, "ssm_out.weight", values, embd),
		beta:       l.weight(i, "ssm_beta.weight", embd, s.valueHeads),
		alpha:      l.weight(i, "ssm_alpha.weight", embd, s.valueHeads),
		conv:       l.weight(i, "ssm_conv1d.weight", s.window, s.channels()),
		decay:      l.weight(i, "ssm_a", s.valueHeads),
		offset:     l.weight(i, "ssm_dt.bias", s.valueHeads),
		norm:       l.weight(i, "ssm_norm.weight", s.value),
	}
	if l.ok() && d.conv.Type != tensor.F32 {
		l.err = &TensorError{File: l.f.Path(0), Name: d.conv.Name, Have: d.conv.Type.String(), Want: "F32"}
	}
	return d
}

func (m *qwen35) forward(g *Graph) *tensor.Tensor {
	x := g.Name("embedding", g.GetRows(m.embd, g.TokenIDs))
	for i, l := range m.layers {
		g.Layer(i)
		x = g.qwen35Layer(i, l, m.rope, m.eps, x, i == len(m.layers)-1)
	}
	g.Layer(len(m.layers))
	return g.Name("hidden", g.rmsNorm(m.head.norm, x, m.eps))
}

// qwen35Layer returns x after layer i, of the last one only the rows that are wanted.
func (g *Graph) qwen35Layer(i int, l qwen35Layer, rope ropeParams, eps float32, x *tensor.Tensor, last bool) *tensor.Tensor {
	h := g.rmsNorm(l.attnNorm, x, eps)
	if l.delta != nil {
		h = g.qwen35Delta(i, l.delta, eps, h)
	} else {
		h = g.qwen35Attention(i, l.attn, rope, eps, h)
	}
	if last {
		h, x = g.rows(h), g.rows(x)
	}
	x = g.Add(x, h)
	return g.Name("out", g.Add(x, g.feedForward(l.ffn, g.rmsNorm(l.ffnNorm, x, eps))))
}

func (g *Graph) qwen35Attention(i int, a *qwen35Attention, rope ropeParams, eps float32, x *tensor.Tensor) *tensor.Tensor {
	n := g.Tokens
	both := g.Reshape(g.matMul(a.q, x), 2*a.key, a.heads.q, n)
	q, gate := g.Slice(both, 0, 0, a.key), g.Contiguous(g.Slice(both, 0, a.key, 2*a.key))
	k := g.Reshape(g.matMul(a.k, x), a.key, a.kv, n)
	v := g.matMul(a.v, x)
	q = g.turn(rope, g.rmsNorm(a.qNorm, q, eps))
	k = g.turn(rope, g.rmsNorm(a.kNorm, k, eps))
	attn := g.attend(i, a.heads, tensor.FlashAttn{Scale: float32(1 / math.Sqrt(float64(a.key)))}, g.Name("q", q), g.Name("k", k), g.Name("v", v))
	gate = g.Unary(tensor.Sigmoid, g.Reshape(gate, a.heads.q*a.value, n))
	return g.matMul(a.out, g.Mul(attn, gate))
}

func (g *Graph) qwen35Delta(i int, d *qwen35Delta, eps float32, x *tensor.Tensor) *tensor.Tensor {
	n, seqs, state := g.seqTokens(), g.Sequences, g.state(i)
	mixed := g.SiLU(g.shortConv(state.Conv, d.conv, g.matMul(d.qkv, x)))
	keys := d.key * d.keyHeads
	part := func(from, size, heads int) *tensor.Tensor {
		return g.Reshape(g.Contiguous(g.Slice(mixed, 0, from, from+size*heads)), size, heads, n, seqs)
	}
	q := g.L2Norm(part(0, d.key, d.keyHeads), eps)
	k := g.L2Norm(part(keys, d.key, d.keyHeads), eps)
	v := part(2*keys, d.value, d.valueHeads)
	perHead := func(t *tensor.Tensor) *tensor.Tensor { return g.Reshape(t, 1, d.valueHeads, n, seqs) }
	beta := perHead(g.Unary(tensor.Sigmoid, g.matMul(d.beta, x)))
	gate := perHead(g.Mul(g.Unary(tensor.Softplus, g.Add(g.matMul(d.alpha, x), d.offset)), d.decay))
	out := g.deltaNet(state.Hidden, q, k, v, gate, beta)
	out = g.rmsNorm(d.norm, g.Reshape(out, d.value, d.valueHeads, g.Tokens), eps)
	out = g.GLU(tensor.SiLU, g.matMul(d.z, x), g.Reshape(out, d.value*d.valueHeads, g.Tokens))
	return g.matMul(d.out, g.Name("delta", out))
}

func (m *qwen35) logits(g *Graph, hidden *tensor.Tensor) *tensor.Tensor {
	return g.matMul(m.head.output, hidden)
}

func (m *qwen35) keyRoPE(i int) (ropeParams, bool) { return m.rope, m.layers[i].attn != nil }
