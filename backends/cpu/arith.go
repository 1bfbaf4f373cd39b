package cpu

import "github.com/tenon-go/tenon/tensor"

func init() {
	binary := func(f func(dst, a, b []float32)) func(c *compiler) {
		return func(c *compiler) { c.binary(f) }
	}
	register(tensor.Add{}, binary(func(dst, a, b []float32) {
		for i := range dst {
			dst[i] = a[i] + b[i]
		}
	}))
	register(tensor.Sub{}, binary(func(dst, a, b []float32) {
		for i := range dst {
			dst[i] = a[i] - b[i]
		}
	}))
	register(tensor.Mul{}, binary(func(dst, a, b []float32) {
		for i := range dst {
			dst[i] = a[i] * b[i]
		}
	}))
	register(tensor.Div{}, binary(func(dst, a, b []float32) {
		for i := range dst {
			dst[i] = a[i] / b[i]
		}
	}))
}

// rowGrain returns how many rows of n elements make a chunk worth taking.
func rowGrain(n int) int { return max(1, 4096/max(n, 1)) }

// store returns where to write row at byte offset off: the memory itself if it is F32, and otherwise
// scratch, from which flush writes it.
func (o *operand) store(off int, scratch []float32) []float32 {
	n := o.t.Shape[0]
	if o.packedF32() {
		return f32s(o.p[off : off+4*n])
	}
	return scratch[:n]
}

// flush encodes what was written to row, unless row is the memory itself.
func (o *operand) flush(off int, row []float32) {
	if !o.packedF32() {
		encode(o.t.Type, o.p[off:off+o.rowBytes()], row)
	}
}

// rowwise adds a step that computes each row of dst from the same row of source 0.
func (c *compiler) rowwise(f func(dst, x []float32)) {
	dst, x := c.dst, c.src[0]
	n, rows := dst.t.Shape[0], dst.t.Shape.Rows()
	grain := rowGrain(n)
	c.scratch(2 * n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(rows, grain)
			if !ok {
				return
			}
			for r := from; r < to; r++ {
				d := dst.row(r)
				out := dst.store(d, w.floats)
				f(out, x.floats(x.row(r), w.floats[n:]))
				dst.flush(d, out)
			}
		}
	})
}

// binary adds a step that computes each row of dst from rows of source 0 and source 1, which repeats.
func (c *compiler) binary(f func(dst, a, b []float32)) {
	dst, a, b := c.dst, c.src[0], c.src[1]
	n, rows := dst.t.Shape[0], dst.t.Shape.Rows()
	s, bs := dst.t.Shape, b.t.Shape
	grain := rowGrain(n)
	c.scratch(3 * n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(rows, grain)
			if !ok {
				return
			}
			for r := from; r < to; r++ {
				i1, i2, i3 := r%s[1], r/s[1]%s[2], r/s[1]/s[2]
				d := dst.row(r)
				out := dst.store(d, w.floats)
				x := a.floats(a.row(r), w.floats[n:])
				y := b.floats(b.at(i1%bs[1], i2%bs[2], i3%bs[3]), w.floats[2*n:])
				for i := 0; i < n; i += len(y) { // y repeats along the row
					f(out[i:i+len(y)], x[i:i+len(y)], y)
				}
				dst.flush(d, out)
			}
		}
	})
}
