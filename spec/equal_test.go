package spec_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/spec"
)

// TestSameText compares texts with and without speculation: for each way to choose, and for drafters
// from always right to always wrong.
func TestSameText(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	e := newEngine(t, f, engine.Options{Context: 128, Batch: 16, Exact: true, ExactCache: true})
	vocab := e.Params().Vocab
	prompt := ids(1, 24, vocab)
	for _, way := range samplings {
		want := plain(t, e, 0, way.params, prompt, 60)
		all := slices.Concat(prompt, want)
		for _, fixed := range []bool{true, false} {
			for name, drafter := range map[string]func() spec.Drafter{
				"right":     func() spec.Drafter { return newOracle(all, 1, vocab) },
				"half":      func() spec.Drafter { return newOracle(all, 0.5, vocab) },
				"wrong":     func() spec.Drafter { return newOracle(all, 0, vocab) },
				"ngram":     func() spec.Drafter { return spec.NewNGram(spec.NGramOptions{Min: 1}) },
				"same":      func() spec.Drafter { return simple(t, e, f, spec.SimpleOptions{}) },
				"confident": func() spec.Drafter { return simple(t, e, f, spec.SimpleOptions{PMin: 0.2}) },
				"other": func() spec.Drafter {
					return simple(t, e, parse(t, tinymodel.Config{Seed: 3, Layers: 1}), spec.SimpleOptions{})
				},
			} {
				t.Run(fmt.Sprintf("%s/%s/fixed=%v", way.name, name, fixed), func(t *testing.T) {
					d := newDecoder(t, e, spec.Options{Max: 5, Fixed: fixed}, drafter())
					if got := speculate(t, d, e, 0, way.params, prompt, len(want)); !slices.Equal(got, want) {
						t.Errorf("with speculation\n%v, without\n%v", got, want)
					}
					st := d.Stats()
					if fixed && name == "right" && (st.Accepted != st.Drafted || st.Rounds > 12) {
						t.Errorf("%d of %d right guesses accepted in %d rounds", st.Accepted, st.Drafted, st.Rounds)
					}
					if fixed && name == "same" && way.name == "greedy" && st.Accepted != st.Drafted {
						t.Errorf("%d of %d of the target's own guesses accepted", st.Accepted, st.Drafted)
					}
				})
			}
		}
	}
}

// simple returns a draft-simple over f on the device of e.
func simple(t testing.TB, e *engine.Engine, f *gguf.File, opt spec.SimpleOptions) *spec.Simple {
	t.Helper()
	o := e.Options()
	draft, err := engine.New(f, engine.Options{
		Devices: o.Devices, Context: o.Context, Batch: 32, Sequences: o.Sequences, Exact: true, ExactCache: true, FullWindow: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return spec.NewSimple(draft, opt)
}
