package tokenizer

import (
	"fmt"
	"math"
)

// Metadata is what New reads of a model file. *gguf.Metadata fulfils it.
type Metadata interface {
	Has(key string) bool
	String(key string) (string, error)
	Int(key string) (int64, error)
	Bool(key string) (bool, error)
	Strings(key string) ([]string, error)
	Ints(key string) ([]int64, error)
	Floats(key string) ([]float32, error)
}

// The keys that every vocabulary has or may have. Those of special tokens are in special.go.
const (
	keyModel          = "tokenizer.ggml.model"
	keyPre            = "tokenizer.ggml.pre"
	keyTokens         = "tokenizer.ggml.tokens"
	keyTypes          = "tokenizer.ggml.token_type"
	keyScores         = "tokenizer.ggml.scores"
	keyMerges         = "tokenizer.ggml.merges"
	keyAddBOS         = "tokenizer.ggml.add_bos_token"
	keyAddEOS         = "tokenizer.ggml.add_eos_token"
	keyAddSpacePrefix = "tokenizer.ggml.add_space_prefix"
	keyLowercase      = "tokenizer.ggml.normalizer.lowercase"
	keyStripAccents   = "tokenizer.ggml.normalizer.strip_accents"
	keyName           = "general.name"
	keyArchitecture   = "general.architecture"
)

// maxTokens bounds the vocabulary. The largest of today have some 300,000 tokens.
const maxTokens = 1 << 24

// reader reads metadata and keeps the first error.
type reader struct {
	meta Metadata
	err  error
}

func (r *reader) fail(key, have, want string) {
	if r.err == nil {
		r.err = &MetadataError{Key: key, Have: have, Want: want}
	}
}

// readKey returns the value of key by get, or def where the key is missing or something failed before.
func readKey[T any](r *reader, key string, get func(string) (T, error), def T) T {
	if r.err != nil || !r.meta.Has(key) {
		return def
	}
	v, err := get(key)
	if err != nil {
		r.err = &MetadataError{Key: key, Err: err}
		return def
	}
	return v
}

func (r *reader) string(key, def string) string  { return readKey(r, key, r.meta.String, def) }
func (r *reader) bool(key string, def bool) bool { return readKey(r, key, r.meta.Bool, def) }

// tokens returns the texts of the vocabulary and their ids. An empty text gets a name of its own, as in
// llama.cpp, because texts are unique.
func (r *reader) tokens() ([]string, textTable) {
	if r.err == nil && !r.meta.Has(keyTokens) {
		r.fail(keyTokens, "no such key", "an array of strings")
	}
	texts := readKey(r, keyTokens, r.meta.Strings, nil)
	if r.err != nil {
		return nil, textTable{}
	}
	if n := len(texts); n == 0 || n > maxTokens {
		r.fail(keyTokens, fmt.Sprintf("%d tokens", n), fmt.Sprintf("1 to %d", maxTokens))
		return nil, textTable{}
	}
	for i, text := range texts {
		if text == "" {
			texts[i] = fmt.Sprintf("[EMPTY_%d]", i)
		}
	}
	ids, i, first := newTextTable(texts)
	if i != none {
		r.fail(keyTokens, fmt.Sprintf("%q as token %d and %d", texts[i], first, i), "each text once")
	}
	return texts, ids
}

// attrs returns the kind of each of n tokens.
func (r *reader) attrs(n int) []attr {
	attrs := make([]attr, n)
	if !r.meta.Has(keyTypes) {
		for i := range attrs {
			attrs[i] = attrNormal
		}
		return attrs
	}
	types := readKey(r, keyTypes, r.meta.Ints, nil)
	if r.err == nil && len(types) < n {
		r.fail(keyTypes, fmt.Sprintf("%d values", len(types)), fmt.Sprintf("%d, one a token", n))
	}
	if r.err != nil {
		return nil
	}
	for i := range attrs {
		if t := types[i]; t >= 0 && int(t) < len(attrOfType) {
			attrs[i] = attrOfType[t]
		}
	}
	return attrs
}

// scores returns the score of each of n tokens, all 0 if there are none.
func (r *reader) scores(n int) []float32 {
	if !r.meta.Has(keyScores) {
		return make([]float32, n)
	}
	scores := readKey(r, keyScores, r.meta.Floats, nil)
	if r.err == nil && len(scores) < n {
		r.fail(keyScores, fmt.Sprintf("%d values", len(scores)), fmt.Sprintf("%d, one a token", n))
	}
	if r.err != nil {
		return nil
	}
	for i, s := range scores[:n] {
		if math.IsNaN(float64(s)) {
			r.fail(keyScores, fmt.Sprintf("NaN for token %d", i), "a number")
			return nil
		}
	}
	return scores[:n]
}
