package cpu

import (
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.MatMul{}, (*compiler).matMul)
	register(tensor.MatMulID{}, (*compiler).matMulID)
}

// A matrix product is computed row of weights by row of weights: each worker takes a few rows, decodes
// them once and multiplies them with every token, so that weights are read from memory and decoded once
// however many tokens there are.
const weightRows = 8 // decoded together

// factors are both sides of a product: rows of weights and rows of tokens, ready to be multiplied.
type factors interface {
	// weights makes the weight row at byte offset off ready in slot.
	weights(w *worker, off, slot int)
	// dot multiplies that weight row with token row j.
	dot(w *worker, off, slot, j int) float32
}

// rounded are Q8_0 weights and tokens rounded to 8-bit blocks.
type rounded struct {
	k      int
	a      operand
	quants int // byte offset of the rounded tokens in the shared scratch
	scales int // and of their scales
}

func (f *rounded) row(w *worker, j int) (q []int8, scale []float32) {
	blocks := f.k / q8Block
	return i8s(w.shared[f.quants+j*f.k : f.quants+(j+1)*f.k]), f32s(w.shared[f.scales+4*j*blocks : f.scales+4*(j+1)*blocks])
}

func (f *rounded) weights(*worker, int, int) {}

func (f *rounded) dot(w *worker, off, _, j int) float32 {
	q, scale := f.row(w, j)
	return dotQ8(f.a.p[off:off+f.k/q8Block*34], q, scale)
}

// exact are weights decoded to floats, and tokens as they are.
type exact struct {
	k      int
	a, x   operand
	packed int // byte offset of packed tokens in the shared scratch, or -1 where x itself is packed
}

func (f *exact) weights(w *worker, off, slot int) {
	f.a.floats(off, w.floats[slot*f.k:])
}

func (f *exact) dot(w *worker, off, slot, j int) float32 {
	a := w.floats[slot*f.k : (slot+1)*f.k]
	if f.a.packedF32() {
		a = f32s(f.a.p[off : off+4*f.k])
	}
	if f.packed >= 0 {
		at := f.packed + 4*j*f.k
		return dotF32(a, f32s(w.shared[at:at+4*f.k]))
	}
	at := f.x.row(j)
	return dotF32(a, f32s(f.x.p[at:at+4*f.k]))
}

// factors returns both sides of the product of sources 0 and 1, and adds the step that makes the
// tokens ready.
func (c *compiler) factors(isExact bool) factors {
	a, x := c.src[0], c.src[1]
	k, rows := x.t.Shape[0], x.t.Shape.Rows()
	if a.t.Type == tensor.Q8_0 && !isExact {
		f := &rounded{k: k, a: a, quants: c.common(rows * k), scales: c.common(4 * rows * k / q8Block)}
		c.scratch(k)
		c.eachRow(rows, k, func(w *worker, j int) {
			q, scale := f.row(w, j)
			roundQ8(q, scale, x.floats(x.row(j), w.floats))
		})
		return f
	}
	f := &exact{k: k, a: a, x: x, packed: -1}
	c.scratch(weightRows * k)
	if !x.packedF32() {
		f.packed = c.common(4 * rows * k)
		c.eachRow(rows, k, func(w *worker, j int) {
			at := f.packed + 4*j*k
			x.floats(x.row(j), f32s(w.shared[at:at+4*k]))
		})
	}
	return f
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
	f := c.factors(c.node.Op.(tensor.MatMul).Exact)
	r2, r3 := p2/a.t.Shape[2], dst.t.Shape[3]/a.t.Shape[3] // how often a's planes repeat
	grain := c.weightGrain(n)
	chunks := (n + grain - 1) / grain
	c.step(func(w *worker) {
		for {
			item, _, ok := w.next(planes*chunks, 1)
			if !ok {
				return
			}
			i2, i3 := item/chunks%p2, item/chunks/p2
			first := item % chunks * grain
			base, tokens := a.at(0, i2/r2, i3/r3), (i3*p2+i2)*m
			for i := first; i < min(first+grain, n); i += weightRows {
				rows := min(weightRows, first+grain-i, n-i)
				off := base + i*a.t.Stride[1]
				for s := range rows {
					f.weights(w, off+s*a.t.Stride[1], s)
				}
				for j := tokens; j < tokens+m; j++ {
					out := dst.row(j) + 4*i
					d := f32s(dst.p[out : out+4*rows])
					for s := range d {
						d[s] = f.dot(w, off+s*a.t.Stride[1], s, j)
					}
				}
			}
		}
	})
}

// weightGrain returns how many of n weight rows make a chunk: enough chunks for a slow worker to be
// helped, and enough rows in each that taking it costs nothing.
func (c *compiler) weightGrain(n int) int {
	return min(64, max(1, n/(8*c.dev.team.size)/weightRows)*weightRows)
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
	n, used := dst.t.Shape[0], dst.t.Shape[1]
	experts, xRows := a.t.Shape[2], x.t.Shape[1]
	f := c.factors(c.node.Op.(tensor.MatMulID).Exact)
	groups := c.groupByExpert()
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
			for i := first; i < min(first+grain, n); i += weightRows {
				rows := min(weightRows, first+grain-i, n-i)
				off := a.at(i, e, 0)
				for s := range rows {
					f.weights(w, off+s*a.t.Stride[1], s)
				}
				for _, p := range group {
					slot, t := int(p)%used, int(p)/used
					out := dst.at(slot, t, 0) + 4*i
					d := f32s(dst.p[out : out+4*rows])
					for s := range d {
						d[s] = f.dot(w, off+s*a.t.Stride[1], s, t*xRows+slot%xRows)
					}
				}
			}
		}
	})
}

// expertGroups are the pairs of (slot, token) of a mixture, in the shared scratch, ordered by expert,
// so that an expert's weights are decoded once for all its tokens. A pair is token*used + slot.
type expertGroups struct{ at, experts, pairs int }

// all returns where each expert's pairs begin, and the pairs.
func (g *expertGroups) all(w *worker) (start, order []int32) {
	v := i32s(w.shared[g.at : g.at+4*(g.experts+1+g.pairs)])
	return v[:g.experts+1], v[g.experts+1:]
}

// of returns the pairs of expert e.
func (g *expertGroups) of(w *worker, e int) []int32 {
	start, order := g.all(w)
	return order[start[e]:start[e+1]]
}

// groupByExpert adds the step that orders the pairs by the ids in source 2.
func (c *compiler) groupByExpert() *expertGroups {
	ids, experts := c.src[2], c.src[0].t.Shape[2]
	name, kind := c.node.Name, c.node.Op.Kind()
	used := ids.t.Shape[0]
	g := &expertGroups{experts: experts, pairs: used * ids.t.Shape[1]}
	g.at = c.common(4 * (experts + 1 + g.pairs))
	id := func(pair int) int64 { return ids.index(ids.at(pair/used, 0, 0), pair%used) }
	c.step(func(w *worker) {
		if w.id != 0 {
			return
		}
		start, order := g.all(w)
		clear(start)
		for p := range g.pairs {
			e := id(p)
			if e < 0 || e >= int64(experts) {
				w.r.fail(&backends.IndexError{Node: name, Op: kind, Index: e, Rows: experts})
				return
			}
			start[e+1]++
		}
		for e := range experts {
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

// i32s looks at bytes as int32.
func i32s(p []byte) []int32 {
	return cast.Slice[int32](p)
}
