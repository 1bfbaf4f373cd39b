package spec_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

// recorded is an mtp.json.
type recorded struct {
	Target    string  `json:"target"`
	Draft     string  `json:"draft"`
	PromptIDs []int32 `json:"prompt_ids"`
	Plain     []int32 `json:"target_only_greedy_ids"`
	Width     int     `json:"n_embd_target"`
	Vocab     int     `json:"n_vocab"`
	Tolerance float64 `json:"tolerance_nmse_all_F32"`
	Steps     []struct {
		Round, Step int
		Token, Pos  int32
		Argmax      int32
	} `json:"draft_steps"`
	Runs []struct {
		Max    int `json:"n_max"`
		Rounds []struct {
			Past     int32   `json:"n_past"`
			Last     int32   `json:"id_last"`
			Drafted  []int32 `json:"drafted"`
			Accepted int     `json:"accepted"`
			Emitted  []int32 `json:"emitted"`
		} `json:"rounds"`
	} `json:"runs"`
}

// TestCorpusRounds decodes what the peer decoded speculatively, and compares every round: what was
// drafted, what was accepted, what came out.
func TestCorpusRounds(t *testing.T) {
	eachRecorded(t, func(t *testing.T, dir string, r *recorded) {
		for _, run := range r.Runs {
			e, d := open(t, r, filepath.Dir(filepath.Dir(dir)))
			dec := spec.NewDecoder(e, spec.Options{Max: run.Max, Fixed: true}, spec.NewMTP(d, spec.MTPOptions{}))
			s, err := sample.New(sample.Params{}, r.Vocab)
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			last, err := dec.Prompt(ctx, 0, r.PromptIDs, s)
			if err != nil {
				t.Fatal(err)
			}
			text := []int32{last}
			for i, want := range run.Rounds {
				if last != want.Last || e.Cache().MaxPos(0)+1 != int(want.Past) {
					t.Fatalf("n_max %d, round %d: token %d after %d, want %d after %d", run.Max, i, last, e.Cache().MaxPos(0)+1, want.Last, want.Past)
				}
				before := dec.Stats()
				got, err := dec.Step(ctx, 0, s, 1<<20, nil)
				if err != nil {
					t.Fatal(err)
				}
				after := dec.Stats()
				if drafted, accepted := after.Drafted-before.Drafted, after.Accepted-before.Accepted; drafted != len(want.Drafted) || accepted != want.Accepted || !slices.Equal(got, want.Emitted) {
					t.Fatalf("n_max %d, round %d: %d drafted, %d accepted, %v; want %d, %d, %v", run.Max, i,
						drafted, accepted, got, len(want.Drafted), want.Accepted, want.Emitted)
				}
				text = append(text, got...)
				last = got[len(got)-1]
			}
			if n := min(len(text), len(r.Plain)); !slices.Equal(text[:n], r.Plain[:n]) {
				t.Errorf("n_max %d: the text differs from that without speculation", run.Max)
			}
			st := dec.Stats()
			t.Logf("n_max %d: %d rounds as recorded, %d of %d guesses right, %.2f tokens a round", run.Max, st.Rounds, st.Accepted, st.Drafted, st.TokensPerStep())
			if err := dec.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestCorpusDraftSteps compares the draft's logits and hidden states with the peer's.
func TestCorpusDraftSteps(t *testing.T) {
	eachRecorded(t, func(t *testing.T, dir string, r *recorded) {
		e, d := open(t, r, filepath.Dir(filepath.Dir(dir)))
		if d.OwnsCache() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			t.Skip("has a cache of its own: the engine's tests feed it")
		}
		in, logits, out := floats(t, dir, "draft_hidden_in.f32"), floats(t, dir, "draft_logits.f32"), floats(t, dir, "draft_hidden_out.f32")
		all := append(append([]int32{}, r.PromptIDs...), r.Plain...)
		var worst float64
		for i, s := range r.Steps {
			// The target's cache holds the tokens before the step's position.
			var tokens []engine.Token
			for p := e.Cache().MaxPos(0) + 1; p < int(s.Pos); p++ {
				tokens = append(tokens, engine.Token{ID: all[p], Pos: int32(p)})
			}
			if len(tokens) > 0 {
				if err := e.Decode(context.Background(), tokens); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Run(context.Background(), []engine.DraftToken{{ID: s.Token, Pos: s.Pos, Hidden: in[i*r.Width : (i+1)*r.Width]}}); err != nil {
				t.Fatal(err)
			}
			for _, x := range []struct {
				what      string
				got, want []float32
			}{{"logits", d.Logits(0), logits[i*r.Vocab : (i+1)*r.Vocab]}, {"hidden state", d.Hidden(0), out[i*r.Width : (i+1)*r.Width]}} {
				n := nmse(x.got, x.want)
				worst = max(worst, n)
				if !(n <= r.Tolerance) {
					t.Errorf("round %d, step %d: %s: NMSE %.3g, tolerance %.3g", s.Round, s.Step, x.what, n, r.Tolerance)
				}
			}
			if got := sample.Greedy(d.Logits(0)); got != s.Argmax {
				t.Errorf("round %d, step %d: token %d, want %d", s.Round, s.Step, got, s.Argmax)
			}
		}
		t.Logf("%d steps, worst NMSE %.2g (tolerance %.2g)", len(r.Steps), worst, r.Tolerance)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func eachRecorded(t *testing.T, f func(t *testing.T, dir string, r *recorded)) {
	done := 0
	for _, path := range testcorpus.Glob(t, "mtp/*/mtp.json") {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var r recorded
			raw, err := os.ReadFile(path)
			if err == nil {
				err = json.Unmarshal(raw, &r)
			}
			if err != nil {
				t.Fatal(err)
			}
			f(t, dir, &r)
			if !t.Skipped() {
				done++
			}
		})
	}
	if done == 0 {
		t.Error("nothing was compared")
	}
}

// open opens target and draft as they were recorded: exact products, F32 cache.
func open(t *testing.T, r *recorded, corpus string) (*engine.Engine, *engine.Draft) {
	t.Helper()
	return openWith(t, r, corpus, 1)
}

func openWith(t *testing.T, r *recorded, corpus string, sequences int) (*engine.Engine, *engine.Draft) {
	t.Helper()
	dev := cpu.New(cpu.Options{Threads: 2})
	t.Cleanup(func() { dev.Close() })
	file := func(name string) *gguf.File {
		f, err := gguf.Open(filepath.Join(corpus, "models", name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	target := file(r.Target)
	draft := target // which may hold its draft
	if strings.HasSuffix(r.Draft, ".gguf") {
		draft = file(r.Draft)
	}
	e, err := engine.New(target, engine.Options{Snapshots: 8, Devices: []backends.Device{dev}, Context: 512, Sequences: sequences, Exact: true, ExactCache: true})
	if errors.Is(err, model.ErrArch) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	d, err := engine.NewDraft(draft, e, engine.DraftOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}

func floats(t *testing.T, dir, name string) []float32 {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return cast.Slice[float32](raw)
}

func nmse(got, want []float32) float64 {
	var diff, size float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff += d * d
		size += float64(w) * float64(w)
	}
	return diff / size
}
