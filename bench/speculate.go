package bench

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/spec"
	"github.com/tenon-go/tenon/tokenizer"
)

// Speculation is how tests with Params.Spec speculate. Each repetition generates the same text twice,
// greedily: without speculation and with it, in turns. Their ratio is the speed-up, and their tokens are
// compared.
type Speculation struct {
	// Options are those of tenon.Open that ask for speculation: WithDraft, WithSpec.
	Options []tenon.Option
	// Prompt is what the text continues; DefaultSpecPrompt if empty. What is accepted depends on it.
	Prompt string
	// Drafters are their names, for the record.
	Drafters []string
}

// DefaultSpecPrompt is what texts with speculation continue.
const DefaultSpecPrompt = "func (b *Buffer) WriteString(s string) (n int, err error) {\n"

// specTokens is how many tokens a prompt may have, at most: what the cache gets room for.
const specTokens = 512

// ErrPrompt is a prompt for speculation that is too long.
var ErrPrompt = errors.New("bench: the prompt of tests with speculation is longer than 512 tokens")

// speculate runs one repetition and adds it to r. first is the tokens of the repetitions before, or nil.
func (s *session) speculate(ctx context.Context, p Params, o *Speculation, r *Record, first []int32) ([]int32, error) {
	plain, plainStats, err := generate(ctx, s.model, o.prompt(), p.Gen)
	if err != nil {
		return nil, err
	}
	drafted, stats, err := generate(ctx, s.drafted, o.prompt(), p.Gen)
	if err != nil {
		return nil, err
	}
	if first == nil {
		first, r.SpecEqual = plain, true
	}
	r.SpecEqual = r.SpecEqual && slices.Equal(plain, first) && slices.Equal(drafted, first)
	// Both times have the prompt in them, which gives the first token.
	r.SpecPlainTS = append(r.SpecPlainTS, rate(len(plain), (plainStats.Prompt+plainStats.Generate).Nanoseconds()))
	r.add(stats.Prompt+stats.Generate, 1)
	return first, nil
}

// generate continues prompt by n tokens.
func generate(ctx context.Context, m *tenon.Model, prompt string, n int) (ids []int32, stats tenon.Stats, err error) {
	for tok, err := range m.Generate(ctx, prompt, tenon.GenerateOptions{MaxTokens: n, IgnoreEOS: true, Stats: &stats}) {
		if err != nil {
			return nil, stats, err
		}
		if tok.ID >= 0 {
			ids = append(ids, tok.ID)
		}
	}
	return ids, stats, nil
}

// speculated fills in what the drafters have done between two readings.
func (r *Record) speculated(before, after *spec.Stats) {
	if after == nil {
		return
	}
	s := *after
	if before != nil {
		s.Rounds, s.Accepted, s.Copied = s.Rounds-before.Rounds, s.Accepted-before.Accepted, s.Copied-before.Copied
		s.Tried, s.Right = slices.Clone(s.Tried), slices.Clone(s.Right)
		for i := range before.Tried {
			s.Tried[i] -= before.Tried[i]
			s.Right[i] -= before.Right[i]
		}
	}
	r.SpecTokensPerStep, r.SpecCopied, r.SpecFailed = s.TokensPerStep(), s.CopiedPerStep(), s.Failed
	for i := range s.Tried {
		r.SpecAcceptance = append(r.SpecAcceptance, s.Acceptance(i))
	}
}

// specTest runs the repetitions of a test with speculation.
func (b *bench) specTest(ctx context.Context, s *session, p Params, r *Record) error {
	r.SpecDrafters = b.opt.Speculation.Drafters
	ids, err := s.model.Tokenizer().Encode(b.opt.Speculation.prompt(), tokenizer.EncodeOptions{AddSpecial: true})
	if err != nil {
		return err
	}
	if len(ids) > specTokens {
		return ErrPrompt
	}
	if err := s.model.Engine().Cache().Remove(0, 0, -1); err != nil { // of the tests before
		return err
	}
	if !b.opt.NoWarmup {
		b.tell(p, "warming up", 0)
		warm := p
		warm.Gen = min(p.Gen, 16)
		if _, err := s.speculate(ctx, warm, b.opt.Speculation, new(Record), nil); err != nil {
			return err
		}
	}
	before := s.drafted.Speculation()
	var first []int32
	for i := range b.opt.Repetitions {
		b.tell(p, "measuring", i)
		b.meters.start()
		next, err2 := s.speculate(ctx, p, b.opt.Speculation, r, first)
		b.meters.stop()
		if err = err2; err != nil {
			break
		}
		first = next
		if err = b.pause(ctx); err != nil {
			break
		}
	}
	r.speculated(before, s.drafted.Speculation())
	return err
}

func (o *Speculation) options() []tenon.Option {
	if o == nil {
		return nil
	}
	return o.Options
}

func (o *Speculation) prompt() string {
	if o.Prompt != "" {
		return o.Prompt
	}
	return DefaultSpecPrompt
}

// pause waits between repetitions, as long as was asked for.
func (b *bench) pause(ctx context.Context) error {
	if b.opt.Delay <= 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(b.opt.Delay):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
