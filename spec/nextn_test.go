package spec_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

// newNextN returns an engine over a model that holds its own draft, and that draft.
func newNextN(t testing.TB, opt engine.Options) (*engine.Engine, *engine.Draft) {
	t.Helper()
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	e := newEngine(t, f, opt)
	d, err := engine.NewDraft(f, e, engine.DraftOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return e, d
}

// TestNextNSameText decodes with a draft that has a cache of its own, always and where it pays, to the end
// of the context.
func TestNextNSameText(t *testing.T) {
	e, draft := newNextN(t, engine.Options{Context: 96, Batch: 8, Snapshots: 4, Exact: true, ExactCache: true})
	prompt := ids(1, 20, e.Params().Vocab)
	mtp := spec.NewMTP(draft, spec.MTPOptions{})
	failed := func(name string, err error) { t.Errorf("%s: %v", name, err) }
	fixed := newDecoder(t, e, spec.Options{Max: 4, Fixed: true, OnFailure: failed}, mtp)
	// A drafter belongs to one decoder; these two never run at the same time, and each starts anew.
	adaptive := spec.NewDecoder(e, spec.Options{Max: 4, OnFailure: failed}, mtp)
	for _, way := range samplings {
		want := plain(t, e, 0, way.params, prompt, 1000)
		for name, d := range map[string]*spec.Decoder{"fixed": fixed, "adaptive": adaptive} {
			if got := speculate(t, d, e, 0, way.params, prompt, 1000); !slices.Equal(got, want) {
				t.Errorf("%s, %s: with speculation\n%v, without\n%v", way.name, name, got, want)
			}
		}
	}
	if fixed.Stats().Drafted == 0 || draft.Stats().Runs == 0 {
		t.Error("nothing was drafted")
	}
}

// TestNextNKeepsUp compares the guesses of a draft that has followed a text round by round, and with
// pauses, with those of one that reads it at once.
func TestNextNKeepsUp(t *testing.T) {
	ctx := context.Background()
	opt := engine.Options{Context: 256, Batch: 16, Snapshots: 4, Sequences: 2, Exact: true, ExactCache: true}
	e, draft := newNextN(t, opt)
	prompt := ids(6, 15, e.Params().Vocab)
	text := slices.Concat(prompt, plain(t, e, 0, sample.Params{}, prompt, 60))
	mtp := spec.NewMTP(draft, spec.MTPOptions{})
	guesses := func(seq int32, pos int) []int32 {
		r := &spec.Request{Seq: seq, Pos: int32(pos), Last: text[pos], Max: 3}
		if err := mtp.Draft(ctx, []*spec.Request{r}); err != nil {
			t.Fatal(err)
		}
		return r.Guesses
	}
	d := newDecoder(t, e, spec.Options{}, mtp) // it never asks for a draft, and tells what is committed
	s := newSampler(t, e, sample.Params{}, nil)
	if _, err := d.Prompt(ctx, 0, prompt, s); err != nil {
		t.Fatal(err)
	}
	for pos := len(prompt); pos < len(text)-1; pos++ {
		if pos%7 < 3 || pos > 60 {
			got := guesses(0, pos)
			if err := d.Truncate(1, 0); err != nil {
				t.Fatal(err)
			}
			if err := d.Feed(ctx, 1, text[:pos]); err != nil {
				t.Fatal(err)
			}
			if want := guesses(1, pos); !slices.Equal(got, want) || len(got) != 3 {
				t.Errorf("position %d: %v, read at once %v", pos, got, want)
			}
		}
		if _, err := d.Step(ctx, 0, s, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDepthByClock has a decoder measure with a clock that goes on by one at each look.
func TestDepthByClock(t *testing.T) {
	e := newEngine(t, parse(t, tinymodel.Config{}), engine.Options{Context: 1024, Exact: true, ExactCache: true})
	vocab := e.Params().Vocab
	prompt := ids(2, 10, vocab)
	want := plain(t, e, 0, sample.Params{}, prompt, 400)
	for _, tc := range []struct {
		truth           float64
		least, most     int // drafts
		tokens, allowed float64
	}{
		{truth: 0, least: 1, most: 60, tokens: 1, allowed: 0.01},
		{truth: 1, least: 60, most: 110, tokens: 4.5, allowed: 0.5},
	} {
		now := time.Unix(0, 0)
		clock := func() time.Time { now = now.Add(time.Millisecond); return now }
		o := newOracle(slices.Concat(prompt, want), tc.truth, vocab)
		d := newDecoder(t, e, spec.Options{Max: 4, Clock: clock}, o)
		if got := speculate(t, d, e, 0, sample.Params{}, prompt, len(want)); !slices.Equal(got, want) {
			t.Errorf("truth %g: another text", tc.truth)
		}
		st := d.Stats()
		if o.asked < tc.least || o.asked > tc.most || st.TokensPerStep() < tc.tokens-tc.allowed {
			t.Errorf("truth %g: asked %d times in %d rounds of %.2f tokens", tc.truth, o.asked, st.Rounds, st.TokensPerStep())
		}
		if st.Time <= 0 || st.PlainTime <= 0 || tc.truth == 1 && st.SpeedUp() < 1 {
			t.Errorf("truth %g: %v, plain %v", tc.truth, st.Time, st.PlainTime)
		}
	}
}

// TestRejectionDistribution counts what comes after one text over many seeds, and compares with the
// probabilities that the sampler states.
func TestRejectionDistribution(t *testing.T) {
	f := parse(t, tinymodel.Config{Layers: 1})
	e := newEngine(t, f, engine.Options{Context: 64, Exact: true, ExactCache: true})
	params := sample.Params{Temperature: 0.6, TopK: 4, LogitBias: map[int32]float32{7: 1}}
	d := newDecoder(t, e, spec.Options{Max: 2, Fixed: true, Rejection: true},
		simple(t, e, parse(t, tinymodel.Config{Layers: 1, Seed: 4}), spec.SimpleOptions{}))
	prompt := []int32{1, 7}
	forced := sample.Params{LogitBias: map[int32]float32{9: 1000}} // the first token is always the same
	const n = 800
	count := map[int32]float64{}
	var expected []sample.Candidate
	for seed := range uint64(n) {
		if err := d.Truncate(0, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Prompt(context.Background(), 0, prompt, newSampler(t, e, forced, nil)); err != nil {
			t.Fatal(err)
		}
		params.Seed = seed
		text, err := d.Step(context.Background(), 0, newSampler(t, e, params, nil), 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		count[text[0]]++
		if expected == nil {
			s := newSampler(t, e, params, nil)
			if _, err := s.Sample(e.Logits(0)); err != nil {
				t.Fatal(err)
			}
			expected = s.Candidates(nil, 100)
		}
	}
	var chi float64
	for _, c := range expected {
		want := n * c.Prob
		chi += (count[c.Token] - want) * (count[c.Token] - want) / want
		delete(count, c.Token)
	}
	if len(expected) != 4 || len(count) != 0 || chi > 21 { // 3 degrees of freedom: one in 10,000
		t.Errorf("%d candidates, chi-squared %.1f, others: %v", len(expected), chi, count)
	}
}
