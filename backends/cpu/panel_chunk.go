package cpu

import (
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
)

// chunk lays out what a worker needs for a chunk of rows, of so many products at a time.
func (d *many) chunk(products int) {
	tile := d.u.rows[d.shape]
	elem := 1
	switch d.shape {
	case panelFloats, panelBF16x3:
		elem = 4
	case panelBF16:
		elem = 2
	}
	n := d.a.t.Shape[1]
	rows := min(chunkRows, max(tile, chunkBytes/(elem*d.k*products)))
	rows = min(rows, max(tile, n/(4*d.c.dev.team.size)))
	d.rows = (rows + tile - 1) / tile * tile
	// A cache line more than a row, so that rows do not meet in the same sets of the cache.
	d.qStride = elem*up32(d.k) + 64
	switch {
	case d.shape.codes():
		d.scaleStride = d.k/d.shape.elems()*d.shape.entry() + 64
	case d.shape.bfloats(): // one row at a time
		if s := codeShape(d.a.t.Type); s.codes() {
			d.decoded = d.c.scratch(d.k/4 + d.k/s.elems()*s.entry()/4)
		} else {
			d.decoded = d.c.scratch(d.k)
		}
	}
	d.q = d.c.scratch(d.rows * d.qStride / 4)
	d.scales = d.c.scratch(d.rows * d.scaleStride / 4)
	d.out = d.c.scratch((d.rows + 16) * 2 * groupTokens)
	d.results = d.c.scratch(d.rows * 2 * groupTokens)
}

// take takes some rows of weights apart, the first at byte offset off.
func (d *many) take(w *worker, off, rows int) {
	for r := range rows {
		d.row(w, r, off+r*d.a.t.Stride[1])
	}
}

// multiply computes the chunk's rows with one or two groups of tokens, from group g on, and returns how
// many. The results are in the scratch.
func (d *many) multiply(w *worker, g, most, rows int) (groups int) {
	shape, tile := d.shape, d.u.rows[d.shape]
	p := &w.panel
	p.qStride, p.scaleStride, p.outStride = d.qStride, d.scaleStride, 2*groupTokens*4
	p.group, p.n = d.groupBytes, d.k/32
	if shape == panelFloats {
		p.n = d.k
	}
	if shape.bfloats() {
		p.n, p.low, p.xLow, p.config = up32(d.k)/32, 2*up32(d.k), d.groupBytes/2, &d.u.config[0]
	}
	groups = 1
	if d.u.tile[shape][1] != nil && most > 1 {
		groups = 2
	}
	f := d.u.tile[shape][groups-1]
	p.x = &w.shared[d.tokens+g*d.groupBytes]
	for r := 0; r < rows; r += tile {
		p.q = (*byte)(unsafe.Pointer(&w.floats[d.q+r*d.qStride/4]))
		if shape.codes() {
			p.scales = (*byte)(unsafe.Pointer(&w.floats[d.scales+r*d.scaleStride/4]))
		}
		p.out = &w.floats[d.out+r*2*groupTokens]
		f(p)
	}
	return groups
}

// spread moves the results of n tokens from token t on from the scratch to dst.
func (d *many) spread(w *worker, rows, t, n int, dst []byte, dstStride int) {
	_ = dst[(n-1)*dstStride+4*rows-1]
	p := &w.spread
	p.lanes, p.outStride, p.n = &spreadLanes, dstStride, n
	for r := 0; r < rows; r += 16 {
		p.flip = 1<<min(16, rows-r) - 1
		p.x = (*byte)(unsafe.Pointer(&w.floats[d.out+r*2*groupTokens+t]))
		p.out = &f32s(dst[4*r:])[0]
		d.u.spread(p)
	}
}

// spreadLanes is how far apart rows of results lie in the scratch.
var spreadLanes = func() (lanes [16]int32) {
	for i := range lanes {
		lanes[i] = int32(i * 2 * groupTokens * 4)
	}
	return lanes
}()

// row makes the row of weights at byte offset off ready, as row r of the chunk.
func (d *many) row(w *worker, r, off int) {
	switch to := w.floats[d.q+r*d.qStride/4:]; {
	case d.shape.codes():
		scales := f32Bytes(w.floats[d.scales+r*d.scaleStride/4:][:d.scaleStride/4])
		d.apart(w, d.shape, off, (*byte)(unsafe.Pointer(&to[0])), scales)
		if d.u.flip != 0 {
			p := &w.unpacking
			p.n = d.k / 32
			if d.shape == panel16 {
				d.u.sums16(p)
			} else {
				d.u.sums32(p)
			}
		}
	case d.shape.bfloats():
		d.bfloats(w, f32Bytes(to[:up32(d.k)/(2/d.parts())]), off)
	default:
		if v := d.a.floats(off, to[:d.k]); &v[0] != &to[0] {
			copy(to, v)
		}
	}
}

// parts is how many bfloat16 a number is.
func (d *many) parts() int {
	if d.shape == panelBF16x3 {
		return 2
	}
	return 1
}

// apart takes the row at byte offset off apart, into codes at q and entries of scales.
func (d *many) apart(w *worker, shape panelShape, off int, q *byte, scales []byte) {
	t := d.a.t.Type
	elems, size := t.Block()
	row := d.a.p[off:][:d.k/elems*size]
	p := &w.unpacking
	p.w, p.n, p.entry = &row[0], d.k/elems, shape.entry()
	p.q, p.scales = q, &scales[0]
	d.u.codes[t](p)
	switch {
	case elems == 256:
		superScales(t, row, scales, shape)
	case t == tensor.MXFP4:
		for b := range p.n {
			f32s(scales[8*b:])[1] = mxfp4Half[row[17*b]]
		}
	}
}

// bfloats makes bfloat16 of the row at byte offset off.
func (d *many) bfloats(w *worker, to []byte, off int) {
	t := d.a.t.Type
	own := w.floats[d.decoded:]
	if _, size := t.Block(); d.a.t.Stride[0] == size {
		if t == tensor.BF16 {
			clear(to[copy(to, d.a.p[off:][:2*d.k]):])
			return
		}
		if shape := codeShape(t); shape.codes() {
			q, scales := (*byte)(unsafe.Pointer(&own[0])), f32Bytes(own[d.k/4:])
			d.apart(w, shape, off, q, scales)
			p := &w.spread
			p.q, p.scales, p.out, p.n = q, &scales[0], &f32s(to)[0], d.k/32
			d.u.scale[shape](p)
			return
		}
	}
	low := 0
	if d.shape == panelBF16x3 {
		low = 2 * up32(d.k)
	}
	d.split(w, to, d.a.floats(off, own[:d.k]), low)
}
