package tinymodel_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tokenizer"
)

func TestModelsOpen(t *testing.T) {
	for _, c := range []tinymodel.Config{
		{},
		{Arch: "llama", Biases: true, RoPEFrequencies: true, TiedEmbedding: true},
		{Arch: "llama", Experts: 4, Used: 3},
		{Arch: "qwen2", Type: tensor.Q8_0},
		{Arch: "qwen3", Type: tensor.F16, Layers: 1, KVHeads: 4, Vocab: 260},
		{Arch: "qwen3moe", Experts: 3, Type: tensor.Q4_0},
		{Embd: 256, FeedForward: 512, Layers: 1, Type: tensor.Q4_K},
	} {
		name := fmt.Sprintf("%s/%s/%d experts", c.Arch, c.Type, c.Experts)
		t.Run(name, func(t *testing.T) {
			data := tinymodel.Bytes(t, c)
			f, err := gguf.Parse(data, "tiny")
			if err != nil {
				t.Fatal(err)
			}
			m, err := model.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Weights) != f.NumTensors() {
				t.Errorf("the model uses %d of %d tensors", len(m.Weights), f.NumTensors())
			}
			tok, err := tokenizer.New(f.Metadata)
			if err != nil {
				t.Fatal(err)
			}
			if tok.Size() != m.Vocab {
				t.Errorf("%d tokens, %d logits", tok.Size(), m.Vocab)
			}
			const text = "Once upon a time: 3 €, \x00 and 日本"
			ids, err := tok.Encode(text, tokenizer.EncodeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			back, err := tok.Decode(ids, tokenizer.DecodeOptions{})
			if err != nil || string(back) != text {
				t.Errorf("%q, %v", back, err)
			}
			if !bytes.Equal(data, tinymodel.Bytes(t, c)) {
				t.Error("the same Config gave another file")
			}
			other := c
			other.Seed++
			if bytes.Equal(data, tinymodel.Bytes(t, other)) {
				t.Error("another seed gave the same file")
			}
		})
	}
}

func TestTooFewTokens(t *testing.T) {
	if err := tinymodel.Write(new(bytes.Buffer), tinymodel.Config{Vocab: 259}); err == nil {
		t.Error("a vocabulary that cannot spell a space was written")
	}
}

func TestChanges(t *testing.T) {
	f, err := gguf.Open(tinymodel.Path(t, tinymodel.Config{
		Meta: func(m *gguf.Metadata) { m.Set("general.name", gguf.ValueOf("other")) },
		Tensors: func(ts []gguf.TensorSource) []gguf.TensorSource {
			return ts[1:]
		},
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if name, err := f.String("general.name"); name != "other" || err != nil {
		t.Errorf("%q, %v", name, err)
	}
	if _, ok := f.Tensor("token_embd.weight"); ok {
		t.Error("a tensor that Tensors dropped was written")
	}
}

func TestSharedTargetAndDraftOpen(t *testing.T) {
	for _, c := range []tinymodel.Config{{}, {Layers: 5, Type: tensor.F16}, {Layers: 7, KVHeads: 4, Seed: 3}} {
		target := tinymodel.SharedTarget(c)
		draft := tinymodel.SharedDraft(tinymodel.Config{Embd: 48, Layers: 3}, target)
		open := func(c tinymodel.Config, open func(f *gguf.File) (*model.Model, error)) *model.Model {
			t.Helper()
			f, err := gguf.Parse(tinymodel.Bytes(t, c), "tiny")
			if err != nil {
				t.Fatal(err)
			}
			m, err := open(f)
			if err != nil {
				t.Fatal(err)
			}
			own := 0
			for _, w := range m.Weights {
				if w.Target == nil {
					own++
				}
			}
			if own != f.NumTensors() {
				t.Errorf("the model uses %d of %d tensors", own, f.NumTensors())
			}
			return m
		}
		m := open(target, model.Open)
		d := open(draft, func(f *gguf.File) (*model.Model, error) { return model.OpenDraft(f, m) })
		if m.Layers != max(c.Layers, 4) || d.Layers != 3 || !d.ReadsTarget || d.Vocab != m.Vocab {
			t.Errorf("%d layers, the draft has %d of %d tokens", m.Layers, d.Layers, d.Vocab)
		}
	}
}
