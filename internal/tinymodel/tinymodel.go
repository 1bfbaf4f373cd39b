// Package tinymodel writes small models with random weights, so that tests need no download: whole
// GGUF files with hyper-parameters, weights and a vocabulary that can spell any text. Equal Configs
// give equal files. What such a model says is noise, but it says the same each time.
package tinymodel

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// Config says what to write. Zero fields stand for the values of Default.
type Config struct {
	Arch            string // "llama", "qwen2", "qwen3" or "qwen3moe"
	Embd, Layers    int
	Heads, KVHeads  int
	HeadDim         int // Embd/Heads if 0
	FeedForward     int
	Vocab           int // at least 260: three control tokens, one for each byte, one for a space
	Context         int
	Experts, Used   int          // a mixture instead of feed-forward blocks if Experts is not 0
	Type            tensor.DType // of the matrices; their rows must be whole numbers of its blocks
	Seed            uint64
	TiedEmbedding   bool // no output.weight
	Biases          bool
	RoPEFrequencies bool // a rope_freqs.weight

	// Meta and Tensors change what is written, for tests of files that are wrong or unusual.
	Meta    func(m *gguf.Metadata)
	Tensors func(t []gguf.TensorSource) []gguf.TensorSource
}

// Default is a model of two layers with two heads to each plane of keys: 100,000 weights.
var Default = Config{
	Arch: "llama", Embd: 64, Layers: 2, Heads: 4, KVHeads: 2, HeadDim: 16, FeedForward: 96, Vocab: 320, Context: 128,
}

func (c Config) withDefaults() Config {
	set := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	if c.Arch == "" {
		c.Arch = Default.Arch
	}
	set(&c.Embd, Default.Embd)
	set(&c.Layers, Default.Layers)
	set(&c.Heads, Default.Heads)
	set(&c.KVHeads, Default.KVHeads)
	set(&c.HeadDim, c.Embd/c.Heads)
	set(&c.FeedForward, Default.FeedForward)
	set(&c.Vocab, Default.Vocab)
	set(&c.Context, Default.Context)
	set(&c.Used, 2)
	return c
}

// Write writes the model that c describes.
func Write(w io.Writer, c Config) error {
	c = c.withDefaults()
	if c.Vocab < leastVocab {
		return fmt.Errorf("tinymodel: a vocabulary of %d, want at least %d", c.Vocab, leastVocab)
	}
	meta := c.metadata()
	if c.Meta != nil {
		c.Meta(meta)
	}
	tensors := c.tensors()
	if c.Tensors != nil {
		tensors = c.Tensors(tensors)
	}
	return gguf.Write(w, meta, tensors)
}

// WriteFile is Write to a file.
func WriteFile(path string, c Config) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	return Write(f, c)
}

// Bytes returns the file of the model that c describes.
func Bytes(t testing.TB, c Config) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Path writes the model that c describes to a folder that lasts as long as t, and returns its path.
func Path(t testing.TB, c Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	if err := WriteFile(path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

func (c *Config) metadata() *gguf.Metadata {
	m := new(gguf.Metadata)
	m.Set("general.architecture", gguf.ValueOf(c.Arch))
	m.Set("general.name", gguf.ValueOf("tiny random weights"))
	key := func(k string, v int) { m.Set(c.Arch+"."+k, gguf.ValueOf(uint32(v))) }
	key("context_length", c.Context)
	key("embedding_length", c.Embd)
	key("block_count", c.Layers)
	key("feed_forward_length", c.FeedForward)
	key("attention.head_count", c.Heads)
	key("attention.head_count_kv", c.KVHeads)
	key("attention.key_length", c.HeadDim)
	key("attention.value_length", c.HeadDim)
	key("rope.dimension_count", c.HeadDim)
	key("vocab_size", c.Vocab)
	if c.Experts > 0 {
		key("expert_count", c.Experts)
		key("expert_used_count", c.Used)
	}
	m.Set(c.Arch+".attention.layer_norm_rms_epsilon", gguf.ValueOf(float32(1e-5)))
	m.Set(c.Arch+".rope.freq_base", gguf.ValueOf(float32(10000)))
	c.vocabulary(m)
	return m
}

// leastVocab is what any text can be spelled with.
const leastVocab = 3 + 256 + 1

// vocabulary gives the model byte tokens, the printable characters, a few pairs, and fillers.
func (c *Config) vocabulary(m *gguf.Metadata) {
	const normal, unknown, control, byteToken = 1, 2, 3, 6
	tokens := []string{"<unk>", "<s>", "</s>"}
	types := []int32{unknown, control, control}
	add := func(text string, typ int32) {
		if len(tokens) < c.Vocab {
			tokens, types = append(tokens, text), append(types, typ)
		}
	}
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), byteToken)
	}
	for _, s := range []string{"▁", "e", "t", "a", "o", "n", "i", "th", "he", "▁a", "▁th", "in", "er", "▁the"} {
		add(s, normal)
	}
	for len(tokens) < c.Vocab {
		add(fmt.Sprintf("▁w%d", len(tokens)), normal)
	}
	scores := make([]float32, len(tokens))
	for i := range scores {
		scores[i] = -float32(i)
	}
	m.Set("tokenizer.ggml.model", gguf.ValueOf("llama"))
	m.Set("tokenizer.ggml.pre", gguf.ValueOf("default"))
	m.Set("tokenizer.ggml.tokens", gguf.ArrayOf(tokens))
	m.Set("tokenizer.ggml.scores", gguf.ArrayOf(scores))
	m.Set("tokenizer.ggml.token_type", gguf.ArrayOf(types))
	m.Set("tokenizer.ggml.bos_token_id", gguf.ValueOf(uint32(1)))
	m.Set("tokenizer.ggml.eos_token_id", gguf.ValueOf(uint32(2)))
	m.Set("tokenizer.ggml.unknown_token_id", gguf.ValueOf(uint32(0)))
	m.Set("tokenizer.ggml.add_bos_token", gguf.ValueOf(true))
}

func (c *Config) tensors() []gguf.TensorSource {
	var all []gguf.TensorSource
	r := rand.New(rand.NewPCG(c.Seed, 7))
	matrix := func(name string, sizes ...int) {
		// Weights of this size keep the hidden state from growing or fading over the layers.
		all = append(all, random(name, c.Type, tensor.MakeShape(sizes...), 0, 1/math.Sqrt(float64(sizes[0])), r.Uint64()))
	}
	vector := func(name string, n int, mean, deviation float64) {
		all = append(all, random(name, tensor.F32, tensor.MakeShape(n), mean, deviation, r.Uint64()))
	}
	matrix("token_embd.weight", c.Embd, c.Vocab)
	vector("output_norm.weight", c.Embd, 1, 0.1)
	if !c.TiedEmbedding {
		matrix("output.weight", c.Embd, c.Vocab)
	}
	if c.RoPEFrequencies {
		vector("rope_freqs.weight", c.HeadDim/2, 2, 0.1)
	}
	q, kv := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
	for i := range c.Layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.%s", i, s) }
		vector(name("attn_norm.weight"), c.Embd, 1, 0.1)
		vector(name("ffn_norm.weight"), c.Embd, 1, 0.1)
		matrix(name("attn_q.weight"), c.Embd, q)
		matrix(name("attn_k.weight"), c.Embd, kv)
		matrix(name("attn_v.weight"), c.Embd, kv)
		matrix(name("attn_output.weight"), q, c.Embd)
		if c.Biases || c.Arch == "qwen2" {
			vector(name("attn_q.bias"), q, 0, 0.1)
			vector(name("attn_k.bias"), kv, 0, 0.1)
			vector(name("attn_v.bias"), kv, 0, 0.1)
		}
		if c.Arch == "qwen3" || c.Arch == "qwen3moe" {
			vector(name("attn_q_norm.weight"), c.HeadDim, 1, 0.1)
			vector(name("attn_k_norm.weight"), c.HeadDim, 1, 0.1)
		}
		if c.Experts > 0 {
			router := random(name("ffn_gate_inp.weight"), tensor.F32, tensor.MakeShape(c.Embd, c.Experts), 0, 1, r.Uint64())
			all = append(all, router)
			matrix(name("ffn_gate_exps.weight"), c.Embd, c.FeedForward, c.Experts)
			matrix(name("ffn_up_exps.weight"), c.Embd, c.FeedForward, c.Experts)
			matrix(name("ffn_down_exps.weight"), c.FeedForward, c.Embd, c.Experts)
			continue
		}
		matrix(name("ffn_gate.weight"), c.Embd, c.FeedForward)
		matrix(name("ffn_up.weight"), c.Embd, c.FeedForward)
		matrix(name("ffn_down.weight"), c.FeedForward, c.Embd)
	}
	return all
}

// patternRows is how many different rows a tensor has before they repeat: models of a billion weights
// are written for benchmarks, and need no billion random numbers.
const patternRows = 61

// random returns a tensor of normal random numbers.
func random(name string, t tensor.DType, s tensor.Shape, mean, deviation float64, seed uint64) gguf.TensorSource {
	return gguf.TensorSource{Name: name, Type: t, Shape: s, Write: func(w io.Writer) error {
		r := rand.New(rand.NewPCG(seed, 1))
		row := make([]float32, s[0])
		size := t.RowBytes(s[0])
		pattern := make([][]byte, min(patternRows, s.Rows()))
		for i := range pattern {
			for j := range row {
				row[j] = float32(mean + deviation*r.NormFloat64())
			}
			pattern[i] = make([]byte, size)
			if err := quant.Encode(t, pattern[i], row, nil); err != nil {
				return err
			}
		}
		for i := range s.Rows() {
			if _, err := w.Write(pattern[i%len(pattern)]); err != nil {
				return err
			}
		}
		return nil
	}}
}
