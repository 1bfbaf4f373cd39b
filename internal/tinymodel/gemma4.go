package tinymodel

import (
	"fmt"

	"github.com/tenon-go/tenon/gguf"
)

// Gemma4 is a target of four layers: sliding and full ones in turn, the last two reading the cache of the
// first two, and an embedding of its own for each layer.
var Gemma4 = Config{Arch: "gemma4", Embd: 64, Layers: 4, Heads: 2, KVHeads: 1, HeadDim: 32, FeedForward: 48, Window: 16}

// Gemma4Assistant is a draft for Gemma4: a sliding and a full layer that read the target's cache.
var Gemma4Assistant = Config{Arch: "gemma4-assistant", Embd: 40, Layers: 2, Heads: 2, KVHeads: 1, HeadDim: 32, FeedForward: 48, Window: 16}

// gemma4Metadata adds what only this family has.
func (c *Config) gemma4Metadata(m *gguf.Metadata) {
	key := func(k string, v uint32) { m.Set(c.Arch+"."+k, gguf.ValueOf(v)) }
	pattern := make([]bool, c.Layers)
	for i := range pattern {
		pattern[i] = i%2 == 0
	}
	m.Set(c.Arch+".attention.sliding_window_pattern", gguf.ArrayOf(pattern))
	key("attention.sliding_window", uint32(c.Window))
	key("attention.shared_kv_layers", 2)
	key("attention.key_length_swa", uint32(c.HeadDim))
	key("attention.value_length_swa", uint32(c.HeadDim))
	key("rope.dimension_count_swa", uint32(c.HeadDim))
	m.Set(c.Arch+".rope.freq_base_swa", gguf.ValueOf(float32(10000)))
	if c.draft() {
		key("embedding_length_out", uint32(Gemma4.Embd))
		key("nextn_predict_layers", uint32(c.Layers))
		return
	}
	key("embedding_length_per_layer_input", perLayer)
	m.Set(c.Arch+".final_logit_softcapping", gguf.ValueOf(float32(20)))
}

// perLayer is the width of each layer's own embedding.
const perLayer = 8

func (c *Config) gemma4() bool { return c.Arch == Gemma4.Arch || c.draft() }

func (c *Config) draft() bool { return c.Arch == Gemma4Assistant.Arch }

// gemma4Tensors writes the family's weights by matrix and vector.
func (c *Config) gemma4Tensors(matrix func(name string, sizes ...int), vector func(name string, n int, mean, deviation float64)) {
	if c.draft() {
		matrix("nextn.pre_projection.weight", 2*Gemma4.Embd, c.Embd)
		matrix("nextn.post_projection.weight", c.Embd, Gemma4.Embd)
	} else {
		matrix("per_layer_token_embd.weight", perLayer*c.Layers, c.Vocab)
		matrix("per_layer_model_proj.weight", c.Embd, perLayer*c.Layers)
		vector("per_layer_proj_norm.weight", perLayer, 1, 0.1)
	}
	vector("rope_freqs.weight", c.HeadDim/2, 2, 0.1)
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	for i := range c.Layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s", i, s) }
		for _, norm := range []string{"attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm"} {
			vector(name(norm+".weight"), c.Embd, 1, 0.1)
		}
		matrix(name("attn_q.weight"), c.Embd, q)
		vector(name("attn_q_norm.weight"), c.HeadDim, 1, 0.1)
		matrix(name("attn_output.weight"), q, c.Embd)
		matrix(name("ffn_gate.weight"), c.Embd, c.FeedForward)
		matrix(name("ffn_up.weight"), c.Embd, c.FeedForward)
		matrix(name("ffn_down.weight"), c.FeedForward, c.Embd)
		vector(name("layer_output_scale.weight"), 1, 1, 0.1)
		if c.draft() {
			continue
		}
		matrix(name("inp_gate.weight"), c.Embd, perLayer)
		matrix(name("proj.weight"), perLayer, c.Embd)
		vector(name("post_norm.weight"), c.Embd, 1, 0.1)
		if i >= c.Layers-2 {
			continue // reads the cache of another
		}
		matrix(name("attn_k.weight"), c.Embd, kv)
		vector(name("attn_k_norm.weight"), c.HeadDim, 1, 0.1)
		if i%2 == 0 { // in full layers the keys are the values
			matrix(name("attn_v.weight"), c.Embd, kv)
		}
	}
}
