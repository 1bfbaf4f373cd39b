package model

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() {
	families["gemma2"] = newGemma2
}

// gemma is the decoder of Gemma 2 and 3: norms before and after each block, GeGLU, sliding windows in
// most layers, the embedding scaled by sqrt(embd). In each layer
//
//	x += rms(attention(rms(x) * w)) * w
//	x += rms(ffn(rms(x) * w)) * w
//
// Sources: arXiv:2408.00118, arXiv:2503.19786.
type gemma struct {
	embd     *tensor.Tensor
	layers   []gemmaLayer
	head     head
	eps      float32
	logitCap float32 // 0 is none
}

type gemmaLayer struct {
	attnNorm, attnPost *tensor.Tensor
	attn               attention
	rope               ropeParams
	ffnNorm, ffnPost   *tensor.Tensor
	ffn                feedForward
}

// newGemma2 reads Gemma 2: every other layer slides, scores and logits are capped.
func newGemma2(l *loader) family {
	m := &gemma{
		eps:      l.rmsEps(),
		logitCap: l.FloatOr("final_logit_softcapping", 30),
	}
	scoreCap := l.FloatOr("attn_logit_softcapping", 50)
	window := l.IntOr("attention.sliding_window", 4096)
	const layersOf27B = 46
	m.read(l, func(i int, layer *gemmaLayer, h heads) {
		w := 0
		if i%2 == 0 {
			w = window
		}
		layer.rope = l.rope(tensor.RoPENeoX, h.key)
		layer.attn = l.attention(i, h, w, m.eps)
		layer.attn.op.SoftCap = scoreCap
		if l.m.Layers == layersOf27B { // its query scale is not that of its heads
			layer.attn.op.Scale = rsqrt(l.m.Embd / h.q)
		}
	})
	return m
}

func rsqrt(n int) float32 { return float32(1 / math.Sqrt(float64(n))) }

// read reads what all layers have, and has attention read what differs.
func (m *gemma) read(l *loader, attention func(i int, layer *gemmaLayer, h heads)) {
	embd := l.m.Embd
	all := l.heads()
	width := l.IntPerLayer("feed_forward_length", l.m.Layers)
	m.embd = l.weight(-1, "token_embd.weight", embd, l.m.Vocab)
	for i := 0; i < l.m.Layers && l.ok(); i++ {
		layer := gemmaLayer{
			attnNorm: l.weight(i, "attn_norm.weight", embd),
			attnPost: l.weight(i, "post_attention_norm.weight", embd),
			ffnNorm:  l.weight(i, "ffn_norm.weight", embd),
			ffnPost:  l.weight(i, "post_ffw_norm.weight", embd),
			ffn:      l.feedForward(i, width[i], tensor.GELU),
		}
		attention(i, &layer, all[i])
		m.layers = append(m.layers, layer)
	}
	m.head = l.head(m.embd)
}

func (m *gemma) forward(g *Graph) *tensor.Tensor {
	x := g.Name("embedding", g.scaledEmbedding(m.embd))
	for i, l := range m.layers {
		g.Layer(i)
		attn := g.attention(i, l.attn, l.rope, g.rmsNorm(l.attnNorm, x, m.eps))
		if i == len(m.layers)-1 {
			attn, x = g.rows(attn), g.rows(x)
		}
		x = g.Add(x, g.rmsNorm(l.attnPost, attn, m.eps))
		ffn := g.feedForward(l.ffn, g.rmsNorm(l.ffnNorm, x, m.eps))
		x = g.Name("out", g.Add(x, g.rmsNorm(l.ffnPost, ffn, m.eps)))
	}
	g.Layer(len(m.layers))
	return g.Name("hidden", g.rmsNorm(m.head.norm, x, m.eps))
}

// scaledEmbedding returns the tokens' rows of embd, times the root of their width.
func (g *Graph) scaledEmbedding(embd *tensor.Tensor) *tensor.Tensor {
	return g.Scale(g.GetRows(embd, g.TokenIDs), sqrt(g.m.Embd))
}

func sqrt(n int) float32 { return float32(math.Sqrt(float64(n))) }

func (m *gemma) logits(g *Graph, hidden *tensor.Tensor) *tensor.Tensor {
	return g.capped(g.matMul(m.head.output, hidden), m.logitCap)
}

// capped returns limit*tanh(x/limit), or x where limit is 0.
func (g *Graph) capped(x *tensor.Tensor, limit float32) *tensor.Tensor {
	if limit == 0 {
		return x
	}
	return g.SoftCap(x, limit)
}

func (m *gemma) keyRoPE(i int) (ropeParams, bool) { return m.layers[i].rope, true }
