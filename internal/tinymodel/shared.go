package tinymodel

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
)

// SharedWindow is how many tokens a sliding layer of a SharedTarget sees.
const SharedWindow = 8

const (
	sharedLayers   = 2 // the last layers read the cache of earlier ones
	sharedPerLayer = 8 // width of a layer's own embedding
)

// SharedTarget returns c as a gemma4 of four layers or more, of any size: the last two read the cache of
// those before them, of which the last sees all tokens and the others slide. Sliding layers have heads of
// HeadDim, and KVHeads of them for keys; the others have one head for keys, and heads are twice as large.
func SharedTarget(c Config) Config {
	c.Arch = "gemma4"
	c.Layers = max(c.Layers, 4)
	return c.shared(sharedLayers, false, nil, func(w *sharedWriter) { w.target() })
}

// SharedWithoutWindow is SharedTarget of layers that all see all tokens.
func SharedWithoutWindow(c Config) Config {
	c.Arch = "gemma4"
	c.Layers = max(c.Layers, 4)
	return c.shared(sharedLayers, true, nil, func(w *sharedWriter) { w.target() })
}

// SharedDraft returns c as a draft for target, which is what SharedTarget returned: all its layers read
// the target's cache, and the last sees all tokens.
func SharedDraft(c, target Config) Config {
	target = target.withDefaults()
	c.Arch, c.Vocab = "gemma4-assistant", target.Vocab
	c.KVHeads, c.HeadDim = target.KVHeads, target.HeadDim
	c = c.withDefaults()
	return c.shared(c.Layers, false, map[string]int{"embedding_length_out": target.Embd, "nextn_predict_layers": c.Layers},
		func(w *sharedWriter) { w.assistant(target.Embd) })
}

// shared sets up c's Meta and Tensors.
func (c Config) shared(shared int, full bool, more map[string]int, write func(w *sharedWriter)) Config {
	meta, tensors := c.Meta, c.Tensors
	c.Meta, c.Tensors = nil, nil
	whole := c.withDefaults()
	w := sharedWriter{Config: whole, owners: whole.Layers - shared, full: full}
	c.Meta = func(m *gguf.Metadata) {
		w.meta(m, more)
		if meta != nil {
			meta(m)
		}
	}
	c.Tensors = func([]gguf.TensorSource) []gguf.TensorSource {
		w.r, w.all = rand.New(rand.NewPCG(c.Seed, 4)), nil
		write(&w)
		if tensors != nil {
			return tensors(w.all)
		}
		return w.all
	}
	return c
}

type sharedWriter struct {
	Config
	owners int  // layers from here on read the cache of others
	full   bool // no layer slides
	r      *rand.Rand
	all    []gguf.TensorSource
}

// slides reports whether layer i has a window.
func (w *sharedWriter) slides(i int) bool { return !w.full && i != w.owners-1 && i != w.Layers-1 }

// heads returns the heads of layer i's keys, and the size of its heads.
func (w *sharedWriter) heads(i int) (kv, dim int) {
	if w.slides(i) {
		return w.KVHeads, w.HeadDim
	}
	return 1, 2 * w.HeadDim
}

func (w *sharedWriter) meta(m *gguf.Metadata, more map[string]int) {
	kv, slides := make([]int32, w.Layers), make([]bool, w.Layers)
	for i := range kv {
		n, _ := w.heads(i)
		kv[i], slides[i] = int32(n), w.slides(i)
	}
	set := func(key string, v gguf.Value) { m.Set(w.Arch+"."+key, v) }
	set("attention.head_count_kv", gguf.ArrayOf(kv))
	set("attention.sliding_window_pattern", gguf.ArrayOf(slides))
	set("rope.freq_base", gguf.ValueOf(float32(1e6)))
	set("rope.freq_base_swa", gguf.ValueOf(float32(1e4)))
	numbers := map[string]int{
		"attention.sliding_window": SharedWindow, "attention.shared_kv_layers": w.Layers - w.owners,
		"attention.key_length": 2 * w.HeadDim, "attention.value_length": 2 * w.HeadDim, "rope.dimension_count": 2 * w.HeadDim,
		"attention.key_length_swa": w.HeadDim, "attention.value_length_swa": w.HeadDim, "rope.dimension_count_swa": w.HeadDim,
		"embedding_length_per_layer_input": 0,
	}
	if w.Arch == "gemma4" {
		numbers["embedding_length_per_layer_input"] = sharedPerLayer
		set("final_logit_softcapping", gguf.ValueOf(float32(20)))
	}
	for _, set := range []map[string]int{numbers, more} {
		for k, v := range set {
			m.Set(w.Arch+"."+k, gguf.ValueOf(uint32(v)))
		}
	}
}

func (w *sharedWriter) matrix(name string, sizes ...int) {
	w.all = append(w.all, random(name, w.Type, tensor.MakeShape(sizes...), 0, 1/math.Sqrt(float64(sizes[0])), w.r.Uint64()))
}

func (w *sharedWriter) vector(name string, n int, mean float64) {
	w.all = append(w.all, random(name, tensor.F32, tensor.MakeShape(n), mean, 0.1, w.r.Uint64()))
}

// target writes a gemma4.
func (w *sharedWriter) target() {
	w.matrix("token_embd.weight", w.Embd, w.Vocab)
	w.vector("output_norm.weight", w.Embd, 1)
	w.matrix("per_layer_token_embd.weight", sharedPerLayer*w.Layers, w.Vocab)
	w.matrix("per_layer_model_proj.weight", w.Embd, sharedPerLayer*w.Layers)
	w.vector("per_layer_proj_norm.weight", sharedPerLayer, 1)
	w.vector("rope_freqs.weight", w.HeadDim, 2)
	for i := range w.Layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s.weight", i, s) }
		w.layer(i)
		if kv, dim := w.heads(i); i < w.owners {
			w.matrix(name("attn_k"), w.Embd, kv*dim)
			w.vector(name("attn_k_norm"), dim, 1)
			w.matrix(name("attn_v"), w.Embd, kv*dim)
		}
		w.matrix(name("inp_gate"), w.Embd, sharedPerLayer)
		w.matrix(name("proj"), sharedPerLayer, w.Embd)
		w.vector(name("post_norm"), w.Embd, 1)
	}
}

// assistant writes a draft for a target of the given width.
func (w *sharedWriter) assistant(target int) {
	w.matrix("token_embd.weight", w.Embd, w.Vocab)
	w.vector("output_norm.weight", w.Embd, 1)
	w.vector("rope_freqs.weight", w.HeadDim, 2)
	w.matrix("nextn.pre_projection.weight", 2*target, w.Embd)
	w.matrix("nextn.post_projection.weight", w.Embd, target)
	for i := range w.Layers {
		w.layer(i)
	}
}

// layer writes what the layers of both have.
func (w *sharedWriter) layer(i int) {
	name := func(s string) string { return fmt.Sprintf("blk.%d.%s.weight", i, s) }
	_, dim := w.heads(i)
	for _, norm := range []string{"attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm"} {
		w.vector(name(norm), w.Embd, 1)
	}
	w.matrix(name("attn_q"), w.Embd, w.Heads*dim)
	w.vector(name("attn_q_norm"), dim, 1)
	w.matrix(name("attn_output"), w.Heads*dim, w.Embd)
	w.matrix(name("ffn_gate"), w.Embd, w.FeedForward)
	w.matrix(name("ffn_up"), w.Embd, w.FeedForward)
	w.matrix(name("ffn_down"), w.FeedForward, w.Embd)
	w.vector(name("layer_output_scale"), 1, 1)
}
