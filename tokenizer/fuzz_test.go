package tokenizer

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRoundTrip encodes and decodes. Where a vocabulary can represent a text it must come back, and nothing
// may panic whatever the bytes.
func FuzzRoundTrip(f *testing.F) {
	var toks []*Tokenizer
	for _, v := range []*vocab{
		spmVocab(), wpmVocab(), bpeVocab("gpt-2", helloMerges...), bpeVocab("llama-bpe", helloMerges...),
		bpeVocab("deepseek-llm", helloMerges...), bpeVocab("superbpe", helloMerges...),
	} {
		toks = append(toks, v.build(f))
	}
	for _, text := range append(slices.Clone(splitTexts), badTexts...) {
		f.Add(text)
	}
	f.Add("hello world the world")
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range toks {
			roundTrip(t, tok, text)
		}
	})
}

func roundTrip(t *testing.T, tok *Tokenizer, text string) {
	t.Helper()
	want := text
	switch tok.Kind() {
	case SPM:
		want = strings.ReplaceAll(text, escapedSpace, " ")
	case BPE:
		want = string(appendNormalized(nil, text))
	case WPM:
		// Only words of letters come back, with one space before each.
		text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < 'a' || r > 'z' }), " ")
		want = ""
		if text != "" {
			want = " " + text
		}
	}
	ids, err := tok.Encode(text, EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := tok.Decode(ids, DecodeOptions{KeepSpaces: true})
	if err != nil {
		t.Fatal(err)
	}
	// In SPM a lead byte may take the first byte of an escaped space along.
	if string(got) != want && (tok.Kind() != SPM || utf8.ValidString(text)) {
		t.Fatalf("%v %s: %q comes back as %q", tok.Kind(), tok.Pre(), text, got)
	}
	checkStream(t, tok, ids)

	// With everything on, every id must be a token.
	ids, err = tok.Encode(text, EncodeOptions{AddSpecial: true, ParseSpecial: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Decode(ids, DecodeOptions{}); err != nil {
		t.Fatal(err)
	}
}

// checkStream compares a Stream with Decode.
func checkStream(t *testing.T, tok *Tokenizer, ids []int32) {
	t.Helper()
	want, err := tok.Decode(ids, DecodeOptions{KeepSpaces: true})
	if err != nil {
		t.Error(err)
		return
	}
	s := tok.NewStream(StreamOptions{TextStart: true})
	var got []byte
	for _, id := range ids {
		text, err := s.Push(id)
		if err != nil {
			t.Error(err)
			return
		}
		if !utf8.Valid(text) {
			t.Errorf("Push(%d) = %q, which is not UTF-8", id, text)
		}
		got = append(got, text...)
	}
	got = append(got, s.Flush()...)
	if utf8.Valid(want) && !bytes.Equal(got, want) {
		t.Errorf("Stream of %v: got %q, want %q", ids, got, want)
	}
	// Of other bytes the valid part must be there.
	if drop := []byte("\uFFFD"); !bytes.Equal(bytes.ReplaceAll(got, drop, nil), bytes.ReplaceAll(bytes.ToValidUTF8(want, nil), drop, nil)) {
		t.Errorf("Stream of %v: got %q of %q", ids, got, want)
	}
}
