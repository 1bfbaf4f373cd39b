package cpu

import (
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
)

// A matrix product is computed a few rows of weights at a time: each worker takes such a chunk, and its
// units multiply it with every token while it lies in a near cache, so that weights are read from memory
// once however many tokens there are.
const (
	decodedRows = 8  // decoded together, where there is no unit for their type
	cachedRows  = 16 // met by all tokens in turn
)

// factors are both sides of a product, ready to be multiplied.
type factors struct {
	c     *compiler
	k     int
	a, x  operand
	units rowUnits
	// decoded says that rows of weights are made floats first.
	decoded bool
	records int // byte offset of the tokens' records in the shared scratch, or -1 where x itself is such
	stride  int // bytes from record to record
	scratch int // where decoded rows lie in a worker's floats
}

// factors returns both sides of the product of a and x, and adds the step that makes the tokens ready.
// Those of like, which may be nil, are used again.
func (c *compiler) factors(a, x operand, isExact bool, like *factors) *factors {
	k, rows := x.t.Shape[0], x.t.Shape.Rows()
	f := &factors{c: c, k: k, a: a, x: x, units: c.u.rows[a.t.Type], records: -1}
	_, size := a.t.Type.Block()
	if f.units.form == noForm || a.t.Stride[0] != size || isExact && f.units.form != floats {
		f.units, f.decoded = c.u.rows[tensor.F32], true
		f.scratch = c.scratch(decodedRows * k)
	}
	form := f.units.form
	if form == floats && x.packedF32() {
		return f
	}
	if like != nil && like.units.form == form {
		f.records, f.stride = like.records, like.stride
		return f
	}
	f.stride = form.stride(k)
	f.records = c.common(rows * f.stride)
	own := c.scratch(k)
	c.eachRow(rows, k, func(w *worker, j int) {
		at := f.records + j*f.stride
		c.u.round[form](w.shared[at:at+form.bytes(k)], x.floats(x.row(j), w.floats[own:]))
	})
	return f
}

// token returns where token row j's record begins, and how far it is to the next one of its plane.
func (f *factors) token(w *worker, j int) (*byte, int) {
	if f.records >= 0 {
		return &w.shared[f.records+j*f.stride], f.stride
	}
	return &f.x.p[f.x.row(j)], f.x.t.Stride[1]
}

// multiply computes some rows of weights, the first at byte offset off, with n tokens, whose records lie
// xStride bytes apart. Results go to dst from byte offset out on, and those of the next token lie dstStride
// bytes further.
func (f *factors) multiply(w *worker, off, rows int, x *byte, xStride, n int, dst []byte, out, dstStride int) {
	_ = dst[out+(n-1)*dstStride+4*rows-1]
	step := cachedRows
	if f.decoded {
		step = decodedRows
	} else if _, most := f.units.most(n); most == n {
		step = rows
	}
	p := &w.product
	p.dstStride, p.k = dstStride, f.k
	for r := 0; r < rows; r += step {
		p.rows = min(step, rows-r)
		f.weights(w, p, off+r*f.a.t.Stride[1])
		for t := 0; t < n; {
			dot, many := f.units.most(n - t)
			p.x, p.xStride = (*byte)(unsafe.Add(unsafe.Pointer(x), t*xStride)), xStride
			p.dst = &f32s(dst[out+t*dstStride+4*r:])[0]
			dot(p)
			t += many
		}
	}
}

// weights makes p's rows from byte offset off on ready.
func (f *factors) weights(w *worker, p *product, off int) {
	st := f.a.t.Stride[1]
	if !f.decoded {
		_ = f.a.p[off+(p.rows-1)*st+f.a.rowBytes()-1]
		p.w, p.wStride = &f.a.p[off], st
		return
	}
	own := w.floats[f.scratch:]
	for s := range p.rows {
		row := own[s*f.k : (s+1)*f.k]
		if v := f.a.floats(off+s*st, row); &v[0] != &row[0] {
			copy(row, v)
		}
	}
	p.w, p.wStride = (*byte)(unsafe.Pointer(&own[0])), 4*f.k
}

// most returns the unit that takes as many of n tokens as there is one for, and how many it takes.
func (u *rowUnits) most(n int) (dot func(*product), tokens int) {
	for n = min(n, mostTokens); u.dot[n-1] == nil; n-- {
	}
	return u.dot[n-1], n
}

// eachRow adds a step that does f for each of some rows of n elements.
func (c *compiler) eachRow(rows, n int, f func(w *worker, r int)) {
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(rows, rowGrain(n))
			if !ok {
				return
			}
			for r := from; r < to; r++ {
				f(w, r)
			}
		}
	})
}
