package spec

import (
	"context"
	"errors"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/kv"
)

// SimpleOptions sets up draft-simple.
type SimpleOptions struct {
	// PMin ends a draft before the first guess less probable than this, among its ten best. 0 never does.
	PMin float32
	// Vocab is the target's number of tokens, if it is less than the draft's: the others are not guessed.
	Vocab int
}

// Simple drafts with a second model that reads the same text in a cache of its own. It takes committed
// tokens in when it is asked for a draft, so that it costs nothing while it is not.
type Simple struct {
	draft *engine.Engine
	opt   SimpleOptions
	seqs  map[int32]*simpleSeq
	live  []*Request
	batch []engine.Token
}

// simpleSeq is a sequence: what the target has, and what the draft's cache has.
type simpleSeq struct {
	text history
	fed  []int32 // in the draft's cache, from its position 0 on
	same int     // this many leading tokens of both are known to be equal
}

// NewSimple returns a drafter that runs draft and owns it. Its vocabulary must be the target's: see
// CheckVocab. It needs as many sequences as the target uses. A draft with sliding windows should be opened
// with FullWindow: without, it sometimes has to read a whole text anew.
func NewSimple(draft *engine.Engine, opt SimpleOptions) *Simple {
	if vocab := draft.Params().Vocab; opt.Vocab == 0 || opt.Vocab > vocab {
		opt.Vocab = vocab
	}
	return &Simple{draft: draft, opt: opt, seqs: map[int32]*simpleSeq{}}
}

// Name returns "draft-simple".
func (d *Simple) Name() string { return "draft-simple" }

// Memory reports what the draft holds, device by device.
func (d *Simple) Memory() []engine.DeviceMemory { return d.draft.Memory() }

// Hidden returns NoHidden.
func (d *Simple) Hidden() Hidden { return NoHidden }

func (d *Simple) seq(seq int32) *simpleSeq {
	s, ok := d.seqs[seq]
	if !ok {
		s = new(simpleSeq)
		d.seqs[seq] = s
	}
	return s
}

// Truncate forgets tokens. The draft's cache follows with the next draft.
func (d *Simple) Truncate(seq, n int32) {
	s := d.seq(seq)
	s.text.truncate(n)
	s.same = min(s.same, len(s.text.tokens))
}

// Commit remembers tokens.
func (d *Simple) Commit(_ context.Context, commits []Commit) error {
	for i := range commits {
		c := &commits[i]
		s := d.seq(c.Seq)
		if s.text.commit(c.Pos, c.Tokens) {
			s.same = 0
		}
	}
	return nil
}

// Draft takes in what is new, and then runs the draft model once for each guess but the first, for all
// sequences together. A sequence that has outgrown the draft's context gets no guesses.
func (d *Simple) Draft(ctx context.Context, requests []*Request) error {
	if err := d.catchUp(requests); err != nil {
		return err
	}
	for len(d.live) > 0 {
		if err := d.draft.Decode(ctx, d.batch); err != nil {
			return err
		}
		for _, t := range d.batch {
			s := d.seq(t.Seq)
			s.fed = append(s.fed, t.ID)
		}
		d.choose()
	}
	return nil
}

// catchUp fills d.live and d.batch: the tokens of each sequence that the draft has not read yet.
func (d *Simple) catchUp(requests []*Request) error {
	d.live, d.batch = d.live[:0], d.batch[:0]
	for _, r := range requests {
		s := d.seq(r.Seq)
		if r.Full() || s.text.end() != r.Pos || int(r.Seq) >= d.draft.Options().Sequences {
			continue
		}
		text := s.text.tokens
		s.same = shared(s.fed, text, s.same)
		if err := d.keep(r.Seq, s, s.same); err != nil {
			return err
		}
		if d.draft.Fits(len(d.batch)+len(text)-s.same+1) != nil {
			continue
		}
		for i := s.same; i < len(text); i++ {
			d.batch = append(d.batch, engine.Token{ID: text[i], Pos: int32(i), Seq: r.Seq})
		}
		d.batch = append(d.batch, engine.Token{ID: r.Last, Pos: int32(len(text)), Seq: r.Seq, Output: true})
		d.live = append(d.live, r)
	}
	return nil
}

// keep takes all but the first n tokens of a sequence out of the draft's cache; or all of them, if it
// cannot forget just these. s.same is what is left.
func (d *Simple) keep(seq int32, s *simpleSeq, n int) error {
	if n == len(s.fed) {
		return nil
	}
	err := d.draft.Cache().Remove(int(seq), n, -1)
	if errors.Is(err, kv.ErrRollback) {
		n = 0
		err = d.draft.Cache().Remove(int(seq), 0, -1)
	}
	if err == nil {
		s.fed, s.same = s.fed[:n], n
	}
	return err
}

// choose makes guesses of the last run's logits, and leaves in d.live and d.batch what the next one
// takes.
func (d *Simple) choose() {
	kept := d.live[:0]
	d.batch = d.batch[:0]
	for i, r := range d.live {
		if !r.Choose(d.draft.Logits(i)[:d.opt.Vocab], d.opt.PMin) || r.Full() || d.draft.Fits(len(kept)+1) != nil {
			continue
		}
		kept = append(kept, r)
		d.batch = append(d.batch, engine.Token{ID: r.Next(), Pos: int32(len(d.seq(r.Seq).fed)), Seq: r.Seq, Output: true})
	}
	d.live = kept
}

// Engine returns the draft's engine, for reports.
func (d *Simple) Engine() *engine.Engine { return d.draft }

// Close closes the draft's engine.
func (d *Simple) Close() error { return d.draft.Close() }
