package cpu

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() { register(tensor.FlashAttn{}, (*compiler).flashAttn) }

// Attention is computed for one plane of keys and the queries of all heads that share it, some tokens at
// a time, a block of cells after the other: keys of a block are decoded once and met by all queries, then
// values likewise. The softmax is kept on line: running maximum, running sum, and sums of values that
// are scaled down when the maximum rises. See attnblock.go.
//
// Blocks and segments of blocks begin at fixed cells, each segment is computed by itself, and segments are
// merged in order. So a token's result has the same bits whether its segments are computed by one worker or
// several, and whatever other tokens are computed with it: blocks that only others may see change nothing.
const (
	attnCells   = 64  // cells of a block
	attnSegment = 512 // cells of a segment
	attnQueries = 128 // queries taken together, unless a single token has more
)

// attention is one FlashAttn node, resolved.
type attention struct {
	u             *units
	op            tensor.FlashAttn
	dst, q, k, v  operand
	mask, sinks   operand // t is nil where absent
	dk, dv, wide  int     // wide is dv, rounded up to registers
	share         int     // heads to a plane of keys
	slope         []float32
	off           attnScratch
	tokens, cells int
	kvHeads       int
	tileTokens    int // tokens taken together

	seen    int // offset in shared scratch of what mask rows show of blocks; see look
	partial int // and of results of segments
}

func (c *compiler) flashAttn() {
	a := &attention{u: c.u, op: c.node.Op.(tensor.FlashAttn), dst: c.dst, q: c.src[0], k: c.src[1], v: c.src[2]}
	if len(c.src) > 3 {
		a.mask = c.src[3]
	}
	if len(c.src) > 4 {
		a.sinks = c.src[4]
	}
	heads, streams := a.q.t.Shape[1], a.q.t.Shape[3]
	a.dk, a.dv, a.kvHeads, a.tokens = a.q.t.Shape[0], a.v.t.Shape[0], a.k.t.Shape[1], a.q.t.Shape[2]
	a.cells, a.wide, a.share = a.k.t.Shape[2], (a.dv+15)&^15, heads/a.kvHeads
	a.slope = alibiSlopes(heads, a.op.MaxBias)
	a.tileTokens = min(a.tokens, max(1, attnQueries/a.share))
	a.layout(c)
	if a.mask.t != nil {
		a.lookAtMask(c)
	}

	tiles := (a.tokens + a.tileTokens - 1) / a.tileTokens
	items := tiles * a.kvHeads * streams
	if segments := a.segments(); segments > 1 && items < 4*c.dev.team.size {
		a.split(c, tiles, items, segments)
		return
	}
	c.step(func(w *worker) {
		for {
			i, _, ok := w.next(items, 1)
			if !ok {
				return
			}
			it := a.item(w, i, tiles)
			a.whole(it)
		}
	})
}

// segments returns how many segments there are.
func (a *attention) segments() int { return (a.cells + attnSegment - 1) / attnSegment }

// attnItem is a plane of keys and some tokens, in a worker's scratch.
type attnItem struct {
	f         []float32
	shared    []byte
	kv, t0, s int
	tokens    int
	queries   int // query i is of token t0+i/share and head kv*share+i%share
	tile      attnTile
	soft      softBlock
	rows      cellRows
}

// item returns item i. Later tokens see more cells: the long items are begun first.
func (a *attention) item(w *worker, i, tiles int) *attnItem {
	it := &w.attn
	it.f, it.shared, it.kv, it.s = w.floats, w.shared, i%a.kvHeads, i/a.kvHeads/tiles
	it.t0 = (tiles - 1 - i/a.kvHeads%tiles) * a.tileTokens
	it.tokens = min(a.tileTokens, a.tokens-it.t0)
	it.queries = it.tokens * a.share
	return it
}

// head and token return those of query i.
func (a *attention) head(it *attnItem, i int) int  { return it.kv*a.share + i%a.share }
func (a *attention) token(it *attnItem, i int) int { return it.t0 + i/a.share }

// whole computes all segments of an item.
func (a *attention) whole(it *attnItem) {
	a.loadQueries(it)
	end := a.end(it.f)
	clear(end.total[:it.queries])
	for seg := range a.segments() {
		if !a.segment(it, seg) {
			continue
		}
		for i := range it.queries {
			a.merge(end, i, it.f[a.off.maximum+i], it.f[a.off.total+i], it.f[a.off.sums+i*a.wide:])
		}
	}
	for i := range it.queries {
		head := a.head(it, i)
		a.finish(end, i, head, a.dst.at(head, a.token(it, i), it.s))
	}
}

// split adds the steps for few items over many cells: segments are computed by whoever is there, and merged
// when all are done.
func (a *attention) split(c *compiler, tiles, items, segments int) {
	heads, streams := a.q.t.Shape[1], a.q.t.Shape[3]
	size := 4 * (16 + a.wide) // of a result: maximum, total, and sums from element 16 on
	a.partial = c.common(size * segments * heads * a.tokens * streams)
	at := func(shared []byte, seg, head, t, s int) []float32 {
		off := a.partial + size*(((s*a.tokens+t)*heads+head)*segments+seg)
		return f32s(shared[off : off+size])
	}
	c.step(func(w *worker) {
		for {
			i, _, ok := w.next(items*segments, 1)
			if !ok {
				return
			}
			it := a.item(w, i/segments, tiles)
			seg := i % segments
			a.loadQueries(it)
			a.segment(it, seg)
			for j := range it.queries {
				p := at(w.shared, seg, a.head(it, j), a.token(it, j), it.s)
				p[0], p[1] = it.f[a.off.maximum+j], it.f[a.off.total+j]
				copy(p[16:], it.f[a.off.sums+j*a.wide:][:a.wide])
			}
		}
	})
	c.eachRow(heads*a.tokens*streams, segments*a.wide, func(w *worker, r int) {
		head, t, s := r%heads, r/heads%a.tokens, r/heads/a.tokens
		end := a.end(w.floats)
		end.total[0] = 0
		for seg := range segments {
			p := at(w.shared, seg, head, t, s)
			a.merge(end, 0, p[0], p[1], p[16:])
		}
		a.finish(end, 0, head, a.dst.at(head, t, s))
	})
}

// state is what is known of some queries: the greatest score, the sum of weights relative to it, and the
// weighted sum of values, wide floats each.
type state struct{ maximum, total, sums []float32 }

// end is where an item's results are merged.
func (a *attention) end(f []float32) state {
	return state{f[a.off.endMaximum:], f[a.off.endTotal:], f[a.off.ends:]}
}

// merge adds what a segment has of a query to what those before it have of query i.
func (a *attention) merge(end state, i int, maximum, total float32, sums []float32) {
	to := end.sums[i*a.wide:][:a.wide]
	switch {
	case total == 0: // all hidden
		return
	case end.total[i] == 0:
		end.maximum[i], end.total[i] = maximum, total
		copy(to, sums)
		return
	}
	most := max(end.maximum[i], maximum)
	down, add := expf(end.maximum[i]-most), expf(maximum-most)
	end.maximum[i], end.total[i] = most, end.total[i]*down+total*add
	if down == 1 {
		a.u.addScaledF32(to, sums, add)
		return
	}
	scaleF32(to, down)
	a.u.addScaledF32(to, sums, add)
}

// finish divides query i's sums by their weights and writes them to dst at byte offset off.
func (a *attention) finish(end state, i, head, off int) {
	out := f32s(a.dst.p[off : off+4*a.dv])
	sums, total := end.sums[i*a.wide:][:a.dv], end.total[i]
	maximum := negInf
	if total == 0 { // all hidden, and nothing was written to sums
		clear(sums)
	} else {
		maximum = end.maximum[i]
	}
	if a.sinks.t != nil {
		sink := element(a.sinks.t.Type, a.sinks.p[head*a.sinks.t.Stride[0]:])
		if sink > maximum {
			down := expf(maximum - sink)
			total *= down
			scaleF32(sums, down)
			maximum = sink
		}
		total += expf(sink - maximum)
	}
	if total == 0 {
		clear(out)
		return
	}
	inv := 1 / total
	for j := range out {
		out[j] = sums[j] * inv
	}
}

// scaleF32 multiplies x by s.
func scaleF32(x []float32, s float32) {
	for i := range x {
		x[i] *= s
	}
}

// addScaledF32Go adds s*x to dst.
func addScaledF32Go(dst, x []float32, s float32) {
	x = x[:len(dst)]
	for len(dst) >= 4 {
		d, v := (*[4]float32)(dst), (*[4]float32)(x)
		d[0] += s * v[0]
		d[1] += s * v[1]
		d[2] += s * v[2]
		d[3] += s * v[3]
		dst, x = dst[4:], x[4:]
	}
	for i := range dst {
		dst[i] += s * x[i]
	}
}

// tanh32 returns the hyperbolic tangent of x, off by a few units of 2^-24.
func tanh32(x float32) float32 { return 1 - 2/(1+expf(2*x)) }

// alibiSlopes returns the factor of each head's distance penalty, or nil where there is none. The
// heads up to the greatest power of two have 2^(-maxBias*(h+1)/p); the rest lie between.
// Source: arXiv:2108.12409.
func alibiSlopes(heads int, maxBias float32) []float32 {
	if maxBias <= 0 {
		return nil
	}
	p := 1
	for p*2 <= heads {
		p *= 2
	}
	slopes := make([]float32, heads)
	for h := range slopes {
		if h < p {
			slopes[h] = float32(math.Exp2(-float64(maxBias) * float64(h+1) / float64(p)))
		} else {
			slopes[h] = float32(math.Exp2(-float64(maxBias) / 2 * float64(2*(h-p)+1) / float64(p)))
		}
	}
	return slopes
}

var negInf = float32(math.Inf(-1))
