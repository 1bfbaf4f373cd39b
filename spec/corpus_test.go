package spec_test

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
			drafter := &listener{Drafter: spec.NewMTP(d, spec.MTPOptions{}), draft: d}
			dec := spec.NewDecoder(e, spec.Options{Max: run.Max, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, drafter)
			s, err := sample.New(sample.Params{}, r.Vocab)
			if err != nil {
				t.Fatal(err)
			}
			ctx := context.Background()
			last, err := dec.Prompt(ctx, 0, r.PromptIDs, s)
			if err != nil {
				t.Fatal(err)
			}
			text, ties := []int32{last}, 0
			for i, want := range run.Rounds {
				if last != want.Last || e.Cache().MaxPos(0)+1 != int(want.Past) {
					t.Fatalf("n_max %d, round %d: token %d after %d, want %d after %d", run.Max, i, last, e.Cache().MaxPos(0)+1, want.Last, want.Past)
				}
				before := dec.Stats()
				drafter.want = want.Drafted
				got, err := dec.Step(ctx, 0, s, 1<<20, nil)
				if err != nil {
					t.Fatal(err)
				}
				after := dec.Stats()
				accepted := after.Accepted - before.Accepted
				same := len(want.Drafted)
				if drafter.differs >= 0 && drafter.near <= math.Sqrt(r.Tolerance) { // two tokens as good as each other
					same, ties = drafter.differs, ties+1
				}
				if len(drafter.guesses) != len(want.Drafted) || !slices.Equal(drafter.guesses[:same], want.Drafted[:same]) || accepted != want.Accepted || !slices.Equal(got, want.Emitted) {
					t.Fatalf("n_max %d, round %d: %v drafted (guess %d differs, by %.2g), %d accepted, %v; want %v, %d, %v", run.Max, i,
						drafter.guesses, drafter.differs, drafter.near, accepted, got, want.Drafted, want.Accepted, want.Emitted)
				}
				text = append(text, got...)
				last = got[len(got)-1]
			}
			if n := min(len(text), len(r.Plain)); !slices.Equal(text[:n], r.Plain[:n]) {
				t.Errorf("n_max %d: the text differs from that without speculation", run.Max)
			}
			st := dec.Stats()
			t.Logf("n_max %d: %d rounds as recorded, but for %d drafts within the tolerance; %d of %d guesses right, %.2f tokens a round",
				run.Max, st.Rounds, ties, st.Accepted, st.Drafted, st.TokensPerStep())
			if err := dec.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// listener keeps what a drafter guessed last for one sequence, and how that differs from what is wanted.
type listener struct {
	spec.Drafter
	draft   *engine.Draft
	guesses []int32
	want    []int32
	differs int     // the first guess that does, or -1
	near    float64 // by how much the wanted guess is behind there, in root mean squares of the logits
}

func (l *listener) Draft(ctx context.Context, requests []*spec.Request) error {
	err := l.Drafter.Draft(ctx, requests)
	l.guesses = append(l.guesses[:0], requests[0].Guesses...)
	l.differs = -1
	for i := range min(len(l.want), len(l.guesses)) {
		if l.want[i] == l.guesses[i] {
			continue
		}
		l.differs = i
		r := &spec.Request{Seq: requests[0].Seq, Pos: requests[0].Pos, Last: requests[0].Last, Max: i + 1}
		if err := l.Drafter.Draft(ctx, []*spec.Request{r}); err != nil {
			return err
		}
		var size float64
		logits := l.draft.Logits(0)
		for _, x := range logits {
			size += float64(x) * float64(x)
		}
		l.near = float64(logits[l.guesses[i]]-logits[l.want[i]]) / math.Sqrt(size/float64(len(logits)))
		break
	}
	return err
}

// TestCorpusDraftSteps compares the draft's logits and hidden states with the peer's.
func TestCorpusDraftSteps(t *testing.T) {
	eachRecorded(t, func(t *testing.T, dir string, r *recorded) {
		e, d := open(t, r, filepath.Dir(filepath.Dir(dir)))
		in, logits, out := floats(t, dir, "draft_hidden_in.f32"), floats(t, dir, "draft_logits.f32"), floats(t, dir, "draft_hidden_out.f32")
		all := append(append([]int32{}, r.PromptIDs...), r.Plain...)
		before := make([]float32, r.Width) // the target's state before the next token
		var worst float64
		for i, s := range r.Steps {
			// The target's cache holds the tokens before the position of a round's first step.
			var tokens []engine.Token
			for p := e.Cache().MaxPos(0) + 1; s.Step == 0 && p < int(s.Pos); p++ {
				tokens = append(tokens, engine.Token{ID: all[p], Pos: int32(p)})
			}
			if len(tokens) > 0 {
				if err := e.DecodeHidden(context.Background(), tokens, true); err != nil {
					t.Fatal(err)
				}
				before = follow(t, d, tokens, before, e.Hidden)
			}
			if s.Step == 0 { // what was guessed before is gone
				if err := d.Truncate(0, s.Pos); err != nil {
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

// follow gives a draft with a cache of its own what its target was given, and returns the state after it.
func follow(t *testing.T, d *engine.Draft, tokens []engine.Token, before []float32, hidden func(i int) []float32) []float32 {
	t.Helper()
	if !d.OwnsCache() {
		return before
	}
	if err := d.Truncate(0, tokens[0].Pos); err != nil {
		t.Fatal(err)
	}
	var batch []engine.DraftToken
	for i, x := range tokens {
		batch = append(batch, engine.DraftToken{ID: x.ID, Pos: x.Pos, Seq: x.Seq, Hidden: before, Feed: true})
		before = slices.Clone(hidden(i))
	}
	if err := d.Run(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	return before
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
	deepest := 0
	for _, run := range r.Runs {
		deepest = max(deepest, run.Max)
	}
	e, err := engine.New(target, engine.Options{
		Devices: []backends.Device{dev}, Context: 512, Sequences: sequences, Exact: true, ExactCache: true, Snapshots: deepest,
	})
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
	d, err := engine.NewDraft(draft, e, engine.DraftOptions{Depth: deepest})
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
