package model_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tensor"
)

func parse(t testing.TB, c tinymodel.Config) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(tinymodel.Bytes(t, c), "tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// refused fails t unless model.Open refuses c with an error that matches want and says what.
func refused(t *testing.T, c tinymodel.Config, want error, what ...string) {
	t.Helper()
	m, err := model.Open(parse(t, c))
	if m != nil || !errors.Is(err, want) {
		t.Errorf("%v, want an error that matches %v", err, want)
		return
	}
	for _, w := range append(what, "tiny.gguf") {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

// set returns a Config that writes v under llama.key.
func set[T gguf.Scalar](c tinymodel.Config, key string, v T) tinymodel.Config {
	return change(c, func(m *gguf.Metadata) { m.Set("llama."+key, gguf.ValueOf(v)) })
}

func change(c tinymodel.Config, f func(m *gguf.Metadata)) tinymodel.Config {
	before := c.Meta
	c.Meta = func(m *gguf.Metadata) {
		if before != nil {
			before(m)
		}
		f(m)
	}
	return c
}

func TestArchitectures(t *testing.T) {
	refused(t, change(tinymodel.Config{}, func(m *gguf.Metadata) { m.Set("general.architecture", gguf.ValueOf("gpt9")) }),
		model.ErrArch, append(model.Known(), `"gpt9"`)...)
	refused(t, change(tinymodel.Config{}, func(m *gguf.Metadata) { m.Set("general.architecture", gguf.ValueOf("")) }), model.ErrArch)
	refused(t, change(tinymodel.Config{}, func(m *gguf.Metadata) { m.Set("general.architecture", gguf.ValueOf(uint32(1))) }), gguf.ErrType)
	refused(t, change(tinymodel.Config{}, func(m *gguf.Metadata) { m.Delete("general.architecture") }), gguf.ErrMissingKey)
	// The keys of another family are not this one's.
	refused(t, change(tinymodel.Config{}, func(m *gguf.Metadata) { m.Set("general.architecture", gguf.ValueOf("qwen2")) }), gguf.ErrMissingKey, "qwen2.")
}

func TestHyperParametersThatCannotBe(t *testing.T) {
	const huge = uint32(math.MaxInt32)
	var none tinymodel.Config
	moe := tinymodel.Config{Experts: 4}
	yarn := set(none, "rope.scaling.type", "yarn")
	for name, c := range map[string]struct {
		config tinymodel.Config
		want   error
		key    string
	}{
		"no width":                  {set(none, "embedding_length", uint32(0)), model.ErrParam, "embedding_length"},
		"huge width":                {set(none, "embedding_length", huge), model.ErrTensor, "token_embd.weight"},
		"negative width":            {set(none, "embedding_length", int32(-64)), gguf.ErrType, "embedding_length"},
		"width beyond counts":       {set(none, "embedding_length", uint64(1)<<32), gguf.ErrType, "embedding_length"},
		"no layers":                 {set(none, "block_count", uint32(0)), model.ErrParam, "block_count"},
		"a billion layers":          {set(none, "block_count", uint32(1e9)), model.ErrParam, "block_count"},
		"one layer too many":        {set(none, "block_count", uint32(3)), model.ErrTensor, "blk.2.attn_norm.weight"},
		"layers as text":            {set(none, "block_count", "2"), gguf.ErrType, "block_count"},
		"no context":                {set(none, "context_length", uint32(0)), model.ErrParam, "context_length"},
		"negative context":          {set(none, "context_length", int64(-1)), gguf.ErrType, "context_length"},
		"no heads":                  {set(none, "attention.head_count", uint32(0)), model.ErrParam, "attention.head_count"},
		"no heads of keys":          {set(none, "attention.head_count_kv", uint32(0)), model.ErrParam, "attention.head_count"},
		"heads that do not divide":  {set(none, "attention.head_count_kv", uint32(3)), model.ErrParam, "4 heads over 3"},
		"huge heads":                {set(set(none, "attention.head_count", huge), "attention.head_count_kv", huge), model.ErrTensor, "attn_q.weight"},
		"huge keys":                 {set(none, "attention.key_length", huge), model.ErrTensor, "attn_q.weight"},
		"huge heads of huge keys":   {set(set(set(set(none, "attention.head_count", huge), "attention.head_count_kv", huge), "attention.key_length", huge-1), "rope.dimension_count", huge-1), model.ErrTensor, "attn_q.weight"},
		"no keys":                   {set(none, "attention.key_length", uint32(0)), model.ErrParam, "attention.key_length"},
		"no values":                 {set(none, "attention.value_length", uint32(0)), model.ErrParam, "attention.key_length"},
		"more heads than width":     {change(set(none, "attention.head_count", uint32(128)), func(m *gguf.Metadata) { m.Delete("llama.attention.key_length") }), model.ErrParam, "attention.key_length"},
		"keys as a fraction":        {set(none, "attention.key_length", float32(16)), gguf.ErrType, "attention.key_length"},
		"heads for too few layers":  {change(none, func(m *gguf.Metadata) { m.Set("llama.attention.head_count", gguf.ArrayOf([]uint32{4})) }), gguf.ErrType, "attention.head_count"},
		"eps that is none":          {set(none, "attention.layer_norm_rms_epsilon", float32(math.NaN())), gguf.ErrType, "epsilon"},
		"infinite eps":              {set(none, "attention.layer_norm_rms_epsilon", math.Inf(1)), gguf.ErrType, "epsilon"},
		"negative eps":              {set(none, "attention.layer_norm_rms_epsilon", float32(-1)), model.ErrParam, "epsilon"},
		"no eps":                    {change(none, func(m *gguf.Metadata) { m.Delete("llama.attention.layer_norm_rms_epsilon") }), gguf.ErrMissingKey, "epsilon"},
		"odd rotation":              {set(none, "rope.dimension_count", uint32(7)), model.ErrParam, "rope.dimension_count"},
		"no rotation":               {set(none, "rope.dimension_count", uint32(0)), model.ErrParam, "rope.dimension_count"},
		"rotation beyond the head":  {set(none, "rope.dimension_count", uint32(18)), model.ErrParam, "18 of a head of 16"},
		"rotation of base 0":        {set(none, "rope.freq_base", float32(0)), model.ErrParam, "rope.freq_base"},
		"rotation of base NaN":      {set(none, "rope.freq_base", float32(math.NaN())), gguf.ErrType, "rope.freq_base"},
		"scaling of another kind":   {set(none, "rope.scaling.type", "magic"), model.ErrParam, `"magic"`},
		"negative scaling":          {set(none, "rope.scaling.factor", float32(-2)), model.ErrParam, "rope.scaling.factor"},
		"scaling without inverse":   {set(none, "rope.scaling.factor", float32(1e-45)), model.ErrParam, "rope.scaling.factor"},
		"yarn of no context":        {set(yarn, "rope.scaling.original_context_length", uint32(0)), model.ErrParam, "original_context_length"},
		"pooling of another kind":   {set(none, "pooling_type", uint32(77)), model.ErrParam, "pooling_type"},
		"huge pooling":              {set(none, "pooling_type", uint32(math.MaxUint32)), gguf.ErrType, "pooling_type"},
		"more logits than rows":     {set(none, "vocab_size", uint32(321)), model.ErrTensor, "token_embd.weight"},
		"huge vocabulary":           {set(none, "vocab_size", huge), model.ErrTensor, "token_embd.weight"},
		"no width of layers":        {set(none, "feed_forward_length", uint32(0)), model.ErrTensor, "ffn_gate.weight"},
		"huge width of layers":      {set(none, "feed_forward_length", huge), model.ErrTensor, "ffn_gate.weight"},
		"more experts than there":   {set(moe, "expert_used_count", uint32(5)), model.ErrParam, "expert_used_count"},
		"no experts used":           {set(moe, "expert_used_count", uint32(0)), model.ErrParam, "expert_used_count"},
		"experts used not said":     {change(moe, func(m *gguf.Metadata) { m.Delete("llama.expert_used_count") }), gguf.ErrMissingKey, "expert_used_count"},
		"huge number of experts":    {set(set(moe, "expert_count", huge), "expert_used_count", huge), model.ErrParam, "expert_count"},
		"another number of experts": {set(moe, "expert_count", uint32(3)), model.ErrTensor, "ffn_gate_inp.weight"},
		"huge width of experts":     {set(moe, "expert_feed_forward_length", huge), model.ErrTensor, "ffn_gate_exps.weight"},
	} {
		t.Run(name, func(t *testing.T) { refused(t, c.config, c.want, c.key) })
	}
}

// withTensor returns c with the tensor called name changed, or left out where f returns false.
func withTensor(c tinymodel.Config, name string, f func(t *gguf.TensorSource) bool) tinymodel.Config {
	c.Tensors = func(ts []gguf.TensorSource) []gguf.TensorSource {
		var out []gguf.TensorSource
		for _, t := range ts {
			if t.Name != name || f(&t) {
				out = append(out, t)
			}
		}
		return out
	}
	return c
}

// zeros is a tensor of zero bytes.
func zeros(name string, typ tensor.DType, sizes ...int) gguf.TensorSource {
	s := tensor.MakeShape(sizes...)
	return gguf.TensorSource{Name: name, Type: typ, Shape: s, Write: func(w io.Writer) error {
		_, err := w.Write(make([]byte, typ.RowBytes(s[0])*s.Rows()))
		return err
	}}
}

// Every tensor of every family in turn is left out, bent, and of a type that it cannot have.
func TestTensorsThatCannotBe(t *testing.T) {
	for _, c := range []tinymodel.Config{
		{},
		{Biases: true, RoPEFrequencies: true, Layers: 1},
		{Experts: 2, Layers: 1},
		{Arch: "qwen2", Layers: 1},
		{Arch: "qwen3", Layers: 1},
		{Arch: "qwen3moe", Experts: 2, Layers: 1},
	} {
		whole, err := model.Open(parse(t, c))
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range whole.Weights {
			name := w.Name
			t.Run(fmt.Sprintf("%s/%d experts/%s", c.Arch, c.Experts, name), func(t *testing.T) {
				sizes := w.Shape[:w.Shape.Dims()]
				optional := strings.HasSuffix(name, ".bias") || name == "rope_freqs.weight" || name == "output.weight"
				without := withTensor(c, name, func(*gguf.TensorSource) bool { return false })
				if !optional {
					refused(t, without, model.ErrTensor, name, "nothing")
				} else if _, err := model.Open(parse(t, without)); err != nil {
					t.Error(err)
				}
				bent := append([]int(nil), sizes...)
				bent[len(bent)-1] += 32
				replaced := func(typ tensor.DType, sizes ...int) tinymodel.Config {
					return withTensor(c, name, func(ts *gguf.TensorSource) bool { *ts = zeros(name, typ, sizes...); return true })
				}
				refused(t, replaced(tensor.F32, bent...), model.ErrTensor, name, w.Shape.String(), tensor.MakeShape(bent...).String())
				refused(t, replaced(tensor.F32, append(sizes[:len(sizes):len(sizes)], 2)...), model.ErrTensor, name)
				refused(t, replaced(tensor.I32, sizes...), model.ErrTensor, name, "I32")
				refused(t, replaced(tensor.F64, sizes...), model.ErrTensor, name, "F64")
				if len(sizes) == 1 && sizes[0]%32 == 0 {
					refused(t, replaced(tensor.Q8_0, sizes...), model.ErrTensor, name, "Q8_0", "F32, F16 or BF16")
				}
				if name == "rope_freqs.weight" {
					refused(t, replaced(tensor.F16, sizes...), model.ErrTensor, name, "F16", "want F32")
				}
			})
		}
	}
}

// A file may leave out what has a default.
func TestDefaults(t *testing.T) {
	drop := func(c tinymodel.Config, keys ...string) *model.Model {
		t.Helper()
		m, err := model.Open(parse(t, change(c, func(m *gguf.Metadata) {
			for _, k := range keys {
				m.Delete("llama." + k)
			}
		})))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	whole := drop(tinymodel.Config{KVHeads: 4})
	m := drop(tinymodel.Config{KVHeads: 4}, "vocab_size", "attention.head_count_kv", "attention.key_length", "attention.value_length", "rope.dimension_count", "rope.freq_base")
	if m.Params != whole.Params || fmt.Sprint(m.Layer) != fmt.Sprint(whole.Layer) {
		t.Errorf("%+v %+v, want %+v %+v", m.Params, m.Layer, whole.Params, whole.Layer)
	}
	if whole.Name != "tiny random weights" || whole.Arch != "llama" || whole.Vocab != 320 || whole.Embd != 64 || whole.Layers != 2 || whole.Context != 128 || whole.Pooling != model.PoolNone {
		t.Errorf("%+v", whole.Params)
	}
	var n, size int64
	for _, w := range whole.Weights {
		n += int64(w.Shape.Elems())
		size += w.Info.Size
	}
	if whole.Parameters != n || whole.Bytes != size {
		t.Errorf("%d weights of %d bytes, want %d of %d", whole.Parameters, whole.Bytes, n, size)
	}
}
