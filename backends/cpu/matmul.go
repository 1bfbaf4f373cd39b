package cpu

import (
	"slices"
	"unsafe"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.MatMul{}, (*compiler).matMul)
	register(tensor.MatMulID{}, (*compiler).matMulID)
}

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

// factors returns both sides of the product of sources 0 and 1, and adds the step that makes the
// tokens ready.
func (c *compiler) factors(isExact bool) *factors {
	a, x := c.src[0], c.src[1]
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
	} else if n <= mostTokens {
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

func (c *compiler) matMul() {
	dst, a := c.dst, c.src[0]
	if a.t.Shape[0] == 0 {
		c.zero()
		return
	}
	n, m, p2 := dst.t.Shape[0], dst.t.Shape[1], dst.t.Shape[2]
	planes := p2 * dst.t.Shape[3]
	isExact := c.node.Op.(tensor.MatMul).Exact
	if c.many(isExact) {
		return
	}
	r2, r3 := p2/a.t.Shape[2], dst.t.Shape[3]/a.t.Shape[3] // how often a's planes repeat
	f := c.factors(isExact)
	grain := c.weightGrain(n)
	chunks := (n + grain - 1) / grain
	c.step(func(w *worker) {
		for {
			item, _, ok := w.next(planes*chunks, 1)
			if !ok {
				return
			}
			i2, i3 := item/chunks%p2, item/chunks/p2
			i := item % chunks * grain
			off := a.at(i, i2/r2, i3/r3)
			x, xStride := f.token(w, (i3*p2+i2)*m)
			f.multiply(w, off, min(grain, n-i), x, xStride, m, dst.p, dst.at(0, i2, i3)+4*i, dst.t.Stride[1])
		}
	})
}

// weightGrain returns how many of n weight rows make a chunk: enough chunks for a slow worker to be
// helped, and enough rows in each that taking it costs nothing.
func (c *compiler) weightGrain(n int) int {
	return min(64, max(1, n/(8*c.dev.team.size)/cachedRows)*cachedRows)
}

// zero adds a step that clears dst: a sum over nothing.
func (c *compiler) zero() {
	dst := c.dst
	c.step(func(w *worker) {
		if w.id == 0 {
			clear(dst.p)
		}
	})
}

func (c *compiler) matMulID() {
	dst, a, x := c.dst, c.src[0], c.src[1]
	if a.t.Shape[0] == 0 {
		c.zero()
		return
	}
	op := c.node.Op.(tensor.MatMulID)
	groups := c.groupByExpert()
	if c.manyID(op.Exact, groups) {
		return
	}
	n, used, xRows := dst.t.Shape[0], dst.t.Shape[1], x.t.Shape[1]
	experts := a.t.Shape[2]
	f := c.factors(op.Exact)
	record := f.units.form.stride(f.k)
	gathered, results := c.scratch(mostTokens*record/4), c.scratch(mostTokens*cachedRows)
	grain := c.weightGrain(n)
	chunks := (n + grain - 1) / grain
	c.step(func(w *worker) {
		for {
			item, _, ok := w.next(experts*chunks, 1)
			if !ok {
				return
			}
			e := item / chunks
			group := groups.of(w, e)
			if len(group) == 0 {
				continue
			}
			first := item % chunks * grain
			for i := first; i < min(first+grain, n); i += cachedRows {
				rows, off := min(cachedRows, first+grain-i, n-i), a.at(i, e, 0)
				for rest := group; len(rest) > 0; {
					some := rest[:min(mostTokens, len(rest))]
					rest = rest[len(some):]
					if len(some) == 1 {
						slot, t := int(some[0])%used, int(some[0])/used
						token, _ := f.token(w, t*xRows+slot%xRows)
						f.multiply(w, off, rows, token, 0, 1, dst.p, dst.at(slot, t, 0)+4*i, 0)
						continue
					}
					// Their records are put side by side, and the results where they belong.
					to := f32Bytes(w.floats[gathered:][:len(some)*record/4])
					for s, p := range some {
						slot, t := int(p)%used, int(p)/used
						token, _ := f.token(w, t*xRows+slot%xRows)
						copy(to[s*record:], unsafe.Slice(token, f.units.form.bytes(f.k)))
					}
					out := w.floats[results:][:len(some)*cachedRows]
					f.multiply(w, off, rows, &to[0], record, len(some), f32Bytes(out), 0, 4*cachedRows)
					for s, p := range some {
						slot, t := int(p)%used, int(p)/used
						at := dst.at(slot, t, 0) + 4*i
						copy(f32s(dst.p[at:at+4*rows]), out[s*cachedRows:])
					}
				}
			}
		}
	})
}

// expertGroups are the pairs of (slot, token) of a mixture, in the shared scratch, ordered by expert,
// so that an expert's weights are read once for all its tokens. A pair is token*used + slot. Each expert's
// pairs are cut into groups of groupTokens, which are numbered through all experts.
type expertGroups struct{ at, experts, pairs int }

// all returns where each expert's pairs begin, and its groups, and the pairs.
func (g *expertGroups) all(w *worker) (start, groups, order []int32) {
	n := g.experts + 1
	v := i32s(w.shared[g.at : g.at+4*(2*n+g.pairs)])
	return v[:n], v[n : 2*n], v[2*n:]
}

// of returns the pairs of expert e.
func (g *expertGroups) of(w *worker, e int) []int32 {
	start, _, order := g.all(w)
	return order[start[e]:start[e+1]]
}

// firstGroup returns the number of expert e's first group.
func (g *expertGroups) firstGroup(w *worker, e int) int {
	_, groups, _ := g.all(w)
	return int(groups[e])
}

// group returns the pairs of group i, none if there are fewer groups.
func (g *expertGroups) group(w *worker, i int) []int32 {
	start, groups, order := g.all(w)
	e, found := slices.BinarySearch(groups, int32(i+1))
	if !found && e == len(groups) {
		return nil
	}
	e-- // the last expert whose first group is not behind i
	from := start[e] + (int32(i)-groups[e])*groupTokens
	return order[from:min(from+groupTokens, start[e+1])]
}

// groupByExpert adds the step that orders the pairs by the ids in source 2.
func (c *compiler) groupByExpert() *expertGroups {
	ids, experts := c.src[2], c.src[0].t.Shape[2]
	name, kind := c.node.Name, c.node.Op.Kind()
	used := ids.t.Shape[0]
	g := &expertGroups{experts: experts, pairs: used * ids.t.Shape[1]}
	g.at = c.common(4 * (2*(experts+1) + g.pairs))
	id := func(pair int) int64 { return ids.index(ids.at(pair/used, 0, 0), pair%used) }
	c.step(func(w *worker) {
		if w.id != 0 {
			return
		}
		start, groups, order := g.all(w)
		clear(start)
		for p := range g.pairs {
			e := id(p)
			if e < 0 || e >= int64(experts) {
				w.r.fail(&backends.IndexError{Node: name, Op: kind, Index: e, Rows: experts})
				return
			}
			start[e+1]++
		}
		groups[0] = 0
		for e := range experts {
			groups[e+1] = groups[e] + (start[e+1]+groupTokens-1)/groupTokens
			start[e+1] += start[e]
		}
		for p := range g.pairs {
			e := id(p)
			order[start[e]] = int32(p)
			start[e]++
		}
		copy(start[1:], start[:experts]) // each start has moved to its group's end
		start[0] = 0
	})
	return g
}
