package kv

import "math"

// A mask row is written eight cells at a time: a byte of the set of visible cells picks the eight
// values. A token sees a cell where the mask is 0, and does not where it is -Inf.
type maskRows[T float32 | uint16] [256][8]T

var (
	maskF32 = newMaskRows(float32(math.Inf(-1)))
	maskF16 = newMaskRows(uint16(0xfc00)) // the bits of -Inf
)

func newMaskRows[T float32 | uint16](hidden T) *maskRows[T] {
	var m maskRows[T]
	for set := range m {
		for i := range m[set] {
			if set>>i&1 == 0 {
				m[set][i] = hidden
			}
		}
	}
	return &m
}

// FillMask writes the mask of group i for the batch in s, which must be applied.
//
//	dst F32 [n, tokens]: 0 where the token sees the cell, -Inf elsewhere
//
// A token sees the cells of its (first) sequence at its own position and below, and in a windowed
// group only those less than a window below. n is at least ReadCells(i) and at most the group's cells.
// Errors: *MaskError, ErrStale if the cache has changed since Apply, ErrClosed.
func (c *Cache) FillMask(i int, dst []float32, s *Slots, n int) error {
	return fillMask(c, i, dst, s, n, maskF32)
}

// FillMaskF16 is FillMask for the bits of F16 values.
func (c *Cache) FillMaskF16(i int, dst []uint16, s *Slots, n int) error {
	return fillMask(c, i, dst, s, n, maskF16)
}

func fillMask[T float32 | uint16](c *Cache, i int, dst []T, s *Slots, n int, rows *maskRows[T]) error {
	if err := c.current(s, true); err != nil {
		return err
	}
	g := c.groups[i]
	if n < g.readCells() || n > g.cells || len(dst) != n*s.Tokens() {
		return &MaskError{i, n, g.readCells(), g.cells, s.Tokens(), len(dst)}
	}
	for t, pos := range s.pos {
		q := s.of(t)[0]
		p0, p1 := g.visible(pos, s.nonCausal)
		if p1 > c.last[q] {
			p1 = math.MaxInt32 // nothing is above; blocks that others share need no look at each cell
		}
		fillRow(dst[t*n:(t+1)*n], g, q, p0, p1, rows)
	}
	return nil
}

// visible returns the positions p0 to p1-1 that a token at pos sees.
func (g *group) visible(pos int32, nonCausal bool) (p0, p1 int32) {
	p1 = pos + 1
	if g.window > 0 {
		p0 = max(0, pos-g.window+1)
	}
	if nonCausal {
		p1 = math.MaxInt32
		if g.window > 0 && pos < math.MaxInt32-g.window {
			p1 = pos + g.window
		}
	}
	return p0, p1
}

// fillRow writes the mask of one token.
func fillRow[T float32 | uint16](row []T, g *group, seq, p0, p1 int32, rows *maskRows[T]) {
	for b := 0; len(row) > 0; b++ {
		set := g.within(seq, b, p0, p1)
		if len(row) < blockCells {
			var last [blockCells]T
			fillBlock(&last, set, rows)
			copy(row, last[:])
			return
		}
		fillBlock((*[blockCells]T)(row), set, rows)
		row = row[blockCells:]
	}
}

func fillBlock[T float32 | uint16](dst *[blockCells]T, set uint64, rows *maskRows[T]) {
	if set == ^uint64(0) {
		*dst = [blockCells]T{}
		return
	}
	for i := 0; i < blockCells; i += 8 {
		*(*[8]T)(dst[i:]) = rows[byte(set>>i)]
	}
}
