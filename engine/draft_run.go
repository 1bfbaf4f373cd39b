package engine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
)

// DraftToken is one token of a draft's run.
type DraftToken struct {
	ID, Pos, Seq int32
	Hidden       []float32 // [target's width], the state before the token

	// Feed only takes the token in, without logits and hidden state: for a draft with its own cache.
	Feed bool
}

// draftStaging is what a run's inputs and results pass through.
type draftStaging struct {
	ids, pos, seqs []int32
	outRows        []int32 // those of a run that are wanted
	last           []int32 // by sequence of its own cache: its highest position so far
	hiddenIn, mask []float32
	logits, hidden rows
}

// Run takes tokens through the draft. Logits and Hidden are then those of each but for those with Feed
// set. It does not change the target.
//
// A draft that reads the target's cache keeps nothing of the tokens, which are of sequences that the
// target has; one with a cache of its own keeps them, until Truncate. On an error it has kept none.
//
// Errors: *TokenError, *kv.FullError, a cancelled ctx's, or a device's.
func (d *Draft) Run(ctx context.Context, tokens []DraftToken) error {
	if d.closed || d.target.closed {
		return ErrClosed
	}
	s := &d.batch
	s.logits.begin(true, d.model.Vocab)
	s.hidden.begin(true, d.model.HiddenIn)
	if err := d.check(tokens); err != nil {
		return err
	}
	if err := cancelled(ctx); err != nil {
		return err
	}
	if d.own != nil {
		return d.runOwn(ctx, tokens)
	}
	s.take(tokens)
	if err := d.target.shift(ctx); err != nil { // keys must stand where their positions say
		return err
	}
	copied, err := d.reader.Sync()
	if err != nil {
		return err
	}
	if copied > 0 {
		d.stats.Syncs++
		d.stats.Copied += copied
	}
	return d.compute(ctx)
}

// compute runs the staged tokens.
func (d *Draft) compute(ctx context.Context) (err error) {
	s := &d.batch
	shape := model.Batch{Tokens: len(s.ids), Outputs: len(s.outRows), Exact: d.target.opt.Exact}
	for i := range d.reader.Groups() {
		shape.Cells[i] = d.reader.ReadCells(i)
	}
	r := d.runs.find(shape)
	if r == nil {
		if r, err = d.build(shape); err != nil {
			return err
		}
	}
	if err := d.write(r); err != nil {
		return err
	}
	if err := r.exec.Run(ctx); err != nil {
		if errors.Is(err, ctx.Err()) {
			return cancelled(ctx)
		}
		return fmt.Errorf("engine: draft: %w", err)
	}
	d.stats.Runs++
	n := len(s.outRows)
	if n == 0 {
		return nil
	}
	if err := r.exec.Read(r.graph.Logits, cast.Bytes(s.logits.grow(n))); err != nil {
		return err
	}
	return r.exec.Read(r.graph.Hidden, cast.Bytes(s.hidden.grow(n)))
}

func (d *Draft) build(shape model.Batch) (*run, error) {
	g, plan, err := d.plan(shape)
	if err != nil {
		return nil, err
	}
	exec, err := sched.NewExec(plan, &d.memory)
	if err != nil {
		return nil, err
	}
	r := &run{shape: shape, graph: g, exec: exec}
	return r, d.runs.add(r)
}

// check reports the first token that cannot be.
func (d *Draft) check(tokens []DraftToken) error {
	if len(tokens) == 0 {
		return fmt.Errorf("engine: %w: it is empty", ErrBatch)
	}
	d.beginPositions()
	for i := range tokens {
		t := &tokens[i]
		why := ""
		switch {
		case t.ID < 0 || int(t.ID) >= d.model.Vocab:
			why = fmt.Sprintf("ids are 0 to %d", d.model.Vocab-1)
		case t.Seq < 0 || int(t.Seq) >= d.Sequences():
			why = fmt.Sprintf("sequences are 0 to %d", d.Sequences()-1)
		case t.Pos < 0 || t.Pos == math.MaxInt32:
			why = fmt.Sprintf("positions are 0 to %d", math.MaxInt32-1)
		case len(t.Hidden) != d.model.HiddenIn:
			why = fmt.Sprintf("a hidden state of %d, want %d", len(t.Hidden), d.model.HiddenIn)
		default:
			why = d.checkPosition(t)
		}
		if why != "" {
			return &TokenError{i, Token{ID: t.ID, Pos: t.Pos, Seq: t.Seq, Output: !t.Feed}, why}
		}
	}
	return nil
}

// take takes checked tokens apart.
func (s *draftStaging) take(tokens []DraftToken) {
	s.ids, s.pos, s.seqs, s.hiddenIn, s.outRows = s.ids[:0], s.pos[:0], s.seqs[:0], s.hiddenIn[:0], s.outRows[:0]
	for i := range tokens {
		t := &tokens[i]
		s.ids, s.pos, s.seqs = append(s.ids, t.ID), append(s.pos, t.Pos), append(s.seqs, t.Seq)
		s.hiddenIn = append(s.hiddenIn, t.Hidden...)
		if !t.Feed {
			s.outRows = append(s.outRows, int32(i))
		}
	}
}

// write fills the inputs of a run.
func (d *Draft) write(r *run) error {
	s, g := &d.batch, r.graph
	if err := writeInput(r.exec, g.TokenIDs, s.ids); err != nil {
		return err
	}
	if err := writeInput(r.exec, g.Pos, s.pos); err != nil {
		return err
	}
	if err := writeInput(r.exec, g.HiddenIn, s.hiddenIn); err != nil {
		return err
	}
	if err := writeInput(r.exec, g.OutRows, s.outRows); err != nil {
		return err
	}
	if d.own != nil {
		for i, cells := range g.Slots {
			if err := writeInput(r.exec, cells, d.own.slots.Indices(i)); err != nil {
				return err
			}
		}
	}
	for i, mask := range g.Masks {
		if mask == nil {
			continue
		}
		n := mask.Shape.Elems()
		if len(s.mask) < n {
			s.mask = make([]float32, n)
		}
		if err := d.reader.FillMask(i, s.mask[:n], s.pos, s.seqs, r.shape.Cells[i]); err != nil {
			return err
		}
		if err := writeInput(r.exec, mask, s.mask[:n]); err != nil {
			return err
		}
	}
	return nil
}
