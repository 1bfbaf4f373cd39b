package gguf

import (
	"fmt"
	"testing"
)

// vocabulary is metadata as tokenizers have it: n strings, scores and types.
func vocabulary(n int) *Metadata {
	tokens, scores, types := make([]string, n), make([]float32, n), make([]int32, n)
	for i := range tokens {
		tokens[i], scores[i], types[i] = fmt.Sprintf("token%d", i*7919%n), -float32(i), 1
	}
	m := new(Metadata)
	m.Set("general.architecture", ValueOf("llama"))
	m.Set("tokenizer.ggml.tokens", ArrayOf(tokens))
	m.Set("tokenizer.ggml.scores", ArrayOf(scores))
	m.Set("tokenizer.ggml.token_type", ArrayOf(types))
	return m
}

func BenchmarkOpen150kVocabulary(b *testing.B) {
	path := writeTemp(b, b.TempDir(), "m.gguf", write(b, 3, vocabulary(150000), nil))
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}

func BenchmarkStrings150k(b *testing.B) {
	f, err := Parse(write(b, 3, vocabulary(150000), nil), "m.gguf")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Strings("tokenizer.ggml.tokens"); err != nil {
			b.Fatal(err)
		}
	}
}
