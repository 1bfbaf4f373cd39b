package spec_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
)

// parse returns the tiny model that c describes.
func parse(t testing.TB, c tinymodel.Config) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(tinymodel.Bytes(t, c), "tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newEngine returns an engine over f, on a CPU device of its own unless opt names one.
func newEngine(t testing.TB, f *gguf.File, opt engine.Options) *engine.Engine {
	t.Helper()
	if opt.Devices == nil {
		dev := cpu.New(cpu.Options{Threads: 2})
		t.Cleanup(func() { dev.Close() })
		opt.Devices = []backends.Device{dev}
	}
	e, err := engine.New(f, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// newDecoder returns a decoder that is closed when t ends.
func newDecoder(t testing.TB, e *engine.Engine, opt spec.Options, drafters ...spec.Drafter) *spec.Decoder {
	d := spec.NewDecoder(e, opt, drafters...)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func newSampler(t testing.TB, e *engine.Engine, p sample.Params, prompt []int32) *sample.Sampler {
	t.Helper()
	s, err := sample.New(p, e.Params().Vocab)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range prompt {
		if err := s.Accept(id); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// plain returns what e says after prompt without speculation: n tokens, or as many as there is room for.
func plain(t testing.TB, e *engine.Engine, seq int32, p sample.Params, prompt []int32, n int) []int32 {
	t.Helper()
	s := newSampler(t, e, p, prompt)
	batch := make([]engine.Token, len(prompt))
	for i, id := range prompt {
		batch[i] = engine.Token{ID: id, Pos: int32(i), Seq: seq, Output: i == len(prompt)-1}
	}
	var text []int32
	for len(text) < n {
		if err := e.Decode(context.Background(), batch); errors.Is(err, kv.ErrFull) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		id, err := s.Sample(e.Logits(0))
		if err == nil {
			err = s.Accept(id)
		}
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, id)
		batch = append(batch[:0], engine.Token{ID: id, Pos: int32(len(prompt) + len(text) - 1), Seq: seq, Output: true})
	}
	if err := e.Cache().Remove(int(seq), 0, -1); err != nil {
		t.Fatal(err)
	}
	return text
}

// speculate is plain with speculation.
func speculate(t testing.TB, d *spec.Decoder, e *engine.Engine, seq int32, p sample.Params, prompt []int32, n int) []int32 {
	t.Helper()
	s := newSampler(t, e, p, prompt)
	if err := d.Truncate(seq, 0); err != nil {
		t.Fatal(err)
	}
	id, err := d.Prompt(context.Background(), seq, prompt, s)
	if err != nil {
		t.Fatal(err)
	}
	text := []int32{id}
	for len(text) < n {
		before := len(text)
		text, err = d.Step(context.Background(), seq, s, n-len(text), text)
		if errors.Is(err, kv.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(text) == before || len(text) > n {
			t.Fatalf("a round gave %d tokens, want 1 to %d", len(text)-before, n-before)
		}
	}
	if err := d.Truncate(seq, 0); err != nil {
		t.Fatal(err)
	}
	return text
}

// ids returns n random ids below vocab.
func ids(seed uint64, n, vocab int) []int32 {
	r := rand.New(rand.NewPCG(seed, 5))
	out := make([]int32, n)
	for i := range out {
		out[i] = r.Int32N(int32(vocab))
	}
	return out
}

// oracle is a drafter that knows the text, and lies now and then.
type oracle struct {
	text   []int32 // prompt and all
	truth  float64 // probability of a right guess
	vocab  int
	rng    *rand.Rand
	most   int // guesses of a draft; all that are asked for if 0
	asked  int // drafts
	before func() error
}

func newOracle(text []int32, truth float64, vocab int) *oracle {
	return &oracle{text: text, truth: truth, vocab: vocab, rng: rand.New(rand.NewPCG(uint64(truth*100), 9))}
}

func (o *oracle) Name() string                                { return "oracle" }
func (o *oracle) Hidden() spec.Hidden                         { return spec.NoHidden }
func (o *oracle) Truncate(int32, int32)                       {}
func (o *oracle) Commit(context.Context, []spec.Commit) error { return nil }
func (o *oracle) Close() error                                { return nil }

func (o *oracle) Draft(_ context.Context, requests []*spec.Request) error {
	o.asked++
	if o.before != nil {
		if err := o.before(); err != nil {
			return err
		}
	}
	for _, r := range requests {
		for at := int(r.Pos) + 1; !r.Full() && (o.most == 0 || len(r.Guesses) < o.most); at++ {
			if at < len(o.text) && o.rng.Float64() < o.truth {
				r.Add(o.text[at])
			} else {
				r.Add(o.rng.Int32N(int32(o.vocab)))
			}
		}
	}
	return nil
}

// samplings are ways to choose that differ in what a verifier must keep in step.
var samplings = []struct {
	name   string
	params sample.Params
}{
	{"greedy", sample.Params{}},
	{"greedy with penalties", sample.Params{RepeatPenalty: 1.3, FrequencyPenalty: 0.2, PenaltyLastN: 16}},
	{"drawn", sample.Params{Temperature: 0.8, Seed: 7}},
	{"drawn with everything", sample.Params{
		Temperature: 1.1, TopK: 40, TopP: 0.95, MinP: 0.01, RepeatPenalty: 1.2, PresencePenalty: 0.1, PenaltyLastN: 8,
		LogitBias: map[int32]float32{5: 2}, Seed: 11,
	}},
}
