package cpu

import (
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.GetRows{}, getRows)
	register(tensor.SetRows{}, setRows)
}

// indexError says that node n named row index of so many.
func indexError(n *tensor.Tensor, index int64, have int) error {
	return &backends.IndexError{Node: n.Name, Op: n.Op.Kind(), Index: index, Rows: have}
}

// getRows gathers the rows of source 0 that source 1 names.
func getRows(c *compiler) {
	dst, x, idx := c.dst, c.src[0], c.src[1]
	node, s, have := c.node, dst.t.Shape, x.t.Shape[1]
	total, grain := s.Rows(), rowGrain(s[0])
	move := rowDecoder(&x)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				id := idx.index(idx.at(r.i2, r.i3, 0), r.i1)
				if id < 0 || id >= int64(have) {
					w.r.fail(indexError(node, id, have))
					return
				}
				off := r.of(&dst)
				move(dst.p[off:off+dst.rowBytes()], x.at(int(id), r.i2, r.i3))
				r.next()
			}
		}
	})
}

// rowDecoder returns what writes the row of x at a byte offset, packed: as it is if it holds integers,
// and as F32 otherwise.
func rowDecoder(x *operand) func(dst []byte, off int) {
	_, size := x.t.Type.Block()
	st, n := x.t.Stride[0], x.t.Shape[0]
	switch x.t.Type {
	case tensor.I8, tensor.I16, tensor.I32, tensor.I64, tensor.F32:
		return func(dst []byte, off int) { gather(dst, x.p[off:], size, st, n) }
	}
	return func(dst []byte, off int) {
		// What load leaves in its scratch is the result: such a row never lies as F32 in memory.
		x.load(off, 0, n, f32s(dst))
	}
}

// setRows writes the rows of source 1 into source 0, which is dst, where source 2 says. A worker takes
// some columns of a plane and goes through all its rows, so that no two of them write to one row's
// bytes even if an index comes twice: the last row stays then, whatever the number of workers.
func setRows(c *compiler) {
	dst, x, idx := c.dst, c.src[1], c.src[2]
	node, s, have := c.node, x.t.Shape, dst.t.Shape[1]
	planes := s[2] * s[3]
	width := columns(dst.t.Type, s[0], planes, c.dev.team.size)
	per := pieces(s[0], width)
	c.scratch(width)
	c.step(func(w *worker) {
		for {
			from, _, ok := w.next(planes*per, 1)
			if !ok {
				return
			}
			i := from % per * width
			n := min(width, s[0]-i)
			p, q := from/per%s[2], from/per/s[2]
			ids := idx.at(wrap(p, idx.t.Shape[1]), wrap(q, idx.t.Shape[2]), 0)
			for j := range s[1] {
				id := idx.index(ids, j)
				if id < 0 || id >= int64(have) {
					w.r.fail(indexError(node, id, have))
					return
				}
				v := x.load(x.at(j, p, q), i, n, w.floats)
				dst.put(dst.at(int(id), p, q), i, v)
			}
		}
	})
}

// columns returns how many columns of rows of n make a piece, so that there is work for each worker:
// whole blocks of t, and at least a cache line or two.
func columns(t tensor.DType, n, planes, workers int) int {
	elems, _ := t.Block()
	least := max(elems, 64)
	width := stretch
	for width > least && planes*pieces(n, width) < 2*workers {
		width /= 2
	}
	return width
}

// put encodes v to the elements of the row at byte offset off, from element i on.
func (o *operand) put(off, i int, v []float32) {
	elems, bytes := o.t.Type.Block()
	st := o.t.Stride[0]
	off += i / elems * st
	if st == bytes {
		encode(o.t.Type, o.p[off:off+len(v)/elems*bytes], v)
		return
	}
	for j := 0; j < len(v); j += elems {
		encode(o.t.Type, o.p[off:off+bytes], v[j:j+elems])
		off += st
	}
}
