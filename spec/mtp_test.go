package spec_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

// shared is a target whose cache sharedDraft reads.
var (
	shared      = tinymodel.SharedTarget(tinymodel.Config{})
	sharedDraft = tinymodel.SharedDraft(tinymodel.Config{Embd: 48}, shared)
)

// newMTP returns a draft-mtp for e.
func newMTP(t testing.TB, e *engine.Engine, opt spec.MTPOptions, draft engine.DraftOptions) spec.Drafter {
	t.Helper()
	mtp, _ := newDraft(t, e, opt, draft)
	return mtp
}

func newDraft(t testing.TB, e *engine.Engine, opt spec.MTPOptions, draft engine.DraftOptions) (spec.Drafter, *engine.Draft) {
	t.Helper()
	d, err := engine.NewDraft(parse(t, sharedDraft), e, draft)
	if err != nil {
		t.Fatal(err)
	}
	return spec.NewMTP(d, opt), d
}

// TestMTPSameText decodes with a draft that reads the target's cache, directly and through a mirror, far
// beyond the target's windows.
func TestMTPSameText(t *testing.T) {
	e := newEngine(t, parse(t, shared), engine.Options{Context: 128, Batch: 16, Sequences: 2, Exact: true, ExactCache: true})
	other := cpu.New(cpu.Options{Name: "Other", Threads: 1})
	t.Cleanup(func() { other.Close() })
	prompt := ids(1, 20, e.Params().Vocab)
	for _, way := range samplings {
		want := plain(t, e, 1, way.params, prompt, 70)
		for _, mirror := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/mirror=%v", way.name, mirror), func(t *testing.T) {
				opt := engine.DraftOptions{Mirror: mirror}
				if mirror {
					opt.Devices = []backends.Device{other}
				}
				mtp, draft := newDraft(t, e, spec.MTPOptions{}, opt)
				d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, mtp)
				if got := speculate(t, d, e, 1, way.params, prompt, len(want)); !slices.Equal(got, want) {
					t.Errorf("with speculation\n%v, without\n%v", got, want)
				}
				st := draft.Stats()
				if st.Runs == 0 || (st.Copied > 0) != mirror {
					t.Errorf("%d runs of the draft, %d bytes copied", st.Runs, st.Copied)
				}
				if err := e.Close(); !errors.Is(err, kv.ErrBorrowed) {
					t.Errorf("closing the target first: %v", err)
				}
			})
		}
	}
}

// TestMTPTogether compares the guesses for two sequences at once with those for each alone.
func TestMTPTogether(t *testing.T) {
	e := newEngine(t, parse(t, shared), engine.Options{Context: 128, Sequences: 2, Exact: true, ExactCache: true})
	mtp := newMTP(t, e, spec.MTPOptions{}, engine.DraftOptions{})
	d := newDecoder(t, e, spec.Options{Max: 4, Fixed: true}, mtp)
	ctx := context.Background()
	var last [2]int32
	for seq := range last {
		prompt := ids(uint64(seq), 12+seq, e.Params().Vocab)
		var err error
		if last[seq], err = d.Prompt(ctx, int32(seq), prompt, newSampler(t, e, sample.Params{}, nil)); err != nil {
			t.Fatal(err)
		}
	}
	requests := func() []*spec.Request {
		return []*spec.Request{{Seq: 0, Pos: 12, Last: last[0], Max: 4}, {Seq: 1, Pos: 13, Last: last[1], Max: 2}}
	}
	together, apart := requests(), requests()
	for _, rs := range [][]*spec.Request{together, apart[:1], apart[1:]} {
		if err := mtp.Draft(ctx, rs); err != nil {
			t.Fatal(err)
		}
	}
	for i := range together {
		if !slices.Equal(together[i].Guesses, apart[i].Guesses) || len(apart[i].Guesses) != apart[i].Max {
			t.Errorf("sequence %d: %v together, %v alone", i, together[i].Guesses, apart[i].Guesses)
		}
	}
}

// all is a drafter that checks that it is shown the hidden state of every token.
type all struct {
	*oracle
	t     *testing.T
	check func(pos int32, hidden []float32)
	next  map[int32]int32
}

func (a *all) Hidden() spec.Hidden { return spec.AllHidden }

func (a *all) Truncate(seq, n int32) { a.next[seq] = n }

func (a *all) Commit(_ context.Context, commits []spec.Commit) error {
	for _, c := range commits {
		if c.Pos != a.next[c.Seq] {
			a.t.Errorf("a commit at %d, want %d", c.Pos, a.next[c.Seq])
		}
		for i := range c.Tokens {
			a.check(c.Pos+int32(i), c.Hidden(i))
		}
		a.next[c.Seq] = c.Pos + int32(len(c.Tokens))
	}
	return nil
}

// TestAllHidden compares the hidden states that a drafter is shown with those of an embedding.
func TestAllHidden(t *testing.T) {
	for _, c := range []tinymodel.Config{{}, shared, {Experts: 4}} {
		e := newEngine(t, parse(t, c), engine.Options{Context: 128, Batch: 8, Exact: true, ExactCache: true})
		vocab := e.Params().Vocab
		prompt := ids(3, 21, vocab)
		want := plain(t, e, 0, sample.Params{}, prompt, 20)
		text := slices.Concat(prompt, want)
		batch := make([]engine.Token, len(text))
		for i, id := range text {
			batch[i] = engine.Token{ID: id, Pos: int32(i), Output: true}
		}
		if err := e.Embed(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		var states [][]float32
		for i := range text {
			states = append(states, slices.Clone(e.Hidden(i)))
		}
		seen := 0
		x := &all{oracle: newOracle(text, 0.6, vocab), t: t, next: map[int32]int32{}, check: func(pos int32, hidden []float32) {
			seen++
			if d := nmse(hidden, states[pos]); !(d < 1e-9) {
				t.Errorf("position %d: off by %.2g", pos, d)
			}
		}}
		d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true}, x)
		if got := speculate(t, d, e, 0, sample.Params{}, prompt, len(want)); !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if seen != len(text)-1 { // the last is not in the cache
			t.Errorf("%d hidden states shown, want %d", seen, len(text)-1)
		}
	}
}
