package model_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/model"
)

func qwen35With(key string, v uint32) tinymodel.Config {
	return tinymodel.Qwen35(tinymodel.Config{Meta: func(m *gguf.Metadata) { m.Set("qwen35."+key, gguf.ValueOf(v)) }})
}

// qwen35Without returns a qwen35 without the tensors whose names hold s.
func qwen35Without(s string) tinymodel.Config {
	return tinymodel.Qwen35(tinymodel.Config{Tensors: func(t []gguf.TensorSource) []gguf.TensorSource {
		return slices.DeleteFunc(t, func(x gguf.TensorSource) bool { return strings.Contains(x.Name, s) })
	}})
}

func TestQwen35Layers(t *testing.T) {
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{Layers: 4}))
	m, err := model.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	if m.Layers != 4 || len(m.Layer) != 2 || m.Layer[0].Layer != 1 || m.Layer[1].Layer != 3 || len(m.State) != 2 || m.State[0].Layer != 0 || m.State[1].Layer != 2 {
		t.Errorf("%d layers, attention %+v, states %+v", m.Layers, m.Layer, m.State)
	}
	if s := m.State[0]; s.Conv != 3*128 || s.Hidden != 16*16*4 {
		t.Errorf("state %+v", s)
	}
	for _, w := range m.Weights {
		if strings.Contains(w.Name, "blk.4") {
			t.Errorf("%s belongs to the draft", w.Name)
		}
	}
}

func TestQwen35Refusals(t *testing.T) {
	for _, c := range []struct {
		key   string
		value uint32
	}{
		{"ssm.conv_kernel", 0},
		{"ssm.conv_kernel", 1 << 30},
		{"ssm.state_size", 0},
		{"ssm.state_size", 1 << 30},
		{"ssm.group_count", 0},
		{"ssm.time_step_rank", 3}, // over 2 heads of keys
		{"ssm.inner_size", 66},    // in 4 heads
		{"full_attention_interval", 0},
		{"full_attention_interval", 4}, // no layer has attention
		{"nextn_predict_layers", 3},
		{"attention.value_length", 8},
	} {
		refused(t, qwen35With(c.key, c.value), model.ErrParam, "qwen35."+c.key)
	}
	refused(t, qwen35With("ssm.state_size", 8), model.ErrTensor, "attn_qkv")
	for _, name := range []string{"attn_qkv", "ssm_conv1d", "ssm_a", "ssm_dt.bias", "blk.1.attn_q.weight", "post_attention_norm"} {
		refused(t, qwen35Without(name), model.ErrTensor, name)
	}
}

func TestQwen35NextN(t *testing.T) {
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	target, err := model.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	d, err := model.OpenDraft(f, target)
	if err != nil {
		t.Fatal(err)
	}
	if d.Layers != 1 || len(d.Layer) != 1 || d.Layer[0].Layer != 0 || len(d.State) != 0 || d.ReadsTarget || d.HiddenIn != target.Embd {
		t.Errorf("%d layers, %+v, %+v, hidden states of %d", d.Layers, d.Layer, d.State, d.HiddenIn)
	}
	borrowed := map[string]bool{}
	for _, w := range d.Weights {
		if w.Target != nil {
			borrowed[w.Target.Name] = true
		} else if w.Layer != 0 {
			t.Errorf("%s is of layer %d", w.Name, w.Layer)
		}
	}
	if len(borrowed) != 2 || !borrowed["token_embd.weight"] || !borrowed["output.weight"] {
		t.Errorf("borrowed are %v", borrowed)
	}
}

// TestQwen35NextNWithoutOwnHead borrows what the block does not bring, of a target whose output is its
// embedding.
func TestQwen35NextNWithoutOwnHead(t *testing.T) {
	c := qwen35Without("shared_head_norm")
	c.TiedEmbedding = true
	f := parse(t, c)
	target, err := model.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	d, err := model.OpenDraft(f, target)
	if err != nil {
		t.Fatal(err)
	}
	var borrowed []string
	for _, w := range d.Weights {
		if w.Target != nil {
			borrowed = append(borrowed, w.Target.Name)
		}
	}
	slices.Sort(borrowed)
	if !slices.Equal(borrowed, []string{"output_norm.weight", "token_embd.weight"}) {
		t.Errorf("borrowed are %v", borrowed)
	}
}

func TestQwen35NextNRefusals(t *testing.T) {
	good := parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	target, err := model.Open(good)
	if err != nil {
		t.Fatal(err)
	}
	llama, err := model.Open(parse(t, tinymodel.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	var wrong *model.DraftError
	if _, err := model.OpenDraft(good, llama); !errors.As(err, &wrong) || wrong.Target != "llama" || wrong.Want != "qwen35" {
		t.Errorf("for a llama: %v", err)
	}
	if _, err := model.OpenDraft(parse(t, qwen35With("nextn_predict_layers", 0)), target); !errors.Is(err, model.ErrParam) {
		t.Errorf("without a block: %v", err)
	}
	for _, c := range []tinymodel.Config{{Embd: 96}, {Vocab: 352}} {
		if _, err := model.OpenDraft(parse(t, tinymodel.Qwen35(c)), target); !errors.Is(err, model.ErrParam) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, name := range []string{"nextn.eh_proj", "nextn.enorm", "nextn.hnorm", "blk.2.attn_k.weight"} {
		if _, err := model.OpenDraft(parse(t, qwen35Without(name)), target); !errors.Is(err, model.ErrTensor) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
	}
}
