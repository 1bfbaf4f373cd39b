package engine

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

// Token is one token of a batch.
type Token struct {
	ID     int32
	Pos    int32 // in its sequence, above those before it
	Seq    int32
	Output bool // whether its logits, or hidden state, are wanted
}

// TokenError says which token of a batch cannot be. It matches ErrBatch.
type TokenError struct {
	Index  int // in the batch
	Token  Token
	Reason string
}

// Error returns one line.
func (e *TokenError) Error() string {
	return fmt.Sprintf("engine: token %d of the batch (id %d, position %d, sequence %d): %s",
		e.Index, e.Token.ID, e.Token.Pos, e.Token.Seq, e.Reason)
}

// Unwrap returns ErrBatch.
func (e *TokenError) Unwrap() error { return ErrBatch }

// staging is what a run's inputs and results pass through; it grows to the largest run and stays.
type staging struct {
	ids, pos, seqs, rows []int32
	last                 []int32 // by sequence: its highest position so far
	mask                 []float32

	// Results of the last call, and the token that each row belongs to.
	logits, hidden rows
	rowsOf         []int
	allHidden      bool // hidden holds a row for every token
}

// rows are results of the last call, one for each token that asked for them.
type rows struct {
	wanted bool
	width  int
	values []float32
}

// begin forgets what there is and says whether rows of the given width are wanted.
func (r *rows) begin(wanted bool, width int) {
	r.wanted, r.width, r.values = wanted, width, r.values[:0]
}

// grow adds n rows and returns their memory.
func (r *rows) grow(n int) []float32 {
	have := len(r.values)
	need := have + n*r.width
	if cap(r.values) < need {
		r.values = append(make([]float32, 0, need), r.values...)
	}
	r.values = r.values[:need]
	return r.values[have:]
}

// row returns row i. It panics if there is none, like an index outside a slice.
func (r *rows) row(i int) []float32 {
	if i < 0 || (i+1)*r.width > len(r.values) {
		panic(fmt.Sprintf("engine: no row %d of %d", i, len(r.values)/max(r.width, 1)))
	}
	return r.values[i*r.width : (i+1)*r.width]
}

func (s *staging) init(c *kv.Cache, o Options) {
	n := o.Batch
	s.ids, s.pos, s.seqs, s.rows = make([]int32, 0, n), make([]int32, 0, n), make([]int32, 0, n), make([]int32, 0, n)
	s.rowsOf = make([]int, 0, n)
	s.last = make([]int32, o.Sequences)
	cells := 0
	for i := range c.Groups() {
		cells = max(cells, c.Group(i).Cells)
	}
	s.mask = make([]float32, cells) // for one token: prefill grows it
}

// Decode takes tokens through the model, in as many runs as it takes, and keeps the logits of those
// with Output set: see Logits. Positions of one sequence rise.
//
// On an error the cache is as it was before the call, but for windows that have moved on, and recurrent
// layers: of a call of several runs these go back no further than their snapshots. What is done then
// stays in the cache, and the error matches kv.ErrRollback too. Errors: ErrBatch for none, *TokenError, *kv.FullError, the error and the cause of a cancelled ctx, ErrClosed,
// or what a device says.
func (e *Engine) Decode(ctx context.Context, tokens []Token) error {
	return e.decode(ctx, tokens, true, false)
}

// DecodeHidden is Decode that keeps hidden states too: of the tokens with Output set; or, if all is set,
// of every token, and Hidden(i) is then that of token i of the batch.
func (e *Engine) DecodeHidden(ctx context.Context, tokens []Token, all bool) error {
	e.batch.allHidden = all
	defer func() { e.batch.allHidden = false }()
	return e.decode(ctx, tokens, true, true)
}

// Embed is Decode for the hidden states after the last norm, without logits: see Hidden.
func (e *Engine) Embed(ctx context.Context, tokens []Token) error {
	return e.decode(ctx, tokens, false, true)
}

// Logits returns the logits [vocabulary] of the i-th token of the last Decode that asked for them. They
// are valid until the next call. It panics if there is no such row, like an index outside a slice.
func (e *Engine) Logits(i int) []float32 { return e.batch.logits.row(i) }

// Hidden returns the hidden state [width] of the i-th token of the last Embed that asked for it, as
// Logits does; and of the last DecodeHidden.
func (e *Engine) Hidden(i int) []float32 { return e.batch.hidden.row(i) }

// Outputs returns how many rows the last call has kept, and which token of its batch each belongs to.
func (e *Engine) Outputs() []int { return e.batch.rowsOf }

func (e *Engine) decode(ctx context.Context, tokens []Token, logits, hidden bool) error {
	if e.closed {
		return ErrClosed
	}
	s := &e.batch
	s.forget()
	s.logits.begin(logits, e.model.Vocab)
	s.hidden.begin(hidden, e.model.Embd)
	if err := e.check(tokens); err != nil {
		return err
	}
	if err := cancelled(ctx); err != nil {
		return err
	}
	if err := e.shift(ctx); err != nil {
		return err
	}
	for from, to := 0, 0; from < len(tokens); from = to {
		to = e.runEnd(tokens, from)
		if err := e.runTokens(ctx, tokens, from, to); err != nil {
			s.forget()
			if undo := e.forget(tokens[:from]); undo != nil {
				return fmt.Errorf("%w; the cache keeps a part of the batch: %w", err, undo)
			}
			return err
		}
	}
	return nil
}

// check reports the first token that cannot be, or that there is no room for all: a long prompt must
// not run for minutes before its end is refused.
func (e *Engine) check(tokens []Token) error {
	if len(tokens) == 0 {
		return fmt.Errorf("engine: %w: it is empty", ErrBatch)
	}
	last := e.batch.last
	for q := range last {
		last[q] = int32(e.cache.MaxPos(q))
	}
	for i, t := range tokens {
		switch {
		case t.ID < 0 || int(t.ID) >= e.model.Vocab:
			return &TokenError{i, t, fmt.Sprintf("ids are 0 to %d", e.model.Vocab-1)}
		case t.Seq < 0 || int(t.Seq) >= e.opt.Sequences:
			return &TokenError{i, t, fmt.Sprintf("sequences are 0 to %d", e.opt.Sequences-1)}
		case t.Pos < 0 || t.Pos == math.MaxInt32:
			return &TokenError{i, t, fmt.Sprintf("positions are 0 to %d", math.MaxInt32-1)}
		case t.Pos <= last[t.Seq]:
			return &TokenError{i, t, fmt.Sprintf("the sequence has reached position %d", last[t.Seq])}
		}
		last[t.Seq] = t.Pos
	}
	return e.Fits(len(tokens))
}

// Fits reports why the cache has no room for n more tokens, over all sequences: nil or a *kv.FullError.
// Layers with a sliding window do not count: their tokens make room as they leave it.
func (e *Engine) Fits(n int) error {
	for i := range e.cache.Groups() {
		g := e.cache.Group(i)
		if free := g.Cells - e.cache.Used(i); g.Window == 0 && n > free {
			return &kv.FullError{Group: i, Need: n, Free: free, Cells: g.Cells}
		}
	}
	return nil
}

// forget takes the tokens of runs that are done out of the cache again.
func (e *Engine) forget(tokens []Token) error {
	for _, t := range tokens {
		if e.cache.MaxPos(int(t.Seq)) < int(t.Pos) {
			continue // it has gone with one before it
		}
		if err := e.cache.Remove(int(t.Seq), int(t.Pos), -1); err != nil {
			return err
		}
	}
	return nil
}

// runEnd returns where the run that begins at token from ends.
func (e *Engine) runEnd(tokens []Token, from int) int {
	s := &e.batch
	s.seqs = s.seqs[:0]
	for _, t := range tokens[from:min(from+e.opt.Batch, len(tokens))] {
		s.seqs = append(s.seqs, t.Seq)
	}
	return from + e.cache.RunLength(s.seqs)
}

// runTokens takes tokens from..to through the model in one run.
func (e *Engine) runTokens(ctx context.Context, tokens []Token, from, to int) error {
	s := &e.batch
	s.ids, s.pos, s.seqs, s.rows = s.ids[:0], s.pos[:0], s.seqs[:0], s.rows[:0]
	for i, t := range tokens[from:to] {
		s.ids, s.pos, s.seqs = append(s.ids, t.ID), append(s.pos, t.Pos), append(s.seqs, t.Seq)
		if t.Output {
			s.rows = append(s.rows, int32(i))
		}
	}
	slots, err := e.cache.Find(kv.Batch{Pos: s.pos, Seq: s.seqs})
	if err != nil {
		return err
	}
	if err := e.cache.Apply(slots); err != nil {
		return err
	}
	if err := e.runSlots(ctx, slots); err != nil {
		if undo := e.cache.Undo(slots); undo != nil {
			return fmt.Errorf("%w; the cache keeps the run's cells: %w", err, undo)
		}
		return err
	}
	for _, r := range s.rows {
		s.rowsOf = append(s.rowsOf, from+int(r))
	}
	return nil
}

// runSlots runs the staged tokens, whose cells are taken.
func (e *Engine) runSlots(ctx context.Context, slots *kv.Slots) error {
	s := &e.batch
	shape := model.Batch{Tokens: len(s.ids), Outputs: len(s.rows), Hidden: !s.logits.wanted, Exact: e.opt.Exact, Sequences: slots.Sequences()}
	shape.AllHidden = s.allHidden && len(s.rows) < len(s.ids)
	for i := range e.cache.Groups() {
		shape.Cells[i] = e.cache.ReadCells(i)
	}
	r, err := e.run(shape)
	if err != nil {
		return err
	}
	g := r.graph
	if err := e.write(r.exec, g, slots); err != nil {
		return err
	}
	if err := r.exec.Run(ctx); err != nil {
		if errors.Is(err, ctx.Err()) {
			return cancelled(ctx)
		}
		return fmt.Errorf("engine: %w", err)
	}
	return s.read(r.exec, g)
}

// forget drops the results.
func (s *staging) forget() {
	s.rowsOf, s.logits.values, s.hidden.values = s.rowsOf[:0], s.logits.values[:0], s.hidden.values[:0]
}

// read adds a run's results.
func (s *staging) read(exec *sched.Exec, g *model.Graph) error {
	if s.logits.wanted && len(s.rows) > 0 {
		if err := exec.Read(g.Logits, cast.Bytes(s.logits.grow(len(s.rows)))); err != nil {
			return err
		}
	}
	n := len(s.rows)
	if s.allHidden {
		n = len(s.ids)
	}
	if s.hidden.wanted && n > 0 {
		return exec.Read(g.Hidden, cast.Bytes(s.hidden.grow(n)))
	}
	return nil
}

// write fills the graph's inputs.
func (e *Engine) write(exec *sched.Exec, g *model.Graph, slots *kv.Slots) error {
	s := &e.batch
	if err := writeInput(exec, g.TokenIDs, s.ids); err != nil {
		return err
	}
	if err := writeInput(exec, g.Pos, s.pos); err != nil {
		return err
	}
	if err := writeInput(exec, g.OutRows, s.rows); err != nil {
		return err
	}
	if err := writeInput(exec, g.StateReads, slots.StateReads()); err != nil {
		return err
	}
	if err := writeInput(exec, g.StateWrites, slots.StateWrites()); err != nil {
		return err
	}
	for i, mask := range g.Masks {
		if err := writeInput(exec, g.Slots[i], slots.Indices(i)); err != nil {
			return err
		}
		if mask == nil {
			continue
		}
		// Where the host can address the mask it is filled in place.
		if p := exec.HostBytes(mask); p != nil {
			if err := e.cache.FillMask(i, cast.Slice[float32](p), slots, g.Cells[i]); err != nil {
				return err
			}
			continue
		}
		n := mask.Shape.Elems()
		if len(s.mask) < n {
			s.mask = make([]float32, n)
		}
		if err := e.cache.FillMask(i, s.mask[:n], slots, g.Cells[i]); err != nil {
			return err
		}
		if err := writeInput(exec, mask, s.mask[:n]); err != nil {
			return err
		}
	}
	return nil
}

// writeInput writes v to an input, if the graph has one.
func writeInput[T cast.Number](exec *sched.Exec, input *tensor.Tensor, v []T) error {
	if input == nil {
		return nil
	}
	return exec.Write(input, cast.Bytes(v))
}
