package kv

import (
	"fmt"
	"math/bits"
)

// Add moves the positions p0 to p1-1 of a sequence, or of all if seq is -1, by delta, as when tokens
// before them were removed. A negative p1 is the end. K of the moved cells was rotated for the old
// position: PendingShift says what is left to do.
//
// Order must hold: what moves may not reach or pass what stays. Errors: *SeqError if seq does not
// exist or a cell also belongs to another sequence, which would stay; *PosError if the order breaks
// or a position would be negative; *RollbackError. Nothing is changed then.
func (c *Cache) Add(seq, p0, p1, delta int) error {
	first, end, err := c.seqRange(seq)
	if err != nil {
		return err
	}
	a, b := posRange(p0, p1)
	if delta == 0 || a >= b {
		return nil
	}
	if delta < -maxPos || delta > maxPos {
		return &PosError{seq, -1, p0, fmt.Sprintf("cannot move by %d", delta)}
	}
	d := int32(delta)
	for s := first; s < end; s++ {
		if err := c.checkAdd(s, a, b, d, seq < 0); err != nil {
			return err
		}
	}
	for s := first; s < end; s++ {
		if c.last[s] >= a && c.last[s] < b {
			c.last[s] += d
		}
		for _, g := range c.groups {
			g.lost[s] = g.lost[s].moved(a, b, d)
		}
		if c.states != nil {
			c.states.move(s, a, b, d)
		}
	}
	for _, g := range c.groups {
		g.add(seq, a, b, d)
	}
	c.changes++
	return nil
}

// checkAdd reports why p0 to p1-1 of sequence s cannot move by delta.
func (c *Cache) checkAdd(s, p0, p1, delta int32, all bool) error {
	last := int64(c.last[s])
	if last >= int64(p0) && last < int64(p1) {
		last += int64(delta)
	}
	for _, g := range c.groups {
		if !all {
			if err := g.checkShared(s, p0, p1); err != nil {
				return err
			}
		}
		if err := g.checkMove(s, p0, p1, delta); err != nil {
			return err
		}
		if !g.expires {
			break // this group has lost nothing, so that the others can hold no more
		}
	}
	for _, g := range c.groups {
		if err := g.checkEnd(s, g.lost[s].moved(p0, p1, delta), last); err != nil {
			return err
		}
	}
	return nil
}

// checkMove reports whether p0 to p1-1 of s would leave the range of positions, or their order, if they
// moved by delta. Of the tokens that the group has lost it knows the first and the last.
func (g *group) checkMove(s, p0, p1, delta int32) error {
	lo, hi := g.extent(s, p0, p1)
	_, below := g.extent(s, 0, p0)
	above, _ := g.extent(s, p1, maxPos+1)
	if lost := g.lost[s]; !lost.empty() {
		for _, p := range [2]int32{lost.lo, lost.hi} {
			switch {
			case p < p0:
				below = max(below, p)
			case p >= p1:
				above = min(above, p)
			default:
				lo, hi = min(lo, p), max(hi, p)
			}
		}
	}
	if hi < 0 {
		return nil
	}
	to0, to1 := int64(lo)+int64(delta), int64(hi)+int64(delta)
	if to0 < 0 || to1 > maxPos {
		return &PosError{int(s), -1, int(lo), fmt.Sprintf("to %d cannot move by %d: it would leave 0 to %d", hi, delta, maxPos)}
	}
	if to0 <= int64(below) || to1 >= int64(above) {
		return &PosError{int(s), -1, int(lo), fmt.Sprintf("to %d cannot move by %d: other tokens of the sequence are there", hi, delta)}
	}
	return nil
}

// checkShared reports whether a cell of s from p0 to p1-1 also belongs to another sequence.
func (g *group) checkShared(s, p0, p1 int32) error {
	for b := range g.lo {
		for w := g.within(s, b, p0, p1); w != 0; w &= w - 1 {
			if i := b*blockCells + bits.TrailingZeros64(w); g.refs[i] > 1 {
				return &SeqError{int(s), -1, fmt.Sprintf("shares position %d with another sequence: it cannot move alone", g.pos[i])}
			}
		}
	}
	return nil
}

// add moves the positions p0 to p1-1 of sequence seq, or of all if it is -1.
func (g *group) add(seq int, p0, p1, delta int32) {
	for b := range g.lo {
		var cells uint64
		if seq >= 0 {
			cells = g.within(int32(seq), b, p0, p1)
		} else {
			cells = g.inUse(b) & g.between(b, p0, p1)
		}
		if cells == 0 {
			continue
		}
		for w := cells; w != 0; w &= w - 1 {
			i := b*blockCells + bits.TrailingZeros64(w)
			g.pos[i] += delta
			g.setShift(i, g.shift[i]+delta)
		}
		g.bound(b)
	}
}

// PendingShift returns for each cell of group i by how many positions its K must still be rotated, and
// whether any must. The slice is the cache's own and valid until its next change. The next run must
// not read K before that is done and ClearShift(i) is called.
func (c *Cache) PendingShift(i int) ([]int32, bool) {
	g := c.groups[i]
	return g.shift, g.shifted > 0
}

// ClearShift says that K of group i has been rotated.
func (c *Cache) ClearShift(i int) {
	g := c.groups[i]
	for cell, d := range g.shift {
		if d == 0 {
			continue
		}
		for _, m := range c.mirrors {
			m.wrote(i, cell)
		}
	}
	clear(g.shift)
	g.shifted = 0
}
