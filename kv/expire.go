package kv

import (
	"math/bits"
	"slices"
)

// span is a range of positions, both ends included; lo > hi is none.
type span struct{ lo, hi int32 }

var noSpan = span{0, -1}

func (a span) empty() bool { return a.lo > a.hi }

// union returns the smallest span that holds a and b.
func (a span) union(b span) span {
	switch {
	case a.empty():
		return b
	case b.empty():
		return a
	}
	return span{min(a.lo, b.lo), max(a.hi, b.hi)}
}

// clip returns what of a lies in p0 to p1-1.
func (a span) clip(p0, p1 int32) span {
	if a.empty() || a.hi < p0 || a.lo >= p1 {
		return noSpan
	}
	return span{max(a.lo, p0), min(a.hi, p1-1)}
}

// without returns a after p0 to p1-1 are removed. A hole in the middle is not kept.
func (a span) without(p0, p1 int32) span {
	cut := a.clip(p0, p1)
	switch {
	case cut.empty():
		return a
	case cut == a:
		return noSpan
	case cut.lo == a.lo:
		return span{cut.hi + 1, a.hi}
	case cut.hi == a.hi:
		return span{a.lo, cut.lo - 1}
	}
	return a
}

// moved returns a after the positions p0 to p1-1 have moved by delta. The ends of a span may be at
// positions that were removed, and so end up below 0.
func (a span) moved(p0, p1, delta int32) span {
	if a.empty() {
		return a
	}
	if a.lo >= p0 && a.lo < p1 {
		a.lo += delta
	}
	if a.hi >= p0 && a.hi < p1 {
		a.hi += delta
	}
	if a.hi < 0 {
		return noSpan
	}
	return span{max(a.lo, 0), a.hi}
}

// A token that comes next is at last+1 or above and sees the positions above last+1-window. The token
// at last+1-window is kept as well, so that the last token can always be removed and processed again.

// survey counts the cells that are expired for all their sequences, and leaves the set of them in
// g.dead. last holds the highest position of each sequence. It changes nothing else.
func (g *group) survey(last []int32) int {
	copy(g.left, g.refs)
	clear(g.dead)
	n := 0
	for s := range g.member {
		cut := last[s] - g.window
		if cut < 0 {
			continue
		}
		for b := range g.lo {
			for w := g.within(int32(s), b, 0, cut+1); w != 0; w &= w - 1 {
				i := b*blockCells + bits.TrailingZeros64(w)
				if g.left[i]--; g.left[i] == 0 {
					g.dead[b] |= w & -w
					n++
				}
			}
		}
	}
	return n
}

// expire takes from every sequence the tokens that have left its window, and notes their positions.
func (g *group) expire(last []int32) {
	for s := range g.member {
		cut := last[s] - g.window
		if cut < 0 {
			continue
		}
		for b := range g.lo {
			cells := g.within(int32(s), b, 0, cut+1)
			for w := cells; w != 0; w &= w - 1 {
				p := g.pos[b*blockCells+bits.TrailingZeros64(w)]
				g.lost[s] = g.lost[s].union(span{p, p})
			}
			g.drop(int32(s), b, cells)
		}
	}
}

// findApart puts in cells those of a batch, where each sequence has so many of its own: the one that a
// position says, or if that is taken, because positions were shifted, the lowest free one.
func (g *group) findApart(cells []int64, s *Slots, apart int) ([]int64, error) {
	cells = cells[:0]
	free := func(i int) bool {
		return g.unused[i/blockCells]>>(i%blockCells)&1 != 0 && !slices.Contains(cells, int64(i))
	}
	for t, pos := range s.pos {
		first := int(s.of(t)[0]) * apart
		i := first + int(pos)
		if int(pos) >= apart || !free(i) {
			for i = first; i < first+apart && !free(i); i++ {
			}
		}
		if i == first+apart {
			return nil, &FullError{Window: int(g.window), Need: len(s.pos), Free: t, Cells: apart}
		}
		cells = append(cells, int64(i))
	}
	return cells, nil
}

// find appends n cells for new tokens to cells, by the policy in the package's comment, and reports
// whether expire has to come before they are taken.
func (g *group) find(cells []int64, n int, last []int32) (_ []int64, expire bool, err error) {
	free := g.cells - g.used
	if free >= n {
		cells = g.lowest(cells[:0], n, nil)
		if !g.expires || int(cells[n-1]) < g.readCells() {
			return cells, false, nil
		}
	} else if !g.expires {
		return nil, false, &FullError{Window: int(g.window), Need: n, Free: free, Cells: g.cells}
	}
	dead := g.survey(last)
	switch {
	case free+dead < n:
		return nil, false, &FullError{Window: int(g.window), Need: n, Free: free + dead, Cells: g.cells}
	case free >= n && dead < max(g.pad/4, 1):
		return cells, false, nil
	}
	return g.lowest(cells[:0], n, g.dead), true, nil
}
