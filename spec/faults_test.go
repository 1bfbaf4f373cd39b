package spec_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

var errBroken = errors.New("the drafter is broken")

// faulty does something wrong from some call on.
type faulty struct {
	*oracle
	left     int // calls that go well
	atCommit bool
	wrong    func(r *spec.Request) error
}

func (f *faulty) Name() string { return "faulty" }

func (f *faulty) Commit(ctx context.Context, c []spec.Commit) error {
	if f.atCommit {
		if f.left--; f.left < 0 {
			return errBroken
		}
	}
	return f.oracle.Commit(ctx, c)
}

func (f *faulty) Draft(ctx context.Context, requests []*spec.Request) error {
	if err := f.oracle.Draft(ctx, requests); err != nil || f.atCommit {
		return err
	}
	if f.left--; f.left >= 0 {
		return nil
	}
	for _, r := range requests {
		if err := f.wrong(r); err != nil {
			return err
		}
	}
	return nil
}

// TestFailingDrafters has a drafter fail at each of its calls, in each way that there is: the text goes
// on as if nothing had happened, the failure is told once, and the next drafter takes over.
func TestFailingDrafters(t *testing.T) {
	e := newEngine(t, parse(t, tinymodel.Config{}), engine.Options{Context: 128, Exact: true, ExactCache: true})
	vocab := e.Params().Vocab
	prompt := ids(2, 10, vocab)
	want := plain(t, e, 0, sample.Params{}, prompt, 40)
	all := slices.Concat(prompt, want)
	for name, x := range map[string]struct {
		wrong func(r *spec.Request) error
		match error
	}{
		"error":                   {func(*spec.Request) error { return errBroken }, errBroken},
		"error at a commit":       {nil, errBroken},
		"error after guesses":     {func(r *spec.Request) error { r.Guesses = append(r.Guesses, 1); return errBroken }, errBroken},
		"too many":                {func(r *spec.Request) error { r.Add(1); return nil }, spec.ErrGuess},
		"beyond the vocabulary":   {func(r *spec.Request) error { r.Guesses[0] = int32(vocab); return nil }, spec.ErrGuess},
		"below the vocabulary":    {func(r *spec.Request) error { r.Guesses[len(r.Guesses)-1] = -1; return nil }, spec.ErrGuess},
		"guesses behind its back": {func(r *spec.Request) error { r.Guesses = r.Guesses[:0]; r.Guesses = append(r.Guesses, 1); return nil }, spec.ErrGuess},
	} {
		for _, left := range []int{0, 1, 5} {
			t.Run(fmt.Sprintf("%s/%d", name, left), func(t *testing.T) {
				told := 0
				opt := spec.Options{Max: 3, Fixed: true, OnFailure: func(drafter string, err error) {
					if told++; drafter != "faulty" || !errors.Is(err, x.match) {
						t.Errorf("told of %s: %v", drafter, err)
					}
				}}
				second := newOracle(all, 1, vocab)
				d := newDecoder(t, e, opt, &faulty{oracle: newOracle(all, 0.7, vocab), left: left, atCommit: x.wrong == nil, wrong: x.wrong}, second)
				if got := speculate(t, d, e, 0, sample.Params{}, prompt, len(want)); !slices.Equal(got, want) {
					t.Errorf("%v, want\n%v", got, want)
				}
				if st := d.Stats(); told != 1 || !slices.Equal(st.Failed, []string{"faulty"}) || second.asked == 0 {
					t.Errorf("told %d times, failed %v, the next was asked %d times", told, st.Failed, second.asked)
				}
			})
		}
	}
}

// TestRandomFaults has several drafters fail at random times.
func TestRandomFaults(t *testing.T) {
	e := newEngine(t, parse(t, tinymodel.Config{}), engine.Options{Context: 64, Exact: true, ExactCache: true})
	vocab := e.Params().Vocab
	r := rand.New(rand.NewPCG(8, 1))
	for range 40 {
		prompt := ids(r.Uint64(), 1+r.IntN(20), vocab)
		way := samplings[r.IntN(len(samplings))]
		want := plain(t, e, 0, way.params, prompt, 1+r.IntN(60))
		all := slices.Concat(prompt, want)
		var drafters []spec.Drafter
		for range r.IntN(4) {
			wrong := []func(*spec.Request) error{
				func(*spec.Request) error { return errBroken },
				func(r *spec.Request) error { r.Add(int32(vocab) + 3); return nil },
			}[r.IntN(2)]
			o := newOracle(all, r.Float64(), vocab)
			o.most = r.IntN(4)
			drafters = append(drafters, &faulty{oracle: o, left: r.IntN(12), wrong: wrong, atCommit: r.IntN(4) == 0})
		}
		drafters = append(drafters, spec.NewNGram(spec.NGramOptions{Min: 1}))
		d := newDecoder(t, e, spec.Options{Max: r.IntN(9), Min: r.IntN(3), Fixed: r.IntN(2) == 0}, drafters...)
		for range 2 {
			if got := speculate(t, d, e, 0, way.params, prompt, len(want)); !slices.Equal(got, want) {
				t.Fatalf("%s: %v, want\n%v", way.name, got, want)
			}
		}
	}
}

// TestCancelled has a context end within a draft: an error, and no failure of the drafter.
func TestCancelled(t *testing.T) {
	e := newEngine(t, parse(t, tinymodel.Config{}), engine.Options{Context: 64, Exact: true, ExactCache: true})
	vocab := e.Params().Vocab
	prompt := ids(2, 10, vocab)
	want := plain(t, e, 0, sample.Params{}, prompt, 20)
	o := newOracle(slices.Concat(prompt, want), 1, vocab)
	d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, o)
	s := newSampler(t, e, sample.Params{}, prompt)
	id, err := d.Prompt(context.Background(), 0, prompt, s)
	if err != nil {
		t.Fatal(err)
	}
	text := []int32{id}
	ctx, cancel := context.WithCancelCause(context.Background())
	o.before = func() error { cancel(errBroken); return ctx.Err() }
	text, err = d.Step(ctx, 0, s, 0, text)
	if !errors.Is(err, context.Canceled) || !errors.Is(err, errBroken) || len(text) != 1 {
		t.Errorf("%v and %d tokens, want the context's error and cause, and 1", err, len(text))
	}
	o.before = nil
	for len(text) < len(want) {
		if text, err = d.Step(context.Background(), 0, s, len(want)-len(text), text); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(text, want) {
		t.Errorf("after the cancelled round %v, want\n%v", text, want)
	}
}

// TestWrongCalls are mistakes of the caller.
func TestWrongCalls(t *testing.T) {
	e := newEngine(t, parse(t, tinymodel.Config{}), engine.Options{Context: 64, Sequences: 2})
	d := newDecoder(t, e, spec.Options{Max: 3})
	s := newSampler(t, e, sample.Params{}, nil)
	ctx := context.Background()
	if _, err := d.Step(ctx, 0, s, 0, nil); !errors.Is(err, spec.ErrSequence) {
		t.Errorf("a step without prompt: %v", err)
	}
	if _, err := d.Prompt(ctx, 0, nil, s); !errors.Is(err, engine.ErrBatch) {
		t.Errorf("an empty prompt: %v", err)
	}
	if _, err := d.Prompt(ctx, 2, []int32{1}, s); !errors.Is(err, engine.ErrBatch) {
		t.Errorf("a sequence that is not: %v", err)
	}
	if _, err := d.Prompt(ctx, 0, []int32{1, 2}, s); err != nil {
		t.Fatal(err)
	}
	if err := d.StepAll(ctx, []spec.Turn{{Seq: 0, Sampler: s}, {Seq: 0, Sampler: s}}); !errors.Is(err, spec.ErrSequence) {
		t.Errorf("two turns of one sequence: %v", err)
	}
	if text, err := d.Step(ctx, 0, s, 0, nil); err != nil || len(text) != 1 {
		t.Errorf("a step after wrong ones: %v, %v", text, err)
	}
}
