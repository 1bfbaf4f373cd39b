package model

import "github.com/tenon-go/tenon/tensor"

func init() {
	families["llama"] = func(l *loader) family { return newDecoder(l, tensor.RoPENormal, false) }
}

// decoder is the pre-norm decoder of Llama 2 and 3, Mistral, Mixtral and many others. In each layer
//
//	x += attention(rms(x) * w)
//	x += ffn(rms(x) * w)       or a mixture of experts
//
// Sources: arXiv:2302.13971, arXiv:2401.04088 (mixture).
type decoder struct {
	embd   *tensor.Tensor // [embd, vocab]
	layers []decoderLayer
	head   head
	rope   ropeParams
	eps    float32
}

type decoderLayer struct {
	attnNorm *tensor.Tensor
	attn     attention
	ffnNorm  *tensor.Tensor
	ffn      feedForward
	experts  *mixture // instead of ffn, unless nil
}

// newDecoder reads a decoder whose pairs turn in the given mode, and whose queries and keys are normed
// per head if qkNorm is set.
func newDecoder(l *loader, mode tensor.RoPEMode, qkNorm bool) family {
	m := &decoder{eps: l.rmsEps()}
	embd := l.m.Embd
	all := l.heads()
	width := l.IntPerLayer("feed_forward_length", l.m.Layers)
	experts := l.IntOr("expert_count", 0)
	if !l.ok() {
		return m
	}
	m.embd = l.weight(-1, "token_embd.weight", embd, l.m.Vocab)
	m.rope = l.rope(mode, all[0].key)
	for i := 0; i < l.m.Layers && l.ok(); i++ {
		layer := decoderLayer{
			attnNorm: l.weight(i, "attn_norm.weight", embd),
			attn:     l.attention(i, all[i], 0, m.eps),
			ffnNorm:  l.weight(i, "ffn_norm.weight", embd),
		}
		if qkNorm {
			l.qkNorm(i, &layer.attn)
		}
		if experts > 0 {
			mix := l.mixture(i, l.IntOr("expert_feed_forward_length", width[i]), tensor.SiLU, true)
			layer.experts = &mix
		} else {
			layer.ffn = l.feedForward(i, width[i], tensor.SiLU)
		}
		m.layers = append(m.layers, layer)
	}
	m.head = l.head(m.embd)
	return m
}

func (m *decoder) forward(g *Graph) *tensor.Tensor {
	x := g.Name("embedding", g.GetRows(m.embd, g.TokenIDs))
	for i, l := range m.layers {
		g.Layer(i)
		attn := g.attention(i, l.attn, m.rope, g.rmsNorm(l.attnNorm, x, m.eps))
		if i == len(m.layers)-1 {
			attn, x = g.rows(attn), g.rows(x)
		}
		x = g.Add(x, attn)
		h := g.rmsNorm(l.ffnNorm, x, m.eps)
		if l.experts != nil {
			x = g.Add(x, g.mixture(*l.experts, h))
		} else {
			x = g.Add(x, g.feedForward(l.ffn, h))
		}
		x = g.Name("out", x)
	}
	g.Layer(len(m.layers))
	return g.Name("hidden", g.rmsNorm(m.head.norm, x, m.eps))
}

func (m *decoder) logits(g *Graph, hidden *tensor.Tensor) *tensor.Tensor {
	return g.matMul(m.head.output, hidden)
}

func (m *decoder) keyRoPE(int) (ropeParams, bool) { return m.rope, true }
