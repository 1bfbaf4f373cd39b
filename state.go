package tenon

import (
	"context"
	"errors"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sample"
)

// checkState reports why the options' state cannot be saved or restored.
func (g *generation) checkState() error {
	if g.m.decoder == nil {
		return nil
	}
	const wants = "nil: a model that is opened with a draft keeps more than a state file does"
	switch {
	case g.opt.Restore != nil:
		return &engine.OptionError{Name: "Restore", Value: "given", Wants: wants}
	case g.opt.Save != nil:
		return &engine.OptionError{Name: "Save", Value: "given", Wants: wants}
	}
	return nil
}

// restore reads the options' state into the sequence.
func (g *generation) restore(ctx context.Context) (st engine.SequenceState, err error) {
	if g.opt.Restore == nil {
		return st, nil
	}
	err = g.m.with(ctx, func(e *engine.Engine) error {
		st, err = e.Restore(ctx, g.opt.Restore, g.seq)
		return err
	})
	return st, err
}

// resume goes on after st, as the call that saved it would have, and returns the next token, or why there
// is none.
func (g *generation) resume(ctx context.Context, st engine.SequenceState) (id int32, end Finish, err error) {
	var s sample.State
	switch {
	case st.Next < 0:
		return 0, "", &engine.StateError{What: "its next token", Have: "none", Want: "one, or a prompt"}
	case len(st.Sampler) == 0:
		return 0, "", &engine.StateError{What: "its sampler", Have: "none", Want: "one, or a prompt"}
	}
	if err := s.UnmarshalBinary(st.Sampler); err != nil {
		return 0, "", err
	}
	if err := g.sampler.Restore(&s); err != nil {
		return 0, "", err
	}
	g.stats.Restored = len(st.Tokens)
	g.pos = int32(len(st.Tokens))
	g.took(st.Tokens...)
	g.took(st.Next)
	if g.m.tok.IsEOG(st.Next) && !g.opt.IgnoreEOS {
		return 0, FinishEnd, nil
	}
	if id, err = g.follow(ctx, st.Next); errors.Is(err, kv.ErrFull) && g.opt.MaxTokens == 0 {
		return 0, FinishLength, nil
	}
	return id, "", err
}

// reuse keeps as much of what the sequence holds as ids begins with, and returns how many tokens that are: all but
// one of ids at most, as the model has to say what comes after the last.
func (g *generation) reuse(ctx context.Context, held, ids []int32) (int, error) {
	n := 0
	for n < min(len(held), len(ids)-1) && held[n] == ids[n] {
		n++
	}
	if n == len(held) {
		return n, nil
	}
	return n, g.m.with(ctx, func(e *engine.Engine) error {
		if !e.Cache().CanRollback(int(g.seq), n) { // recurrent layers or windows have no way back to there
			n = 0
		}
		return e.Cache().Remove(int(g.seq), n, -1)
	})
}

// took notes tokens of the text, the prompt's and those chosen, if the state is to be saved.
func (g *generation) took(ids ...int32) {
	if g.opt.Save != nil {
		g.all = append(g.all, ids...)
	}
}

// save writes the state at the end of a text.
func (g *generation) save(ctx context.Context) error {
	if g.opt.Save == nil || g.abandoned {
		return nil
	}
	var s sample.State
	g.sampler.Snapshot(&s)
	sampler, err := s.MarshalBinary()
	if err != nil {
		return err
	}
	return g.m.with(ctx, func(e *engine.Engine) error {
		n := e.Cache().MaxPos(int(g.seq)) + 1
		st := engine.SequenceState{Tokens: g.all[:n], Next: -1, Sampler: sampler}
		if n < len(g.all) {
			st.Next = g.all[n]
		}
		return e.Save(ctx, g.opt.Save, g.seq, st)
	})
}
