package spec_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

// TestManySequences decodes several texts at once, which come and go, and compares each with itself
// decoded alone and without speculation.
func TestManySequences(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	const seqs = 4
	opt := engine.Options{Context: 256, Batch: 24, Sequences: seqs, Exact: true, ExactCache: true}
	alone := newEngine(t, f, opt)
	e := newEngine(t, f, opt)
	vocab := e.Params().Vocab
	for name, drafters := range map[string][]spec.Drafter{
		"simple":       {simple(t, e, parse(t, tinymodel.Config{Layers: 1}), spec.SimpleOptions{})},
		"same":         {simple(t, e, f, spec.SimpleOptions{})},
		"ngram,simple": {spec.NewNGram(spec.NGramOptions{}), simple(t, e, f, spec.SimpleOptions{PMin: 0.1})},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(t, e, spec.Options{Max: 4, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, drafters...)
			r := rand.New(rand.NewPCG(4, 2))
			type text struct {
				want, got []int32
				sampler   *sample.Sampler
			}
			running := map[int32]*text{}
			done := 0
			for rounds := 0; done < 12; rounds++ {
				for seq := range int32(seqs) { // some sequences are free for a while
					if running[seq] != nil || r.IntN(3) == 0 && len(running) > 0 {
						continue
					}
					prompt := ids(r.Uint64(), 1+r.IntN(30), vocab)
					way := samplings[r.IntN(len(samplings))].params
					x := &text{want: plain(t, alone, seq, way, prompt, 1+r.IntN(25)), sampler: newSampler(t, e, way, prompt)}
					if err := d.Truncate(seq, 0); err != nil {
						t.Fatal(err)
					}
					id, err := d.Prompt(context.Background(), seq, prompt, x.sampler)
					if err != nil {
						t.Fatal(err)
					}
					x.got = []int32{id}
					running[seq] = x
				}
				var turns []spec.Turn
				for seq := range int32(seqs) {
					x := running[seq]
					switch {
					case x == nil || r.IntN(5) == 0: // a sequence may pause
					case len(x.got) == len(x.want):
						if !slices.Equal(x.got, x.want) {
							t.Errorf("sequence %d: %v, want\n%v", seq, x.got, x.want)
						}
						delete(running, seq)
						done++
					default:
						turns = append(turns, spec.Turn{Seq: seq, Sampler: x.sampler, Most: len(x.want) - len(x.got), Tokens: x.got})
					}
				}
				if len(turns) == 0 {
					continue
				}
				if err := d.StepAll(context.Background(), turns); err != nil {
					t.Fatal(err)
				}
				for _, turn := range turns {
					if turn.Err != nil {
						t.Fatal(turn.Err)
					}
					running[turn.Seq].got = turn.Tokens
				}
			}
			st := d.Stats()
			t.Logf("%d rounds of a sequence, %d of %d guesses right", st.Rounds, st.Accepted, st.Drafted)
			if name == "same" && st.Accepted == 0 {
				t.Error("no guess was right")
			}
			for seq := range int32(seqs) {
				if err := d.Truncate(seq, 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestFullContext decodes to the last cell.
func TestFullContext(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	e := newEngine(t, f, engine.Options{Context: 40, Exact: true, ExactCache: true})
	prompt := ids(9, 11, e.Params().Vocab)
	want := plain(t, e, 0, sample.Params{}, prompt, 1000)
	if len(want) != 40-11+1 {
		t.Fatalf("%d tokens without speculation", len(want))
	}
	small, err := engine.New(f, engine.Options{Devices: e.Options().Devices, Context: 20, Exact: true, ExactCache: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, drafter := range map[string]spec.Drafter{
		"oracle":          newOracle(slices.Concat(prompt, want), 1, e.Params().Vocab),
		"same":            simple(t, e, f, spec.SimpleOptions{}),
		"of less context": spec.NewSimple(small, spec.SimpleOptions{}),
		"half":            newOracle(slices.Concat(prompt, want), 0.5, e.Params().Vocab),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(t, e, spec.Options{Max: 7, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, drafter)
			got := speculate(t, d, e, 0, sample.Params{}, prompt, 1000)
			if !slices.Equal(got, want) {
				t.Errorf("%v, want\n%v", got, want)
			}
			if d.Stats().Accepted == 0 {
				t.Error("no guess was right")
			}
		})
	}
}

// TestPromptTooLong leaves the sequence as it was.
func TestPromptTooLong(t *testing.T) {
	e := newEngine(t, parse(t, tinymodel.Config{}), engine.Options{Context: 40, Batch: 8, Exact: true, ExactCache: true})
	d := newDecoder(t, e, spec.Options{Max: 2, Fixed: true}, spec.NewNGram(spec.NGramOptions{}))
	ctx := context.Background()
	prompt := ids(9, 41, e.Params().Vocab)
	s := newSampler(t, e, sample.Params{}, nil)
	if _, err := d.Prompt(ctx, 0, prompt, s); !errors.Is(err, kv.ErrFull) || e.Cache().MaxPos(0) != -1 {
		t.Errorf("%v, and the sequence ends at %d", err, e.Cache().MaxPos(0))
	}
	if err := d.Feed(ctx, 0, prompt[:20]); err != nil {
		t.Fatal(err)
	}
	bad := slices.Clone(prompt[20:36])
	bad[12] = -1 // in its second run
	if _, err := d.Prompt(ctx, 0, bad, s); !errors.Is(err, engine.ErrBatch) || e.Cache().MaxPos(0) != 19 {
		t.Errorf("%v, and the sequence ends at %d, want 19", err, e.Cache().MaxPos(0))
	}
	id, err := d.Prompt(ctx, 0, prompt[20:36], s)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Truncate(0, 0); err != nil {
		t.Fatal(err)
	}
	if want := plain(t, e, 0, sample.Params{}, prompt[:36], 1); id != want[0] {
		t.Errorf("in parts %d, at once %d", id, want[0])
	}
}

// TestGoingBack takes a sequence back to where it was and goes on otherwise.
func TestGoingBack(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	e := newEngine(t, f, engine.Options{Context: 128, Batch: 16, Exact: true, ExactCache: true})
	vocab := e.Params().Vocab
	for name, drafter := range map[string]spec.Drafter{
		"ngram": spec.NewNGram(spec.NGramOptions{Min: 1}),
		"same":  simple(t, e, f, spec.SimpleOptions{}),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(t, e, spec.Options{Max: 4, Fixed: true, OnFailure: func(name string, err error) { t.Errorf("%s: %v", name, err) }}, drafter)
			r := rand.New(rand.NewPCG(1, 1))
			var text []int32 // in the cache
			for range 12 {
				if err := d.Truncate(0, int32(len(text))); err != nil {
					t.Fatal(err)
				}
				prompt := ids(r.Uint64(), 1+r.IntN(12), vocab)
				all := slices.Concat(text, prompt)
				s := newSampler(t, e, sample.Params{}, nil)
				id, err := d.Prompt(context.Background(), 0, prompt, s)
				if err != nil {
					t.Fatal(err)
				}
				got := []int32{id}
				for len(got) < 15 {
					if got, err = d.Step(context.Background(), 0, s, 15-len(got), got); err != nil {
						t.Fatal(err)
					}
				}
				want := plainOn(t, f, all, 15)
				if !slices.Equal(got, want) {
					t.Fatalf("after %v: %v, want\n%v", all, got, want)
				}
				all = append(all, got[:len(got)-1]...)
				text = all[:r.IntN(min(len(all), 60))]
			}
		})
	}
}

// plainOn is plain on an engine of its own.
func plainOn(t *testing.T, f *gguf.File, prompt []int32, n int) []int32 {
	return plain(t, newEngine(t, f, engine.Options{Context: 128, Batch: 16, Exact: true, ExactCache: true}), 0, sample.Params{}, prompt, n)
}
