package cpu

import (
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
)

const (
	// panelTokens is the fewest tokens of a plane that are worth turning: with fewer, much of a tile is empty
	// and decoding a row costs more than it saves.
	panelTokens = 12
	// chunkBytes bounds the codes of a chunk: they stay in the second cache, beside two groups of tokens.
	chunkBytes = 640 << 10
	chunkRows  = 96 // and a chunk is not larger than this, so that there are enough of them
	// tileSpace is what AMX kernels store tiles in, aligned to itself.
	tileSpace = 2048
)

// many is a product of weights with many tokens, made by panel units.
type many struct {
	c     *compiler
	u     *panelUnits
	shape panelShape
	k, m  int // elements of a row, tokens of a plane
	a, x  operand

	groups, groupBytes int // of a plane, and the bytes of each
	tokens             int // byte offset in the shared scratch of the turned tokens
	records, stride    int // and of their records, where they are rounded

	// A chunk's parts in a worker's floats.
	rows, qStride, scaleStride    int
	q, scales, out, decoded, tile int
}

// many returns the product of sources 0 and 1 with panel units and adds the steps that make tokens ready,
// or nil if row units do it as well.
func (c *compiler) many(isExact bool) *many {
	a, x := c.src[0], c.src[1]
	u := c.u.panel
	if u == nil || x.t.Shape[1] < panelTokens {
		return nil
	}
	d := &many{c: c, u: u, shape: panelShapeOf(a.t.Type), k: x.t.Shape[0], m: x.t.Shape[1], a: a, x: x}
	_, size := a.t.Type.Block()
	if d.shape == noPanel || isExact || a.t.Stride[0] != size || d.shape != panelFloats && u.codes[a.t.Type] == nil {
		d.shape = panelFloats
	}
	if u.tile[d.shape][0] == nil {
		return nil
	}
	d.groups = (d.m + groupTokens - 1) / groupTokens
	d.ready()
	d.chunk()
	return d
}

// ready adds the steps that round and turn tokens.
func (d *many) ready() {
	c, x, k := d.c, d.x, d.k
	rows := x.t.Shape.Rows()
	own := c.scratch(k)
	if d.shape == panelFloats {
		d.groupBytes = 4 * k * groupTokens
	} else {
		d.groupBytes = k / 32 * tokenBlock
	}
	d.tokens = c.common(rows / d.m * d.groups * d.groupBytes)
	d.records = -1
	if f := d.form(); f != floats || !x.packedF32() {
		d.stride = f.stride(k)
		d.records = c.common(rows * d.stride)
		c.eachRow(rows, k, func(w *worker, j int) {
			at := d.records + j*d.stride
			c.u.round[f](w.shared[at:at+f.bytes(k)], x.floats(x.row(j), w.floats[own:]))
		})
	}
	groups := rows / d.m * d.groups
	pieces := max(1, min(k/256, 4*c.dev.team.size/groups)) // of a group, where there are few groups
	c.step(func(w *worker) {
		for {
			i, _, ok := w.next(groups*pieces, 1)
			if !ok {
				return
			}
			d.turn(w, i/pieces, i%pieces, pieces)
		}
	})
}

func (d *many) form() form {
	if d.shape == panelFloats {
		return floats
	}
	return blocks32
}

// turn turns one piece of a group of tokens. Places beyond the last token are filled with the first one.
func (d *many) turn(w *worker, group, piece, pieces int) {
	first := group / d.groups * d.m // of the plane
	at := group % d.groups * groupTokens
	lane := &w.lanes
	var from *byte
	for i := range lane {
		j := first + at
		if at+i < d.m {
			j += i
		}
		var p *byte
		if d.records >= 0 {
			p = &w.shared[d.records+j*d.stride]
		} else {
			p = &d.x.p[d.x.row(j)]
		}
		if i == 0 {
			from = p
		}
		lane[i] = int32(uintptr(unsafe.Pointer(p)) - uintptr(unsafe.Pointer(from)))
	}
	to := w.shared[d.tokens+group*d.groupBytes:][:d.groupBytes]
	p := &w.panel
	p.lanes = lane
	if d.shape == panelFloats {
		k0, k1 := d.k*piece/pieces, d.k*(piece+1)/pieces
		p.q, p.n, p.flip, p.outStride = (*byte)(unsafe.Add(unsafe.Pointer(from), 4*k0)), k1-k0, 0, 64
		p.out = &f32s(to[64*k0:])[0]
		d.u.pack(p)
		return
	}
	blocks := d.k / 32
	for b := blocks * piece / pieces; b < blocks*(piece+1)/pieces; b++ {
		out := to[b*tokenBlock:][:tokenBlock]
		p.q, p.n, p.flip, p.outStride = (*byte)(unsafe.Add(unsafe.Pointer(from), 32*b)), 8, d.u.flip, 64
		p.out = &f32s(out)[0]
		d.u.pack(p)
		p.q, p.n, p.flip = (*byte)(unsafe.Add(unsafe.Pointer(from), d.k+4*b)), 1, 0
		p.out = &f32s(out[atScales:])[0]
		d.u.pack(p)
		if d.shape == panel32Least {
			p.q = (*byte)(unsafe.Add(unsafe.Pointer(from), d.k+d.k/8+4*b))
			p.out = &f32s(out[atSums:])[0]
			d.u.pack(p)
			scale, sum, whole := f32s(out[atScales:atSums]), f32s(out[atSums:]), i32s(out[atSums:])
			for i, s := range scale {
				sum[i] = float32(whole[i]) * s
			}
		}
	}
}

// chunk lays out what a worker needs for a chunk of rows.
func (d *many) chunk() {
	tile := d.u.rows[d.shape]
	elem := 1
	if d.shape == panelFloats {
		elem = 4
	}
	n := d.a.t.Shape[1]
	rows := min(chunkRows, max(tile, chunkBytes/(elem*d.k)))
	rows = min(rows, max(tile, n/(4*d.c.dev.team.size)))
	d.rows = (rows + tile - 1) / tile * tile
	// A cache line more than a row, so that rows do not meet in the same sets of the cache.
	d.qStride = (elem*d.k+63)&^63 + 64
	if d.shape != panelFloats {
		d.scaleStride = d.k/d.shape.elems()*d.shape.entry() + 64
	}
	d.q = d.c.scratch(d.rows * d.qStride / 4)
	d.scales = d.c.scratch(d.rows * d.scaleStride / 4)
	d.out = d.c.scratch((d.rows + 16) * 2 * groupTokens)
	d.tile = d.c.scratch(2 * tileSpace / 4)
}

// multiply computes rows i to i+rows-1 of the weights whose first row is at byte offset off, with all
// tokens of a plane. Results go to dst, the first at byte offset out, those of the next token dstStride
// bytes further.
func (d *many) multiply(w *worker, plane, off, rows int, dst []byte, out, dstStride int) {
	for r := range rows {
		d.row(w, r, off+r*d.a.t.Stride[1])
	}
	shape, tile := d.shape, d.u.rows[d.shape]
	p := &w.panel
	p.qStride, p.scaleStride, p.outStride = d.qStride, d.scaleStride, 2*groupTokens*4
	p.group, p.n = d.groupBytes, d.k/32
	if shape == panelFloats {
		p.n = d.k
	}
	if c := d.u.config[shape]; c != nil {
		space := unsafe.Pointer(&w.floats[d.tile])
		p.tiles, p.config = (*byte)(unsafe.Add(space, -uintptr(space)&(tileSpace-1))), &c[0]
	}
	tokens := w.shared[d.tokens+plane*d.groups*d.groupBytes:]
	for g := 0; g < d.groups; {
		both := 1
		if d.u.tile[shape][1] != nil && g+1 < d.groups {
			both = 2
		}
		f := d.u.tile[shape][both-1]
		p.x = &tokens[g*d.groupBytes]
		for r := 0; r < rows; r += tile {
			p.q = (*byte)(unsafe.Pointer(&w.floats[d.q+r*d.qStride/4]))
			if shape != panelFloats {
				p.scales = (*byte)(unsafe.Pointer(&w.floats[d.scales+r*d.scaleStride/4]))
			}
			p.out = &w.floats[d.out+r*2*groupTokens]
			f(p)
		}
		n := min(both*groupTokens, d.m-g*groupTokens)
		d.spread(w, rows, n, dst[out+g*groupTokens*dstStride:], dstStride)
		g += both
	}
}

// spread moves the results of n tokens from the scratch to dst.
func (d *many) spread(w *worker, rows, n int, dst []byte, dstStride int) {
	_ = dst[(n-1)*dstStride+4*rows-1]
	p := &w.spread
	p.lanes, p.outStride, p.n = &spreadLanes, dstStride, n
	for r := 0; r < rows; r += 16 {
		p.flip = 1<<min(16, rows-r) - 1
		p.x = (*byte)(unsafe.Pointer(&w.floats[d.out+r*2*groupTokens]))
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

// row takes the row of weights at byte offset off apart, as row r of the chunk.
func (d *many) row(w *worker, r, off int) {
	if d.shape == panelFloats {
		to := w.floats[d.q+r*d.qStride/4:][:d.k]
		if v := d.a.floats(off, to); &v[0] != &to[0] {
			copy(to, v)
		}
		return
	}
	t := d.a.t.Type
	elems, size := t.Block()
	row := d.a.p[off:][:d.k/elems*size]
	scales := f32Bytes(w.floats[d.scales+r*d.scaleStride/4:][:d.scaleStride/4])
	p := &w.unpacking
	p.w, p.n, p.entry = &row[0], d.k/elems, d.shape.entry()
	p.q = (*byte)(unsafe.Pointer(&w.floats[d.q+r*d.qStride/4]))
	p.scales = &scales[0]
	d.u.codes[t](p)
	switch {
	case elems == 256:
		superScales(t, row, scales, d.shape)
	case t == tensor.MXFP4:
		for b := range p.n {
			f32s(scales[8*b:])[1] = mxfp4Half[row[17*b]]
		}
	}
	if d.u.flip == 0 {
		return
	}
	p.n = d.k / 32
	if d.shape == panel16 {
		d.u.sums16(p)
	} else {
		d.u.sums32(p)
	}
}
