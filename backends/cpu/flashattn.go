package cpu

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() { register(tensor.FlashAttn{}, (*compiler).flashAttn) }

// Attention is computed for one plane of keys and a few tokens at a time. All heads that share the
// plane's keys are taken together: a block of keys is decoded once and met by each of their queries,
// and so is the block of values. The softmax is kept on line: running maximum, running sum, and sums of
// values that are scaled down when the maximum rises.
const (
	attnTokens = 4  // tokens of a work item
	attnCells  = 64 // cells of a block
)

// attention is one FlashAttn node, resolved.
type attention struct {
	u               *units
	op              tensor.FlashAttn
	dst, q, k, v    operand
	mask, sinks     operand // t is nil where absent
	dk, dv, share   int     // share is the number of heads to a plane of keys
	slope           []float32
	off             attentionScratch
	tokens, kvHeads int
}

// attentionScratch says where in a worker's floats the parts of a work item lie.
type attentionScratch struct{ keys, values, scores, queries, sums, maximum, total, mask, end int }

func (c *compiler) flashAttn() {
	a := &attention{u: c.u, op: c.node.Op.(tensor.FlashAttn), dst: c.dst, q: c.src[0], k: c.src[1], v: c.src[2]}
	if len(c.src) > 3 {
		a.mask = c.src[3]
	}
	if len(c.src) > 4 {
		a.sinks = c.src[4]
	}
	heads := a.q.t.Shape[1]
	a.dk, a.dv, a.kvHeads, a.tokens = a.q.t.Shape[0], a.v.t.Shape[0], a.k.t.Shape[1], a.q.t.Shape[2]
	a.share = heads / a.kvHeads
	a.slope = alibiSlopes(heads, a.op.MaxBias)
	a.off = a.layout()
	c.scratch(a.off.end)

	tiles := (a.tokens + attnTokens - 1) / attnTokens
	streams := a.q.t.Shape[3]
	c.step(func(w *worker) {
		for {
			item, _, ok := w.next(tiles*a.kvHeads*streams, 1)
			if !ok {
				return
			}
			// Later tokens see more cells: the long items are begun first.
			tile := tiles - 1 - item/a.kvHeads%tiles
			a.tile(w, item%a.kvHeads, tile*attnTokens, item/a.kvHeads/tiles)
		}
	})
}

func (a *attention) layout() attentionScratch {
	var o attentionScratch
	n := 0
	take := func(at *int, size int) { *at, n = n, n+size }
	queries := attnTokens * a.share
	take(&o.keys, attnCells*a.dk)
	take(&o.values, attnCells*a.dv)
	take(&o.queries, queries*a.dk)
	take(&o.scores, attnCells)
	take(&o.sums, queries*a.dv)
	take(&o.maximum, queries)
	take(&o.total, queries)
	take(&o.mask, attnTokens*a.share*attnCells)
	o.end = n
	return o
}

// tile computes the heads of key plane kv for up to attnTokens tokens from t0 on, in stream s.
func (a *attention) tile(w *worker, kv, t0, s int) {
	var (
		f       = w.floats
		tokens  = min(attnTokens, a.tokens-t0)
		queries = tokens * a.share
		maximum = f[a.off.maximum:][:queries]
		total   = f[a.off.total:][:queries]
		sums    = f[a.off.sums:][:queries*a.dv]
		cells   = a.k.t.Shape[2]
	)
	for i := range maximum {
		maximum[i], total[i] = negInf, 0
	}
	clear(sums)
	for c0 := 0; c0 < cells; c0 += attnCells {
		n := min(attnCells, cells-c0)
		if !a.loadMask(f, kv, t0, tokens, c0, n, s) {
			continue // every cell is hidden from every query
		}
		for c := range n {
			a.copyRow(&a.k, a.k.at(kv, c0+c, s), f[a.off.keys+c*a.dk:][:a.dk])
			a.copyRow(&a.v, a.v.at(kv, c0+c, s), f[a.off.values+c*a.dv:][:a.dv])
		}
		for i := range queries {
			head, t := kv*a.share+i%a.share, t0+i/a.share
			q := a.q.floats(a.q.at(head, t, s), f[a.off.queries+i*a.dk:])
			a.block(f, i, n, head, q)
		}
	}
	for i := range queries {
		head, t := kv*a.share+i%a.share, t0+i/a.share
		a.finish(f, i, head, a.dst.at(head, t, s))
	}
}

// copyRow puts the row at byte offset off into dst, as floats.
func (a *attention) copyRow(o *operand, off int, dst []float32) {
	if row := o.floats(off, dst); len(row) > 0 && &row[0] != &dst[0] {
		copy(dst, row)
	}
}

// loadMask fills the scratch's mask for the tile's queries and reports whether any of them may look at
// any of the n cells from c0 on.
func (a *attention) loadMask(f []float32, kv, t0, tokens, c0, n, s int) bool {
	if a.mask.t == nil {
		return true
	}
	seen := false
	ms := a.mask.t.Shape
	for i := range tokens * a.share {
		row := f[a.off.mask+i*attnCells:][:n]
		if ms[2] == 1 && i%a.share != 0 { // one mask for all heads: as for the head before
			copy(row, f[a.off.mask+(i-1)*attnCells:][:n])
			continue
		}
		head, t := kv*a.share+i%a.share, t0+i/a.share
		off := a.mask.at(t, head%ms[2], s%ms[3]) + c0*a.mask.t.Stride[0]
		for c := range row {
			row[c] = element(a.mask.t.Type, a.mask.p[off+c*a.mask.t.Stride[0]:])
			seen = seen || row[c] != negInf
		}
	}
	return seen
}

var negInf = float32(math.Inf(-1))

// block takes query i, of the given head, past n cells.
func (a *attention) block(f []float32, i, n, head int, q []float32) {
	scores := f[a.off.scores:][:n]
	greatest := negInf
	for c := range scores {
		s := a.u.dotF32(f[a.off.keys+c*a.dk:][:a.dk], q) * a.op.Scale
		if a.op.SoftCap != 0 {
			s = a.op.SoftCap * tanh32(s/a.op.SoftCap)
		}
		scores[c] = s
	}
	if a.mask.t != nil {
		slope := float32(1)
		if a.slope != nil {
			slope = a.slope[head]
		}
		for c, m := range f[a.off.mask+i*attnCells:][:n] {
			scores[c] += slope * m
		}
	}
	for _, s := range scores {
		greatest = max(greatest, s) // NaN wins, and spreads as it should
	}
	if greatest == negInf {
		return
	}
	maximum, total := &f[a.off.maximum+i], &f[a.off.total+i]
	sums := f[a.off.sums+i*a.dv:][:a.dv]
	if greatest > *maximum || greatest != greatest {
		down := expf(*maximum - greatest)
		*total *= down
		scaleF32(sums, down)
		*maximum = greatest
	}
	for c, s := range scores {
		p := expf(s - *maximum)
		if p == 0 {
			continue
		}
		*total += p
		a.u.addScaledF32(sums, f[a.off.values+c*a.dv:][:a.dv], p)
	}
}

// finish divides query i's sums by their weights and writes them to dst at byte offset off.
func (a *attention) finish(f []float32, i, head, off int) {
	sums := f[a.off.sums+i*a.dv:][:a.dv]
	maximum, total := f[a.off.maximum+i], f[a.off.total+i]
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
	out := f32s(a.dst.p[off : off+4*a.dv])
	if total == 0 { // all hidden
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

// tanh32 is math.Tanh, rounded once.
func tanh32(x float32) float32 { return float32(math.Tanh(float64(x))) }

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
