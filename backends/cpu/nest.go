package cpu

import (
	"slices"

	"github.com/tenon-go/tenon/tensor"
)

// rows walks the rows of a shape in order: dimension 1 fastest, then 2 and 3.
type rows struct {
	i1, i2, i3 int
	s1, s2     int
}

// rowsFrom starts at row r of s.
func rowsFrom(s *tensor.Shape, r int) rows {
	return rows{i1: r % s[1], i2: r / s[1] % s[2], i3: r / s[1] / s[2], s1: s[1], s2: s[2]}
}

func (r *rows) next() {
	if r.i1++; r.i1 < r.s1 {
		return
	}
	r.i1 = 0
	if r.i2++; r.i2 < r.s2 {
		return
	}
	r.i2 = 0
	r.i3++
}

// of returns the byte offset of the present row in o.
func (r *rows) of(o *operand) int { return o.at(r.i1, r.i2, r.i3) }

// repeated is of for an operand whose rows repeat.
func (r *rows) repeated(o *operand) int {
	s := &o.t.Shape
	return o.at(wrap(r.i1, s[1]), wrap(r.i2, s[2]), wrap(r.i3, s[3]))
}

// wrap is i % n without a division in the usual cases.
func wrap(i, n int) int {
	switch {
	case n == 1:
		return 0
	case i < n:
		return i
	}
	return i % n
}

// part is o without its first offset bytes, under another shape and other strides.
func (o *operand) part(offset int, s tensor.Shape, st tensor.Strides) operand {
	return operand{
		t: &tensor.Tensor{Name: o.t.Name, Type: o.t.Type, Shape: s, Stride: st},
		p: o.p[min(offset, len(o.p)):],
		u: o.u,
	}
}

// collapse gives operands of one shape as few dimensions as they can have: those of size 1 go, and
// those that follow each other without a gap in every operand become one. A size of an operand may also
// be 1 where the first one's is not, or divide it: it is then repeated. The order of elements stays, so
// this is for ops that treat each element by itself.
func collapse(ops ...*operand) {
	full := ops[0].t.Shape
	shapes := make([]tensor.Shape, len(ops))
	strides := make([]tensor.Strides, len(ops))
	quantized := slices.ContainsFunc(ops, func(o *operand) bool { return o.t.Type.Quantized() })
	last := -1
	for d := range full {
		if full[d] == 1 && (d > 0 || !quantized) {
			continue
		}
		if last >= 0 && joins(ops, shapes, strides, last, d, full) {
			for i, o := range ops {
				shapes[i][last] *= o.t.Shape[d]
			}
			continue
		}
		last++
		for i, o := range ops {
			shapes[i][last], strides[i][last] = o.t.Shape[d], o.t.Stride[d]
		}
	}
	for i, o := range ops {
		for d := last + 1; d < tensor.MaxDims; d++ {
			shapes[i][d] = 1
		}
		if last < 0 { // a single element: let it look packed
			_, strides[i][0] = o.t.Type.Block()
		}
		*o = o.part(0, shapes[i], strides[i])
	}
}

// joins reports whether dimension d follows dimension last without a gap in every operand.
func joins(ops []*operand, shapes []tensor.Shape, strides []tensor.Strides, last, d int, full tensor.Shape) bool {
	for i, o := range ops {
		have, more := shapes[i][last], o.t.Shape[d]
		if have == 1 && more == 1 && shapes[0][last] != 1 && full[d] != 1 {
			continue // repeated along both
		}
		blocks := have
		if elems, _ := o.t.Type.Block(); last == 0 {
			blocks = have / elems
		}
		if have != shapes[0][last] || more != full[d] || o.t.Stride[d] != blocks*strides[i][last] {
			return false
		}
	}
	return true
}

// stretch is how many elements of a row are worked on at a time where they are treated one by one: a
// multiple of every block, and little enough for the first cache together with its scratch.
const stretch = 1024

// stretches walks the rows of a tensor in pieces of at most stretch elements.
type stretches struct {
	rows  rows
	per   int // pieces in a row
	piece int // the present one
	n     int // elements in a row
}

// pieces returns how many pieces of at most step make n.
func pieces(n, step int) int { return (n + step - 1) / step }

// stretchesFrom starts at piece i, counted through all rows.
func stretchesFrom(s *tensor.Shape, i int) stretches {
	per := pieces(s[0], stretch)
	return stretches{rows: rowsFrom(s, i/per), per: per, piece: i % per, n: s[0]}
}

// span returns the first element of the present piece in its row, and how many there are.
func (s *stretches) span() (i, n int) {
	i = s.piece * stretch
	return i, min(stretch, s.n-i)
}

func (s *stretches) next() {
	if s.piece++; s.piece == s.per {
		s.piece = 0
		s.rows.next()
	}
}
