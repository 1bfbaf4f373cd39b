package tenon_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tensor"
)

// TestCorpusLogits compares the logits of every model of the corpus with the peer's: with exact
// products and an F32 cache, and as a user runs it. A model whose architecture or type is still to
// come is skipped by name.
func TestCorpusLogits(t *testing.T) {
	var done, skipped int
	for _, path := range testcorpus.Glob(t, "models/*.gguf") {
		name := strings.TrimSuffix(filepath.Base(path), ".gguf")
		dir := strings.TrimSuffix(path, ".gguf")
		if _, err := os.Stat(filepath.Join(dir, "logits_exact.f32")); err != nil {
			continue // a draft, or a model without logits: its own tests come with it
		}
		t.Run(name, func(t *testing.T) {
			c := readCase(t, dir)
			m, err := tenon.Open(path, tenon.WithExact(), tenon.WithCacheTypes(tensor.F32, tensor.F32), tenon.WithContext(c.Context))
			if comesLater(err) {
				skipped++
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			done++
			exact := c.compare(t, m, 0)
			steps := c.compare(t, m, 1)
			m.Close()
			if m, err = tenon.Open(path, tenon.WithContext(c.Context)); err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			usual := c.compare(t, m, c.Prefill)
			t.Logf("%d tokens: NMSE %.2g exact, %.2g one by one (tolerance %.2g); %.2g as run by default (tolerance %.2g)",
				len(c.IDs), exact, steps, c.ToleranceF32, usual, c.ToleranceAny)
			for _, x := range []struct {
				what       string
				have, most float64
			}{{"exact", exact, c.ToleranceF32}, {"exact, one by one", steps, c.ToleranceF32}, {"default", usual, c.ToleranceAny}} {
				if !(x.have <= x.most) {
					t.Errorf("%s: NMSE %.3g, tolerance %.3g", x.what, x.have, x.most)
				}
			}
		})
	}
	t.Logf("%d models compared, %d skipped", done, skipped)
	if done == 0 {
		t.Error("no model was compared")
	}
}

// comesLater reports whether err says that an architecture or type has no code yet.
func comesLater(err error) bool {
	return errors.Is(err, model.ErrArch) || errors.Is(err, backends.ErrUnsupported)
}

type logitsCase struct {
	IDs          []int32 `json:"ids"`
	Prefill      int     `json:"prefill"`
	Context      int
	ToleranceF32 float64
	ToleranceAny float64
	want         []float32
}

func readCase(t *testing.T, dir string) *logitsCase {
	c := new(logitsCase)
	base := dir // a quantized variant has the tokens of its base model
	for {
		if _, err := os.Stat(filepath.Join(base, "tokens.json")); err == nil {
			break
		}
		i := strings.LastIndexByte(filepath.Base(base), '-')
		if i < 0 {
			t.Fatalf("%s has no tokens.json, and neither has its base model", dir)
		}
		base = filepath.Join(filepath.Dir(base), filepath.Base(base)[:i])
	}
	readJSON(t, filepath.Join(base, "tokens.json"), c)
	var meta struct {
		Context   int `json:"n_ctx"`
		Tolerance struct {
			F32 float64 `json:"nmse_vs_logits_exact_if_all_F32"`
			Any float64 `json:"nmse_vs_logits_exact_any_implementation"`
		} `json:"tolerance"`
	}
	readJSON(t, filepath.Join(dir, "meta.json"), &meta)
	c.Context, c.ToleranceF32, c.ToleranceAny = meta.Context, meta.Tolerance.F32, meta.Tolerance.Any
	raw, err := os.ReadFile(filepath.Join(dir, "logits_exact.f32"))
	if err != nil {
		t.Fatal(err)
	}
	c.want = cast.Slice[float32](raw)
	return c
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// compare returns the NMSE of the logits of all tokens, taken through m in batches: all at once if
// batch is 0, and otherwise batch tokens first and then one by one.
func (c *logitsCase) compare(t *testing.T, m *tenon.Model, batch int) float64 {
	t.Helper()
	e := m.Engine()
	e.Cache().Clear()
	if batch == 0 {
		batch = len(c.IDs)
	}
	var got []float32
	for from := 0; from < len(c.IDs); {
		n := 1
		if from == 0 {
			n = batch
		}
		tokens := make([]engine.Token, n)
		for i := range tokens {
			tokens[i] = engine.Token{ID: c.IDs[from+i], Pos: int32(from + i), Output: true}
		}
		if err := e.Decode(context.Background(), tokens); err != nil {
			t.Fatal(err)
		}
		for i := range tokens {
			got = append(got, e.Logits(i)...)
		}
		from += n
	}
	if len(got) != len(c.want) {
		t.Fatalf("%d logits, want %d", len(got), len(c.want))
	}
	return nmse(got, c.want)
}

func nmse(got, want []float32) float64 {
	var diff, size float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff += d * d
		size += float64(w) * float64(w)
	}
	if math.IsNaN(diff) {
		return math.Inf(1)
	}
	return diff / size
}

// TestCorpusStories generates, as a user would, the texts that the peer has written greedily. It walks
// every model of the corpus that has one.
func TestCorpusStories(t *testing.T) {
	done := 0
	for _, path := range testcorpus.Glob(t, "models/*/greedy.json") {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var want struct {
				Prompt    string
				PromptIDs []int32 `json:"prompt_ids"`
				IDs       []int32 `json:"greedy_ids"`
				Text      string
			}
			readJSON(t, path, &want)
			m, err := tenon.Open(dir + ".gguf")
			if comesLater(err) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			ids, err := m.Tokenizer().Encode(want.Prompt, encodeSpecial)
			if err != nil || !slices.Equal(ids, want.PromptIDs) {
				t.Errorf("the prompt is %v, want %v, %v", ids, want.PromptIDs, err)
			}
			text, ids, err := generate(t.Context(), m, want.Prompt, tenon.GenerateOptions{MaxTokens: len(want.IDs), IgnoreEOS: true})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(ids, want.IDs) {
				t.Errorf("ids are %v, want %v", ids, want.IDs)
			}
			if text != want.Text {
				t.Errorf("the text is %q, want %q", text, want.Text)
			}
			done++
			t.Logf("%d tokens, %d bytes of text", len(ids), len(text))
		})
	}
	if done == 0 && !t.Failed() {
		t.Error("no text was compared")
	}
}
