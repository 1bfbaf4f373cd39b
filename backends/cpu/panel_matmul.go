package cpu

import (
	"math"
	"unsafe"
)

const (
	// panelTokens is the fewest tokens of a plane that are worth turning: with fewer, much of a tile is empty
	// and decoding a row costs more than it saves.
	panelTokens = 12
	// expertTokens is the same for the mean of a mixture's experts.
	expertTokens = 6
	// chunkBytes bounds the codes of a chunk: they stay in the second cache, beside two groups of tokens.
	chunkBytes = 640 << 10
	chunkRows  = 96 // and a chunk is not larger than this, so that there are enough of them
)

// many is a product of weights with many tokens, made by panel units.
type many struct {
	c     *compiler
	u     *panelUnits
	shape panelShape
	k, m  int // elements of a row, tokens of a plane
	a, x  operand

	groupBytes      int // of a group of turned tokens
	tokens          int // byte offset of the groups in the shared scratch
	records, stride int // and of the tokens' records, where they are rounded

	// A chunk's parts in a worker's floats.
	rows, qStride, scaleStride int
	q, scales, out, decoded    int
	results                    int // as out, but token by token
}

// newMany returns the product of a and x with panel units, or nil if there are none for it.
func (c *compiler) newMany(a, x operand, isExact bool) *many {
	u := c.u.panel
	if u == nil {
		return nil
	}
	d := &many{c: c, u: u, shape: u.shape(a.t.Type), k: x.t.Shape[0], m: x.t.Shape[1], a: a, x: x}
	elems, size := a.t.Type.Block()
	if elems == 256 && d.m < u.fewest {
		return nil
	}
	if d.shape == noPanel || isExact || !d.shape.bfloats() && a.t.Stride[0] != size {
		d.shape = panelFloats
	}
	if u.tile[d.shape][0] == nil || max(len(x.p), x.t.Shape.Rows()*d.form().stride(d.k)) > math.MaxInt32 {
		return nil // lanes are 32 bits
	}
	switch d.shape {
	case panelFloats:
		d.groupBytes = 4 * d.k * groupTokens
	case panelBF16:
		d.groupBytes = 2 * up32(d.k) * groupTokens
	case panelBF16x3:
		d.groupBytes = 4 * up32(d.k) * groupTokens
	default:
		d.groupBytes = d.k / 32 * tokenBlock
	}
	return d
}

// bothMany returns each of the products with panel units, or nil if there are none for one of them, or if
// they cannot have the same tokens.
func (c *compiler) bothMany(p *matmuls) []*many {
	var ds []*many
	for i, a := range p.weights {
		d := c.newMany(a, p.x, p.exact)
		if d == nil || i > 0 && d.shape != ds[0].shape {
			return nil
		}
		ds = append(ds, d)
	}
	return ds
}

// ready adds the step that writes the tokens' records, makes room for groups of turned tokens, and for a
// chunk of each product.
func (c *compiler) ready(ds []*many, groups int) {
	ds[0].round()
	tokens := c.common(groups * ds[0].groupBytes)
	for _, d := range ds {
		d.tokens, d.records, d.stride = tokens, ds[0].records, ds[0].stride
		d.chunk(len(ds))
	}
}

// many adds the products with panel units, and reports whether they are ones for them.
func (c *compiler) many(p *matmuls) bool {
	dst, x := &p.dst, &p.x
	if c.alike || x.t.Shape[1] < panelTokens {
		return false
	}
	ds := c.bothMany(p)
	if ds == nil {
		return false
	}
	d := ds[0]
	groups := (d.m + groupTokens - 1) / groupTokens // of a plane
	planes := x.t.Shape.Rows() / d.m
	c.ready(ds, planes*groups)
	pieces := max(1, min(d.k/256, 4*c.dev.team.size/(planes*groups))) // of a group, where there are few
	c.step(func(w *worker) {
		for {
			i, _, ok := w.next(planes*groups*pieces, 1)
			if !ok {
				return
			}
			group := i / pieces
			first, at := group/groups*d.m, group%groups*groupTokens
			for l := range w.rows {
				w.rows[l] = int32(first + at)
				if at+l < d.m { // beyond the last token it is the first one again
					w.rows[l] += int32(l)
				}
			}
			d.turn(w, group, i%pieces, pieces)
		}
	})
	n, p2 := dst.t.Shape[0], dst.t.Shape[2]
	a := &p.weights[0]
	r2, r3 := p2/a.t.Shape[2], dst.t.Shape[3]/a.t.Shape[3] // how often a's planes repeat
	chunks := (n + d.rows - 1) / d.rows
	c.step(func(w *worker) {
		for {
			item, _, ok := w.next(planes*chunks, 1)
			if !ok {
				return
			}
			plane := item / chunks
			i2, i3 := plane%p2, plane/p2
			i := item % chunks * d.rows
			rows := min(d.rows, n-i)
			for _, d := range ds {
				d.take(w, d.a.at(i, i2/r2, i3/r3), rows)
			}
			for g := 0; g < groups; {
				t := g * groupTokens
				both := 0
				for _, d := range ds {
					both = d.multiply(w, plane*groups+g, min(2, groups-g), rows)
				}
				tokens := min(both*groupTokens, d.m-t)
				if p.finish == nil {
					d.spread(w, rows, 0, tokens, dst.p[dst.at(t, i2, i3)+4*i:], dst.t.Stride[1])
				} else {
					finishTile(w, ds, tokens, rows, func(l int, v [2][]float32) { p.finish(w, plane*d.m+t+l, i, v) })
				}
				g += both
			}
		}
	})
	return true
}

// finishTile gives the results of each of some tokens to f.
func finishTile(w *worker, ds []*many, tokens, rows int, f func(l int, v [2][]float32)) {
	for _, d := range ds {
		d.spread(w, rows, 0, tokens, f32Bytes(w.floats[d.results:][:d.rows*2*groupTokens]), 4*d.rows)
	}
	for l := range tokens {
		var v [2][]float32
		for k, d := range ds {
			v[k] = w.floats[d.results+l*d.rows:][:rows]
		}
		f(l, v)
	}
}

// manyID is many for a mixture of experts: the pairs of an expert are what tokens are there. A group has
// pairs of one expert alone.
func (c *compiler) manyID(p *matmuls, pairs *expertGroups) bool {
	dst, x := &p.dst, &p.x
	experts := p.weights[0].t.Shape[2]
	n, used, xRows := dst.t.Shape[0], dst.t.Shape[1], x.t.Shape[1]
	if c.alike || pairs.pairs < expertTokens*experts {
		return false
	}
	ds := c.bothMany(p)
	if ds == nil {
		return false
	}
	d := ds[0]
	most := min(pairs.pairs, pairs.pairs/groupTokens+experts)
	c.ready(ds, most)
	c.step(func(w *worker) {
		for {
			i, _, ok := w.next(most, 1)
			if !ok {
				return
			}
			order := pairs.group(w, i)
			if len(order) == 0 {
				return
			}
			for l := range w.rows {
				pair := order[0]
				if l < len(order) {
					pair = order[l]
				}
				w.rows[l] = int32(xRow(pair, used, xRows))
			}
			d.turn(w, i, 0, 1)
		}
	})
	chunks := (n + d.rows - 1) / d.rows
	c.step(func(w *worker) {
		for {
			item, _, ok := w.next(experts*chunks, 1)
			if !ok {
				return
			}
			e, i := item/chunks, item%chunks*d.rows
			order := pairs.of(w, e)
			if len(order) == 0 {
				continue
			}
			rows := min(d.rows, n-i)
			for _, d := range ds {
				d.take(w, d.a.at(i, e, 0), rows)
			}
			for g := pairs.firstGroup(w, e); len(order) > 0; {
				both := 0
				for _, d := range ds {
					both = d.multiply(w, g, min(2, (len(order)+groupTokens-1)/groupTokens), rows)
				}
				some := order[:min(both*groupTokens, len(order))]
				if p.finish != nil {
					finishTile(w, ds, len(some), rows, func(l int, v [2][]float32) { p.finish(w, int(some[l]), i, v) })
				} else {
					for l, pair := range some {
						d.spread(w, rows, l, 1, dst.p[dst.row(int(pair))+4*i:], 0)
					}
				}
				order = order[len(some):]
				g += both
			}
		}
	})
	return true
}

// round adds the step that writes the tokens' records, unless they are floats that lie ready.
func (d *many) round() {
	c, x, k := d.c, d.x, d.k
	rows := x.t.Shape.Rows()
	d.records = -1
	if f := d.form(); f != floats || !x.packedF32() {
		own := c.scratch(k)
		d.stride = f.stride(k)
		d.records = c.common(rows * d.stride)
		c.eachRow(rows, k, func(w *worker, j int) {
			at := d.records + j*d.stride
			rec, v := w.shared[at:at+f.bytes(k)], x.floats(x.row(j), w.floats[own:])
			if f == bfloats {
				d.split(w, rec, v, 2*up32(k))
				return
			}
			c.u.round[f](rec, v)
		})
	}
}

// split rounds x to bfloat16, and what is left of it, low bytes further, unless low is 0. Behind both it
// leaves zeros up to a multiple of 32.
func (d *many) split(w *worker, to []byte, x []float32, low int) {
	p := &w.spread
	whole := len(x) / 16
	p.q, p.low = &to[0], low
	if whole > 0 {
		p.x, p.n = (*byte)(unsafe.Pointer(&x[0])), whole
		d.u.split(p)
	}
	if len(x)%32 == 0 {
		return
	}
	end := &w.tail
	clear(end[:])
	copy(end[:], x[16*whole:])
	p.q, p.x, p.n = &to[32*whole], (*byte)(unsafe.Pointer(&end[0])), up32(len(x))/16-whole
	d.u.split(p)
}

func (d *many) form() form {
	switch {
	case d.shape == panelFloats:
		return floats
	case d.shape.bfloats():
		return bfloats
	}
	return blocks32
}

// turn turns one piece of a group of tokens, those of the rows in w.rows.
func (d *many) turn(w *worker, group, piece, pieces int) {
	lane := &w.lanes
	var from *byte
	for i, j := range w.rows {
		var p *byte
		if d.records >= 0 {
			p = &w.shared[d.records+int(j)*d.stride]
		} else {
			p = &d.x.p[d.x.row(int(j))]
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
	if d.shape.bfloats() {
		pairs := up32(d.k) / 2
		n0, n1 := pairs*piece/pieces, pairs*(piece+1)/pieces
		p.n, p.flip, p.outStride = n1-n0, 0, 64
		for at := 0; at < d.groupBytes; at += 64 * pairs { // what is rounded, and what is left
			p.q = (*byte)(unsafe.Add(unsafe.Pointer(from), at/16+4*n0))
			p.out = &f32s(to[at+64*n0:])[0]
			d.u.pack(p)
		}
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
