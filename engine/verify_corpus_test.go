package engine

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/testcorpus"
)

// verifyCase is a recorded run of speculative decoding.
type verifyCase struct {
	Prompt []int32 `json:"prompt_ids"`
	Runs   []struct {
		Most   int `json:"n_max"`
		Rounds []struct {
			Past    int   `json:"n_past"`
			Last    int32 `json:"id_last"`
			Drafted []int32
			Emitted []int32
		}
	}
}

// TestCorpusVerification takes the recorded drafts through the target and back: in each round the
// target must choose the tokens that the peer's has chosen, after all the rounds before whose rejected
// tokens were removed again. A recurrent target has as many snapshots as a draft has tokens, no more.
func TestCorpusVerification(t *testing.T) {
	done := 0
	for _, path := range testcorpus.Glob(t, "mtp/*/mtp.json") {
		name := filepath.Base(filepath.Dir(path))
		t.Run(name, func(t *testing.T) {
			var c verifyCase
			readCorpusJSON(t, path, &c)
			f, err := gguf.Open(filepath.Join(testcorpus.Dir(t), "models", name+".gguf"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			dev := cpu.New(cpu.Options{})
			t.Cleanup(func() { dev.Close() })
			rounds, rejected := 0, 0
			for _, run := range c.Runs {
				e, err := New(f, Options{
					Devices: []backends.Device{dev}, Context: 256, ExactCache: true, Exact: true, Snapshots: run.Most,
				})
				if err != nil {
					t.Fatal(err)
				}
				chosen(t, e, c.Prompt, 0)
				for i, r := range run.Rounds {
					got := chosen(t, e, append([]int32{r.Last}, r.Drafted...), r.Past)
					kept := 0
					for kept < len(r.Drafted) && got[kept] == r.Drafted[kept] {
						kept++
					}
					if !slices.Equal(got[:kept+1], r.Emitted) {
						t.Fatalf("n_max %d, round %d: %v, want %v", run.Most, i, got[:kept+1], r.Emitted)
					}
					if err := e.cache.Remove(0, r.Past+kept+1, -1); err != nil {
						t.Fatalf("n_max %d, round %d: %v", run.Most, i, err)
					}
					rounds, rejected = rounds+1, rejected+len(r.Drafted)-kept
				}
				if err := e.Close(); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d rounds of %d runs, %d tokens taken back", rounds, len(c.Runs), rejected)
			if rounds == 0 {
				t.Error("no rounds")
			}
			done += rounds
		})
	}
	if done == 0 {
		t.Error("nothing was compared")
	}
}

// chosen returns the most probable token after each of ids, which begin at position pos.
func chosen(t *testing.T, e *Engine, ids []int32, pos int) []int32 {
	t.Helper()
	batch := make([]Token, len(ids))
	for i, id := range ids {
		batch[i] = Token{ID: id, Pos: int32(pos + i), Output: true}
	}
	if err := e.Decode(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	var best []int32
	for i := range ids {
		logits := e.Logits(i)
		best = append(best, int32(slices.Index(logits, slices.Max(logits))))
	}
	return best
}
