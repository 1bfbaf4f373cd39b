package spec_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

// TestCorpusSpec decodes with every model of the corpus that has logits, greedily and drawing, with
// guesses looked up, made up, and right, and compares with the text without speculation.
func TestCorpusSpec(t *testing.T) {
	done, skipped := 0, 0
	for _, path := range testcorpus.Glob(t, "models/*/logits_exact.f32") {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			f, err := gguf.Open(dir + ".gguf")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			dev := cpu.New(cpu.Options{Threads: 2})
			defer dev.Close()
			e, err := engine.New(f, engine.Options{Devices: []backends.Device{dev}, Context: 256, Batch: 32, Snapshots: 4})
			if errors.Is(err, model.ErrArch) || errors.Is(err, backends.ErrUnsupported) {
				skipped++
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			done++
			prompt := promptOf(t, dir)
			for _, way := range []sample.Params{{}, {Temperature: 0.9, TopK: 50, RepeatPenalty: 1.1, Seed: 3}} {
				want := plain(t, e, 0, way, prompt, 20)
				all := slices.Concat(prompt, want)
				for name, drafter := range map[string]spec.Drafter{
					"ngram":  spec.NewNGram(spec.NGramOptions{Min: 1}),
					"random": newOracle(all, 0, e.Params().Vocab),
					"mostly": newOracle(all, 0.8, e.Params().Vocab),
				} {
					d := newDecoder(t, e, spec.Options{Max: 4, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, drafter)
					if got := speculate(t, d, e, 0, way, prompt, len(want)); !slices.Equal(got, want) {
						t.Errorf("temperature %g, %s: %v, want\n%v", way.Temperature, name, got, want)
					}
				}
			}
		})
	}
	t.Logf("%d models decoded, %d skipped", done, skipped)
	if done == 0 {
		t.Error("no model was decoded")
	}
}

// promptOf returns the first tokens of a model's text; a quantized variant has those of its base model.
func promptOf(t *testing.T, dir string) []int32 {
	t.Helper()
	for base := dir; ; {
		raw, err := os.ReadFile(filepath.Join(base, "tokens.json"))
		if err == nil {
			var c struct {
				IDs []int32 `json:"ids"`
			}
			if err := json.Unmarshal(raw, &c); err != nil {
				t.Fatal(err)
			}
			return c.IDs[:min(len(c.IDs), 40)]
		}
		i := strings.LastIndexByte(filepath.Base(base), '-')
		if i < 0 {
			t.Fatalf("%s has no tokens.json, and neither has its base model", dir)
		}
		base = filepath.Join(filepath.Dir(base), filepath.Base(base)[:i])
	}
}

// TestCorpusMany decodes two texts at once with the recorded pairs of target and draft: the recorded text,
// and one of other tokens, each as without speculation.
func TestCorpusMany(t *testing.T) {
	eachRecorded(t, func(t *testing.T, dir string, r *recorded) {
		e, draft := openWith(t, r, filepath.Dir(filepath.Dir(dir)), 2)
		d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true}, spec.NewMTP(draft, spec.MTPOptions{}))
		prompts := [][]int32{r.PromptIDs, ids(5, 30, r.Vocab)}
		turns := make([]spec.Turn, 2)
		var want [2][]int32
		for i, p := range prompts {
			want[i] = plain(t, e, int32(i), sample.Params{}, p, 40)
			s := newSampler(t, e, sample.Params{}, p)
			id, err := d.Prompt(t.Context(), int32(i), p, s)
			if err != nil {
				t.Fatal(err)
			}
			turns[i] = spec.Turn{Seq: int32(i), Sampler: s, Tokens: []int32{id}}
		}
		rng := rand.New(rand.NewPCG(1, 2))
		for len(turns[0].Tokens) < 40 || len(turns[1].Tokens) < 40 {
			if rng.IntN(4) == 0 { // one of them pauses
				i := rng.IntN(2)
				if err := d.StepAll(t.Context(), turns[i:i+1]); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := d.StepAll(t.Context(), turns); err != nil {
				t.Fatal(err)
			}
		}
		for i := range turns {
			if !slices.Equal(turns[i].Tokens[:40], want[i]) {
				t.Errorf("sequence %d: %v, want\n%v", i, turns[i].Tokens[:40], want[i])
			}
		}
		if n := min(40, len(r.Plain)); !slices.Equal(turns[0].Tokens[:n], r.Plain[:n]) {
			t.Error("the text is not the recorded one")
		}
	})
}
