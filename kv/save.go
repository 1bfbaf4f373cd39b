package kv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// A saved sequence begins with what must be alike in the cache that takes it, then says which cell of which group holds
// which position, and ends with the rows of these cells, tensor by tensor. Integers are little-endian. What carries it
// protects it against damage; here everything is checked that could do harm all the same.

// checkSaved returns why s cannot be saved, or why nothing can be loaded into it.
func (c *Cache) checkSaved(s int, empty bool) error {
	switch {
	case c.closed:
		return fmt.Errorf("kv: %w", ErrClosed)
	case s < 0 || s >= c.maxSeqs:
		return c.noSeq(s)
	case empty && c.last[s] >= 0:
		return &PosError{s, -1, int(c.last[s]), "is taken: a saved sequence is loaded only into an empty one"}
	}
	return nil
}

// SaveSeq writes what the cache holds of a sequence, for LoadSeq of this cache or another one over the same model and types,
// in this process or another. The sequence's positions are those from 0 on without a gap, and its keys are where
// they belong: see PendingShift. Expired tokens are not saved.
//
// Errors: *SeqError; *SavedError for a sequence that cannot be saved; ErrClosed; those of w and of the memory's owner.
func (c *Cache) SaveSeq(w io.Writer, seq int) error {
	if err := c.checkSaved(seq, false); err != nil {
		return err
	}
	rec := c.record(int32(seq))
	if err := rec.check(c); err != nil {
		return err
	}
	for i, g := range c.groups {
		for _, cell := range rec.cells[i] {
			if g.shift[cell] != 0 {
				return &SavedError{"a key", "still to be rotated", "rotated before it is saved"}
			}
		}
	}
	if _, err := w.Write(rec.append(c.appendKind(nil))); err != nil {
		return err
	}
	return c.eachRow(rec, func(b []byte, at func(p []byte) error) error {
		if err := at(b); err != nil {
			return err
		}
		_, err := w.Write(b)
		return err
	}, false)
}

// Loaded is a sequence whose rows LoadSeq has read. It counts once Commit was called.
type Loaded struct {
	c       *Cache
	seq     int32
	record  *record
	changes uint64
}

// LoadSeq reads what SaveSeq wrote, for a sequence that is empty. Rows go into cells that are free, so that nothing is
// changed that counts until Commit; Drop gives it up. Each token comes into the cell that it was
// saved from if all of these are free, so that sums are added up in the same order as before.
//
// Where there is no room in a window otherwise, what has expired of other sequences is given up, as by a run.
//
// Errors: *SeqError; *PosError if the sequence is not empty; *SavedError (ErrSaved) for what this cache cannot take;
// *FullError; ErrClosed; those of r, of which io.ErrUnexpectedEOF means that it is cut short.
func (c *Cache) LoadSeq(r io.Reader, seq int) (_ *Loaded, err error) {
	if err := c.checkSaved(seq, true); err != nil {
		return nil, err
	}
	if err := c.readKind(r); err != nil {
		return nil, err
	}
	b, err := c.readRecord(r)
	if err != nil {
		return nil, err
	}
	if err := b.check(c); err != nil {
		return nil, err
	}
	if err := b.place(c); err != nil {
		return nil, err
	}
	err = c.eachRow(b, func(b []byte, at func(p []byte) error) error {
		if _, err := io.ReadFull(r, b); err != nil {
			return cutShort(err)
		}
		return at(b)
	}, true)
	l := &Loaded{c, int32(seq), b, c.changes}
	if err != nil {
		return nil, errors.Join(err, l.Drop())
	}
	return l, nil
}

// Drop forgets a sequence that is not to be committed, and wipes its rows: a number that is none would reach others by
// way of a cell that is free, as masks only multiply by 0.
func (l *Loaded) Drop() error {
	if l.changes == 0 {
		return nil // it is committed, or dropped
	}
	l.changes = 0
	return l.c.eachRow(l.record, func(b []byte, at func(p []byte) error) error {
		clear(b)
		return at(b)
	}, true)
}

// Tokens returns how many tokens the sequence has.
func (l *Loaded) Tokens() int { return int(l.record.last) + 1 }

// Commit makes the sequence one of the cache's. Errors: ErrStale if the cache has changed since LoadSeq, ErrClosed.
func (l *Loaded) Commit() error {
	c, q := l.c, l.seq
	switch {
	case c.closed:
		return fmt.Errorf("kv: %w", ErrClosed)
	case l.changes != c.changes: // or it was committed or dropped before
		return fmt.Errorf("kv: %w", ErrStale)
	}
	for i, g := range c.groups {
		for k, cell := range l.record.cells[i] {
			if cell == passed {
				continue
			}
			g.take(int(cell), l.record.pos[i][k])
			g.hold(q, int(cell))
			for _, m := range c.mirrors {
				m.wrote(i, int(cell))
			}
		}
		g.lost[q] = l.record.lost(i)
	}
	for _, at := range l.record.states {
		c.states.hold(q, at)
	}
	c.last[q] = l.record.last
	c.changes++
	l.changes = 0
	return nil
}

// chunkBytes is how much of a tensor is moved at a time.
const chunkBytes = 1 << 18

// eachRow calls do for the memory of each row of b, in pieces of up to chunkBytes: with room for the piece, and a
// function that reads it from its place or, if write is set, writes it there.
func (c *Cache) eachRow(b *record, do func(piece []byte, at func(p []byte) error) error, write bool) error {
	room := make([]byte, chunkBytes)
	for _, t := range c.layout.tensors {
		cells := b.rowsOf(c, t)
		rowBytes, mem := int64(t.leaf.Stride[1]), c.buffers[t.buffer]
		for len(cells) > 0 {
			n := 1 // rows that lie side by side
			for n < len(cells) && cells[0] != passed && cells[n] == cells[n-1]+1 {
				n++
			}
			from := t.offset + int64(cells[0])*rowBytes
			for left := int64(n) * rowBytes; left > 0; {
				piece := room[:min(left, chunkBytes)]
				at := from
				err := do(piece, func(p []byte) (err error) {
					switch {
					case cells[0] == passed:
					case write:
						_, err = mem.WriteAt(p, at)
					default:
						_, err = mem.ReadAt(p, at)
					}
					return err
				})
				if err != nil {
					return fmt.Errorf("kv: %s: %w", t.leaf.Name, err)
				}
				from += int64(len(piece))
				left -= int64(len(piece))
			}
			cells = cells[n:]
		}
	}
	return nil
}

// rowsOf returns the rows of a tensor that b is about.
func (b *record) rowsOf(c *Cache, t placed) []int32 {
	if l, ok := c.layers[t.leaf.Layer]; ok && (t.leaf == l.K || t.leaf == l.V) {
		return b.cells[l.Group]
	}
	rows := make([]int32, len(b.states))
	for i, at := range b.states {
		rows[i] = at.row
	}
	return rows
}

// appendKind appends what must be alike: tensors with their types and row lengths, and the groups.
func (c *Cache) appendKind(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.layout.tensors)))
	for _, t := range c.layout.tensors {
		for _, n := range []int{t.leaf.Layer, int(t.leaf.Type), t.leaf.Shape[0]} {
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		}
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(c.groups)))
	for _, g := range c.groups {
		b = binary.LittleEndian.AppendUint32(b, uint32(g.window))
	}
	return b
}

// readKind reads what appendKind has written and compares it with c.
func (c *Cache) readKind(r io.Reader) error {
	in := words{r: r}
	if n := in.next(); n != int64(len(c.layout.tensors)) && in.err == nil {
		return &SavedError{"the number of tensors", fmt.Sprint(n), fmt.Sprint(len(c.layout.tensors))}
	}
	for _, t := range c.layout.tensors {
		layer, typ, n := in.next(), in.next(), in.next()
		switch {
		case in.err != nil:
			return in.err
		case layer != int64(t.leaf.Layer):
			return &SavedError{"the layer of " + t.leaf.Name, fmt.Sprint(layer), fmt.Sprint(t.leaf.Layer)}
		case typ != int64(t.leaf.Type):
			return &SavedError{"the type of " + t.leaf.Name, typeName(typ), t.leaf.Type.String()}
		case n != int64(t.leaf.Shape[0]):
			return &SavedError{"the row of " + t.leaf.Name, fmt.Sprint(n), fmt.Sprint(t.leaf.Shape[0])}
		}
	}
	if n := in.next(); n != int64(len(c.groups)) && in.err == nil {
		return &SavedError{"the number of windows", fmt.Sprint(n), fmt.Sprint(len(c.groups))}
	}
	for _, g := range c.groups {
		if n := in.next(); n != int64(g.window) && in.err == nil {
			return &SavedError{"a window", fmt.Sprint(n), fmt.Sprint(g.window)}
		}
	}
	return in.err
}

// record says where a sequence lies: for each group the cells, rising, and the position in each.
type record struct {
	last   int32
	cells  [][]int32
	pos    [][]int32
	states []stateAt // rows of recurrent layers by rising position; none without such layers
}

// record returns where s lies.
func (c *Cache) record(s int32) *record {
	b := &record{last: c.last[s], cells: make([][]int32, len(c.groups)), pos: make([][]int32, len(c.groups))}
	for i, g := range c.groups {
		for cell := range int32(g.cells) {
			if g.member[s][cell/blockCells]>>(cell%blockCells)&1 != 0 {
				b.cells[i], b.pos[i] = append(b.cells[i], cell), append(b.pos[i], g.pos[cell])
			}
		}
	}
	if c.states != nil {
		b.states = slices.Clone(c.states.held[s])
	}
	return b
}

func (b *record) append(out []byte) []byte {
	word := func(n int32) { out = binary.LittleEndian.AppendUint32(out, uint32(n)) }
	word(b.last)
	for i := range b.cells {
		word(int32(len(b.cells[i])))
		for k := range b.cells[i] {
			word(b.cells[i][k])
			word(b.pos[i][k])
		}
	}
	word(int32(len(b.states)))
	for _, at := range b.states {
		word(at.pos)
	}
	return out
}

// readRecord reads what append has written. It is not yet checked, but not larger than c.
func (c *Cache) readRecord(r io.Reader) (*record, error) {
	in := words{r: r}
	b := &record{last: int32(in.next()), cells: make([][]int32, len(c.groups)), pos: make([][]int32, len(c.groups))}
	for i, g := range c.groups {
		n := in.next()
		if in.err == nil && n > int64(g.cells) {
			return nil, &FullError{Group: i, Window: int(g.window), Need: int(n), Free: g.cells - g.used, Cells: g.cells}
		}
		for range n {
			if in.err != nil {
				return nil, in.err
			}
			b.cells[i], b.pos[i] = append(b.cells[i], int32(in.next())), append(b.pos[i], int32(in.next()))
		}
	}
	for n := in.next(); n > 0 && in.err == nil; n-- {
		if c.states == nil || n > maxSnapshots+1 {
			return nil, &SavedError{"the number of states", fmt.Sprint(n), "those of the cache's recurrent layers"}
		}
		b.states = append(b.states, stateAt{pos: int32(in.next())})
	}
	return b, in.err
}

// words reads integers of 32 bits and keeps the first error.
type words struct {
	r   io.Reader
	err error
	b   [4]byte
}

func (w *words) next() int64 {
	if w.err != nil {
		return 0
	}
	if _, err := io.ReadFull(w.r, w.b[:]); err != nil {
		w.err = cutShort(err)
		return 0
	}
	return int64(binary.LittleEndian.Uint32(w.b[:]))
}

func cutShort(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
