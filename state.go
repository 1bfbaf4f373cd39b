package tenon

import (
	"context"
	"errors"
	"slices"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sample"
)

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
	all := append(slices.Clip(st.Tokens), st.Next)
	given := all[:len(all)-st.Ahead]
	g.queue = append(g.queue, all[len(given):]...)
	g.took(given...)
	last := given[len(given)-1]
	if err := g.drafted(ctx, st.Tokens, st.Next); err != nil {
		return 0, "", err
	}
	if g.m.tok.IsEOG(last) && !g.opt.IgnoreEOS {
		return 0, FinishEnd, nil
	}
	if id, err = g.follow(ctx, last); errors.Is(err, kv.ErrFull) && g.opt.MaxTokens == 0 {
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
	if n < len(held) {
		err := g.m.with(ctx, func(e *engine.Engine) error {
			if !e.Cache().CanRollback(int(g.seq), n) { // recurrent layers or windows have no way back to there
				n = 0
			}
			return e.Cache().Remove(int(g.seq), n, -1)
		})
		if err != nil {
			return 0, err
		}
	}
	return n, g.drafted(ctx, held[:n], -1)
}

// drafted tells the drafters, if there are any, what the sequence holds, and the token chosen after it, or -1.
func (g *generation) drafted(ctx context.Context, held []int32, next int32) error {
	if g.m.decoder == nil || len(held) == 0 {
		return nil
	}
	return g.m.with(ctx, func(*engine.Engine) error { return g.m.decoder.Restored(ctx, g.seq, held, next) })
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
	ahead := g.queue[g.queued:] // the sampler has accepted them, so that they stay
	g.took(ahead...)
	return g.m.with(ctx, func(e *engine.Engine) error {
		n := e.Cache().MaxPos(int(g.seq)) + 1
		st := engine.SequenceState{Tokens: g.all[:n], Next: -1, Sampler: sampler}
		if n < len(g.all) {
			st.Next, st.Ahead = g.all[n], len(ahead)
		}
		return e.Save(ctx, g.opt.Save, g.seq, st)
	})
}
