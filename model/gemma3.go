package model

import "github.com/tenon-go/tenon/tensor"

// Gemma 3 is Gemma 2's decoder with queries and keys normed per head instead of capped scores, five
// layers of six sliding, and another RoPE base in those. Source: arXiv:2503.19786.
func init() {
	families["gemma3"] = newGemma3
}

func newGemma3(l *loader) family {
	m := &gemma{
		eps:      l.rmsEps(),
		logitCap: l.FloatOr("final_logit_softcapping", 0),
	}
	window := l.IntOr("attention.sliding_window", 0)
	period := l.IntOr("attention.sliding_window_pattern", 6)
	slidingBase := l.FloatOr("rope.freq_base_swa", 10000)
	l.check(slidingBase > 0, "rope.freq_base_swa", "%g, want more than 0", slidingBase)
	const layersOf27B = 62
	m.read(l, func(i int, layer *gemmaLayer, h heads) {
		slides := window > 0 && (period == 0 || (i+1)%period != 0)
		layer.rope = l.rope(tensor.RoPENeoX, h.key)
		w := 0
		if slides {
			w = window
			layer.rope.op.Base, layer.rope.op.Scale = slidingBase, 1
		}
		layer.attn = l.attention(i, h, w, m.eps)
		l.qkNorm(i, &layer.attn)
		if l.m.Layers == layersOf27B { // its query scale is not that of its heads
			layer.attn.op.Scale = rsqrt(l.m.Embd / h.q)
		}
	})
	return m
}
