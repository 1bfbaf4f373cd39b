package cpu

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.Copy{}, func(c *compiler) {
		dst, x := c.dst, c.src[0]
		switch {
		case dst.t.Type == x.t.Type:
			c.bytes(dst, x)
		case whole(dst.t.Type) && whole(x.t.Type):
			c.integers(dst, x)
		default:
			c.convert(dst, x)
		}
	})
	register(tensor.Concat{}, func(c *compiler) {
		dim, offset := c.node.Op.(tensor.Concat).Dim, 0
		for _, x := range c.src {
			if x.t.Shape.Elems() > 0 {
				c.bytes(c.dst.part(offset, x.t.Shape, c.dst.t.Stride), x)
			}
			offset += x.t.Shape[dim] * c.dst.t.Stride[dim]
		}
	})
	register(tensor.Repeat{}, repeat)
}

func whole(t tensor.DType) bool {
	return t == tensor.I8 || t == tensor.I16 || t == tensor.I32 || t == tensor.I64
}

// bytes adds a step that copies x to dst, of the same type and shape, both under any strides.
func (c *compiler) bytes(dst, x operand) {
	collapse(&dst, &x)
	elems, size := x.t.Type.Block()
	if n := x.t.Shape[0]; dst.t.Stride[0] == size && x.t.Stride[0] == size {
		c.runs(dst, x, n/elems*size)
		return
	}
	c.tiles(dst, x, elems, size)
}

// runs copies rows of n bytes without gaps.
func (c *compiler) runs(dst, x operand, n int) {
	const most = 64 << 10
	s := x.t.Shape
	per := pieces(n, most)
	total, grain := per*s.Rows(), max(1, 16<<10/n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from/per)
			piece := from % per
			for range to - from {
				i := piece * most
				m := min(most, n-i)
				copy(dst.p[r.of(&dst)+i:][:m], x.p[r.of(&x)+i:][:m])
				if piece++; piece == per {
					piece = 0
					r.next()
				}
			}
		}
	})
}

// tileRows is how many rows tiles copies side by side.
const tileRows = 16

// tiles copies elements of size bytes one by one. A worker takes up to tileRows rows and goes through
// them column by column: of a transposed x it then reads what lies in one cache line together.
func (c *compiler) tiles(dst, x operand, elems, size int) {
	near := 1
	for d := 2; d < tensor.MaxDims; d++ {
		if x.t.Shape[d] > 1 && (x.t.Shape[near] == 1 || x.t.Stride[d] < x.t.Stride[near]) {
			near = d
		}
	}
	swap(&dst, near)
	swap(&x, near)
	s := x.t.Shape
	n := s[0] / elems
	per := pieces(s[1], tileRows)
	total, grain := per*s[2]*s[3], max(1, 256/n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			for i := from; i < to; i++ {
				i1, i2, i3 := i%per*tileRows, i/per%s[2], i/per/s[2]
				t := tile{
					dst: dst.p[dst.at(i1, i2, i3):], x: x.p[x.at(i1, i2, i3):], n: n, rows: min(tileRows, s[1]-i1),
					d0: dst.t.Stride[0], d1: dst.t.Stride[1], x0: x.t.Stride[0], x1: x.t.Stride[1],
				}
				t.copy(size)
			}
		}
	})
}

// swap exchanges dimension 1 of o and dimension d.
func swap(o *operand, d int) {
	t := *o.t
	t.Shape[1], t.Shape[d] = t.Shape[d], t.Shape[1]
	t.Stride[1], t.Stride[d] = t.Stride[d], t.Stride[1]
	o.t = &t
}

// tile is a part of two planes: n elements of some rows, and their strides in bytes.
type tile struct {
	dst, x         []byte
	n, rows        int
	d0, d1, x0, x1 int
}

func (t *tile) copy(size int) {
	switch size {
	case 4:
		for j := range t.n {
			d, x := j*t.d0, j*t.x0
			for range t.rows {
				*(*[4]byte)(t.dst[d:]) = *(*[4]byte)(t.x[x:])
				d += t.d1
				x += t.x1
			}
		}
	case 2:
		for j := range t.n {
			d, x := j*t.d0, j*t.x0
			for range t.rows {
				*(*[2]byte)(t.dst[d:]) = *(*[2]byte)(t.x[x:])
				d += t.d1
				x += t.x1
			}
		}
	default:
		for j := range t.n {
			d, x := j*t.d0, j*t.x0
			for range t.rows {
				copy(t.dst[d:d+size], t.x[x:])
				d += t.d1
				x += t.x1
			}
		}
	}
}

// gather copies n elements of size bytes, each st bytes after the one before, to where they have no
// gaps.
func gather(dst, x []byte, size, st, n int) {
	if st == size {
		copy(dst[:n*size], x[:n*size])
		return
	}
	t := tile{dst: dst, x: x, n: n, rows: 1, d0: size, x0: st}
	t.copy(size)
}

// convert adds a step that copies x to dst, which has another type, by way of floats.
func (c *compiler) convert(dst, x operand) {
	collapse(&dst, &x)
	s := dst.t.Shape
	total := pieces(s[0], stretch) * s.Rows()
	// Finding the scales of a quantized block costs more than anything else here.
	grain := cheap
	if dst.t.Type.Quantized() {
		grain = costly
	}
	grain = grainOf(grain, min(s[0], stretch))
	c.scratch(stretch)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			p := stretchesFrom(&s, from)
			for range to - from {
				i, n := p.span()
				dst.put(p.rows.of(&dst), i, x.load(p.rows.of(&x), i, n, w.floats))
				p.next()
			}
		}
	})
}

// integers adds a step that converts integers to integers of another width. A value that dst cannot
// hold becomes the nearest one that it can.
func (c *compiler) integers(dst, x operand) {
	collapse(&dst, &x)
	s := dst.t.Shape
	total, grain := s.Rows(), rowGrain(s[0])
	_, size := dst.t.Type.Block()
	most := int64(math.MaxInt64) >> (64 - 8*size)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				d, y := r.of(&dst), r.of(&x)
				for i := range s[0] {
					v := integer(x.t.Type, x.p[y+i*x.t.Stride[0]:])
					putInteger(dst.t.Type, dst.p[d+i*dst.t.Stride[0]:], min(max(v, -most-1), most))
				}
				r.next()
			}
		}
	})
}

// repeat tiles source 0: a row of dst is a row of it, over and over.
func repeat(c *compiler) {
	dst, x := c.dst, c.src[0]
	s := dst.t.Shape
	_, size := x.t.Type.Block()
	st, n, rowBytes := x.t.Stride[0], x.t.Shape[0], dst.rowBytes()
	total, grain := s.Rows(), rowGrain(s[0])
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				row := dst.p[r.of(&dst):][:rowBytes]
				gather(row, x.p[r.repeated(&x):], size, st, n)
				for have := n * size; have < rowBytes; have *= 2 {
					copy(row[have:], row[:have])
				}
				r.next()
			}
		}
	})
}
