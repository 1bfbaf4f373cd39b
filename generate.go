package tenon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/spec"
	"github.com/tenon-go/tenon/tokenizer"
)

// GenerateOptions says what to generate. The zero value is greedy, until the model ends the text or the
// context is full.
type GenerateOptions struct {
	// MaxTokens ends the text after so many tokens; 0 means when the context is full. More than the
	// context has room for is an error when it is full, not before.
	MaxTokens int
	// Sampling chooses among the model's candidates; zero is greedy.
	Sampling sample.Params
	// Stop ends the text before the first of these strings, which are UTF-8. Empty ones do nothing.
	Stop []string
	// IgnoreEOS goes on after tokens that end a text.
	IgnoreEOS bool
	// ParseSpecial takes the texts of control tokens in the prompt for the tokens. A prompt from outside
	// should not be taken so.
	ParseSpecial bool
	// Special gives the texts of control tokens too.
	Special bool
	// Restore, if not nil, is what a call with Save has written, perhaps in another process, of this model. Without
	// a prompt the text goes on from there, with the sampler as it was, token for token as if it had never ended;
	// half a character at its end is not given out again. A prompt is a text of its own, of which what it has in
	// common with the saved one need not be processed. A file is refused as engine.Engine.Restore says, before
	// anything is generated. Drafts may be others than those of the model that saved it; what a recurrent model has
	// saved with a draft needs as many snapshots. Texts of SpecOptions.Rejection are as likely, and not the same.
	Restore io.Reader
	// Save, if not nil, gets the state at the end of the text. It is not written if the text ends with an error or
	// the loop is left.
	Save io.Writer
	// Stats, if not nil, is filled in as the text comes.
	Stats *Stats
}

// Token is one step of a text.
type Token struct {
	// ID is -1 for what is left at the end of a text that was held back until then.
	ID int32
	// Text is what is complete with this token. It may be empty, when a character or a stop string may
	// be in the making, and always is valid UTF-8.
	Text string
}

// Stats says what a call of Generate has done.
type Stats struct {
	PromptTokens int // of the prompt, or of a restored text that goes on
	Restored     int // of them those that were restored and not processed
	Tokens       int // generated
	Prompt       time.Duration
	Generate     time.Duration // without the prompt
	Finish       Finish
	Spec         *spec.Stats // of speculative decoding, of this call; nil without
}

// Finish says why a text ended.
type Finish string

// The reasons. A text that ended with an error or was abandoned has none.
const (
	FinishEnd    Finish = "end"    // the model ended it
	FinishStop   Finish = "stop"   // at a stop string
	FinishLength Finish = "length" // after MaxTokens, or with a full context when there was no limit
)

// Generate continues prompt, token by token as they are ranged over:
//
//	for tok, err := range m.Generate(ctx, prompt, opt) { ... }
//
// An error ends the range. Errors: ErrEmpty for a prompt without tokens where nothing is restored, those of
// engine.Engine.Restore and Save, kv.ErrFull for a prompt that
// does not fit or a MaxTokens that the context has no room for, *sample.ParamError,
// *engine.OptionError, the error and the cause of a cancelled ctx, ErrClosed. Breaking out of the loop
// frees the sequence. The sequence may be ranged over again, and is generated anew then.
func (m *Model) Generate(ctx context.Context, prompt string, opt GenerateOptions) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		g := generation{m: m, opt: opt, stats: opt.Stats, yield: yield}
		if g.stats == nil {
			g.stats = new(Stats)
		}
		*g.stats = Stats{}
		ctx, done := m.call(ctx)
		defer done()
		if err := g.run(ctx, prompt); err != nil && !g.abandoned {
			yield(Token{}, err)
		}
	}
}

// generation is one call of Generate.
type generation struct {
	m         *Model
	opt       GenerateOptions
	stats     *Stats
	yield     func(Token, error) bool
	abandoned bool // the caller has left the loop

	sampler *sample.Sampler
	stream  *tokenizer.Stream
	stop    stopper
	seq     int32
	pos     int32
	next    [1]engine.Token
	queue   []int32 // of speculative decoding: the tokens of a round, or of one before a state was saved
	queued  int     // of them those that were given out
	all     []int32 // of a text to be saved: its tokens, the prompt's first
}

func (g *generation) run(ctx context.Context, prompt string) (err error) {
	if err := g.opt.check(); err != nil {
		return err
	}
	var ids []int32
	if prompt != "" {
		ids, err = g.m.tok.Encode(prompt, tokenizer.EncodeOptions{AddSpecial: true, ParseSpecial: g.opt.ParseSpecial})
		if err != nil {
			return err
		}
	}
	if len(ids) == 0 && g.opt.Restore == nil {
		return ErrEmpty
	}
	if g.sampler, err = sample.New(g.opt.Sampling, g.m.Params().Vocab); err != nil {
		return err
	}
	for _, id := range ids {
		if err := g.sampler.Accept(id); err != nil {
			return err
		}
	}
	g.stream = g.m.tok.NewStream(tokenizer.StreamOptions{SkipSpecial: !g.opt.Special})
	g.stop.texts = g.opt.Stop
	if g.seq, err = g.m.acquire(ctx); err != nil {
		return err
	}
	defer func() {
		g.stats.Spec = g.m.speculated(g.seq)
		if released := g.m.release(g.seq); err == nil {
			err = released
		}
	}()
	start := time.Now()
	id, end, err := g.begin(ctx, ids)
	g.stats.Prompt = time.Since(start)
	if err != nil {
		return err
	}
	start = time.Now()
	defer func() { g.stats.Generate = time.Since(start) }()
	if end != "" {
		err = g.finish(end)
	} else {
		err = g.continues(ctx, id)
	}
	if err != nil {
		return err
	}
	return g.save(ctx)
}

// begin returns the first token to give out, or why a text that should go on has ended.
func (g *generation) begin(ctx context.Context, ids []int32) (id int32, end Finish, err error) {
	st, err := g.restore(ctx)
	if err != nil {
		return 0, "", err
	}
	if len(ids) == 0 {
		g.stats.PromptTokens = len(st.Tokens)
		return g.resume(ctx, st)
	}
	if g.stats.Restored, err = g.reuse(ctx, st.Tokens, ids); err != nil {
		return 0, "", err
	}
	g.took(ids...)
	id, err = g.prompt(ctx, ids, g.stats.Restored)
	return id, "", err
}

// check reports the first option that cannot be. The sampler checks its own.
func (o *GenerateOptions) check() error {
	if o.MaxTokens < 0 {
		return &engine.OptionError{Name: "MaxTokens", Value: o.MaxTokens, Wants: "0 or more"}
	}
	for _, s := range o.Stop {
		if !utf8.ValidString(s) { // it could match within a character
			return &engine.OptionError{Name: "Stop", Value: strconv.Quote(s), Wants: "UTF-8"}
		}
	}
	return nil
}

// prompt takes the prompt but for its first tokens, which the sequence holds, through the model and returns the first
// token after it.
func (g *generation) prompt(ctx context.Context, ids []int32, held int) (int32, error) {
	batch := make([]engine.Token, 0, len(ids)-held)
	for i := held; i < len(ids); i++ {
		batch = append(batch, engine.Token{ID: ids[i], Pos: int32(i), Seq: g.seq, Output: i == len(ids)-1})
	}
	g.pos = int32(len(ids))
	var id int32
	var err error
	if g.m.decoder != nil {
		id, err = g.specPrompt(ctx, batch, ids)
	} else {
		id, err = g.step(ctx, batch)
	}
	if err == nil {
		g.stats.PromptTokens = len(ids)
	}
	return id, err
}

// specPrompt is step for the prompt with speculation.
func (g *generation) specPrompt(ctx context.Context, tokens []engine.Token, ids []int32) (id int32, err error) {
	err = g.m.inTurns(ctx, tokens, func(_ *engine.Engine, run []engine.Token) error {
		part := ids[:len(run)]
		if ids = ids[len(run):]; len(ids) > 0 {
			return g.m.decoder.Feed(ctx, g.seq, part)
		}
		id, err = g.m.decoder.Prompt(ctx, g.seq, part, g.sampler)
		return err
	})
	return id, err
}

// follow returns the token after id.
func (g *generation) follow(ctx context.Context, id int32) (int32, error) {
	if g.queued < len(g.queue) { // of an earlier round, or restored
		g.queued++
		return g.queue[g.queued-1], nil
	}
	if g.m.decoder == nil {
		g.next[0] = engine.Token{ID: id, Pos: g.pos, Seq: g.seq, Output: true}
		g.pos++
		return g.step(ctx, g.next[:])
	}
	most := 0
	if g.opt.MaxTokens > 0 {
		most = g.opt.MaxTokens - g.stats.Tokens
	}
	err := g.m.with(ctx, func(*engine.Engine) (err error) {
		g.queue, err = g.m.decoder.Step(ctx, g.seq, g.sampler, most, g.queue[:0])
		g.queued = 0
		return err
	})
	if err != nil {
		return 0, err
	}
	g.queued++
	return g.queue[0], nil
}

// step takes tokens, of which the last alone is an output, through the model, and chooses and accepts
// the next.
func (g *generation) step(ctx context.Context, tokens []engine.Token) (id int32, err error) {
	err = g.m.inTurns(ctx, tokens, func(e *engine.Engine, run []engine.Token) error {
		if err := e.Decode(ctx, run); err != nil {
			return err
		}
		if len(e.Outputs()) == 0 {
			return nil
		}
		if id, err = g.sampler.Sample(e.Logits(0)); err != nil {
			return err
		}
		return g.sampler.Accept(id)
	})
	return id, err
}

// continues gives out id and what follows it.
func (g *generation) continues(ctx context.Context, id int32) error {
	for {
		g.took(id)
		if g.m.tok.IsEOG(id) && !g.opt.IgnoreEOS {
			return g.finish(FinishEnd)
		}
		g.stats.Tokens++
		piece, err := g.stream.Push(id)
		if err != nil {
			return err
		}
		text, stopped := g.stop.push(piece)
		last := g.stats.Tokens == g.opt.MaxTokens
		if last && !stopped {
			text += g.stop.flush() + string(g.stream.Flush())
		}
		if !g.yield(Token{ID: id, Text: text}, nil) {
			g.abandoned = true
			return nil
		}
		switch {
		case stopped:
			g.stats.Finish = FinishStop
			return nil
		case last:
			g.stats.Finish = FinishLength
			return nil
		}
		id, err = g.follow(ctx, id)
		if errors.Is(err, kv.ErrFull) && g.opt.MaxTokens == 0 {
			return g.finish(FinishLength)
		}
		if err != nil {
			return fmt.Errorf("after %d tokens: %w", g.stats.Tokens, err)
		}
	}
}

// finish gives out what was held back.
func (g *generation) finish(why Finish) error {
	g.stats.Finish = why
	if text := g.stop.flush() + string(g.stream.Flush()); text != "" {
		g.abandoned = !g.yield(Token{ID: -1, Text: text}, nil)
	}
	return nil
}

// stopper finds stop strings in a text that comes in pieces.
type stopper struct {
	texts []string
	held  string // could be the beginning of one
}

// push takes the next piece and returns what is certain, and whether a stop string was found: then
// that is what stands before it.
func (s *stopper) push(piece []byte) (text string, stopped bool) {
	if len(s.texts) == 0 {
		return string(piece), false
	}
	all := s.held + string(piece)
	first := -1
	for _, t := range s.texts {
		if i := strings.Index(all, t); t != "" && i >= 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first >= 0 {
		s.held = ""
		return all[:first], true
	}
	keep := 0
	for _, t := range s.texts {
		for n := min(len(t)-1, len(all)); n > keep; n-- {
			if strings.HasSuffix(all, t[:n]) {
				keep = n
			}
		}
	}
	s.held = all[len(all)-keep:]
	return all[:len(all)-keep], false
}

// flush returns what is held back: nothing follows it.
func (s *stopper) flush() string {
	text := s.held
	s.held = ""
	return text
}
