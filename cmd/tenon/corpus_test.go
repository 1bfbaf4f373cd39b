package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// tally counts the files that a walk over the corpus has looked at.
type tally struct{ done, skipped int }

func (c *tally) check(t *testing.T) {
	t.Helper()
	t.Logf("%d files compared, %d skipped", c.done, c.skipped)
	if c.done == 0 {
		t.Error("no file was compared")
	}
}

// later skips t if this project cannot run the model at path yet, for want of an architecture or a type.
func (c *tally) later(t *testing.T, path string) {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for info := range f.Tensors() {
		if _, err := quant.Of(info.Type); err != nil {
			c.skipped++
			t.Skip(err)
		}
	}
	if _, err := model.Open(f); errors.Is(err, model.ErrArch) {
		c.skipped++
		t.Skip(err)
	}
	c.done++
}

func modelName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".gguf") }

// readJSON reads a file of the corpus, and reports whether there is one.
func readJSON(t *testing.T, path string, into any) bool {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

// TestCorpusRun compares the text of every recorded greedy run, byte for byte.
func TestCorpusRun(t *testing.T) {
	var count tally
	for _, path := range testcorpus.Glob(t, "models/*.gguf") {
		var want struct {
			Prompt    string `json:"prompt"`
			Generated int    `json:"n_generated"`
			Text      string `json:"text"`
		}
		if !readJSON(t, filepath.Join(strings.TrimSuffix(path, ".gguf"), "greedy.json"), &want) {
			continue
		}
		t.Run(modelName(path), func(t *testing.T) {
			count.later(t, path)
			code, stdout, stderr := call("", "run", "-m", path, "-p", want.Prompt,
				"-n", fmt.Sprint(want.Generated), "--temp", "0", "--ignore-eos")
			if code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			if stdout != want.Text {
				t.Errorf("text %q, want %q", stdout, want.Text)
			}
			if !strings.Contains(stderr, fmt.Sprintf("generated  %d tokens", want.Generated)) {
				t.Errorf("stderr %q, want timings of %d tokens", stderr, want.Generated)
			}
			t.Logf("%d tokens, %d bytes of text", want.Generated, len(stdout))
		})
	}
	count.check(t)
}

// TestCorpusLogits compares the logits of every model as it is in the corpus, in one batch and token by
// token, with those of the peer in full precision.
func TestCorpusLogits(t *testing.T) {
	var count tally
	for _, path := range testcorpus.Glob(t, "models/*.gguf") {
		dir := strings.TrimSuffix(path, ".gguf")
		var meta struct {
			Context   int `json:"n_ctx"`
			Tolerance struct {
				Exact float64 `json:"nmse_vs_logits_exact_if_all_F32"`
			} `json:"tolerance"`
		}
		var tokens struct {
			IDs []int32 `json:"ids"`
		}
		if !readJSON(t, filepath.Join(dir, "meta.json"), &meta) || !hasFile(filepath.Join(dir, "logits_exact.f32")) {
			continue // a draft, or a model without logits
		}
		t.Run(modelName(path), func(t *testing.T) {
			count.later(t, path)
			readTokens(t, path, &tokens)
			want := readFloats(t, filepath.Join(dir, "logits_exact.f32"))
			ids, err := json.Marshal(tokens.IDs)
			if err != nil {
				t.Fatal(err)
			}
			out := filepath.Join(t.TempDir(), "logits.f32")
			var errs []float64
			for _, more := range [][]string{nil, {"--step"}} {
				args := append([]string{
					"logits", "-m", path, "--tokens", "@-", "-o", out, "-c", fmt.Sprint(max(meta.Context, len(tokens.IDs))),
				}, more...)
				if code, _, stderr := call(string(ids), args...); code != 0 {
					t.Fatalf("exit code %d: %s", code, stderr)
				}
				nmse := distance(t, readFloats(t, out), want)
				if !(nmse <= meta.Tolerance.Exact) {
					t.Errorf("%v: NMSE %.3g, tolerance %.3g", more, nmse, meta.Tolerance.Exact)
				}
				errs = append(errs, nmse)
			}
			t.Logf("%d tokens: NMSE %.2g in one batch, %.2g step by step (tolerance %.2g)",
				len(tokens.IDs), errs[0], errs[1], meta.Tolerance.Exact)
		})
	}
	count.check(t)
}

// readTokens reads the tokens of a model: a quantised variant has those of the model it was made of.
func readTokens(t *testing.T, path string, into any) {
	t.Helper()
	for name := strings.TrimSuffix(path, ".gguf"); ; {
		if readJSON(t, filepath.Join(name, "tokens.json"), into) {
			return
		}
		dash := strings.LastIndexByte(filepath.Base(name), '-')
		if dash < 0 {
			t.Fatalf("%s has no tokens.json", path)
		}
		name = filepath.Join(filepath.Dir(name), filepath.Base(name)[:dash])
	}
}

func hasFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func readFloats(t *testing.T, path string) []float32 {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, len(raw)/4)
	if _, err := binary.Decode(raw, binary.LittleEndian, values); err != nil {
		t.Fatal(err)
	}
	return values
}

// distance returns the squared error of have relative to the squares of want.
func distance(t *testing.T, have, want []float32) float64 {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%d values, want %d", len(have), len(want))
	}
	var diff, sum float64
	for i, w := range want {
		d := float64(have[i]) - float64(w)
		diff += d * d
		sum += float64(w) * float64(w)
	}
	return diff / sum
}

// TestCorpusQuantize makes every quantised variant of the corpus from its base model: each tensor must
// have the type that the peer gave it, and the bytes, too, where the type leaves no choice.
func TestCorpusQuantize(t *testing.T) {
	var count tally
	for _, path := range testcorpus.Glob(t, "models/*-*.gguf") {
		base, recipe, _ := cutLast(strings.TrimSuffix(path, ".gguf"), "-")
		typ, ok := tensor.ParseDType(recipe)
		if base += ".gguf"; !ok || !hasFile(base) {
			continue // a name with a dash, and no variant
		}
		t.Run(modelName(path), func(t *testing.T) {
			if _, err := quant.Of(typ); err != nil {
				count.skipped++
				t.Skip(err)
			}
			count.done++
			out := filepath.Join(t.TempDir(), "out.gguf")
			if code, _, stderr := call("", "quantize", "--type", recipe, base, out); code != 0 {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			compareFiles(t, out, path)
		})
	}
	count.check(t)
}

// cutLast cuts s at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func compareFiles(t *testing.T, havePath, wantPath string) {
	t.Helper()
	have, err := gguf.Open(havePath)
	if err != nil {
		t.Fatal(err)
	}
	defer have.Close()
	want, err := gguf.Open(wantPath)
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	if h, w := have.NumTensors(), want.NumTensors(); h != w {
		t.Errorf("%d tensors, want %d", h, w)
	}
	for _, key := range []string{"general.file_type", "general.quantization_version"} {
		h, herr := have.Uint(key)
		if w, err := want.Uint(key); err != nil || herr != nil || h != w {
			t.Errorf("%s is %d (%v), want %d (%v)", key, h, herr, w, err)
		}
	}
	var same, other, wrong int
	for w := range want.Tensors() {
		h, ok := have.Tensor(w.Name)
		if !ok || h.Type != w.Type || h.Shape != w.Shape {
			t.Errorf("%s is %v %v, want %v %v", w.Name, h.Type, h.Shape, w.Type, w.Shape)
			continue
		}
		if bytes.Equal(have.Data(h), want.Data(w)) {
			same++
			continue
		}
		other++
		switch w.Type { // one result is right, whoever computes it
		case tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0, tensor.Q4_0:
			wrong++
			t.Errorf("%s (%v) has other bytes than the peer's", w.Name, w.Type)
		}
	}
	t.Logf("%d tensors have the peer's bytes, %d other ones of the same type, %d of these should not", same, other, wrong)
}

// TestCorpusTokenize tokenizes texts of the vocabularies' vectors and turns the ids back. The tokenizer's
// own tests take all of them: here it is the way from stdin to stdout that is looked at.
func TestCorpusTokenize(t *testing.T) {
	const every = 10
	var count tally
	for _, path := range testcorpus.Glob(t, "vocabs/*.gguf") {
		t.Run(modelName(path), func(t *testing.T) {
			texts, lines := readVectors(t, path)
			if len(texts) != len(lines) {
				t.Fatalf("%d texts and %d lines of ids", len(texts), len(lines))
			}
			count.done++
			cases := 0
			for i := 0; i < len(texts); i += every {
				cases++
				code, stdout, stderr := call(texts[i], "tokenize", "-m", path)
				want := "[" + strings.Join(strings.Fields(lines[i]), ",") + "]\n"
				if code != 0 || stdout != want {
					t.Errorf("%q: exit code %d, %s, want %s; stderr %q", texts[i], code, stdout, want, stderr)
				}
			}
			t.Logf("%d of %d texts", cases, len(texts))
		})
	}
	count.check(t)
}

func readVectors(t *testing.T, path string) (texts, lines []string) {
	t.Helper()
	in, err := os.ReadFile(path + ".inp")
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(path + ".out")
	if err != nil {
		t.Fatal(err)
	}
	const end = "\n__ggml_vocab_test__\n" // of each text, the last too
	texts = strings.Split(strings.TrimSuffix(string(in), end), end)
	return texts, strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// TestDistance checks the measure itself.
func TestDistance(t *testing.T) {
	if d := distance(t, []float32{1, 2}, []float32{1, 4}); math.Abs(d-4.0/17) > 1e-12 {
		t.Errorf("%v, want 4/17", d)
	}
}
