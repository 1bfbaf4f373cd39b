package kv

import (
	"fmt"
	"math/bits"
)

// Remove takes the positions p0 to p1-1 away from a sequence, or from all if seq is -1. A negative p0
// is the start, a negative p1 the end. Cells that no sequence holds any more are free. Errors:
// *SeqError, *RollbackError; nothing is changed then.
func (c *Cache) Remove(seq, p0, p1 int) error {
	first, end, err := c.seqRange(seq)
	if err != nil {
		return err
	}
	a, b := posRange(p0, p1)
	if a >= b {
		return nil
	}
	for s := first; s < end; s++ {
		if _, err := c.checkRemove(s, a, b); err != nil {
			return err
		}
	}
	for s := first; s < end; s++ {
		c.remove(s, a, b)
	}
	c.changes++
	return nil
}

// remove does what checkRemove has allowed.
func (c *Cache) remove(s, p0, p1 int32) {
	last := c.lastWithout(s, p0, p1)
	if c.states != nil {
		c.states.remove(s, last)
	}
	for _, g := range c.groups {
		g.removeSeq(s, p0, p1)
		if last < 0 {
			g.lost[s] = noSpan
		}
	}
	c.last[s] = last
}

// CanRollback reports whether Remove(seq, pos, -1) would be allowed, so that the sequence can go on
// from pos. Only recurrent layers and windowed groups ever say no. A windowed group remembers the range
// of what it has lost, and so may also say no where two sequences were joined by CopySeq and have lost
// different parts.
func (c *Cache) CanRollback(seq, pos int) bool {
	if seq < 0 || seq >= c.maxSeqs {
		return false
	}
	a, b := posRange(pos, -1)
	_, err := c.checkRemove(int32(seq), a, b)
	return err == nil
}

// checkRemove returns the highest position of s after p0 to p1-1 are removed, or why they cannot be.
func (c *Cache) checkRemove(s, p0, p1 int32) (int32, error) {
	last := c.lastWithout(s, p0, p1)
	if c.states != nil {
		if err := c.states.checkRemove(c, s, p0, p1, last); err != nil {
			return 0, err
		}
	}
	if last < 0 || last == c.last[s] {
		return last, nil
	}
	for _, g := range c.groups {
		if err := g.checkEnd(s, g.lost[s].without(p0, p1), int64(last)); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// lastWithout returns the highest position of s outside p0 to p1-1, or -1.
func (c *Cache) lastWithout(s, p0, p1 int32) int32 {
	if c.last[s] < p0 || c.last[s] >= p1 {
		return c.last[s]
	}
	last := int32(-1)
	for _, g := range c.groups {
		_, hi := g.extent(s, 0, p0)
		last = max(last, hi)
		if !g.expires {
			return hi // this group has lost nothing
		}
		last = max(last, g.lost[s].without(p0, p1).hi)
	}
	return last
}

// checkEnd reports whether a sequence that ends at last, and of which lost is gone, lacks a token that
// its next one would see.
func (g *group) checkEnd(s int32, lost span, last int64) error {
	if hi := min(int64(lost.hi), last); !lost.empty() && int64(lost.lo) <= last && hi > last+1-int64(g.window) {
		return &RollbackError{Seq: int(s), End: int(last), Window: int(g.window), Lost: int(hi)}
	}
	return nil
}

// CopySeq makes the tokens of src at positions p0 to p1-1 tokens of dst too. They stay in the same
// cells: nothing is copied. A negative p0 is the start, a negative p1 the end. Errors: *SeqError;
// *PosError if dst holds other tokens among them; *RollbackError. Nothing is changed then.
func (c *Cache) CopySeq(src, dst, p0, p1 int) error {
	for _, s := range []int{src, dst} {
		if s < 0 || s >= c.maxSeqs {
			return c.noSeq(s)
		}
	}
	a, b := posRange(p0, p1)
	if src == dst || a >= b {
		return nil
	}
	from, to := int32(src), int32(dst)
	copied := c.lastWithin(from, a, b)
	if copied < 0 {
		return nil
	}
	b = copied + 1
	last := max(c.last[to], copied)
	if c.states != nil {
		if err := c.states.checkCopy(c, from, to, a, b); err != nil {
			return err
		}
	}
	for i, g := range c.groups {
		if i == 0 || c.groups[0].expires { // a first group that has lost nothing knows it all
			if err := g.checkCopy(from, to, a, b); err != nil {
				return err
			}
		}
		if err := g.checkEnd(to, g.lostByCopy(from, to, a, b), int64(last)); err != nil {
			return err
		}
	}
	for _, g := range c.groups {
		g.copySeq(from, to, a, b)
	}
	if c.states != nil {
		c.states.copySeq(from, to, b)
	}
	c.last[to] = last
	c.changes++
	return nil
}

// lastWithin returns the highest position of s from p0 to p1-1, or -1.
func (c *Cache) lastWithin(s, p0, p1 int32) int32 {
	if c.last[s] < p1 {
		if c.last[s] < p0 {
			return -1
		}
		return c.last[s]
	}
	last := int32(-1)
	for _, g := range c.groups {
		_, hi := g.extent(s, p0, p1)
		last = max(last, hi)
		if !g.expires {
			return hi
		}
		last = max(last, g.lost[s].clip(p0, p1).hi)
	}
	return last
}

// checkCopy reports whether dst holds tokens that are not src's among those of src from p0 to p1-1.
func (g *group) checkCopy(src, dst, p0, p1 int32) error {
	lo, hi := g.extent(src, p0, p1)
	if hi < 0 {
		return nil
	}
	for b := range g.lo {
		if w := g.within(dst, b, lo, hi+1) &^ g.member[src][b]; w != 0 {
			pos := g.pos[b*blockCells+bits.TrailingZeros64(w)]
			return &PosError{int(dst), -1, int(pos), fmt.Sprintf("is taken: positions %d to %d of sequence %d cannot be copied", lo, hi, src)}
		}
	}
	return nil
}

// lostByCopy returns what dst lacks once it has what src has from p0 to p1-1: what src lacks as well,
// and what dst lacked and src does not bring back.
func (g *group) lostByCopy(src, dst, p0, p1 int32) span {
	lost := g.lost[src].clip(p0, p1)
	lo, hi := g.extent(src, max(p0, lost.hi+1), p1)
	if hi < 0 {
		return g.lost[dst].union(lost)
	}
	return g.lost[dst].without(lo, hi+1).union(lost)
}

func (g *group) copySeq(src, dst, p0, p1 int32) {
	g.lost[dst] = g.lostByCopy(src, dst, p0, p1)
	for b := range g.lo {
		for w := g.within(src, b, p0, p1) &^ g.member[dst][b]; w != 0; w &= w - 1 {
			g.hold(dst, b*blockCells+bits.TrailingZeros64(w))
		}
	}
}

// Keep removes every sequence but one. Errors: *SeqError.
func (c *Cache) Keep(seq int) error {
	if seq < 0 || seq >= c.maxSeqs {
		return c.noSeq(seq)
	}
	for s := range int32(c.maxSeqs) {
		if int(s) != seq {
			c.remove(s, 0, maxPos+1)
		}
	}
	c.changes++
	return nil
}

// Clear removes every sequence.
func (c *Cache) Clear() {
	c.reset()
	c.changes++
}

func (c *Cache) reset() {
	for _, g := range c.groups {
		g.reset()
	}
	if c.states != nil {
		c.states.reset()
	}
	for s := range c.last {
		c.last[s] = -1
	}
}

// MaxPos returns the highest position of a sequence, or -1 if it is empty or does not exist.
func (c *Cache) MaxPos(seq int) int {
	if seq < 0 || seq >= c.maxSeqs {
		return -1
	}
	return int(c.last[seq])
}

// MinPos returns the lowest position of a sequence that every group still holds, or -1 if there is none
// or it does not exist. Without windows that is the sequence's first.
func (c *Cache) MinPos(seq int) int {
	if seq < 0 || seq >= c.maxSeqs || c.last[seq] < 0 {
		return -1
	}
	least := int32(0)
	for _, g := range c.groups {
		lo, _ := g.extent(int32(seq), 0, maxPos+1)
		least = max(least, lo)
	}
	if least > c.last[seq] {
		return -1
	}
	return int(least)
}

func (c *Cache) noSeq(seq int) error {
	return &SeqError{seq, -1, fmt.Sprintf("does not exist, want 0 to %d", c.maxSeqs-1)}
}

// seqRange returns the sequences that seq means: one, or all for -1.
func (c *Cache) seqRange(seq int) (first, end int32, err error) {
	switch {
	case seq == -1:
		return 0, int32(c.maxSeqs), nil
	case seq < 0 || seq >= c.maxSeqs:
		return 0, 0, &SeqError{seq, -1, fmt.Sprintf("does not exist, want 0 to %d, or -1 for all", c.maxSeqs-1)}
	}
	return int32(seq), int32(seq) + 1, nil
}

// posRange returns p0 and p1 within 0 and maxPos+1; negative ones are the start and the end.
func posRange(p0, p1 int) (a, b int32) {
	if p1 < 0 || p1 > maxPos {
		p1 = maxPos + 1
	}
	return int32(min(max(p0, 0), maxPos+1)), int32(p1)
}
