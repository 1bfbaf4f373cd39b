package spec

import (
	"context"
	"errors"

	"github.com/tenon-go/tenon/engine"
)

// nextN is draft-mtp with a draft that has a cache of its own: at each position it takes the token there
// and the target's hidden state before it, and each step of a draft goes one position further, with its
// own state in place of the target's.
//
// Committed tokens wait with their states until a draft is asked for, or until there are enough of them
// for a run. Then they replace what was drafted.
type nextN struct {
	draft *engine.Draft
	opt   MTPOptions
	seqs  map[int32]*nextNSeq
	live  []*Request
	batch []engine.DraftToken
}

// nextNSeq is a sequence: what the target has, and how much of it the draft has.
type nextNSeq struct {
	past   int32     // tokens in the target's cache
	fed    int32     // of them, and of the one after them, those that the draft's cache holds
	cached int32     // tokens in the draft's cache, guesses too
	last   []float32 // the target's hidden state before position past; zeros if it is not known
	ahead  int32     // the token at position past, if fed is beyond it

	pending []int32   // tokens from position fed on
	states  []float32 // the hidden state before each
	state   []float32 // of the draft's last step
}

// Name returns "draft-mtp".
func (m *nextN) Name() string { return nameMTP }

// Hidden returns AllHidden.
func (m *nextN) Hidden() Hidden { return AllHidden }

func (m *nextN) seq(seq int32) *nextNSeq {
	s, ok := m.seqs[seq]
	if !ok {
		s = new(nextNSeq)
		m.seqs[seq] = s
	}
	return s
}

// Truncate forgets tokens, and the hidden state before the new end. The draft's cache follows with the
// next run.
func (m *nextN) Truncate(seq, n int32) { m.seq(seq).truncate(n) }

func (s *nextNSeq) truncate(n int32) {
	if n >= s.past && n > 0 {
		return
	}
	s.past = n
	s.drop(n)
	clear(s.last)
}

// drop forgets what the draft has of the tokens from position n on, or is to have.
func (s *nextNSeq) drop(n int32) {
	if n <= s.fed {
		s.fed = n
		s.pending, s.states = s.pending[:0], s.states[:0]
		return
	}
	width := len(s.last)
	keep := min(int(n-s.fed), len(s.pending))
	s.pending, s.states = s.pending[:keep], s.states[:keep*width]
}

// Commit keeps tokens and states, and feeds the draft where there are enough of them.
func (m *nextN) Commit(ctx context.Context, commits []Commit) error {
	for i := range commits {
		c := &commits[i]
		if c.States == nil {
			return errors.New("spec: draft-mtp needs the target's hidden states")
		}
		s := m.seq(c.Seq)
		s.commit(c)
		if len(s.pending) < m.draft.Batch() || m.draft.Fits(len(s.pending)) != nil {
			continue
		}
		m.batch = m.batch[:0]
		if err := m.catchUp(c.Seq, s); err != nil {
			return err
		}
		if err := m.run(ctx); err != nil {
			return err
		}
		s.caughtUp()
	}
	return nil
}

func (s *nextNSeq) commit(c *Commit) {
	width := len(c.Last())
	if len(s.last) != width {
		s.last = make([]float32, width)
	}
	if c.Pos != s.past { // what lies between is not known
		s.drop(min(c.Pos, s.past))
		s.fed = c.Pos
		clear(s.last)
	}
	if s.fed > c.Pos && s.ahead != c.Tokens[0] {
		s.drop(c.Pos)
	}
	for i, id := range c.Tokens {
		if c.Pos+int32(i) < s.fed {
			continue // the draft went ahead with it
		}
		before := s.last
		if i > 0 {
			before = c.Hidden(i - 1)
		}
		s.pending, s.states = append(s.pending, id), append(s.states, before...)
	}
	s.last = append(s.last[:0], c.Last()...)
	s.past = c.Pos + int32(len(c.Tokens))
}

// catchUp takes guesses out of the draft's cache, and adds what is pending to the batch.
func (m *nextN) catchUp(seq int32, s *nextNSeq) error {
	if s.cached > s.fed {
		if err := m.draft.Truncate(seq, s.fed); err != nil {
			return err
		}
		s.cached = s.fed
	}
	width := len(s.last)
	for i, id := range s.pending {
		m.batch = append(m.batch, engine.DraftToken{
			ID: id, Pos: s.fed + int32(i), Seq: seq, Hidden: s.states[i*width : (i+1)*width], Feed: true,
		})
	}
	return nil
}

func (m *nextN) run(ctx context.Context) error { return m.draft.Run(ctx, m.batch) }

// caughtUp notes that the draft has what was pending.
func (s *nextNSeq) caughtUp() {
	s.fed += int32(len(s.pending))
	s.cached = s.fed
	s.pending, s.states = s.pending[:0], s.states[:0]
}

// Draft feeds what is pending, and runs the draft model once for each guess, for all sequences together.
// A sequence that the draft's cache has no room for gets no guesses.
func (m *nextN) Draft(ctx context.Context, requests []*Request) error {
	m.live, m.batch = m.live[:0], m.batch[:0]
	for _, r := range requests {
		s := m.seq(r.Seq)
		if r.Full() || s.past != r.Pos || len(s.last) == 0 || int(r.Seq) >= m.draft.Sequences() {
			continue
		}
		s.drop(s.past) // what was fed ahead for a round that did not come to be
		if m.draft.Fits(len(m.batch)+len(s.pending)+1) != nil {
			continue
		}
		if err := m.catchUp(r.Seq, s); err != nil {
			return err
		}
		m.batch = append(m.batch, engine.DraftToken{ID: r.Last, Pos: r.Pos, Seq: r.Seq, Hidden: s.last})
		m.live = append(m.live, r)
	}
	if len(m.live) == 0 {
		return nil
	}
	if err := m.run(ctx); err != nil {
		return err
	}
	for _, r := range m.live {
		s := m.seq(r.Seq)
		s.caughtUp()
		s.fed, s.cached, s.ahead = s.fed+1, s.cached+1, r.Last
	}
	for m.choose(); len(m.live) > 0; m.choose() {
		if err := m.run(ctx); err != nil {
			return err
		}
		for _, r := range m.live {
			m.seq(r.Seq).cached++
		}
	}
	return nil
}

// choose makes guesses of the last run's logits, and leaves in m.live and m.batch what the next one takes.
func (m *nextN) choose() {
	kept := m.live[:0]
	m.batch = m.batch[:0]
	for i, r := range m.live {
		if !r.Choose(m.draft.Logits(i), m.opt.PMin) || r.Full() || m.draft.Fits(len(kept)+1) != nil {
			continue
		}
		s := m.seq(r.Seq)
		s.state = append(s.state[:0], m.draft.Hidden(i)...)
		kept = append(kept, r)
		m.batch = append(m.batch, engine.DraftToken{ID: r.Next(), Pos: s.cached, Seq: r.Seq, Hidden: s.state})
	}
	m.live = kept
}

// Close closes the draft.
func (m *nextN) Close() error { return m.draft.Close() }
