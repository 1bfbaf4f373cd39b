package spec

import (
	"context"
	"errors"

	"github.com/tenon-go/tenon/engine"
)

// MTPOptions sets up draft-mtp.
type MTPOptions struct {
	// PMin ends a draft before the first guess less probable than this, among its ten best. 0 never does.
	PMin float32
}

// nameMTP is what draft-mtp is called, whatever its way.
const nameMTP = "draft-mtp"

// MTP drafts by multi-token prediction: with a model that reads the target's cache, or with one that has a
// cache of its own.
type MTP struct {
	Drafter // one of the two ways
	draft   *engine.Draft
}

// NewMTP returns a drafter that runs d and owns it.
func NewMTP(d *engine.Draft, opt MTPOptions) *MTP {
	if d.OwnsCache() {
		return &MTP{newNextN(d, opt), d}
	}
	return &MTP{&sharedMTP{draft: d, opt: opt, seqs: map[int32]*mtpSeq{}}, d}
}

// Stats returns what the draft has done, the bytes of a mirror among it.
func (m *MTP) Stats() engine.DraftStats { return m.draft.Stats() }

// Copied returns how many bytes went into a mirror so far.
func (m *MTP) Copied() int64 { return m.draft.Stats().Copied }

// Memory reports what the draft holds, device by device.
func (m *MTP) Memory() []engine.DeviceMemory { return m.draft.Memory() }

// sharedMTP drafts with a model that reads the target's cache: it starts from the target's hidden state at
// the last committed token, and each step's own state goes into the next. All steps are at one position,
// the one after the target's last.
type sharedMTP struct {
	draft *engine.Draft
	opt   MTPOptions
	seqs  map[int32]*mtpSeq
	live  []*Request
	batch []engine.DraftToken
}

// mtpSeq is what is known of a sequence.
type mtpSeq struct {
	past    int32     // tokens in the target's cache
	pending []float32 // hidden state after the last of them; empty if it is not known
	state   []float32 // of the draft's last step
}

// Name returns "draft-mtp".
func (m *sharedMTP) Name() string { return nameMTP }

// Hidden returns LastHidden.
func (m *sharedMTP) Hidden() Hidden { return LastHidden }

// Truncate forgets the hidden state: the one at the new end is not known.
func (m *sharedMTP) Truncate(seq, n int32) {
	if s := m.seq(seq); n < s.past || n == 0 {
		s.past, s.pending = n, s.pending[:0]
	}
}

func (m *sharedMTP) seq(seq int32) *mtpSeq {
	s, ok := m.seqs[seq]
	if !ok {
		s = new(mtpSeq)
		m.seqs[seq] = s
	}
	return s
}

// Commit keeps the hidden state of the last token of each sequence.
func (m *sharedMTP) Commit(_ context.Context, commits []Commit) error {
	for i := range commits {
		c := &commits[i]
		s := m.seq(c.Seq)
		s.past = c.Pos + int32(len(c.Tokens))
		if c.States == nil {
			return errors.New("spec: draft-mtp needs the target's hidden states")
		}
		s.pending = append(s.pending[:0], c.Last()...)
	}
	return nil
}

// Draft runs the draft model once for each guess, for all sequences together.
func (m *sharedMTP) Draft(ctx context.Context, requests []*Request) error {
	m.live = m.live[:0]
	for _, r := range requests {
		s := m.seq(r.Seq)
		if len(s.pending) > 0 && s.past == r.Pos && !r.Full() {
			s.state = append(s.state[:0], s.pending...)
			m.live = append(m.live, r)
		}
	}
	for len(m.live) > 0 {
		m.batch = m.batch[:0]
		for _, r := range m.live {
			m.batch = append(m.batch, engine.DraftToken{ID: r.Next(), Pos: r.Pos, Seq: r.Seq, Hidden: m.seq(r.Seq).state})
		}
		if err := m.draft.Run(ctx, m.batch); err != nil {
			return err
		}
		kept := m.live[:0]
		for i, r := range m.live {
			if r.Choose(m.draft.Logits(i), m.opt.PMin) && !r.Full() {
				s := m.seq(r.Seq)
				s.state = append(s.state[:0], m.draft.Hidden(i)...)
				kept = append(kept, r)
			}
		}
		m.live = kept
	}
	return nil
}

// Close closes the draft.
func (m *sharedMTP) Close() error { return m.draft.Close() }
