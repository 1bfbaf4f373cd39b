package tokenizer

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/testcorpus"
)

// readMaybeGzip returns the bytes of a file, unpacked if its name ends in .gz.
func readMaybeGzip(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := io.Reader(f)
	if strings.HasSuffix(path, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// openVocab parses a vocabulary file.
func openVocab(t testing.TB, path string) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(readMaybeGzip(t, path), path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newOrSkip makes a tokenizer; a kind that is not supported yet skips the test.
func newOrSkip(t testing.TB, meta Metadata) *Tokenizer {
	t.Helper()
	tok, err := New(meta)
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// vocabPath returns the file of a vocabulary of the corpus, or skips.
func vocabPath(t testing.TB, name string) string {
	t.Helper()
	paths := testcorpus.Glob(t, "vocabs/ggml-vocab-"+name+".gguf*")
	for _, p := range paths {
		if strings.HasSuffix(p, ".gguf") || strings.HasSuffix(p, ".gguf.gz") {
			return p
		}
	}
	t.Skipf("the corpus has no vocabulary %q", name)
	return ""
}

func TestCorpusVocabs(t *testing.T) {
	total := 0
	for _, inp := range testcorpus.Glob(t, "vocabs/*.inp") {
		base := strings.TrimSuffix(inp, ".inp")
		t.Run(filepath.Base(base), func(t *testing.T) {
			path := base
			if _, err := os.Stat(path); err != nil {
				path += ".gz"
			}
			tok := newOrSkip(t, openVocab(t, path))
			const sep = "\n__ggml_vocab_test__\n"
			texts := strings.Split(strings.TrimSuffix(string(readMaybeGzip(t, inp)), sep), sep)
			lines := strings.Split(strings.TrimSuffix(string(readMaybeGzip(t, base+".out")), "\n"), "\n")
			if len(texts) != len(lines) {
				t.Fatalf("%d texts and %d lines of ids", len(texts), len(lines))
			}
			wrong := 0
			for i, text := range texts {
				wrong += checkIDs(t, tok, text, EncodeOptions{}, parseIDs(t, lines[i]))
			}
			t.Logf("%d cases, %d wrong", len(texts), wrong)
			total += len(texts)
		})
	}
	if total == 0 {
		t.Fatal("no case was run")
	}
}

func parseIDs(t *testing.T, line string) []int32 {
	t.Helper()
	var ids []int32
	for _, field := range strings.Fields(line) {
		id, err := strconv.ParseInt(field, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, int32(id))
	}
	return ids
}

// checkIDs returns 1 if the ids of text are wrong.
func checkIDs(t *testing.T, tok *Tokenizer, text string, opts EncodeOptions, want []int32) (wrong int) {
	t.Helper()
	got, err := tok.Encode(text, opts)
	if err != nil {
		t.Errorf("Encode(%q, %+v): %v", text, opts, err)
		return 1
	}
	if !slices.Equal(got, want) {
		t.Errorf("Encode(%q, %+v)\n got %v %q\nwant %v %q", text, opts, got, piecesOf(tok, got), want, piecesOf(tok, want))
		return 1
	}
	return 0
}

func piecesOf(tok *Tokenizer, ids []int32) []string {
	var out []string
	for _, id := range ids {
		out = append(out, tok.Piece(id))
	}
	return out
}

// extraFile is a NAME.extra.json.
type extraFile struct {
	Vocab  string `json:"vocab"`
	Size   int    `json:"n_vocab"`
	BOS    int32  `json:"bos"`
	EOS    int32  `json:"eos"`
	AddBOS int    `json:"add_bos"`
	AddEOS int    `json:"add_eos"`
	Cases  []struct {
		Text          string  `json:"text"`
		IDs           []int32 `json:"ids"`
		Special       []int32 `json:"ids_special"`
		Detokenize    *string `json:"detokenize"`
		DetokenizeHex *string `json:"detokenize_hex"`
	} `json:"cases"`
	Invalid []struct {
		Hex string  `json:"hex"`
		IDs []int32 `json:"ids"` // null where the peer aborts
	} `json:"invalid_utf8"`
}

func TestCorpusExtra(t *testing.T) {
	total := 0
	for _, path := range testcorpus.Glob(t, "vocabs/*.extra.json") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".extra.json"), func(t *testing.T) {
			var x extraFile
			if err := json.Unmarshal(readMaybeGzip(t, path), &x); err != nil {
				t.Fatal(err)
			}
			tok := newOrSkip(t, openVocab(t, vocabPath(t, x.Vocab)))
			checkFacts(t, tok, &x)
			wrong := 0
			for _, c := range x.Cases {
				wrong += checkIDs(t, tok, c.Text, EncodeOptions{}, c.IDs)
				wrong += checkIDs(t, tok, c.Text, EncodeOptions{AddSpecial: true, ParseSpecial: true}, c.Special)
				want := c.Text
				switch {
				case c.Detokenize != nil:
					want = *c.Detokenize
				case c.DetokenizeHex != nil:
					want = string(unhex(t, *c.DetokenizeHex))
				}
				got, err := tok.Decode(c.IDs, DecodeOptions{})
				if err != nil || string(got) != want {
					t.Errorf("Decode of %q: got %q, %v, want %q", c.Text, got, err, want)
					wrong++
				}
				checkStream(t, tok, c.IDs)
			}
			for _, c := range x.Invalid {
				text := string(unhex(t, c.Hex))
				if c.IDs != nil {
					wrong += checkIDs(t, tok, text, EncodeOptions{}, c.IDs)
				} else if _, err := tok.Encode(text, EncodeOptions{}); err != nil {
					t.Errorf("Encode(%q): %v", text, err)
				}
			}
			t.Logf("%d texts encoded twice and decoded, %d of invalid UTF-8, %d wrong", len(x.Cases), len(x.Invalid), wrong)
			total += len(x.Cases)
		})
	}
	if total == 0 {
		t.Fatal("no case was run")
	}
}

func checkFacts(t *testing.T, tok *Tokenizer, x *extraFile) {
	t.Helper()
	bos, _ := tok.BOS()
	eos, _ := tok.EOS()
	if tok.Size() != x.Size || bos != x.BOS || eos != x.EOS {
		t.Errorf("size, BOS, EOS: got %d, %d, %d, want %d, %d, %d", tok.Size(), bos, eos, x.Size, x.BOS, x.EOS)
	}
	if tok.AddBOS() != (x.AddBOS == 1) || tok.addEOS != (x.AddEOS == 1) {
		t.Errorf("add BOS, EOS: got %t, %t, want %d, %d", tok.AddBOS(), tok.addEOS, x.AddBOS, x.AddEOS)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// otherPre is metadata with another tokenizer.ggml.pre.
type otherPre struct {
	Metadata
	pre string
}

func (m otherPre) String(key string) (string, error) {
	if key == keyPre {
		return m.pre, nil
	}
	return m.Metadata.String(key)
}

func TestCorpusPretokenizers(t *testing.T) {
	path := filepath.Join(testcorpus.Dir(t), "vocabs", "pretokenizers.json")
	var x struct {
		Vocab   string   `json:"vocab"`
		Strings []string `json:"strings"`
		Pre     []struct {
			Name   string             `json:"name"`
			IDs    [][]int32          `json:"ids"`
			Except map[string][]int32 `json:"same_as_default_except"`
		} `json:"pre"`
	}
	if err := json.Unmarshal(readMaybeGzip(t, path), &x); err != nil {
		t.Fatal(err)
	}
	f := openVocab(t, vocabPath(t, x.Vocab))
	run, skipped := 0, 0
	for _, p := range x.Pre {
		if p.IDs == nil {
			p.IDs = x.Pre[0].IDs
		}
		t.Run(p.Name, func(t *testing.T) {
			skipped++
			tok := newOrSkip(t, otherPre{f, p.Name})
			skipped--
			wrong := 0
			for i, text := range x.Strings {
				want := p.IDs[i]
				if ids, ok := p.Except[strconv.Itoa(i)]; ok {
					want = ids
				}
				wrong += checkIDs(t, tok, text, EncodeOptions{}, want)
			}
			t.Logf("%d cases, %d wrong", len(x.Strings), wrong)
			run++
		})
	}
	t.Logf("%d names compared, %d skipped", run, skipped)
	if run == 0 {
		t.Fatal("no case was run")
	}
}

// TestCorpusModels loads the vocabulary of every model, and encodes the prompts of those that have one.
func TestCorpusModels(t *testing.T) {
	prompts := 0
	for _, path := range testcorpus.Glob(t, "models/*.gguf") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := gguf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			tok := newOrSkip(t, f)
			data, err := os.ReadFile(filepath.Join(strings.TrimSuffix(path, ".gguf"), "greedy.json"))
			if err != nil {
				return
			}
			var x struct {
				Prompt    string  `json:"prompt"`
				PromptIDs []int32 `json:"prompt_ids"`
				GreedyIDs []int32 `json:"greedy_ids"`
				Text      string  `json:"text"`
			}
			if err := json.Unmarshal(data, &x); err != nil {
				t.Fatal(err)
			}
			checkIDs(t, tok, x.Prompt, EncodeOptions{AddSpecial: true}, x.PromptIDs)
			s := tok.NewStream(StreamOptions{})
			var got []byte
			for _, id := range x.GreedyIDs {
				text, err := s.Push(id)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, text...)
			}
			if got = append(got, s.Flush()...); string(got) != x.Text {
				t.Errorf("text of the generated tokens: got %q, want %q", got, x.Text)
			}
			prompts++
		})
	}
	t.Logf("%d prompts compared", prompts)
}
