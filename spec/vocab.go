package spec

import (
	"fmt"

	"github.com/tenon-go/tenon/gguf"
)

// VocabError is the first difference between a target's vocabulary and a draft's. It matches ErrVocab.
type VocabError struct {
	Target, Draft string // files
	What          string
	Have, Want    string // the draft's, the target's
}

// Error returns one line with both sides.
func (e *VocabError) Error() string {
	return fmt.Sprintf("spec: %s cannot draft for %s: its %s is %s, the target's is %s", e.Draft, e.Target, e.What, e.Have, e.Want)
}

// Unwrap returns ErrVocab.
func (e *VocabError) Unwrap() error { return ErrVocab }

// typeUnused is the type of a token that stands for nothing: vocabularies are padded with them.
const typeUnused = 5

// CheckVocab reports why the guesses of draft, a model of its own, would not be tokens of target: the
// kind of tokenizer, the tokens and their types, BOS and EOS must be the same. One of both may have more
// tokens than the other if they are unused ones.
//
// Errors: *VocabError, those of package gguf's getters.
func CheckVocab(target, draft *gguf.File) error {
	var both [2]vocabulary
	for i, f := range []*gguf.File{target, draft} {
		var err error
		if both[i], err = readVocabulary(f); err != nil {
			return err
		}
	}
	want, have := &both[0], &both[1]
	differ := func(what string, h, w any) error {
		return &VocabError{target.Path(0), draft.Path(0), what, fmt.Sprint(h), fmt.Sprint(w)}
	}
	switch {
	case have.model != want.model:
		return differ("tokenizer", have.model, want.model)
	case have.bos != want.bos:
		return differ("BOS", have.bos, want.bos)
	case have.eos != want.eos:
		return differ("EOS", have.eos, want.eos)
	}
	n := min(len(have.tokens), len(want.tokens))
	for id := range n {
		if have.tokens[id] != want.tokens[id] {
			return differ(fmt.Sprintf("token %d", id), fmt.Sprintf("%q", have.tokens[id]), fmt.Sprintf("%q", want.tokens[id]))
		}
		if h, w := have.typeOf(id), want.typeOf(id); h != w {
			return differ(fmt.Sprintf("type of token %d", id), h, w)
		}
	}
	for id := n; id < max(len(have.tokens), len(want.tokens)); id++ {
		longer := have
		if id < len(want.tokens) {
			longer = want
		}
		if longer.typeOf(id) != typeUnused {
			return differ("number of tokens", len(have.tokens), len(want.tokens))
		}
	}
	return nil
}

// vocabulary is what of a file's tokenizer decides what its ids mean.
type vocabulary struct {
	model    string
	tokens   []string
	types    []int64
	bos, eos int64 // -1 if the file names none
}

func readVocabulary(f *gguf.File) (v vocabulary, err error) {
	const prefix = "tokenizer.ggml."
	if v.model, err = f.String(prefix + "model"); err != nil {
		return v, err
	}
	if v.tokens, err = f.Strings(prefix + "tokens"); err != nil {
		return v, err
	}
	if f.Has(prefix + "token_type") {
		if v.types, err = f.Ints(prefix + "token_type"); err != nil {
			return v, err
		}
	}
	if v.bos, err = f.IntOr(prefix+"bos_token_id", -1); err != nil {
		return v, err
	}
	v.eos, err = f.IntOr(prefix+"eos_token_id", -1)
	return v, err
}

// typeOf returns the type of a token, that of ordinary ones if the file does not say.
func (v *vocabulary) typeOf(id int) int64 {
	const normal = 1
	if id < len(v.types) {
		return v.types[id]
	}
	return normal
}
