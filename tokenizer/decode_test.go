package tokenizer

import (
	"errors"
	"testing"
	"unicode/utf8"
)

func TestDecode(t *testing.T) {
	tok := spmVocab().build(t)
	ids, err := tok.Encode("hello world ü", EncodeOptions{AddSpecial: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		opts DecodeOptions
		want string
	}{
		{DecodeOptions{}, "<s> hello world ü"},
		{DecodeOptions{SkipSpecial: true}, " hello world ü"},
		{DecodeOptions{TrimEnds: true}, " hello world ü"},
	} {
		if got, err := tok.Decode(ids, c.opts); err != nil || string(got) != c.want {
			t.Errorf("Decode(%+v) = %q, %v, want %q", c.opts, got, err, c.want)
		}
	}
	if got, err := tok.Decode(ids[1:], DecodeOptions{}); err != nil || string(got) != "hello world ü" {
		t.Errorf("Decode without BOS = %q, %v", got, err)
	}

	wpm := wpmVocab().build(t)
	ids, err = wpm.Encode("hello, world", EncodeOptions{AddSpecial: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := wpm.Decode(ids, DecodeOptions{TrimEnds: true}); err != nil || string(got) != " hello, world" {
		t.Errorf("WPM: %q, %v", got, err)
	}
}

func TestDecodeErrors(t *testing.T) {
	tok := spmVocab().build(t)
	for _, id := range []int32{-1, int32(tok.Size()), 1 << 30, -1 << 31} {
		dst, err := tok.AppendDecode([]byte("x"), []int32{1, id}, DecodeOptions{})
		var e *TokenIDError
		if !errors.Is(err, ErrTokenID) || !errors.As(err, &e) || e.Index != 1 || e.ID != id || e.Size != tok.Size() {
			t.Errorf("id %d: %v", id, err)
		}
		if string(dst) != "x" {
			t.Errorf("id %d: dst is %q", id, dst)
		}
		if _, err := tok.NewStream(StreamOptions{}).Push(id); !errors.Is(err, ErrTokenID) {
			t.Errorf("Push(%d): %v", id, err)
		}
		if _, ok := tok.Text(id); ok || tok.Piece(id) != "" || tok.IsEOG(id) {
			t.Errorf("token %d exists", id)
		}
	}
}

func TestCleanSpaces(t *testing.T) {
	for in, want := range map[string]string{
		"":               "",
		" ":              " ",
		"a .":            "a.",
		"a , b ! c ?":    "a, b! c?",
		" .":             ".",
		"it 's":          "it's",
		"I 'm":           "I'm",
		"we 're we 've":  "we're we've",
		"I 'll he 'd":    "I 'll he 'd",
		"don 't":         "don 't",
		"a ' b":          "a'b",
		"a ' .":          "a '.",
		" ' ' ' ":        "'''",
		"x '":            "x '",
		"a  .":           "a .",
		"they 'r 'v 'le": "they 'r 'v 'le",
	} {
		b := []byte(in)
		if got := string(b[:cleanSpaces(b)]); got != want {
			t.Errorf("cleanSpaces(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestStream(t *testing.T) {
	tok := spmVocab().build(t)
	id := func(text string) int32 {
		id, ok := tok.ID(text)
		if !ok {
			t.Fatalf("no token %q", text)
		}
		return id
	}
	s := tok.NewStream(StreamOptions{TextStart: true})
	for _, step := range []struct{ token, want string }{
		{"▁hello", "hello"},
		{"▁world", " world"},
		{"<0xF0>", ""},
		{"<0x9F>", ""},
		{"<0x98>", ""},
		{"<0x80>", "😀"},
		// A sequence that breaks off is given as soon as that is clear.
		{"<0xE4>", ""},
		{"<0xBD>", ""},
		{"h", "\uFFFD\uFFFDh"},
		{"<0xFF>", "\uFFFD"},
		{"<0xC3>", ""},
		{"<0xC3>", "\uFFFD"},
		{"<0xBC>", "ü"},
		{"<s>", "<s>"},
		{"<0xE2>", ""},
	} {
		got, err := s.Push(id(step.token))
		if err != nil || string(got) != step.want {
			t.Errorf("Push(%q) = %q, %v, want %q", step.token, got, err, step.want)
		}
	}
	if got := string(s.Flush()); got != "\uFFFD" {
		t.Errorf("Flush = %q", got)
	}
	if got := string(s.Flush()); got != "" {
		t.Errorf("second Flush = %q", got)
	}
	s.Reset()
	if got, err := s.Push(id("▁t")); err != nil || string(got) != "t" {
		t.Errorf("after Reset: %q, %v", got, err)
	}

	s = tok.NewStream(StreamOptions{SkipSpecial: true})
	for token, want := range map[string]string{"▁t": " t", "<s>": "", "<unk>": ""} {
		if got, err := s.Push(id(token)); err != nil || string(got) != want {
			t.Errorf("Push(%q) = %q, %v, want %q", token, got, err, want)
		}
	}
}

func TestStreamAllocates(t *testing.T) {
	tok := bpeVocab("gpt-2", helloMerges...).build(t)
	ids, err := tok.Encode("hello world, 日本 the end", EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s := tok.NewStream(StreamOptions{})
	if n := testing.AllocsPerRun(20, func() {
		for _, id := range ids {
			out, err := s.Push(id)
			if err != nil || !utf8.Valid(out) {
				t.Fatalf("%q, %v", out, err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d tokens", n, len(ids))
	}
}
