package cpu

import "unsafe"

// attnUnits are the innermost loops of attention. Queries of a block lie side by side as lanes, so that
// nothing is ever summed across lanes, and each query's result is the same whoever its neighbours are.
type attnUnits struct {
	lanes int // floats of a register; columns of a tile come in such
	// tile[w-1][r] multiplies r rows with w registers of columns; nil where there is none. Each element has
	// the same bits in all of them.
	tile [4][attnTileRows + 1]func(p *attnTile)
	// soft turns a block of scores into weights.
	soft func(p *softBlock)
	// cells decodes rows of a cache, by type; nil where there is no unit.
	cells [256]func(p *cellRows)
}

// attnTileRows is how many rows a tile has at most.
const attnTileRows = 12

// An attnTile is a part of a matrix product: c = scale*c + a*b, where rows of b and c are contiguous. The sum
// over k is made in order, one multiply-add after the other. Distances are in bytes.
type attnTile struct {
	c     *float32
	cRow  int
	a     *float32
	aRow  int
	aStep int // from one k to the next
	b     *float32
	bStep int
	k     int      // at least 1
	scale *float32 // of each row; c = a*b if nil
}

// A softBlock is the scores of a block of cells, a column for each query, on which the online softmax is
// to go one step: with the greatest score so far, scores become weights, the sum of weights is brought
// up to date, and down is what older sums are to be multiplied by. Distances are in bytes.
type softBlock struct {
	s                    *float32
	step                 int // from cell to cell
	n                    int // cells, at least 1
	registers            int // of columns
	maximum, total, down *float32
}

// cellRows are rows of a cache to be made floats. n is a multiple of 16, and of the type's block.
type cellRows struct {
	dst    *float32
	dstRow int
	src    *byte
	srcRow int
	rows   int
	n      int
}

// scalarAttn fills u with plain Go.
func scalarAttn(u *attnUnits) {
	u.lanes = 16
	for w := range u.tile {
		for r := 1; r <= 6; r++ {
			u.tile[w][r] = func(p *attnTile) { attnTileGo(p, r, 16*(w+1)) }
		}
	}
	u.soft = func(p *softBlock) { softGo(p, 16) }
}

// floatsAt looks at n floats that begin at byte offset off from p.
func floatsAt(p *float32, off, n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Add(unsafe.Pointer(p), off)), n)
}

// attnTileGo is a tile of r rows and n columns.
func attnTileGo(p *attnTile, r, n int) {
	for i := range r {
		c := floatsAt(p.c, i*p.cRow, n)
		if p.scale == nil {
			clear(c)
		} else {
			scaleF32(c, floatsAt(p.scale, 4*i, 1)[0])
		}
		for k := range p.k {
			addScaledF32Go(c, floatsAt(p.b, k*p.bStep, n), floatsAt(p.a, i*p.aRow+k*p.aStep, 1)[0])
		}
	}
}

// softGo is a block of softmax in registers of so many lanes.
func softGo(p *softBlock, lanes int) {
	n := p.registers * lanes
	maximum, total, down := floatsAt(p.maximum, 0, n), floatsAt(p.total, 0, n), floatsAt(p.down, 0, n)
	for q := range n {
		most := maximum[q]
		for c := range p.n {
			most = max(most, floatsAt(p.s, c*p.step+4*q, 1)[0])
		}
		away := most
		if most == negInf { // all is hidden, and -Inf less itself would be no number
			away = 0
		}
		down[q] = expf(maximum[q] - away)
		var sum float32
		for c := range p.n {
			s := &floatsAt(p.s, c*p.step+4*q, 1)[0]
			*s = expf(*s - away)
			sum += *s
		}
		maximum[q], total[q] = most, total[q]*down[q]+sum
	}
}
