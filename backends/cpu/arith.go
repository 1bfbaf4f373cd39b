package cpu

import "github.com/tenon-go/tenon/tensor"

func init() {
	register(tensor.Add{}, arith(
		func(dst, a, b []float32) {
			a, b = a[:len(dst)], b[:len(dst)]
			for i := range dst {
				dst[i] = a[i] + b[i]
			}
		},
		func(dst, a []float32, b float32) {
			a = a[:len(dst)]
			for i := range dst {
				dst[i] = a[i] + b
			}
		},
	))
	register(tensor.Sub{}, arith(
		func(dst, a, b []float32) {
			a, b = a[:len(dst)], b[:len(dst)]
			for i := range dst {
				dst[i] = a[i] - b[i]
			}
		},
		func(dst, a []float32, b float32) {
			a = a[:len(dst)]
			for i := range dst {
				dst[i] = a[i] - b
			}
		},
	))
	register(tensor.Mul{}, arith(
		func(dst, a, b []float32) {
			a, b = a[:len(dst)], b[:len(dst)]
			for i := range dst {
				dst[i] = a[i] * b[i]
			}
		},
		func(dst, a []float32, b float32) {
			a = a[:len(dst)]
			for i := range dst {
				dst[i] = a[i] * b
			}
		},
	))
	register(tensor.Div{}, arith(
		func(dst, a, b []float32) {
			a, b = a[:len(dst)], b[:len(dst)]
			for i := range dst {
				dst[i] = a[i] / b[i]
			}
		},
		func(dst, a []float32, b float32) {
			a = a[:len(dst)]
			for i := range dst {
				dst[i] = a[i] / b
			}
		},
	))
	register(tensor.Scale{}, func(c *compiler) {
		op := c.node.Op.(tensor.Scale)
		c.unary(cheap, func(dst, x []float32) { scaleBy(dst, x, op) })
	})
	register(tensor.Clamp{}, func(c *compiler) {
		op := c.node.Op.(tensor.Clamp)
		lo, hi := op.Min, op.Max
		c.unary(cheap, func(dst, x []float32) {
			x = x[:len(dst)]
			for i := range dst {
				dst[i] = min(max(x[i], lo), hi) // these keep a NaN
			}
		})
	})
	register(tensor.AddID{}, addID)
}

func scaleBy(dst, x []float32, op tensor.Scale) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = x[i]*op.Scale + op.Bias
	}
}

func arith(each func(dst, a, b []float32), scalar func(dst, a []float32, b float32)) func(c *compiler) {
	return func(c *compiler) { c.binary(cheap, each, scalar) }
}

// How many pieces of a tensor make a chunk worth taking, by what an element costs.
const (
	cheap  = 8 // some additions
	costly = 1 // an exponential
)

// grainOf returns how many pieces of n elements make a chunk as large as so many long ones.
func grainOf(long, n int) int { return max(1, long*stretch/max(n, 1)) }

// rowGrain returns how many rows of n elements make a chunk worth taking.
func rowGrain(n int) int { return max(1, 4096/max(n, 1)) }

// unary adds a step that computes each element of dst from the same element of source 0.
func (c *compiler) unary(grain int, f func(dst, x []float32)) {
	dst, x := c.dst, c.src[0]
	collapse(&dst, &x)
	s := dst.t.Shape
	total := pieces(s[0], stretch) * s.Rows()
	grain = grainOf(grain, min(s[0], stretch))
	c.scratch(2 * stretch)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			p := stretchesFrom(&s, from)
			for range to - from {
				i, n := p.span()
				d := p.rows.of(&dst)
				out := dst.store(d, i, n, w.floats)
				f(out, x.load(p.rows.of(&x), i, n, w.floats[stretch:]))
				dst.flush(d, i, out)
				p.next()
			}
		}
	})
}

// binary adds a step that computes each element of dst from those of source 0 and of source 1, which
// repeats. scalar is each for a piece along which source 1 does not change; it may be nil if source 1
// has the shape of source 0.
func (c *compiler) binary(grain int, each func(dst, a, b []float32), scalar func(dst, a []float32, b float32)) {
	dst, a, b := c.dst, c.src[0], c.src[1]
	collapse(&dst, &a, &b)
	if n := b.t.Shape[0]; n != 1 && n != dst.t.Shape[0] {
		c.repeating(&dst, &a, &b, each)
		return
	}
	s := dst.t.Shape
	one := b.t.Shape[0] == 1 && s[0] > 1
	total := pieces(s[0], stretch) * s.Rows()
	grain = grainOf(grain, min(s[0], stretch))
	c.scratch(3 * stretch)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			p := stretchesFrom(&s, from)
			for range to - from {
				i, n := p.span()
				d := p.rows.of(&dst)
				out := dst.store(d, i, n, w.floats)
				x := a.load(p.rows.of(&a), i, n, w.floats[stretch:])
				y := p.rows.repeated(&b)
				if one {
					scalar(out, x, b.load(y, 0, 1, w.floats[2*stretch:])[0])
				} else {
					each(out, x, b.load(y, i, n, w.floats[2*stretch:]))
				}
				dst.flush(d, i, out)
				p.next()
			}
		}
	})
}

// repeating is binary for a source 1 whose rows are shorter than dst's, and repeat along them.
func (c *compiler) repeating(dst, a, b *operand, each func(dst, a, b []float32)) {
	s := dst.t.Shape
	n, m, total := s[0], b.t.Shape[0], s.Rows()
	grain := rowGrain(n)
	c.scratch(2*n + m)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				d := r.of(dst)
				out := dst.store(d, 0, n, w.floats)
				x := a.floats(r.of(a), w.floats[n:])
				y := b.floats(r.repeated(b), w.floats[2*n:])
				for i := 0; i < n; i += m {
					each(out[i:i+m], x[i:i+m], y)
				}
				dst.flush(d, 0, out)
				r.next()
			}
		}
	})
}

// rowwise adds a step that computes each row of dst, which is F32, from the same row of source 0.
func (c *compiler) rowwise(f func(dst, x []float32)) {
	dst, x := c.dst, c.src[0]
	s := dst.t.Shape
	n, total := s[0], s.Rows()
	grain := rowGrain(n)
	c.scratch(n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				f(dst.floats(r.of(&dst), nil), x.floats(r.of(&x), w.floats))
				r.next()
			}
		}
	})
}

// addID adds to each row of source 0 the row of source 1 that source 2 names.
func addID(c *compiler) {
	dst, a, b, ids := c.dst, c.src[0], c.src[1], c.src[2]
	node, s, have := c.node, dst.t.Shape, b.t.Shape[1]
	n, total := s[0], s.Rows()
	grain := rowGrain(n)
	c.scratch(2 * n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				id := ids.index(ids.at(r.i2, 0, 0), r.i1)
				if id < 0 || id >= int64(have) {
					w.r.fail(indexError(node, id, have))
					return
				}
				out := dst.floats(r.of(&dst), nil)
				x := a.floats(r.of(&a), w.floats)
				y := b.floats(b.at(int(id), 0, 0), w.floats[n:])
				for i := range out {
					out[i] = x[i] + y[i]
				}
				r.next()
			}
		}
	})
}
