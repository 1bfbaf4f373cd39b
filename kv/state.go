package kv

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// StateConfig says what the cache keeps for one recurrent layer of a model, for each sequence.
type StateConfig struct {
	Layer  int         // the model's layer
	Conv   int         // elements of the window of its convolution; 0 if it has none
	Hidden int         // elements of its recurrent state; 0 if it has none
	Memory buffer.Type // where both lie
}

// State is what the cache keeps for one recurrent layer.
type State struct {
	// Conv and Hidden are leaves of role tensor.Cache and type F32, of shape [elements, rows], bound to
	// memory; nil for what the layer has not. A row is the state of some sequence after some token.
	// Row 0 is zeros, the state before the first token, and is never written.
	Conv, Hidden *tensor.Tensor
}

// stateRows returns how many rows a state has: that of zeros, and for each sequence its state after its
// last token, the snapshots, and one that is read while a run writes the others.
func (cfg *Config) stateRows() int { return 1 + cfg.MaxSeqs*(cfg.Snapshots+2) }

// checkStates returns the first thing wrong with the recurrent part of cfg, or nil.
func (cfg *Config) checkStates() error {
	if err := inRange(-1, "Snapshots", cfg.Snapshots, 0, maxSnapshots); err != nil {
		return err
	}
	seen := map[int]bool{}
	for _, l := range cfg.States {
		if err := inRange(l.Layer, "Layer", l.Layer, 0, math.MaxInt32); err != nil {
			return err
		}
		if seen[l.Layer] {
			return &ConfigError{l.Layer, "Layer", "listed twice", "each recurrent layer once"}
		}
		seen[l.Layer] = true
		if err := inRange(l.Layer, "Conv", l.Conv, 0, maxState); err != nil {
			return err
		}
		if err := inRange(l.Layer, "Hidden", l.Hidden, 0, maxState); err != nil {
			return err
		}
		if l.Conv == 0 && l.Hidden == 0 {
			return &ConfigError{l.Layer, "Conv", "0, and so is Hidden", "at least one above 0"}
		}
		if l.Memory == nil {
			return &ConfigError{l.Layer, "Memory", "nil", "a buffer type"}
		}
	}
	return nil
}

const (
	maxSnapshots = 1 << 16
	maxState     = 1 << 31
)

// placeStates adds the tensors of recurrent layers to the plan.
func (p *Layout) placeStates(cfg *Config, open map[buffer.Type]int) error {
	for _, l := range cfg.States {
		for _, t := range []struct {
			name string
			n    int
		}{{"state_conv", l.Conv}, {"state", l.Hidden}} {
			if t.n == 0 {
				continue
			}
			leaf, err := tensor.NewLeaf(tensor.Cache, fmt.Sprintf("blk.%d.%s", l.Layer, t.name), tensor.F32, tensor.MakeShape(t.n, cfg.stateRows()))
			if err != nil {
				return fmt.Errorf("kv: layer %d: %w: %w", l.Layer, ErrConfig, err)
			}
			leaf.Layer = l.Layer
			if err := p.place(leaf, l.Memory, open); err != nil {
				return err
			}
		}
	}
	return nil
}

// stateAt is a sequence's state after the token at a position.
type stateAt struct {
	pos int32
	row int32
}

// states is the book of who holds which row. Rows are never written while somebody holds them, so that
// sequences can share them and a run that failed has spoilt nothing.
type states struct {
	layers map[int]State
	keep   int         // rows that a sequence keeps: snapshots and the latest
	refs   []int32     // by row: how many sequences hold it
	held   [][]stateAt // by sequence, by rising position; the last is at the sequence's last token
	next   []int32     // scratch of find: refs as they will be
}

// addStates sets c.states for the leaves from next on in the plan.
func (c *Cache) addStates(cfg *Config, next int) error {
	if len(cfg.States) == 0 {
		return nil
	}
	rows := cfg.stateRows()
	c.states = &states{
		layers: map[int]State{}, keep: cfg.Snapshots + 1,
		refs: make([]int32, rows), held: make([][]stateAt, cfg.MaxSeqs), next: make([]int32, rows),
	}
	for i := range c.states.held {
		c.states.held[i] = make([]stateAt, 0, cfg.Snapshots+2)
	}
	take := func(n int) (*tensor.Tensor, error) {
		if n == 0 {
			return nil, nil
		}
		leaf := c.layout.tensors[next].leaf
		next++
		return leaf, buffer.Fill(leaf.Storage.Buffer, leaf.Storage.Offset, int64(leaf.Stride[1]), 0)
	}
	for _, l := range cfg.States {
		conv, err := take(l.Conv)
		if err != nil {
			return fmt.Errorf("kv: layer %d: %w", l.Layer, err)
		}
		hidden, err := take(l.Hidden)
		if err != nil {
			return fmt.Errorf("kv: layer %d: %w", l.Layer, err)
		}
		c.states.layers[l.Layer] = State{conv, hidden}
	}
	c.states.reset()
	return nil
}

// State returns what the cache keeps for recurrent layer i of the model, and whether it keeps anything.
func (c *Cache) State(i int) (State, bool) {
	if c.states == nil {
		return State{}, false
	}
	s, ok := c.states.layers[i]
	return s, ok
}

// Recurrent reports whether the cache keeps states of recurrent layers.
func (c *Cache) Recurrent() bool { return c.states != nil }

// StatesKept returns how many states a run of n tokens of each sequence leaves: those after its last
// tokens. It is the number of snapshots and one, but not more than n; 0 without recurrent layers.
func (c *Cache) StatesKept(n int) int {
	if c.states == nil {
		return 0
	}
	return min(n, c.states.keep)
}

// RunLength returns how many of the tokens, whose sequences are given, can be the first run: at most
// MaxBatch. Recurrent layers take the tokens of a sequence together, and several sequences only with
// equally many tokens each.
func (c *Cache) RunLength(seqs []int32) int {
	n := min(len(seqs), c.maxBatch)
	if c.states == nil || n == 0 {
		return n
	}
	same := func(i, j int) bool { return seqs[i] == seqs[j] }
	part := stretch(0, n, same)
	end := part
	for end+part <= n && stretch(end, n, same) == part && !slices.Contains(seqs[:end], seqs[end]) {
		end += part
	}
	return end
}

// stretch returns how many tokens from i on, up to n, are of one sequence.
func stretch(i, n int, same func(i, j int) bool) int {
	j := i + 1
	for j < n && same(i, j) {
		j++
	}
	return j - i
}

// stateSlots is the recurrent part of Slots.
type stateSlots struct {
	seqs   int     // how many take part, each with as many tokens
	reads  []int32 // row of each before the run
	writes []int32 // rows of each after its last token, then after the token before that, and so on
}

// Sequences returns how many sequences the batch has, all with as many tokens, one sequence after the
// other, in a cache with recurrent layers; 0 in others.
func (s *Slots) Sequences() int { return s.state.seqs }

// StateReads returns for each sequence of the batch the row of its state, as tensor.GetRows takes them.
// It must not be changed.
func (s *Slots) StateReads() []int32 { return s.state.reads }

// StateWrites returns the rows for the states after the run, as tensor.SetRows takes them: of each
// sequence that after its last token, then of each that after the token before, StatesKept times. It
// must not be changed.
func (s *Slots) StateWrites() []int32 { return s.state.writes }

// find plans the rows of the batch in s and changes nothing.
func (b *states) find(s *Slots) error {
	st := &s.state
	n := s.Tokens()
	part := stretch(0, n, s.sameSeqs)
	st.seqs, st.reads, st.writes = n/part, st.reads[:0], st.writes[:0]
	for i := 0; i < n; i += part {
		if got := stretch(i, n, s.sameSeqs); got != part {
			return fmt.Errorf("kv: %w: recurrent layers take as many tokens of each sequence: %d of sequence %d, %d of sequence %d",
				ErrBatch, part, s.of(0)[0], got, s.of(i)[0])
		}
		for j := 0; j < i; j += part {
			for _, q := range s.of(i) {
				if slices.Contains(s.of(j), q) {
					return fmt.Errorf("kv: %w: recurrent layers take the tokens of a sequence together: those of sequence %d are apart", ErrBatch, q)
				}
			}
		}
	}
	copy(b.next, b.refs)
	for i := 0; i < n; i += part {
		for _, q := range s.of(i) {
			for _, old := range b.held[q][:b.surplus(q, part)] {
				b.next[old.row]--
			}
		}
		st.reads = append(st.reads, b.latest(s.of(i)[0]))
	}
	row := 0
	for range st.seqs * min(part, b.keep) {
		for b.next[row] != 0 {
			row++ // there is one: see stateRows
		}
		b.next[row]++
		st.writes = append(st.writes, int32(row))
	}
	return nil
}

// sameSeqs reports whether tokens i and j have the same sequences.
func (s *Slots) sameSeqs(i, j int) bool { return slices.Equal(s.of(i), s.of(j)) }

// latest returns the row of q's state, that of zeros if q is empty.
func (b *states) latest(q int32) int32 {
	if h := b.held[q]; len(h) > 0 {
		return h[len(h)-1].row
	}
	return 0
}

// surplus returns how many of q's oldest states a run of n tokens lets go. The latest stays in any case:
// it is read by the run, and is what Undo goes back to.
func (b *states) surplus(q int32, n int) int {
	return max(0, len(b.held[q])-max(b.keep-n, 1))
}

// apply takes the rows that find has planned.
func (b *states) apply(s *Slots) {
	st := &s.state
	part := s.Tokens() / st.seqs
	kept := min(part, b.keep)
	for i := range st.seqs {
		for _, q := range s.of(i * part) {
			b.drop(q, 0, b.surplus(q, part))
		}
	}
	for i := range st.seqs {
		for _, q := range s.of(i * part) {
			for back := kept - 1; back >= 0; back-- {
				b.hold(q, stateAt{s.pos[(i+1)*part-1-back], st.writes[back*st.seqs+i]})
			}
		}
	}
}

// undo gives back what apply took.
func (b *states) undo(s *Slots) {
	part := s.Tokens() / s.state.seqs
	for i := range s.state.seqs {
		for _, q := range s.of(i * part) {
			n := len(b.held[q])
			b.drop(q, n-min(part, b.keep), n)
		}
	}
}

func (b *states) hold(q int32, at stateAt) {
	b.held[q] = append(b.held[q], at)
	b.refs[at.row]++
}

// drop lets entries from to to-1 of q go.
func (b *states) drop(q int32, from, to int) {
	for _, at := range b.held[q][from:to] {
		b.refs[at.row]--
	}
	b.held[q] = slices.Delete(b.held[q], from, to)
}

// at returns the entry of q at pos, or -1.
func (b *states) at(q, pos int32) int {
	return slices.IndexFunc(b.held[q], func(at stateAt) bool { return at.pos == pos })
}

func (b *states) reset() {
	clear(b.refs)
	b.refs[0] = 1 // the zeros belong to nobody and are never free
	for q := range b.held {
		b.held[q] = b.held[q][:0]
	}
}

// checkRemove reports why positions p0 to p1-1 of s, which then ends at last, cannot be removed: a state
// cannot forget what came before its end.
func (b *states) checkRemove(c *Cache, s, p0, p1, last int32) error {
	switch {
	case last == c.last[s]:
		if hi := c.lastWithin(s, p0, p1); hi >= 0 {
			return &RollbackError{Seq: int(s), End: int(last), Lost: int(hi), States: b.positions(s)}
		}
	case last >= 0 && b.at(s, last) < 0:
		return &RollbackError{Seq: int(s), End: int(last), Lost: int(c.last[s]), States: b.positions(s)}
	}
	return nil
}

// positions returns where s has states.
func (b *states) positions(s int32) []int {
	ps := make([]int, 0, len(b.held[s])) // not nil: it tells a state's error from a window's
	for _, at := range b.held[s] {
		ps = append(ps, int(at.pos))
	}
	return ps
}

// remove leaves s at last, for which checkRemove has found a state.
func (b *states) remove(s, last int32) {
	b.drop(s, b.at(s, last)+1, len(b.held[s])) // all if last is -1
}

// checkCopy reports why dst cannot have what src has at positions p0 to p1-1, the last of which is its
// token too: a state is copied as a whole, to a sequence that has none.
func (b *states) checkCopy(c *Cache, src, dst, p0, p1 int32) error {
	if c.last[dst] >= 0 {
		return &PosError{int(dst), -1, int(c.last[dst]), "is taken: recurrent layers copy a sequence only into an empty one"}
	}
	if hi := c.lastWithin(src, 0, p0); hi >= 0 {
		return &PosError{int(src), -1, int(hi), "would be left out: recurrent layers copy a sequence from its start"}
	}
	if b.at(src, p1-1) < 0 {
		return &RollbackError{Seq: int(dst), End: int(p1 - 1), Lost: int(c.last[src]), States: b.positions(src)}
	}
	return nil
}

// copySeq gives dst the states of src before position p1.
func (b *states) copySeq(src, dst, p1 int32) {
	for _, at := range b.held[src] {
		if at.pos < p1 {
			b.hold(dst, at)
		}
	}
}

// move adds delta to the positions p0 to p1-1 of s.
func (b *states) move(s, p0, p1, delta int32) {
	for i, at := range b.held[s] {
		if at.pos >= p0 && at.pos < p1 {
			b.held[s][i].pos += delta
		}
	}
}

// statesText lists positions for a message.
func statesText(ps []int) string {
	switch n := len(ps); {
	case n == 0:
		return "no position"
	case n > 4:
		return fmt.Sprintf("%d positions from %d to %d", n, ps[0], ps[n-1])
	}
	text := "position " + strconv.Itoa(ps[0])
	for _, p := range ps[1:] {
		text += ", " + strconv.Itoa(p)
	}
	return text
}
