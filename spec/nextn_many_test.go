package spec_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestNextNManySequences decodes texts that come and go, with prompts longer than a run, and compares each
// with itself decoded alone. Rounds in which nothing is drafted let tokens wait for several runs.
func TestNextNManySequences(t *testing.T) {
	const seqs, length = 3, 30
	opt := engine.Options{Context: 160, Batch: 12, Sequences: seqs, Snapshots: 3, Exact: true, ExactCache: true}
	alone, unused := newNextN(t, opt)
	must(t, unused.Close())
	for name, fixed := range map[string]bool{"fixed": true, "where it pays": false} {
		t.Run(name, func(t *testing.T) {
			e, draft := newNextN(t, opt)
			d := newDecoder(t, e, spec.Options{Max: 3, Fixed: fixed, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, spec.NewMTP(draft, spec.MTPOptions{}))
			r := rand.New(rand.NewPCG(3, 1))
			turns, wants := map[int32]*spec.Turn{}, map[int32][]int32{}
			for done, n := 0, uint64(0); done < 9; {
				seq := r.Int32N(seqs)
				if turns[seq] == nil {
					prompt := ids(n, 2+r.IntN(20), e.Params().Vocab)
					n++
					s := newSampler(t, e, sample.Params{}, prompt)
					wants[seq] = plain(t, alone, 0, sample.Params{}, prompt, length)
					id, err := d.Prompt(t.Context(), seq, prompt, s)
					must(t, err)
					turns[seq] = &spec.Turn{Seq: seq, Sampler: s, Tokens: []int32{id}}
				}
				var batch []spec.Turn
				for _, x := range turns {
					if r.IntN(4) > 0 { // the others pause
						batch = append(batch, *x)
					}
				}
				if len(batch) == 0 {
					continue
				}
				must(t, d.StepAll(t.Context(), batch))
				for _, x := range batch {
					must(t, x.Err)
					*turns[x.Seq] = x
					if len(x.Tokens) < length {
						continue
					}
					if !slices.Equal(x.Tokens[:length], wants[x.Seq]) {
						t.Errorf("text %d: %v, alone\n%v", done, x.Tokens[:length], wants[x.Seq])
					}
					must(t, d.Truncate(x.Seq, 0))
					delete(turns, x.Seq)
					done++
				}
			}
			for seq := range int32(seqs) {
				must(t, d.Truncate(seq, 0))
			}
			if err := draft.Fits(opt.Context); err != nil {
				t.Errorf("when all texts are gone: %v", err)
			}
		})
	}
}

// TestNextNKeepsOnlyText checks that guesses leave the draft's cache, and that text does with its sequence.
func TestNextNKeepsOnlyText(t *testing.T) {
	const context = 64
	e, draft := newNextN(t, engine.Options{Context: context, Snapshots: 4, Exact: true, ExactCache: true})
	d := newDecoder(t, e, spec.Options{Max: 4, Fixed: true}, spec.NewMTP(draft, spec.MTPOptions{}))
	s := newSampler(t, e, sample.Params{}, nil)
	_, err := d.Prompt(t.Context(), 0, ids(1, 10, e.Params().Vocab), s)
	must(t, err)
	for range 5 {
		past := e.Cache().MaxPos(0) + 1
		_, err := d.Step(t.Context(), 0, s, 0, nil)
		must(t, err)
		held := past + 1 // what there was before the round, and the token that was chosen in the one before
		if draft.Fits(context-held) != nil || draft.Fits(context-held+1) == nil {
			t.Errorf("after a round from %d tokens on the draft does not hold %d", past, held)
		}
	}
	held := e.Cache().MaxPos(0) // all but the last, which its states allow
	must(t, d.Truncate(0, int32(held)))
	if draft.Fits(context-held) != nil || draft.Fits(context-held+1) == nil {
		t.Errorf("the draft does not hold %d tokens", held)
	}
}

// TestNextNTruncated goes back to a position in and before what waits, and compares guesses with those of
// a draft that has read the text at once.
func TestNextNTruncated(t *testing.T) {
	e, draft := newNextN(t, engine.Options{Context: 256, Batch: 16, Snapshots: 16, Sequences: 2, Exact: true, ExactCache: true})
	mtp := spec.NewMTP(draft, spec.MTPOptions{})
	d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true}, mtp)
	text, other := ids(1, 30, e.Params().Vocab), ids(2, 30, e.Params().Vocab)
	for _, drafted := range []bool{false, true} {
		for _, back := range []int{29, 25, 20} {
			must(t, errors.Join(d.Truncate(0, 0), d.Truncate(1, 0)))
			must(t, d.Feed(t.Context(), 0, text))
			guesses := func(seq int32, last int32, pos int) []int32 {
				r := &spec.Request{Seq: seq, Pos: int32(pos), Last: last, Max: 3}
				must(t, mtp.Draft(t.Context(), []*spec.Request{r}))
				return r.Guesses
			}
			if drafted { // what waited is in the draft's cache, and the state at the new end is not known
				guesses(0, other[0], len(text))
			}
			must(t, d.Truncate(0, int32(back)))
			must(t, d.Feed(t.Context(), 0, other[:4]))
			must(t, d.Feed(t.Context(), 1, append(slices.Clone(text[:back]), other[:4]...)))
			got, want := guesses(0, 9, back+4), guesses(1, 9, back+4)
			if len(got) != 3 || !drafted && !slices.Equal(got, want) {
				t.Errorf("back to %d, drafted %v: %v, want %v", back, drafted, got, want)
			}
		}
	}
}

// TestNextNOutOfStep does what a draft cannot follow: a sequence that is copied, and one that is fed
// behind the decoder's back. Guesses may be worse, the text is the same.
func TestNextNOutOfStep(t *testing.T) {
	e, draft := newNextN(t, engine.Options{Context: 256, Snapshots: 3, Sequences: 2, Exact: true, ExactCache: true})
	d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, spec.NewMTP(draft, spec.MTPOptions{}))
	prompt := ids(1, 24, e.Params().Vocab)
	want := plain(t, e, 0, sample.Params{}, prompt, 30)
	goOn := func(from int) {
		t.Helper()
		s := newSampler(t, e, sample.Params{}, nil)
		id, err := d.Prompt(t.Context(), 1, prompt[from:], s)
		must(t, err)
		text := []int32{id}
		for len(text) < len(want) {
			text, err = d.Step(t.Context(), 1, s, len(want)-len(text), text)
			must(t, err)
		}
		if !slices.Equal(text, want) {
			t.Errorf("from %d on: %v, want\n%v", from, text, want)
		}
		must(t, errors.Join(d.Truncate(0, 0), d.Truncate(1, 0)))
	}
	must(t, d.Feed(t.Context(), 0, prompt[:20]))
	must(t, e.Cache().CopySeq(0, 1, -1, -1))
	goOn(20)
	must(t, d.Feed(t.Context(), 1, prompt[:5]))
	var behind []engine.Token
	for i := 5; i < 12; i++ {
		behind = append(behind, engine.Token{ID: prompt[i], Pos: int32(i), Seq: 1})
	}
	must(t, e.Decode(t.Context(), behind))
	goOn(12)
}

// TestNextNSmallerDraft has a draft of fewer cells and sequences than its target: what it has no room for
// is decoded without it.
func TestNextNSmallerDraft(t *testing.T) {
	opt := engine.Options{Context: 128, Batch: 16, Snapshots: 3, Sequences: 2, Exact: true, ExactCache: true}
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	e := newEngine(t, f, opt)
	draft, err := engine.NewDraft(f, e, engine.DraftOptions{Context: 40, Sequences: 1})
	must(t, err)
	d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, spec.NewMTP(draft, spec.MTPOptions{}))
	prompt := ids(1, 20, e.Params().Vocab)
	want := plain(t, e, 0, sample.Params{}, prompt, 100)
	for seq := range int32(2) {
		if got := speculate(t, d, e, seq, sample.Params{}, prompt, 100); !slices.Equal(got, want) {
			t.Errorf("sequence %d: %v, want\n%v", seq, got, want)
		}
		if n := d.Stats().Drafted; n == 0 || n > 60 {
			t.Errorf("%d guesses", n)
		}
	}
}

// TestNextNFaults fails each of the draft's first submits and copies: the text is as without, the failure
// is told once, and the target serves on.
func TestNextNFaults(t *testing.T) {
	inner := cpu.New(cpu.Options{Threads: 2})
	t.Cleanup(func() { inner.Close() })
	m, err := sim.NewMachine(sim.Config{Name: "A", CPU: inner}, sim.Config{Name: "B", CPU: inner})
	must(t, err)
	t.Cleanup(func() { must(t, m.Close()) })
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	a, b := m.Device("A"), m.Device("B")
	e := newEngine(t, f, engine.Options{Devices: []backends.Device{a}, Context: 128, Batch: 16, Snapshots: 3, Exact: true, ExactCache: true})
	prompt := ids(1, 20, e.Params().Vocab)
	want := plain(t, e, 0, sample.Params{}, prompt, 40)
	failures := 0
	for n := 1; n <= 12; n++ {
		for _, fault := range []func(n int) sim.Fault{sim.FailSubmit, sim.FailCopy} {
			draft, err := engine.NewDraft(f, e, engine.DraftOptions{Devices: []backends.Device{b}})
			must(t, err)
			told := 0
			d := spec.NewDecoder(e, spec.Options{Max: 3, Fixed: true, OnFailure: func(_ string, err error) {
				if told++; !errors.Is(err, sim.ErrInjected) {
					t.Errorf("told of %v", err)
				}
			}}, spec.NewMTP(draft, spec.MTPOptions{}))
			must(t, b.Inject(fault(n)))
			if got := speculate(t, d, e, 0, sample.Params{}, prompt, len(want)); !slices.Equal(got, want) {
				t.Errorf("fault %d: %v, want\n%v", n, got, want)
			}
			b.Heal()
			if told != len(d.Stats().Failed) || told > 1 {
				t.Errorf("fault %d: told %d times", n, told)
			}
			failures += told
			must(t, d.Close())
		}
	}
	if t.Logf("%d drafts failed", failures); failures < 12 {
		t.Errorf("%d drafts failed", failures)
	}
}

// hooked calls something before each draft.
type hooked struct {
	spec.Drafter
	before func()
}

func (h *hooked) Draft(ctx context.Context, requests []*spec.Request) error {
	h.before()
	return h.Drafter.Draft(ctx, requests)
}

// TestNextNCancelled ends the context at the begin of drafts. A round that is tried again goes on as if
// nothing had been.
func TestNextNCancelled(t *testing.T) {
	e, draft := newNextN(t, engine.Options{Context: 128, Batch: 16, Snapshots: 3, Exact: true, ExactCache: true})
	h := &hooked{Drafter: spec.NewMTP(draft, spec.MTPOptions{}), before: func() {}}
	d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, h)
	prompt := ids(1, 20, e.Params().Vocab)
	want := plain(t, e, 0, sample.Params{}, prompt, 40)
	s := newSampler(t, e, sample.Params{}, prompt)
	id, err := d.Prompt(t.Context(), 0, prompt, s)
	must(t, err)
	text := []int32{id}
	for round := 0; len(text) < len(want); round++ {
		ctx, cancel := context.WithCancel(t.Context())
		if h.before = func() {}; round%2 == 1 {
			h.before = cancel
		}
		before := len(text)
		text, err = d.Step(ctx, 0, s, len(want)-len(text), text)
		// The last token of all needs no draft.
		if wants := round%2 == 1 && before < len(want)-1; wants != errors.Is(err, context.Canceled) || !wants && err != nil || wants && len(text) != before {
			t.Fatalf("round %d: %v, %d tokens after %d", round, err, len(text), before)
		}
		cancel()
	}
	if !slices.Equal(text, want) {
		t.Errorf("%v, want\n%v", text, want)
	}
}

// TestNextNAllocatesNothing decodes a text a second time, when all its graphs are there, and counts
// allocations.
func TestNextNAllocatesNothing(t *testing.T) {
	e, draft := newNextN(t, engine.Options{Context: 2048, Snapshots: 3})
	d := newDecoder(t, e, spec.Options{Max: 3, Fixed: true}, spec.NewMTP(draft, spec.MTPOptions{}))
	ctx := context.Background()
	text := make([]int32, 0, 2048)
	var s *sample.Sampler
	start := func() {
		must(t, d.Truncate(0, 0))
		s = newSampler(t, e, sample.Params{}, nil)
		_, err := d.Prompt(ctx, 0, ids(1, 10, e.Params().Vocab), s)
		must(t, err)
	}
	round := func() {
		var err error
		if text, err = d.Step(ctx, 0, s, 0, text); err != nil {
			t.Fatal(err)
		}
	}
	start()
	for range 60 {
		round()
	}
	start()
	if n := testing.AllocsPerRun(50, round); n > 0 {
		t.Errorf("%g allocations a round", n)
	}
}
