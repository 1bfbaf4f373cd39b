package spec_test

import (
	"errors"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/spec"
)

// TestVocabularies compares a vocabulary with changed ones.
func TestVocabularies(t *testing.T) {
	target := parse(t, tinymodel.Config{})
	tokens := func(m *gguf.Metadata) []string {
		s, err := m.Strings("tokenizer.ggml.tokens")
		if err != nil {
			t.Fatal(err)
		}
		return append([]string(nil), s...)
	}
	types := func(m *gguf.Metadata) []int32 {
		s, err := m.Ints("tokenizer.ggml.token_type")
		if err != nil {
			t.Fatal(err)
		}
		var all []int32
		for _, x := range s {
			all = append(all, int32(x))
		}
		return all
	}
	longer := func(typ int32) func(m *gguf.Metadata) {
		return func(m *gguf.Metadata) {
			m.Set("tokenizer.ggml.tokens", gguf.ArrayOf(append(tokens(m), "more")))
			m.Set("tokenizer.ggml.token_type", gguf.ArrayOf(append(types(m), typ)))
		}
	}
	for _, tc := range []struct {
		what   string // that differs; empty if nothing must
		change func(m *gguf.Metadata)
	}{
		{"", func(*gguf.Metadata) {}},
		{"", func(m *gguf.Metadata) { m.Set("general.name", gguf.ValueOf("another")) }},
		{"", longer(5)},
		{"number of tokens", longer(1)},
		{"tokenizer", func(m *gguf.Metadata) { m.Set("tokenizer.ggml.model", gguf.ValueOf("gpt2")) }},
		{"BOS", func(m *gguf.Metadata) { m.Set("tokenizer.ggml.bos_token_id", gguf.ValueOf(uint32(0))) }},
		{"EOS", func(m *gguf.Metadata) { m.Delete("tokenizer.ggml.eos_token_id") }},
		{"token 300", func(m *gguf.Metadata) {
			s := tokens(m)
			s[300] = "other"
			m.Set("tokenizer.ggml.tokens", gguf.ArrayOf(s))
		}},
		{"type of token 2", func(m *gguf.Metadata) {
			s := types(m)
			s[2] = 1
			m.Set("tokenizer.ggml.token_type", gguf.ArrayOf(s))
		}},
	} {
		draft := parse(t, tinymodel.Config{Layers: 1, Meta: tc.change})
		for _, pair := range [][2]*gguf.File{{target, draft}, {draft, target}} {
			err := spec.CheckVocab(pair[0], pair[1])
			var v *spec.VocabError
			switch {
			case tc.what == "" && err != nil:
				t.Error(err)
			case tc.what != "" && (!errors.As(err, &v) || !errors.Is(err, spec.ErrVocab) || v.What != tc.what || v.Have == v.Want):
				t.Errorf("%v, want a difference of the %s", err, tc.what)
			}
		}
	}
	if err := spec.CheckVocab(target, parse(t, tinymodel.Config{Meta: func(m *gguf.Metadata) { m.Delete("tokenizer.ggml.tokens") }})); err == nil {
		t.Error("a file without tokens was taken for one with them")
	}
}
