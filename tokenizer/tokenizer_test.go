package tokenizer

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestNewErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		make func() *vocab
		want error
		text string // part of the error
	}{
		{"unknown model", func() *vocab { v := spmVocab(); v.model = "t5"; return v }, ErrUnsupported, `"t5"`},
		{"unknown pre-tokenizer", func() *vocab { return bpeVocab("no-such") }, ErrUnsupported, `"no-such"`},
		{"no tokens", func() *vocab { return &vocab{model: modelSPM} }, ErrMetadata, "0 tokens"},
		{"duplicate", func() *vocab { v := spmVocab(); v.add(typeNormal, "e"); return v }, ErrMetadata, `"e" as token`},
		{"few types", func() *vocab { v := spmVocab(); v.types = v.types[:9]; return v }, ErrMetadata, "9 values"},
		{"few scores", func() *vocab { v := spmVocab(); v.scores = v.scores[:9]; return v }, ErrMetadata, "9 values"},
		{"NaN", func() *vocab { v := spmVocab(); v.scores[5] = float32(math.NaN()); return v }, ErrMetadata, "NaN for token 5"},
		{"no merges", func() *vocab { v := bpeVocab("gpt-2"); v.merges = nil; return v }, ErrMetadata, keyMerges},
		{"byte token", func() *vocab { v := spmVocab(); v.add(typeByte, "<0xGG>"); return v }, ErrMetadata, "<0xGG>"},
		{"BOS id", func() *vocab {
			v := spmVocab()
			v.key("tokenizer.ggml.bos_token_id", uint32(9999))
			return v
		}, ErrMetadata, "token 9999"},
		{"negative EOS id", func() *vocab {
			v := spmVocab()
			v.key("tokenizer.ggml.eos_token_id", int32(-7))
			return v
		}, ErrMetadata, "token -7"},
		{"BOS wanted", func() *vocab {
			v := bpeVocab("gpt-2")
			v.key("tokenizer.ggml.bos_token_id", int32(-1))
			v.key(keyAddBOS, true)
			return v
		}, ErrMetadata, keyAddBOS},
		{"wrong type", func() *vocab { v := spmVocab(); v.key(keyAddBOS, "yes"); return v }, ErrMetadata, keyAddBOS},
		{"tokens of another type", func() *vocab { v := spmVocab(); v.key(keyTokens, "x"); return v }, ErrMetadata, keyTokens},
	} {
		t.Run(c.name, func(t *testing.T) {
			tok, err := New(c.make().meta())
			if !errors.Is(err, c.want) || tok != nil {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("error %q does not name %q", err, c.text)
			}
		})
	}
	m := spmVocab().meta()
	m.Delete(keyModel)
	if _, err := New(m); !errors.Is(err, ErrMetadata) {
		t.Errorf("without a model: got %v", err)
	}
}

func TestNotes(t *testing.T) {
	v := bpeVocab("")
	v.key("tokenizer.ggml.padding_token_id", uint32(9999))
	tok := v.build(t)
	if n := tok.Notes(); len(n) != 2 || !strings.Contains(n[0], keyPre) || !strings.Contains(n[1], "9999") {
		t.Errorf("notes %q, want one on the missing pre-tokenizer and one on the padding token", n)
	}
	if _, ok := tok.Special(PAD); ok || tok.Pre() != "default" {
		t.Errorf("PAD found: %t, Pre %q", ok, tok.Pre())
	}
	if n := bpeVocab("gpt-2").build(t).Notes(); len(n) != 0 {
		t.Errorf("notes %q, want none", n)
	}
}

func TestSPM(t *testing.T) {
	tok := spmVocab().build(t)
	special := EncodeOptions{AddSpecial: true}
	wantPieces(t, tok, "hello world", special, "<s>", "▁hello", "▁world")
	wantPieces(t, tok, "", special, "<s>")
	wantPieces(t, tok, "", EncodeOptions{})
	wantPieces(t, tok, "llol", EncodeOptions{}, "▁", "llo", "l")
	// "he" scores above "▁t", which scores above "▁the".
	wantPieces(t, tok, "the", EncodeOptions{}, "▁the")
	wantPieces(t, tok, "  日本é", EncodeOptions{}, "▁▁", "▁", "日本", "é")
	// Characters that are no token are spelled in bytes.
	wantPieces(t, tok, "ü", EncodeOptions{}, "▁", "<0xC3>", "<0xBC>")
	wantPieces(t, tok, "\xff", EncodeOptions{}, "▁", "<0xFF>")
	// Control tokens are text unless asked for, and text after one starts with a space.
	wantPieces(t, tok, "<s>h", EncodeOptions{}, "▁", "<0x3C>", "<0x73>", "<0x3E>", "h")
	wantPieces(t, tok, "<s>h", EncodeOptions{ParseSpecial: true}, "<s>", "▁", "h")

	v := spmVocab()
	v.key(keyAddSpacePrefix, false)
	v.key(keyAddBOS, false)
	v.key(keyAddEOS, true)
	wantPieces(t, v.build(t), "hello", special, "hello", "</s>")
}

func TestSPMWithoutBytes(t *testing.T) {
	v := &vocab{model: modelSPM}
	v.add(typeUnknown, "<unk>")
	v.add(typeControl, "<s>", "</s>")
	v.scored("▁a", 0)
	v.scored("b", 0)
	wantPieces(t, v.build(t), "aüb", EncodeOptions{}, "▁a", "<unk>", "<unk>", "b")

	v.key("tokenizer.ggml.unknown_token_id", int32(-1))
	tok := v.build(t)
	ids, err := tok.AppendEncode([]int32{7}, "ü", EncodeOptions{AddSpecial: true})
	var e *NoTokenError
	if !errors.Is(err, ErrNoToken) || !errors.As(err, &e) || e.Byte != 0xE2 || !slices.Equal(ids, []int32{7}) {
		t.Errorf("got %v, %v, want the ids given and ErrNoToken for 0xE2", ids, err)
	}
}

func TestBPE(t *testing.T) {
	tok := bpeVocab("gpt-2", helloMerges...).build(t)
	wantPieces(t, tok, "hello world", EncodeOptions{AddSpecial: true}, "hello", "Ġworld")
	wantPieces(t, tok, "the", EncodeOptions{}, "t", "he")
	wantPieces(t, tok, "lll", EncodeOptions{}, "ll", "l")
	wantPieces(t, tok, "é\xff", EncodeOptions{}, "Ã", "©", "ï", "¿", "½")
	wantPieces(t, tok, "a<|end|>", EncodeOptions{ParseSpecial: true}, "a", "<|end|>")
	wantPieces(t, tok, "<|end|>", EncodeOptions{}, "<", "|", "e", "n", "d", "|", ">")
}

// TestBPEMissingToken has a merge whose result is no token: it is spelled by the tokens of its bytes.
func TestBPEMissingToken(t *testing.T) {
	v := bpeVocab("gpt-2", "a b")
	v.tokens[256] = "zz"
	wantPieces(t, v.build(t), "cab", EncodeOptions{}, "c", "a", "b")
}

func TestIgnoreMerges(t *testing.T) {
	v := bpeVocab("llama-bpe", helloMerges...)
	v.add(typeNormal, "abc")
	v.key(keyAddBOS, false)
	wantPieces(t, v.build(t), "abc", EncodeOptions{}, "abc")
	v.pre = "gpt-2"
	wantPieces(t, v.build(t), "abc", EncodeOptions{}, "a", "b", "c")
}

func TestRawBPE(t *testing.T) {
	v := &vocab{model: modelGemma4, merges: []string{"▁ a", "b c", "▁a bc", "\n \n"}}
	v.add(typeControl, "<pad>", "<eos>", "<bos>")
	v.add(typeNormal, "▁", "a", "b", "c", "▁a", "bc", "▁abc", "\n", "\n\n", "\n\n\n")
	v.add(typeByte, "<0xC3>", "<0xBC>")
	v.key("tokenizer.ggml.bos_token_id", uint32(2))
	v.key("tokenizer.ggml.eos_token_id", uint32(1))
	v.key(keyAddBOS, false) // is overruled
	tok := v.build(t)
	wantPieces(t, tok, "abc abc", EncodeOptions{AddSpecial: true}, "<bos>", "a", "bc", "▁abc")
	// A run of line ends that is a token is taken whole, though the merges only make two.
	wantPieces(t, tok, "a\n\n\n", EncodeOptions{}, "a", "\n\n\n")
	wantPieces(t, tok, "ü", EncodeOptions{}, "<0xC3>", "<0xBC>")
	if tok.Kind() != BPE || tok.Pre() != "gemma4" {
		t.Errorf("kind %v, pre %q", tok.Kind(), tok.Pre())
	}
}

func TestWPM(t *testing.T) {
	tok := wpmVocab().build(t)
	wantPieces(t, tok, "Hello, WORLD!", EncodeOptions{AddSpecial: true}, "[CLS]", "▁hello", "▁,", "▁world", "▁!", "[SEP]")
	wantPieces(t, tok, "wálking", EncodeOptions{}, "▁walk", "ing")
	wantPieces(t, tok, "日本", EncodeOptions{}, "▁日", "▁本")
	// Only the first consonant of a Hangul syllable is kept.
	wantPieces(t, tok, "한", EncodeOptions{}, "▁ᄒ")
	wantPieces(t, tok, "hello5 \x00\x7f", EncodeOptions{}, "[UNK]")
	wantPieces(t, tok, "a[MASK]b", EncodeOptions{ParseSpecial: true}, "▁a", "[MASK]", "▁b")

	v := wpmVocab()
	v.key(keyLowercase, false)
	wantPieces(t, v.build(t), "Hello hello", EncodeOptions{}, "[UNK]", "▁hello")
}

func TestSpecialTokens(t *testing.T) {
	v := bpeVocab("gpt-2")
	v.add(typeUser, "<a>", "<a><b>", "b><")
	tok := v.build(t)
	// User-defined tokens are found in any text, the longest first wherever it is.
	wantPieces(t, tok, "x<a><b><", EncodeOptions{}, "x", "<a><b>", "<")
	wantPieces(t, tok, "<a>b><", EncodeOptions{}, "<a>", "b><")
	if !tok.IsControl(256) || tok.IsControl(257) || tok.IsControl(-1) {
		t.Error("IsControl is wrong")
	}
}

func TestStripTokens(t *testing.T) {
	v := spmVocab()
	v.add(typeControl, "<|user|>")
	v.key(keyName, "Phi-3 mini")
	wantPieces(t, v.build(t), "<|user|> \n he<s> he", EncodeOptions{ParseSpecial: true},
		"<|user|>", "▁", "he", "<s>", "▁▁", "he")

	v = bpeVocab("jina-v2-code")
	v.add(typeControl, "<mask>")
	wantPieces(t, v.build(t), "a \t<mask> b", EncodeOptions{ParseSpecial: true}, "a", "<mask>", "Ġ", "b")
}

func TestEndOfGeneration(t *testing.T) {
	v := bpeVocab("gpt-2")
	first := v.add(typeNormal, "<|eot_id|>", "<|im_end|>", "<|file_sep|>", "<fim_prefix>", "word")
	tok := v.build(t)
	for id, want := range map[int32]bool{256: true, first: true, first + 1: true, first + 2: true, first + 3: false, first + 4: false, 0: false, -1: false} {
		if tok.IsEOG(id) != want {
			t.Errorf("IsEOG(%d) is %t", id, !want)
		}
	}
	for role, want := range map[Role]int32{EOT: first, FIMSep: first + 2, FIMPre: first + 3} {
		if id, ok := tok.Special(role); !ok || id != want {
			t.Errorf("role %d: got %d, %t, want %d", role, id, ok, want)
		}
	}
	if id, ok := tok.Special(Role(200)); ok || id != none {
		t.Errorf("a role that does not exist has token %d", id)
	}

	// In harmony <|end|> ends a message, not the generation, and <|start|> is text.
	v = bpeVocab("gpt-4o")
	first = v.add(typeControl, "<|return|>", "<|call|>", "<|start|>")
	v.key("tokenizer.ggml.eos_token_id", uint32(first))
	tok = v.build(t)
	if tok.IsEOG(256) || !tok.IsEOG(first) || !tok.IsEOG(first+1) || tok.IsControl(256) || tok.IsControl(first+2) {
		t.Error("the tokens of harmony are taken wrong")
	}
}

// badTexts are hard on a decoder of UTF-8. llama.cpp aborts on the first.
var badTexts = []string{
	"\xf5\x80\x80\x80", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe4\xbd", "\xf0\x9f\x98 x", "a\x80b", "\xc3(",
	"\xf8\x88\x80\x80\x80", "\x00", "\xe2\x96", "\xe2\x96\x81\xe2", "\xf0 \xf0  ", "\ufffd", "\U0010ffff",
}

func TestInvalidUTF8(t *testing.T) {
	for _, v := range []*vocab{spmVocab(), bpeVocab("gpt-2", helloMerges...), bpeVocab("llama-bpe"), bpeVocab("deepseek-v3"), wpmVocab()} {
		tok := v.build(t)
		for _, text := range badTexts {
			if _, err := tok.Encode(text, EncodeOptions{AddSpecial: true, ParseSpecial: true}); err != nil {
				t.Errorf("%v %s: Encode(%q): %v", tok.Kind(), tok.Pre(), text, err)
			}
		}
	}
	tok := bpeVocab("gpt-2").build(t)
	// An overlong form is the character, a surrogate stays, above U+10FFFF is one U+FFFD.
	wantPieces(t, tok, "\xc1\xa1", EncodeOptions{}, "a")
	wantPieces(t, tok, "\xed\xa0\x80", EncodeOptions{}, "í", "ł", "Ģ")
	wantPieces(t, tok, "\xf5\x80\x80\x80", EncodeOptions{}, "ï", "¿", "½")
}

func TestConcurrentUse(t *testing.T) {
	tok := bpeVocab("gpt-2", helloMerges...).build(t)
	text := mixedText(1 << 12)
	want, err := tok.Encode(text, EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 4 {
				got, err := tok.Encode(text, EncodeOptions{})
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("another result on another goroutine (%v)", err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestNoAllocation: words that the cache knows cost no allocation.
func TestNoAllocation(t *testing.T) {
	if poolForgets {
		t.Skip("the race detector makes sync.Pool forget")
	}
	for _, v := range []*vocab{spmVocab(), bpeVocab("gpt-2", helloMerges...), wpmVocab()} {
		tok := v.build(t)
		ids := make([]int32, 0, 1000)
		allocs := testing.AllocsPerRun(50, func() {
			var err error
			if ids, err = tok.AppendEncode(ids[:0], "hello world, the world\nhello", EncodeOptions{}); err != nil {
				t.Fatal(err)
			}
		})
		// A garbage collection may empty the pool of working memory.
		if allocs > 1 {
			t.Errorf("%v: %v allocations", tok.Kind(), allocs)
		}
	}
}

func TestKindString(t *testing.T) {
	if got := SPM.String() + BPE.String() + WPM.String() + Kind(9).String(); got != "SPMBPEWPMKind(9)" {
		t.Error(got)
	}
}
