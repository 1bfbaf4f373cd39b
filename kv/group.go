package kv

import (
	"math"
	"math/bits"
)

// Cells are booked in blocks of 64, one word of a bit set each.
const blockCells = 64

// group is the book of one group: which token lies in which cell.
type group struct {
	window  int32 // 0: all
	cells   int
	pad     int
	expires bool // tokens that left their window are given up

	pos    []int32    // of the token in each cell; of no meaning in a free cell
	refs   []uint16   // number of sequences that hold each cell
	member [][]uint64 // for each sequence, the set of its cells
	unused []uint64   // the set of free cells
	lo, hi []int32    // least and greatest position in each block; MaxInt32 and -1 if it is free

	used   int // cells that are not free
	top    int // highest cell that is not free, or -1
	bottom int // no block before this has a free cell

	shift   []int32 // by which K of each cell must still be rotated, in positions
	shifted int     // cells whose shift is not 0

	lost []span // for each sequence, the positions that have expired
	left []uint16
	dead []uint64 // set by survey: cells that are expired for all their sequences
}

func newGroup(p Group, maxSeqs, pad int, full bool) *group {
	blocks := (p.Cells + blockCells - 1) / blockCells
	g := &group{
		window: int32(p.Window), cells: p.Cells, pad: pad, expires: p.Window > 0 && !full,
		pos: make([]int32, p.Cells), refs: make([]uint16, p.Cells), shift: make([]int32, p.Cells),
		unused: make([]uint64, blocks), lo: make([]int32, blocks), hi: make([]int32, blocks),
		member: make([][]uint64, maxSeqs), lost: make([]span, maxSeqs),
	}
	sets := make([]uint64, maxSeqs*blocks)
	for s := range g.member {
		g.member[s] = sets[s*blocks : (s+1)*blocks : (s+1)*blocks]
	}
	if g.expires {
		g.left, g.dead = make([]uint16, p.Cells), make([]uint64, blocks)
	}
	return g
}

// reset empties the group.
func (g *group) reset() {
	clear(g.refs)
	clear(g.shift)
	for s := range g.member {
		clear(g.member[s])
		g.lost[s] = noSpan
	}
	for b := range g.unused {
		g.unused[b] = ^uint64(0)
		g.lo[b], g.hi[b] = math.MaxInt32, -1
	}
	if tail := g.cells % blockCells; tail != 0 {
		g.unused[len(g.unused)-1] = 1<<tail - 1
	}
	g.used, g.top, g.bottom, g.shifted = 0, -1, 0, 0
}

func (g *group) readCells() int { return min(g.cells, roundUp(max(g.top+1, 1), g.pad)) }

// take puts a token into free cell i. Its sequences are set by the caller, with hold.
func (g *group) take(i int, pos int32) {
	b := i / blockCells
	g.unused[b] &^= 1 << (i % blockCells)
	g.pos[i] = pos
	g.lo[b], g.hi[b] = min(g.lo[b], pos), max(g.hi[b], pos)
	g.used++
	g.top = max(g.top, i)
}

// hold makes sequence s one of those that hold cell i.
func (g *group) hold(s int32, i int) {
	g.member[s][i/blockCells] |= 1 << (i % blockCells)
	g.refs[i]++
}

// drop takes cells of block b, which all belong to sequence s, away from it, and frees those that
// nobody else holds.
func (g *group) drop(s int32, b int, cells uint64) {
	if cells == 0 {
		return
	}
	g.member[s][b] &^= cells
	freed := uint64(0)
	for w := cells; w != 0; w &= w - 1 {
		i := b*blockCells + bits.TrailingZeros64(w)
		if g.refs[i]--; g.refs[i] == 0 {
			freed |= w & -w
			g.setShift(i, 0)
			g.used--
		}
	}
	if freed == 0 {
		return
	}
	g.unused[b] |= freed
	g.bottom = min(g.bottom, b)
	g.bound(b)
	g.lowerTop()
}

// bound computes the least and greatest position of block b anew.
func (g *group) bound(b int) {
	lo, hi := int32(math.MaxInt32), int32(-1)
	for w := g.inUse(b); w != 0; w &= w - 1 {
		p := g.pos[b*blockCells+bits.TrailingZeros64(w)]
		lo, hi = min(lo, p), max(hi, p)
	}
	g.lo[b], g.hi[b] = lo, hi
}

// inUse returns the cells of block b that hold a token.
func (g *group) inUse(b int) uint64 {
	if n := g.cells - b*blockCells; n < blockCells {
		return ^g.unused[b] & (1<<n - 1)
	}
	return ^g.unused[b]
}

// lowerTop moves top down to the highest cell that is not free.
func (g *group) lowerTop() {
	if g.top < 0 {
		return
	}
	b := g.top / blockCells
	for b >= 0 && g.inUse(b) == 0 {
		b--
	}
	g.top = -1
	if b >= 0 {
		g.top = b*blockCells + bits.Len64(g.inUse(b)) - 1
	}
}

func (g *group) setShift(i int, shift int32) {
	if g.shift[i] != 0 {
		g.shifted--
	}
	if shift != 0 {
		g.shifted++
	}
	g.shift[i] = shift
}

// within returns the cells of sequence s in block b whose position is at least p0 and below p1.
func (g *group) within(s int32, b int, p0, p1 int32) uint64 {
	w := g.member[s][b]
	if w == 0 || g.lo[b] >= p1 || g.hi[b] < p0 {
		return 0
	}
	if g.lo[b] >= p0 && g.hi[b] < p1 {
		return w
	}
	return w & g.between(b, p0, p1)
}

// between returns the cells of block b, free or not, whose position is at least p0 and below p1.
// It has no branch for each cell: mask filling spends its time here.
func (g *group) between(b int, p0, p1 int32) uint64 {
	width := uint64(uint32(p1 - p0))
	cells := g.pos[b*blockCells : min((b+1)*blockCells, g.cells)]
	set := uint64(0)
	for _, p := range cells {
		// The difference borrows, and so has its highest bit set, if p-p0 lies in 0 to width-1.
		set = set>>1 | (uint64(uint32(p-p0))-width)&(1<<63)
	}
	return set >> (blockCells - len(cells))
}

// extent returns least and greatest position of sequence s that is at least p0 and below p1, or
// MaxInt32 and -1 if there is none.
func (g *group) extent(s, p0, p1 int32) (least, greatest int32) {
	least, greatest = math.MaxInt32, -1
	for b := range g.lo {
		if g.lo[b] >= least && g.hi[b] <= greatest {
			continue
		}
		w := g.within(s, b, p0, p1)
		if w != 0 && w == g.inUse(b) {
			least, greatest = min(least, g.lo[b]), max(greatest, g.hi[b])
			continue
		}
		for ; w != 0; w &= w - 1 {
			p := g.pos[b*blockCells+bits.TrailingZeros64(w)]
			least, greatest = min(least, p), max(greatest, p)
		}
	}
	return least, greatest
}

// removeSeq takes the tokens of positions p0 to p1-1 away from sequence s.
func (g *group) removeSeq(s, p0, p1 int32) {
	for b := range g.lo {
		g.drop(s, b, g.within(s, b, p0, p1))
	}
	g.lost[s] = g.lost[s].without(p0, p1)
}

// lowest appends to cells the lowest n cells that are free, or in extra if that is not nil. There
// must be as many.
func (g *group) lowest(cells []int64, n int, extra []uint64) []int64 {
	b := g.bottom
	if extra != nil {
		b = 0
	} else {
		for g.unused[b] == 0 {
			b++
		}
		g.bottom = b
	}
	for ; n > 0; b++ {
		w := g.unused[b]
		if extra != nil {
			w |= extra[b]
		}
		for ; w != 0 && n > 0; w &= w - 1 {
			cells = append(cells, int64(b*blockCells+bits.TrailingZeros64(w)))
			n--
		}
	}
	return cells
}
