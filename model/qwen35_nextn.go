package model

import "github.com/tenon-go/tenon/tensor"

// qwen35NextN is the block after the layers of a qwen35 that drafts for it: a full-attention layer with
// a cache of its own, over a token and the target's hidden state before it,
//
//	x = proj · [rms(embd[token]) * wE; rms(h) * wH]
//
// Its normed result goes through the target's output matrix, and is the hidden state that the next step
// takes for h. It is opened as a draft: of the same file as its target, or of a file like it.
type qwen35NextN struct {
	embd         *tensor.Tensor // its own, or the target's
	eNorm, hNorm *tensor.Tensor
	proj         *tensor.Tensor // [2*embd, embd]
	layer        qwen35Layer
	norm, output *tensor.Tensor // its own, or the target's
	rope         ropeParams
	eps          float32
}

func newQwen35NextN(l *loader) family {
	m := &qwen35NextN{eps: l.rmsEps()}
	target := l.needTarget("qwen35")
	s := l.qwen35Shape()
	if !l.ok() {
		return m
	}
	embd, vocab := l.m.Embd, l.m.Vocab
	// One block drafts every token. More of them would be chained heads, which no such file has.
	l.check(s.nextN == 1, "nextn_predict_layers", "%d, want 1 for a draft", s.nextN)
	l.check(embd == target.Embd, "embedding_length", "%d, but the target's hidden states are %d wide", embd, target.Embd)
	l.check(vocab == target.Vocab, "vocab_size", "%d, but the target has %d tokens", vocab, target.Vocab)
	i := l.m.Layers - 1
	m.rope = s.rope
	m.eNorm = l.weight(i, "nextn.enorm.weight", embd)
	m.hNorm = l.weight(i, "nextn.hnorm.weight", embd)
	m.proj = l.weight(i, "nextn.eh_proj.weight", 2*embd, embd)
	m.layer = l.qwen35Layer(i, s, l.qwen35Attention(i, s.heads[i]), nil)
	m.norm = l.optional(i, "nextn.shared_head_norm.weight", embd)
	m.embd = l.optional(i, "nextn.embed_tokens.weight", embd, vocab)
	m.output = l.optional(i, "nextn.shared_head_head.weight", embd, vocab)
	for _, w := range l.m.Weights {
		w.Layer = 0 // of the draft, which has one layer
	}
	l.m.Layers, l.m.HiddenIn = 1, embd
	l.cache(0, s.heads[i], 0)
	if m.norm == nil {
		m.norm = l.borrow("output_norm.weight")
	}
	if m.embd == nil {
		m.embd = l.borrow("token_embd.weight")
	}
	if m.output == nil {
		m.output = l.borrowOutput(m.embd)
	}
	return m
}

// borrowOutput returns the target's output matrix, which is its token embedding where it has no other.
func (l *loader) borrowOutput(embd *tensor.Tensor) *tensor.Tensor {
	const name = "output.weight"
	if !l.ok() {
		return nil
	}
	for _, w := range l.target.Weights {
		if w.Name == name {
			return l.borrow(name)
		}
	}
	for _, w := range l.m.Weights {
		if w.Tensor == embd && w.Target != nil {
			return embd
		}
	}
	return l.borrow("token_embd.weight")
}

func (m *qwen35NextN) forward(g *Graph) *tensor.Tensor {
	g.Layer(0)
	token := g.rmsNorm(m.eNorm, g.GetRows(m.embd, g.TokenIDs), m.eps)
	hidden := g.rmsNorm(m.hNorm, g.hiddenIn(g.m.HiddenIn), m.eps)
	x := g.Name("input", g.matMul(m.proj, g.Concat(token, hidden, 0)))
	x = g.qwen35Layer(0, m.layer, m.rope, m.eps, x, true)
	g.Layer(1)
	return g.Name("hidden", g.rmsNorm(m.norm, x, m.eps))
}

func (m *qwen35NextN) logits(g *Graph, hidden *tensor.Tensor) *tensor.Tensor {
	return g.matMul(m.output, hidden)
}

func (m *qwen35NextN) keyRoPE(int) (ropeParams, bool) { return m.rope, true }
