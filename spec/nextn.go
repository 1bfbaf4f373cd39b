package spec

import (
	"context"
	"errors"

	"github.com/tenon-go/tenon/engine"
)

// nextN is draft-mtp with a draft that has a cache of its own. The draft takes what the target takes: at
// each position the token there and the target's hidden state before it. Guesses stand at the positions
// after that, each with the draft's own state before it, and leave its cache when they are made.
//
// Committed tokens wait with their states until a draft is asked for, or until there are enough of them
// for a run. Then they go in together with the token that the first guess follows. While nothing is
// drafted they cost a copy.
type nextN struct {
	draft *engine.Draft
	opt   MTPOptions
	width int // of hidden states
	seqs  map[int32]*nextNSeq
	live  []*Request
	batch []engine.DraftToken
	lost  error // what Truncate met, for the next call that can say so
}

// nextNSeq is a sequence: what the target has, and how much of it the draft has.
type nextNSeq struct {
	past  int32 // tokens in the target's cache
	fed   int32 // the draft's cache has nothing to keep from this position on
	ahead int32 // if fed is past+1: the token at past, which was not committed yet

	tokens, pos []int32   // that wait
	states      []float32 // [width] before each of them
	last        []float32 // the target's hidden state before position past; empty if it is not known
	state       []float32 // of the draft's last step
}

func newNextN(d *engine.Draft, opt MTPOptions) *nextN {
	return &nextN{draft: d, opt: opt, width: d.HiddenWidth(), seqs: map[int32]*nextNSeq{}}
}

// Name returns "draft-mtp".
func (m *nextN) Name() string { return nameMTP }

// Hidden returns AllHidden.
func (m *nextN) Hidden() Hidden { return AllHidden }

// seq returns a sequence, or nil if it is one that the draft has no room for.
func (m *nextN) seq(seq int32) *nextNSeq {
	s, ok := m.seqs[seq]
	if !ok && int(seq) < m.draft.Sequences() {
		s = new(nextNSeq)
		m.seqs[seq] = s
	}
	return s
}

// Truncate forgets tokens. The hidden state before the new end is known if the token there was waiting.
func (m *nextN) Truncate(seq, n int32) {
	s := m.seq(seq)
	if s == nil {
		return
	}
	m.lost = errors.Join(m.lost, m.keep(seq, s, n))
	if n >= s.past {
		return
	}
	s.past, s.last = n, s.last[:0]
	for i, pos := range s.pos {
		if pos < n {
			continue
		}
		if pos == n {
			s.last = append(s.last, s.before(i, m.width)...)
		}
		s.cut(i, m.width)
		break
	}
}

// before returns the hidden state before token i of those that wait.
func (s *nextNSeq) before(i, width int) []float32 { return s.states[i*width : (i+1)*width] }

// cut leaves the first n of the tokens that wait.
func (s *nextNSeq) cut(n, width int) {
	s.tokens, s.pos, s.states = s.tokens[:n], s.pos[:n], s.states[:n*width]
}

// keep takes what stands from position n on, and all that is not to be kept, out of the draft's cache.
func (m *nextN) keep(seq int32, s *nextNSeq, n int32) error {
	s.fed = min(s.fed, n)
	return m.draft.Truncate(seq, s.fed)
}

// Commit lets tokens wait, with the hidden states before them.
func (m *nextN) Commit(ctx context.Context, commits []Commit) error {
	if m.lost != nil {
		return m.lost
	}
	for i := range commits {
		c := &commits[i]
		if c.States == nil {
			return errors.New("spec: draft-mtp needs the target's hidden states")
		}
		s := m.seq(c.Seq)
		if s == nil {
			continue
		}
		if len(s.tokens) > 0 && len(s.tokens)+len(c.Tokens) > m.draft.Batch() {
			if err := m.flush(ctx, c.Seq, s); err != nil {
				return err
			}
		}
		m.add(c, s)
	}
	return nil
}

// add lets the tokens of c wait.
func (m *nextN) add(c *Commit, s *nextNSeq) {
	switch {
	case c.Pos < s.past:
		m.Truncate(c.Seq, c.Pos)
	case c.Pos > s.past: // what lies between came another way: copied from a sequence, say
		s.past, s.last = c.Pos, s.last[:0]
	}
	if s.past == 0 { // there is nothing before the first token
		s.last = s.last[:0]
		for range m.width {
			s.last = append(s.last, 0)
		}
	}
	if s.fed > c.Pos && s.ahead != c.Tokens[0] {
		s.fed = c.Pos
	}
	for i, id := range c.Tokens {
		// A token whose hidden state is not known leaves a gap in the draft's cache, which is nearer to what
		// the draft was trained on than a state that never was.
		if pos := c.Pos + int32(i); pos >= s.fed && len(s.last) > 0 {
			s.tokens, s.pos, s.states = append(s.tokens, id), append(s.pos, pos), append(s.states, s.last...)
		}
		s.last = append(s.last[:0], c.Hidden(i)...)
	}
	s.past = c.Pos + int32(len(c.Tokens))
}

// flush takes the tokens of a sequence that wait through the draft. Where there is no room for them they
// are given up: guesses are worse then, or there are none.
func (m *nextN) flush(ctx context.Context, seq int32, s *nextNSeq) error {
	if err := m.keep(seq, s, s.pos[0]); err != nil {
		return err
	}
	if m.draft.Fits(len(s.tokens)) == nil {
		m.batch = m.batch[:0]
		m.addWaiting(seq, s)
		if err := m.draft.Run(ctx, m.batch); err != nil {
			return err
		}
	}
	s.fed = s.past
	s.cut(0, m.width)
	return nil
}

// addWaiting adds the tokens of a sequence that wait to the batch.
func (m *nextN) addWaiting(seq int32, s *nextNSeq) {
	for i, id := range s.tokens {
		m.batch = append(m.batch, engine.DraftToken{ID: id, Pos: s.pos[i], Seq: seq, Hidden: s.before(i, m.width), Feed: true})
	}
}

// Draft runs the draft once for each guess, for all sequences together. A sequence that its cache has no
// room for gets no guesses.
func (m *nextN) Draft(ctx context.Context, requests []*Request) (err error) {
	if m.lost != nil {
		return m.lost
	}
	if err := m.begin(requests); err != nil {
		return err
	}
	defer func() { // guesses make room for others
		for _, r := range requests {
			if s := m.seq(r.Seq); s != nil {
				err = errors.Join(err, m.keep(r.Seq, s, s.fed))
			}
		}
	}()
	for first := true; len(m.live) > 0; first = false {
		if err := m.draft.Run(ctx, m.batch); err != nil {
			return err
		}
		m.choose(first)
	}
	return nil
}

// begin fills m.live with the requests that can be answered, and m.batch with what the draft takes first:
// of each sequence the tokens that wait, and its last.
func (m *nextN) begin(requests []*Request) error {
	m.live, m.batch = m.live[:0], m.batch[:0]
	need := 0
	for _, r := range requests {
		s := m.seq(r.Seq)
		if s == nil || r.Full() || s.past != r.Pos || len(s.last) == 0 {
			continue
		}
		if err := m.keep(r.Seq, s, r.Pos); err != nil {
			return err
		}
		n := len(s.tokens) + r.Max // the last token, and all guesses but one
		if m.draft.Fits(need+n) != nil {
			continue
		}
		need += n
		m.addWaiting(r.Seq, s)
		m.batch = append(m.batch, engine.DraftToken{ID: r.Last, Pos: r.Pos, Seq: r.Seq, Hidden: s.last})
		m.live = append(m.live, r)
	}
	return nil
}

// choose makes guesses of the last run's logits, and leaves in m.live and m.batch what the next one takes.
func (m *nextN) choose(first bool) {
	m.batch = m.batch[:0]
	kept := m.live[:0]
	for i, r := range m.live {
		s := m.seq(r.Seq)
		if first { // what waited is in the draft's cache, and the last token ahead of its commit
			s.fed, s.ahead = r.Pos+1, r.Last
			s.cut(0, m.width)
		}
		if !r.Choose(m.draft.Logits(i), m.opt.PMin) || r.Full() {
			continue
		}
		s.state = append(s.state[:0], m.draft.Hidden(i)...)
		m.batch = append(m.batch, engine.DraftToken{ID: r.Next(), Pos: r.Pos + int32(len(r.Guesses)), Seq: r.Seq, Hidden: s.state})
		kept = append(kept, r)
	}
	m.live = kept
}

// Close closes the draft.
func (m *nextN) Close() error { return m.draft.Close() }
