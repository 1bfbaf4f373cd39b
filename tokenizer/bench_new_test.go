package tokenizer

import (
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/gguf"
)

// bigVocab makes metadata with n tokens that look like words, and as many merges as make them.
func bigVocab(b *testing.B, n int, spm bool) *gguf.Metadata {
	b.Helper()
	rng := rand.New(rand.NewPCG(4, 4))
	v := &vocab{model: modelBPE, pre: "qwen2"}
	parts := byteAlphabet()
	if spm {
		v.model, v.pre = modelSPM, ""
		v.add(typeUnknown, "<unk>")
		v.add(typeControl, "<s>", "</s>")
		for c := range 256 {
			v.add(typeByte, byteName(byte(c)))
		}
		parts = nil
		for _, r := range "▁etaoinshrdlcumwfgypbvkETAOINSHRDLCUMWéäöüабвгдежзийклмнопрст今日本語中文字한국어" {
			parts = append(parts, string(r))
		}
	}
	seen := make(map[string]bool, n)
	for _, p := range parts {
		v.scored(p, 0)
		seen[p] = true
	}
	for len(v.tokens) < n {
		i, j := rng.IntN(len(parts)), rng.IntN(len(parts))
		both := parts[i] + parts[j]
		if seen[both] || len(both) > 24 {
			continue
		}
		seen[both] = true
		v.scored(both, -float32(len(v.tokens)))
		v.merges = append(v.merges, parts[i]+" "+parts[j])
		parts = append(parts, both)
	}
	return v.meta()
}

// BenchmarkNew256k makes tokenizers as large as those of the largest vocabularies.
func BenchmarkNew256k(b *testing.B) {
	for _, c := range []struct {
		name string
		spm  bool
	}{{"bpe", false}, {"spm", true}} {
		b.Run(c.name, func(b *testing.B) {
			meta := bigVocab(b, 256_000, c.spm)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := New(meta); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
