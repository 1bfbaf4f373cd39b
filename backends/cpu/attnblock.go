package cpu

import (
	"encoding/binary"

	"github.com/tenon-go/tenon/tensor"
)

// attnScratch says where in a worker's floats the parts of an item lie. Queries and scores are held in
// chunks of up to 64 columns, one column for each query; see chunk.
type attnScratch struct {
	queries, scores         int
	keys, values            int
	maximum, total, down    int
	sums                    int
	endMaximum, endTotal    int
	ends                    int
	hides, loaded, keyWidth int
}

// attnColumns is how many queries make a chunk: rows of a chunk follow each other in memory, so that a tile's
// rows do not fall on the same sets of a cache.
const attnColumns = 64

// layout asks for scratch.
func (a *attention) layout(c *compiler) {
	o := &a.off
	queries := a.tileTokens * a.share
	columns := (queries + 15) &^ 15
	o.keyWidth = (a.dk + 15) &^ 15
	o.queries = c.scratch(columns * a.dk)
	o.scores = c.scratch(columns * attnCells)
	o.keys = c.scratch(attnCells * o.keyWidth)
	o.values = c.scratch(attnCells * a.wide)
	o.maximum, o.total, o.down = c.scratch(columns), c.scratch(columns), c.scratch(columns)
	o.sums = c.scratch(columns * a.wide)
	o.endMaximum, o.endTotal = c.scratch(columns), c.scratch(columns)
	o.ends = c.scratch(columns * a.wide)
	o.hides = c.scratch(attnCells)
	o.loaded = c.scratch(a.dk)
}

// chunk returns the columns of the chunk of queries from query i on, of which some may be none.
func (a *attention) chunk(it *attnItem, i int) (columns int) {
	lanes := a.u.attn.lanes
	return min(attnColumns, (it.queries-i+lanes-1)/lanes*lanes)
}

// loadQueries puts the item's queries, times the scale, into columns.
func (a *attention) loadQueries(it *attnItem) {
	for i := 0; i < it.queries; i += attnColumns {
		columns := a.chunk(it, i)
		to := it.f[a.off.queries+i*a.dk:][:columns*a.dk]
		if i+columns > it.queries {
			clear(to)
		}
		for j := range min(columns, it.queries-i) {
			q := a.q.floats(a.q.at(a.head(it, i+j), a.token(it, i+j), it.s), it.f[a.off.loaded:])
			for d, v := range q {
				to[d*columns+j] = v * a.op.Scale
			}
		}
	}
}

// segment computes what a segment's cells give the item's queries, and reports whether any of them may look
// at any of those.
func (a *attention) segment(it *attnItem, seg int) bool {
	f := it.f
	columns := (it.queries + 15) &^ 15
	maximum, total := f[a.off.maximum:][:columns], f[a.off.total:][:columns]
	for i := range maximum {
		maximum[i], total[i] = negInf, 0
	}
	clear(f[a.off.sums:][:it.queries*a.wide])
	any := false
	for c0 := seg * attnSegment; c0 < min((seg+1)*attnSegment, a.cells); c0 += attnCells {
		n := min(attnCells, a.cells-c0)
		seen := a.look(it, c0/attnCells)
		if seen&blockShown == 0 {
			continue
		}
		any = true
		a.scores(it, c0, n)
		if a.op.SoftCap != 0 {
			a.cap(it, n)
		}
		if seen&blockMasked != 0 {
			a.addMask(it, c0, n)
		}
		a.weights(it, n)
		a.addValues(it, c0, n, seen&blockMasked != 0)
	}
	return any
}

// scores multiplies a block's keys with the queries: rows of the product are cells.
func (a *attention) scores(it *attnItem, c0, n int) {
	keys, keyRow := a.panel(it, &a.k, c0, n, it.f[a.off.keys:], a.off.keyWidth)
	t := &it.tile
	for i := 0; i < it.queries; i += attnColumns {
		columns := a.chunk(it, i)
		t.a, t.aRow, t.aStep = keys, keyRow, 4
		t.b, t.bStep = &it.f[a.off.queries+i*a.dk], 4*columns
		t.c, t.cRow = &it.f[a.off.scores+i*attnCells], 4*columns
		t.k, t.scale = a.dk, nil
		a.u.attn.multiply(t, n, columns)
	}
}

// weights makes scores weights.
func (a *attention) weights(it *attnItem, n int) {
	for i := 0; i < it.queries; i += attnColumns {
		columns := a.chunk(it, i)
		it.soft = softBlock{
			s: &it.f[a.off.scores+i*attnCells], step: 4 * columns, n: n, registers: columns / a.u.attn.lanes,
			maximum: &it.f[a.off.maximum+i], total: &it.f[a.off.total+i], down: &it.f[a.off.down+i],
		}
		a.u.attn.soft(&it.soft)
	}
}

// addValues adds a block's weighted values to the sums: rows of the product are queries.
func (a *attention) addValues(it *attnItem, c0, n int, isMasked bool) {
	values, valueRow := a.panel(it, &a.v, c0, n, it.f[a.off.values:], a.wide)
	t := &it.tile
	t.b, t.bStep, t.k = values, valueRow, n
	t.cRow, t.aRow = 4*a.wide, 4
	// A hidden cell counts for nothing, whatever it holds; 0 times Inf would be no number.
	isStrange := isMasked && !a.finite(values, valueRow, n)
	for i := 0; i < it.queries; i += attnColumns {
		columns := a.chunk(it, i)
		t.aStep = 4 * columns
		rows := min(columns, it.queries-i)
		if isStrange {
			for j := range rows {
				a.addShown(it, i, j, n, columns)
			}
			continue
		}
		t.a, t.scale = &it.f[a.off.scores+i*attnCells], &it.f[a.off.down+i]
		t.c = &it.f[a.off.sums+i*a.wide]
		a.u.attn.multiply(t, rows, a.wide)
	}
}

// addShown adds the values of cells with a weight to the sums of query i+j, as addValues does.
func (a *attention) addShown(it *attnItem, i, j, n, columns int) {
	values, step := it.tile.b, it.tile.bStep
	scores := it.f[a.off.scores+i*attnCells+j:]
	sums := it.f[a.off.sums+(i+j)*a.wide:][:a.wide]
	scaleF32(sums, it.f[a.off.down+i+j])
	for c := range n {
		if scores[c*columns] == 0 {
			continue
		}
		a.u.addScaledF32(sums, floatsAt(values, c*step, a.wide), scores[c*columns])
	}
}

// finite reports whether n rows of values hold finite numbers only.
func (a *attention) finite(values *float32, row, n int) bool {
	var sum float32
	for c := range n {
		for _, v := range floatsAt(values, c*row, a.dv) {
			sum += v - v
		}
	}
	return sum == 0
}

// multiply computes a product of any number of rows, and of columns that fill registers. It spoils t's
// pointers.
func (u *attnUnits) multiply(t *attnTile, rows, columns int) {
	b, c, a, scale := t.b, t.c, t.a, t.scale
	for j := 0; j < columns; {
		w := min(len(u.tile), (columns-j)/u.lanes)
		for u.tile[w-1][1] == nil {
			w--
		}
		t.b = &floatsAt(b, 4*j, 1)[0]
		for i := 0; i < rows; {
			r := min(rows-i, attnTileRows)
			for u.tile[w-1][r] == nil {
				r--
			}
			t.a, t.c = &floatsAt(a, i*t.aRow, 1)[0], &floatsAt(c, i*t.cRow+4*j, 1)[0]
			if scale != nil {
				t.scale = &floatsAt(scale, 4*i, 1)[0]
			}
			u.tile[w-1][r](t)
			i += r
		}
		j += w * u.lanes
	}
	t.b, t.scale = b, scale
}

// panel returns the first of n rows of the item's plane from cell c0 on, as floats, and the bytes from row to
// row, which end in zeros up to width: where they lie if that will do, and else decoded into scratch.
func (a *attention) panel(it *attnItem, o *operand, c0, n int, scratch []float32, width int) (*float32, int) {
	off, row, elems := o.at(it.kv, c0, it.s), o.t.Stride[2], o.t.Shape[0]
	if o.packedF32() && elems == width {
		_ = o.p[off+(n-1)*row+4*elems-1]
		return &f32s(o.p[off : off+4])[0], row
	}
	_, size := o.t.Type.Block()
	unit := a.u.attn.cells[o.t.Type]
	if unit != nil && o.t.Stride[0] == size && elems%16 == 0 {
		_ = o.p[off+(n-1)*row+o.rowBytes()-1]
		it.rows = cellRows{&scratch[0], 4 * width, &o.p[off], row, n, elems}
		unit(&it.rows)
		return &scratch[0], 4 * width
	}
	for c := range n {
		to := scratch[c*width:][:width]
		if v := o.floats(off+c*row, to); &v[0] != &to[0] {
			copy(to, v)
		}
		clear(to[elems:])
	}
	return &scratch[0], 4 * width
}

// cap bounds the scores.
func (a *attention) cap(it *attnItem, n int) {
	limit := a.op.SoftCap
	inv := 1 / limit
	columns := (it.queries + a.u.attn.lanes - 1) / a.u.attn.lanes * a.u.attn.lanes
	for i := 0; i < columns; i += attnColumns {
		s := it.f[a.off.scores+i*attnCells:][:n*a.chunk(it, i)]
		for j, v := range s {
			s[j] = limit * tanh32(v*inv)
		}
	}
}

// What a row of the mask, or several, show of a block of cells.
const (
	blockShown  = 1 << iota // a cell may be looked at
	blockMasked             // and something is to be added to scores
)

// lookAtMask adds the step that looks at each row of the mask, once for all heads: blocks that are hidden are
// not read, and of others that hide nothing the mask is not read again.
func (a *attention) lookAtMask(c *compiler) {
	ms := a.mask.t.Shape
	blocks := (a.cells + attnCells - 1) / attnCells
	rows := a.tokens * ms[2] * ms[3]
	a.seen = c.common(rows * blocks)
	c.eachRow(rows, a.cells, func(w *worker, r int) {
		off := a.mask.at(r%a.tokens, r/a.tokens%ms[2], r/a.tokens/ms[2])
		to := w.shared[a.seen+r*blocks:][:blocks]
		for b := range to {
			to[b] = a.lookAtBlock(off, b*attnCells, min(attnCells, a.cells-b*attnCells))
		}
	})
}

// lookAtBlock looks at n elements of the mask's row at byte offset off.
func (a *attention) lookAtBlock(off, c0, n int) (seen byte) {
	st := a.mask.t.Stride[0]
	off += c0 * st
	if a.mask.t.Type == tensor.F16 && st == 2 && n%4 == 0 {
		p := a.mask.p[off : off+2*n]
		zeros, hidden := true, true
		for ; len(p) >= 8; p = p[8:] {
			v := binary.LittleEndian.Uint64(p)
			zeros, hidden = zeros && v == 0, hidden && v == 0xFC00FC00FC00FC00
		}
		switch {
		case zeros:
			return blockShown
		case hidden:
			return blockMasked
		}
	}
	for c := range n {
		m := element(a.mask.t.Type, a.mask.p[off+c*st:])
		if m != negInf {
			seen |= blockShown
		}
		if m != 0 {
			seen |= blockMasked
		}
	}
	return seen
}

// maskRow returns the number of the mask's row for a head and a token.
func (a *attention) maskRow(head, t, s int) int {
	ms := a.mask.t.Shape
	return (s%ms[3]*ms[2]+head%ms[2])*a.tokens + t
}

// look returns what the item's queries may see of a block.
func (a *attention) look(it *attnItem, block int) (seen byte) {
	if a.mask.t == nil {
		return blockShown
	}
	blocks := (a.cells + attnCells - 1) / attnCells
	step := a.share // one row of the mask for all heads
	if a.mask.t.Shape[2] > 1 {
		step = 1
	}
	for i := 0; i < it.queries; i += step {
		seen |= it.shared[a.seen+a.maskRow(a.head(it, i), a.token(it, i), it.s)*blocks+block]
	}
	return seen
}

// addMask adds the mask to the scores of a block. What it hides is hidden even if the score is no number.
func (a *attention) addMask(it *attnItem, c0, n int) {
	ms := a.mask.t.Shape
	blocks := (a.cells + attnCells - 1) / attnCells
	row := it.f[a.off.hides:][:n]
	for i := range it.queries {
		head, t := a.head(it, i), a.token(it, i)
		if it.shared[a.seen+a.maskRow(head, t, it.s)*blocks+c0/attnCells]&blockMasked == 0 {
			continue
		}
		if i%a.share == 0 || ms[2] > 1 { // one mask for all heads is that of the head before
			off := a.mask.at(t, head%ms[2], it.s%ms[3]) + c0*a.mask.t.Stride[0]
			for c := range row {
				row[c] = element(a.mask.t.Type, a.mask.p[off+c*a.mask.t.Stride[0]:])
			}
		}
		slope := float32(1)
		if a.slope != nil {
			slope = a.slope[head]
		}
		columns := a.chunk(it, i&^(attnColumns-1))
		scores := it.f[a.off.scores+i&^(attnColumns-1)*attnCells+i%attnColumns:]
		for c, m := range row {
			if m == negInf {
				scores[c*columns] = negInf
			} else if m != 0 {
				scores[c*columns] += slope * m
			}
		}
	}
}
