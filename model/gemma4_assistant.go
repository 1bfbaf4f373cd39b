package model

import "github.com/tenon-go/tenon/tensor"

func init() {
	families["gemma4-assistant"] = newGemma4Assistant
}

// gemma4Assistant drafts for a gemma4 target whose cache it reads: its layers have queries and no keys
// or values of their own. It starts from the target's embedding of a token and the target's hidden state
// before it,
//
//	x = pre · [embd_target[token] * sqrt(embd_target); h]
//
// and gives, beside logits, the hidden state that its next step takes for h: post · rms(x)*w. Every step
// of a draft is at the same position, the one after the target's last.
type gemma4Assistant struct {
	targetEmbd *tensor.Tensor // [embd_target, vocab], the target's
	embd       *tensor.Tensor // [embd, vocab], of the logits
	pre, post  *tensor.Tensor // [2*embd_target, embd], [embd, embd_target]
	layers     []gemma4Layer
	norm       *tensor.Tensor
	eps        float32
}

func newGemma4Assistant(l *loader) family {
	m := &gemma4Assistant{eps: l.rmsEps()}
	target := l.needTarget("gemma4")
	s := l.gemma4Shape()
	embd, width := l.m.Embd, l.IntPerLayer("feed_forward_length", l.m.Layers)
	out := l.Int("embedding_length_out")
	if !l.ok() {
		return m
	}
	l.check(out == target.Embd, "embedding_length_out", "%d, but the target's hidden states are %d wide", out, target.Embd)
	l.check(l.m.Vocab == target.Vocab, "vocab_size", "%d, but the target has %d tokens", l.m.Vocab, target.Vocab)
	l.check(s.owners == 0, "attention.shared_kv_layers", "%d of %d layers, want all", l.m.Layers-s.owners, l.m.Layers)
	m.targetEmbd = l.borrow("token_embd.weight")
	m.embd = l.weight(-1, "token_embd.weight", embd, l.m.Vocab)
	m.pre = l.weight(-1, "nextn.pre_projection.weight", 2*target.Embd, embd)
	m.post = l.weight(-1, "nextn.post_projection.weight", embd, target.Embd)
	for i := 0; i < l.m.Layers && l.ok(); i++ {
		h := s.heads[i]
		layer := gemma4Layer{
			attnNorm: l.weight(i, "attn_norm.weight", embd),
			attnPost: l.weight(i, "post_attention_norm.weight", embd),
			attn: gemma4Attention{
				heads: h,
				q:     l.weight(i, "attn_q.weight", embd, h.q*h.key),
				out:   l.weight(i, "attn_output.weight", h.q*h.value, embd),
				qNorm: l.weight(i, "attn_q_norm.weight", h.key),
				rope:  s.rope(i),
			},
			ffnNorm: l.weight(i, "ffn_norm.weight", embd),
			ffnPost: l.weight(i, "post_ffw_norm.weight", embd),
			ffn:     l.feedForward(i, width[i], tensor.GELU),
			scale:   l.optional(i, "layer_output_scale.weight", 1),
		}
		window := 0
		if s.slides[i] {
			window = s.window
		}
		l.cache(i, h, window)
		m.layers = append(m.layers, layer)
	}
	m.norm = l.weight(-1, "output_norm.weight", embd)
	l.m.ReadsTarget, l.m.HiddenIn = true, out
	return m
}

func (m *gemma4Assistant) forward(g *Graph) *tensor.Tensor {
	token := g.Scale(g.GetRows(m.targetEmbd, g.TokenIDs), sqrt(m.targetEmbd.Shape[0]))
	x := g.Name("input", g.matMul(m.pre, g.Concat(token, g.hiddenIn(m.targetEmbd.Shape[0]), 0)))
	for i, l := range m.layers {
		g.Layer(i)
		attn := g.gemma4Attention(i, l.attn, g.rmsNorm(l.attnNorm, x, m.eps), m.eps)
		x = g.Add(x, g.rmsNorm(l.attnPost, attn, m.eps))
		ffn := g.feedForward(l.ffn, g.rmsNorm(l.ffnNorm, x, m.eps))
		x = g.Add(x, g.rmsNorm(l.ffnPost, ffn, m.eps))
		if l.scale != nil {
			x = g.Mul(x, l.scale)
		}
		x = g.Name("out", x)
	}
	g.Layer(len(m.layers))
	x = g.rmsNorm(m.norm, g.rows(x), m.eps)
	g.export = g.Name("next hidden", g.matMul(m.post, x))
	return g.Name("hidden", x)
}

func (m *gemma4Assistant) logits(g *Graph, hidden *tensor.Tensor) *tensor.Tensor {
	return g.matMul(m.embd, hidden)
}

// keyRoPE returns how layer i turns its queries: the keys that it reads must be turned so.
func (m *gemma4Assistant) keyRoPE(i int) (ropeParams, bool) { return m.layers[i].attn.rope, true }
