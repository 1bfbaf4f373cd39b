package spec_test

import (
	"context"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

// TestSteadyRoundsAllocateNothing counts allocations of rounds whose graphs are there already. A look-up
// remembers every token, and may allocate now and then.
func TestSteadyRoundsAllocateNothing(t *testing.T) {
	e := newEngine(t, parse(t, shared), engine.Options{Context: 2048})
	for name, drafter := range map[string]spec.Drafter{
		"draft-mtp": newMTP(t, e, spec.MTPOptions{}, engine.DraftOptions{}),
		"oracle":    newOracle(ids(1, 10, 100), 0.5, e.Params().Vocab),
	} {
		d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true}, drafter)
		s := newSampler(t, e, sample.Params{}, nil)
		ctx := context.Background()
		if err := d.Truncate(0, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Prompt(ctx, 0, ids(1, 10, e.Params().Vocab), s); err != nil {
			t.Fatal(err)
		}
		text := make([]int32, 0, 2048)
		round := func() {
			var err error
			if text, err = d.Step(ctx, 0, s, 0, text); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			round()
		}
		if n := testing.AllocsPerRun(50, round); n > 0 {
			t.Errorf("%s: %g allocations a round", name, n)
		}
	}
}

// TestRejectionRuns decodes with drawn guesses: texts differ from those without, and more guesses are
// taken than if the sampler's own draw had to hit them. Greedy decoding is as without.
func TestRejectionRuns(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	e := newEngine(t, f, engine.Options{Context: 256, Exact: true, ExactCache: true})
	// As flat as a model of random weights is at this temperature, a draw seldom hits a guess.
	params := sample.Params{Temperature: 0.3, TopK: 8, Seed: 5}
	prompt := ids(4, 10, e.Params().Vocab)
	var taken [2]float64
	for i, rejection := range []bool{false, true} {
		d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true, Rejection: rejection}, simple(t, e, f, spec.SimpleOptions{}))
		for seed := range uint64(4) {
			params.Seed = seed
			first := speculate(t, d, e, 0, params, prompt, 100)
			if again := speculate(t, d, e, 0, params, prompt, 100); len(again) != 100 || !slices.Equal(first, again) {
				t.Errorf("a seed gave\n%v and\n%v", first, again)
			}
		}
		st := d.Stats()
		taken[i] = float64(st.Accepted) / float64(st.Drafted)
		want := plain(t, e, 0, sample.Params{}, prompt, 50)
		if got := speculate(t, d, e, 0, sample.Params{}, prompt, 50); !slices.Equal(got, want) {
			t.Errorf("greedy with rejection=%v: %v, want %v", rejection, got, want)
		}
	}
	t.Logf("%.2f of the guesses taken by exact draws, %.2f with rejection", taken[0], taken[1])
	if taken[1] <= taken[0] {
		t.Error("rejection sampling takes no more guesses")
	}
}
