package kv

import (
	"fmt"
	"math"
)

// maxPos is the highest position of a token, so that there is room above it.
const maxPos = math.MaxInt32 - 1

// Batch is what a run processes: for each token its position and its sequence.
type Batch struct {
	Pos []int32
	Seq []int32 // one for each token; nil if Seqs is given

	// Seqs gives each token one or several sequences, in place of Seq. Several must be at the same
	// position; what the token sees is taken from the first.
	Seqs [][]int32

	// NonCausal lets a token see the later ones of its sequence too, as encoders do: all of them, or
	// those less than a window away on either side.
	NonCausal bool
}

// Slots are the cells found for a batch. They belong to the Cache and are valid until its next Find.
type Slots struct {
	cache     *Cache
	changes   uint64 // of the cache when they were found or applied
	applied   bool
	nonCausal bool

	pos   []int32
	seqs  []int32 // of all tokens, one after the other
	ends  []int   // where each token's end in seqs
	prev  []int32 // highest position of each of seqs before its token
	cells [][]int64
	sweep []bool // for each group, whether tokens expire first
	state stateSlots
}

// Tokens returns the number of tokens of the batch.
func (s *Slots) Tokens() int { return len(s.pos) }

// Indices returns the cell of each token in group i, as tensor.SetRows takes them. It must not be
// changed.
func (s *Slots) Indices(i int) []int64 { return s.cells[i] }

// of returns the sequences of token t.
func (s *Slots) of(t int) []int32 {
	if t == 0 {
		return s.seqs[:s.ends[0]]
	}
	return s.seqs[s.ends[t-1]:s.ends[t]]
}

// Find finds cells for all tokens of b in every group and changes nothing. The Slots are those of an
// earlier call, used anew.
//
// Each position must be above the highest of its sequence, earlier tokens of b included. Errors:
// ErrBatch, *SeqError, *PosError, *FullError, ErrClosed.
func (c *Cache) Find(b Batch) (*Slots, error) {
	if c.closed {
		return nil, fmt.Errorf("kv: %w", ErrClosed)
	}
	s := &c.slots
	s.applied = true // until all is found, so that what is left of an earlier batch cannot be applied
	s.changes = c.changes - 1
	if err := s.read(b, c.maxBatch); err != nil {
		return nil, err
	}
	// The order is checked by advancing the sequences for real; they are put back before return.
	done, err := s.advance()
	s.retreat(done)
	if err != nil {
		return nil, err
	}
	for i, g := range c.groups {
		cells, sweep, err := s.cells[i], false, error(nil)
		if c.apart > 0 {
			cells, err = g.findApart(cells, s, c.apart)
		} else {
			cells, sweep, err = g.find(cells, len(s.pos), c.last)
		}
		if err != nil {
			if full, ok := err.(*FullError); ok {
				full.Group = i
			}
			return nil, err
		}
		s.cells[i], s.sweep[i] = cells, sweep
	}
	if c.states != nil {
		if err := c.states.find(s); err != nil {
			return nil, err
		}
	}
	s.applied, s.changes = false, c.changes
	return s, nil
}

// read copies b.
func (s *Slots) read(b Batch, most int) error {
	n := len(b.Pos)
	switch {
	case n == 0 || n > most:
		return fmt.Errorf("kv: %w: %d tokens, want 1 to %d", ErrBatch, n, most)
	case (b.Seq == nil) == (b.Seqs == nil):
		return fmt.Errorf("kv: %w: either Seq or Seqs must be given", ErrBatch)
	case len(b.Seq)+len(b.Seqs) != n:
		return fmt.Errorf("kv: %w: sequences of %d tokens, positions of %d", ErrBatch, len(b.Seq)+len(b.Seqs), n)
	}
	s.nonCausal = b.NonCausal
	s.pos = append(s.pos[:0], b.Pos...)
	s.seqs = append(s.seqs[:0], b.Seq...)
	s.ends = s.ends[:0]
	for t := range n {
		if b.Seqs != nil {
			s.seqs = append(s.seqs, b.Seqs[t]...)
			s.ends = append(s.ends, len(s.seqs))
		} else {
			s.ends = append(s.ends, t+1)
		}
		if len(s.of(t)) == 0 {
			return fmt.Errorf("kv: %w: token %d has no sequence", ErrBatch, t)
		}
	}
	return nil
}

// advance moves the highest position of each sequence to its last token, and returns how many of
// s.seqs have moved. It stops at the first that is wrong.
func (s *Slots) advance() (done int, err error) {
	last := s.cache.last
	s.prev = s.prev[:0]
	for t, pos := range s.pos {
		seqs := s.of(t)
		for _, q := range seqs {
			if q < 0 || int(q) >= len(last) {
				return done, &SeqError{int(q), t, fmt.Sprintf("does not exist, want 0 to %d", len(last)-1)}
			}
		}
		at := last[seqs[0]]
		if pos <= at || pos > maxPos {
			return done, &PosError{int(seqs[0]), t, int(pos), fmt.Sprintf("is out of order, want %d to %d", int64(at)+1, maxPos)}
		}
		for _, q := range seqs {
			if last[q] == pos {
				return done, &SeqError{int(q), t, "is listed twice"}
			}
			if last[q] != at {
				return done, &SeqError{int(q), t, fmt.Sprintf("is at position %d, sequence %d at %d: they cannot share a token", last[q], seqs[0], at)}
			}
			s.prev = append(s.prev, at)
			last[q] = pos
			done++
		}
	}
	return done, nil
}

// retreat undoes advance for the first n of s.seqs.
func (s *Slots) retreat(n int) {
	for i := n - 1; i >= 0; i-- {
		s.cache.last[s.seqs[i]] = s.prev[i]
	}
}

// Apply takes the cells for the tokens. From now on they count, so a run must write them. Errors:
// ErrStale if the cache has changed since Find, ErrClosed.
func (c *Cache) Apply(s *Slots) error {
	if err := c.current(s, false); err != nil {
		return err
	}
	for i, g := range c.groups {
		if s.sweep[i] {
			g.expire(c.last)
		}
		for t, cell := range s.cells[i] {
			g.take(int(cell), s.pos[t])
			for _, m := range c.mirrors {
				m.wrote(i, int(cell))
			}
			for _, q := range s.of(t) {
				g.hold(q, int(cell))
			}
		}
	}
	if c.states != nil {
		c.states.apply(s)
	}
	if _, err := s.advance(); err != nil {
		panic("kv: slots that Find has checked: " + err.Error())
	}
	c.changes++
	s.applied, s.changes = true, c.changes
	return nil
}

// Undo gives back the cells that Apply took, after a run that failed or was cancelled. Tokens that had
// expired and snapshots that were given up to make room stay lost. Errors: ErrStale if the cache has changed since Apply, ErrClosed.
func (c *Cache) Undo(s *Slots) error {
	if err := c.current(s, true); err != nil {
		return err
	}
	for i, g := range c.groups {
		for t, cell := range s.cells[i] {
			for _, q := range s.of(t) {
				g.drop(q, int(cell)/blockCells, 1<<(cell%blockCells))
			}
		}
	}
	if c.states != nil {
		c.states.undo(s)
	}
	s.retreat(len(s.seqs))
	c.changes++
	return nil
}

// current reports why s cannot be used as applied or not applied slots of c.
func (c *Cache) current(s *Slots, applied bool) error {
	switch {
	case c.closed:
		return fmt.Errorf("kv: %w", ErrClosed)
	case s == nil || s.cache != c || s.changes != c.changes || s.applied != applied:
		return fmt.Errorf("kv: %w", ErrStale)
	}
	return nil
}
