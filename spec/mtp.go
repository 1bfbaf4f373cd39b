package spec

import (
	"context"
	"fmt"

	"github.com/tenon-go/tenon/engine"
)

// MTPOptions sets up draft-mtp.
type MTPOptions struct {
	// PMin ends a draft before the first guess less probable than this, among its ten best. 0 never does.
	PMin float32
}

// MTP drafts by multi-token prediction with a model that shares the target's cache: it starts from the
// target's hidden state at the last committed token, and each step's own state goes into the next. All
// steps are at one position, the one after the target's last.
type MTP struct {
	draft *engine.Draft
	opt   MTPOptions
	seqs  map[int32]*mtpSeq
	next  [1]engine.DraftToken
	best  []candidate
}

// mtpSeq is what is known of a sequence.
type mtpSeq struct {
	past    int32     // tokens in the target's cache
	pending []float32 // hidden state of the last of them; empty before the first
	state   []float32 // of the draft's last step
}

// NewMTP returns a drafter that runs d and owns it.
func NewMTP(d *engine.Draft, opt MTPOptions) *MTP {
	return &MTP{draft: d, opt: opt, seqs: map[int32]*mtpSeq{}, best: make([]candidate, 0, topCandidates)}
}

// Name returns "draft-mtp".
func (m *MTP) Name() string { return "draft-mtp" }

// Begin starts a sequence anew.
func (m *MTP) Begin(seq int32) {
	s := m.seq(seq)
	s.past, s.pending = 0, s.pending[:0]
}

func (m *MTP) seq(seq int32) *mtpSeq {
	s, ok := m.seqs[seq]
	if !ok {
		s = new(mtpSeq)
		m.seqs[seq] = s
	}
	return s
}

// Commit keeps the hidden state of the last token.
func (m *MTP) Commit(_ context.Context, seq int32, tokens []int32, rows Rows) error {
	s := m.seq(seq)
	s.past += int32(len(tokens))
	if rows.Len() == 0 {
		return fmt.Errorf("spec: draft-mtp needs the target's hidden states")
	}
	s.pending = append(s.pending[:0], rows.Row(rows.Len()-1)...)
	return nil
}

// Draft runs the draft model for each guess.
func (m *MTP) Draft(ctx context.Context, seq, last int32, n int, dst []int32) ([]int32, error) {
	s := m.seq(seq)
	if len(s.pending) == 0 {
		return dst, nil
	}
	hidden := s.pending
	for range n {
		m.next[0] = engine.DraftToken{ID: last, Pos: s.past, Seq: seq, Hidden: hidden}
		if err := m.draft.Run(ctx, m.next[:]); err != nil {
			return dst, err
		}
		id, p := m.choose(m.draft.Logits(0))
		if p < m.opt.PMin {
			break
		}
		dst = append(dst, id)
		last = id
		s.state = append(s.state[:0], m.draft.Hidden(0)...)
		hidden = s.state
	}
	return dst, nil
}

// Close closes the draft.
func (m *MTP) Close() error { return m.draft.Close() }
