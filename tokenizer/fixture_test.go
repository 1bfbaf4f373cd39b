package tokenizer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/gguf"
)

// vocab is a small vocabulary to make metadata of.
type vocab struct {
	model, pre string
	tokens     []string
	types      []int32
	scores     []float32
	merges     []string
	set        map[string]any // further keys
}

// Token types of GGUF.
const (
	typeNormal  = 1
	typeUnknown = 2
	typeControl = 3
	typeUser    = 4
	typeUnused  = 5
	typeByte    = 6
)

// add adds tokens of one type, and returns the id of the first.
func (v *vocab) add(typ int32, tokens ...string) int32 {
	first := len(v.tokens)
	for _, text := range tokens {
		v.tokens = append(v.tokens, text)
		v.types = append(v.types, typ)
		v.scores = append(v.scores, 0)
	}
	return int32(first)
}

// scored adds a token with a score.
func (v *vocab) scored(text string, score float32) {
	v.add(typeNormal, text)
	v.scores[len(v.scores)-1] = score
}

func (v *vocab) key(key string, value any) {
	if v.set == nil {
		v.set = make(map[string]any)
	}
	v.set[key] = value
}

func (v *vocab) meta() *gguf.Metadata {
	m := new(gguf.Metadata)
	m.Set(keyModel, gguf.ValueOf(v.model))
	if v.pre != "" {
		m.Set(keyPre, gguf.ValueOf(v.pre))
	}
	m.Set(keyTokens, gguf.ArrayOf(v.tokens))
	m.Set(keyTypes, gguf.ArrayOf(v.types))
	if v.scores != nil {
		m.Set(keyScores, gguf.ArrayOf(v.scores))
	}
	if v.merges != nil {
		m.Set(keyMerges, gguf.ArrayOf(v.merges))
	}
	for key, value := range v.set {
		switch value := value.(type) {
		case string:
			m.Set(key, gguf.ValueOf(value))
		case bool:
			m.Set(key, gguf.ValueOf(value))
		case int32:
			m.Set(key, gguf.ValueOf(value))
		case uint32:
			m.Set(key, gguf.ValueOf(value))
		case []string:
			m.Set(key, gguf.ArrayOf(value))
		default:
			panic(fmt.Sprintf("no value of type %T", value))
		}
	}
	return m
}

func (v *vocab) build(t testing.TB) *Tokenizer {
	t.Helper()
	tok, err := New(v.meta())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// spmVocab knows all bytes and a few words. Longer words score lower, as in SentencePiece.
func spmVocab() *vocab {
	v := &vocab{model: modelSPM}
	v.add(typeUnknown, "<unk>")
	v.add(typeControl, "<s>", "</s>")
	for b := range 256 {
		v.add(typeByte, byteName(byte(b)))
	}
	for i, text := range []string{
		"▁", "▁▁", "e", "h", "l", "o", "r", "w", "d", "t", "he", "ll", "llo", "hello", "▁hello", "▁w", "or", "ld", "orld",
		"▁world", "th", "▁t", "▁the", "é", "日", "本", "日本",
	} {
		v.scored(text, -float32(i))
	}
	return v
}

// byteAlphabet are the texts of the 256 byte tokens of byte-level BPE.
func byteAlphabet() []string {
	var out []string
	for _, r := range byteRunes {
		out = append(out, string(r))
	}
	return out
}

// bpeVocab is byte-level BPE with the merges given, whose results become tokens.
func bpeVocab(pre string, merges ...string) *vocab {
	v := &vocab{model: modelBPE, pre: pre, merges: append([]string{}, merges...)}
	v.add(typeNormal, byteAlphabet()...)
	for _, m := range merges {
		v.add(typeNormal, strings.Replace(m, " ", "", 1))
	}
	eos := v.add(typeControl, "<|end|>")
	v.key("tokenizer.ggml.bos_token_id", uint32(eos))
	v.key("tokenizer.ggml.eos_token_id", uint32(eos))
	v.scores = nil
	return v
}

var helloMerges = []string{"l l", "h e", "Ġ w", "o r", "he ll", "hell o", "Ġw or", "l d", "Ġwor ld", "Ġ t"}

// wpmVocab is WordPiece of a few words and all ASCII letters.
func wpmVocab() *vocab {
	v := &vocab{model: modelWPM}
	v.add(typeControl, "[PAD]")
	v.add(typeUnknown, "[UNK]")
	v.add(typeControl, "[CLS]", "[SEP]", "[MASK]")
	for c := 'a'; c <= 'z'; c++ {
		v.add(typeNormal, string(c), "▁"+string(c))
	}
	v.add(typeNormal, "▁hello", "▁world", "ing", "▁walk", "▁,", "▁!", "▁日", "▁本", "▁ᄒ")
	for i, key := range []string{"padding", "unknown", "bos", "seperator", "mask"} {
		v.key("tokenizer.ggml."+key+"_token_id", uint32(i))
	}
	v.scores = nil
	return v
}

// wantPieces checks the tokens of text by what they stand for in the file.
func wantPieces(t *testing.T, tok *Tokenizer, text string, opts EncodeOptions, want ...string) {
	t.Helper()
	ids, err := tok.Encode(text, opts)
	if err != nil {
		t.Errorf("Encode(%q): %v", text, err)
		return
	}
	var got []string
	for _, id := range ids {
		s, ok := tok.Text(id)
		if !ok {
			t.Errorf("Encode(%q) gives %d, which is no token", text, id)
		}
		got = append(got, s)
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("Encode(%q, %+v)\n got %q\nwant %q", text, opts, got, want)
	}
}
