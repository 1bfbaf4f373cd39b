package cpu

import (
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.MatMul{}, func(c *compiler) {
		c.matMul(&matmuls{weights: c.src[:1], x: c.src[1], dst: c.dst, exact: c.node.Op.(tensor.MatMul).Exact})
	})
	register(tensor.MatMulID{}, func(c *compiler) {
		c.matMulID(c.node, c.src[2], &matmuls{weights: c.src[:1], x: c.src[1], dst: c.dst, exact: c.node.Op.(tensor.MatMulID).Exact})
	})
}

// matmuls are one product, or two of the same tokens, and what is made of them.
type matmuls struct {
	weights []operand
	x       operand
	dst     operand // of the result
	exact   bool
	// finish gets the results of rows i, i+1 ... of each product for row j of dst, counted through its
	// dimensions 1 to 3, and writes what belongs there. Without it the only product is the result.
	finish func(w *worker, j, i int, v [2][]float32)
}

// matMul adds the steps of products of all tokens with all rows.
func (c *compiler) matMul(p *matmuls) {
	if p.x.t.Shape[0] == 0 {
		c.zero(p)
		return
	}
	if c.many(p) {
		return
	}
	dst, a := &p.dst, &p.weights[0]
	n, m, p2 := dst.t.Shape[0], dst.t.Shape[1], dst.t.Shape[2]
	planes := p2 * dst.t.Shape[3]
	fs := c.bothFactors(p)
	r2, r3 := p2/a.t.Shape[2], dst.t.Shape[3]/a.t.Shape[3] // how often a's planes repeat
	grain := c.weightGrain(n)
	chunks := (n + grain - 1) / grain
	tile := c.newResults(p, grain, m)
	c.step(func(w *worker) {
		for {
			item, _, ok := w.next(planes*chunks, 1)
			if !ok {
				return
			}
			i2, i3 := item/chunks%p2, item/chunks/p2
			first, j := item%chunks*grain, (i3*p2+i2)*m
			last := min(first+grain, n)
			if p.finish == nil {
				x, xStride := fs[0].token(w, j)
				fs[0].multiply(w, a.at(first, i2/r2, i3/r3), last-first, x, xStride, m, dst.p, dst.at(0, i2, i3)+4*first, dst.t.Stride[1])
				continue
			}
			for i := first; i < last; i += tile.rows {
				rows := min(tile.rows, last-i)
				for k, f := range fs {
					x, xStride := f.token(w, j)
					f.multiply(w, f.a.at(i, i2/r2, i3/r3), rows, x, xStride, m, tile.of(w, k), 0, 4*tile.rows)
				}
				for t := range m {
					p.finish(w, j+t, i, tile.row(w, len(fs), t, rows))
				}
			}
		}
	})
}

// bothFactors returns the factors of each product.
func (c *compiler) bothFactors(p *matmuls) []*factors {
	var fs []*factors
	var like *factors
	for _, a := range p.weights {
		like = c.factors(a, p.x, p.exact, like)
		fs = append(fs, like)
	}
	return fs
}

// results is where a worker keeps results that are to be finished: some rows of several tokens, of each
// product.
type results struct{ at, rows, tokens int }

// newResults makes room for a chunk, or as many rows of it as stay in a cache with m tokens.
func (c *compiler) newResults(p *matmuls, chunk, m int) results {
	r := results{rows: chunk, tokens: m}
	if m > mostTokens {
		r.rows = min(chunk, cachedRows)
	}
	r.at = c.scratch(len(p.weights) * r.rows * m)
	return r
}

// of returns the memory of product k's results.
func (r *results) of(w *worker, k int) []byte {
	n := r.rows * r.tokens
	return f32Bytes(w.floats[r.at+k*n:][:n])
}

// row returns the first rows of token t of each product.
func (r *results) row(w *worker, products, t, rows int) (v [2][]float32) {
	for k := range products {
		v[k] = w.floats[r.at+(k*r.tokens+t)*r.rows:][:rows]
	}
	return v
}

// weightGrain returns how many of n weight rows make a chunk: enough chunks for a slow worker to be
// helped, and enough rows in each that taking it costs nothing.
func (c *compiler) weightGrain(n int) int {
	return min(64, max(1, n/(8*c.dev.team.size)/cachedRows)*cachedRows)
}

// zero adds the steps of products that are sums over nothing.
func (c *compiler) zero(p *matmuls) {
	dst := p.dst
	nothing := make([]float32, dst.t.Shape[0])
	c.eachRow(dst.t.Shape.Rows(), dst.t.Shape[0], func(w *worker, j int) {
		if p.finish != nil {
			p.finish(w, j, 0, [2][]float32{nothing, nothing})
			return
		}
		clear(dst.p[dst.row(j):][:dst.rowBytes()])
	})
}

// matMulID adds the steps of node's products, in which ids choose an expert's weights for each use of a
// token.
func (c *compiler) matMulID(node *tensor.Tensor, ids operand, p *matmuls) {
	if p.x.t.Shape[0] == 0 {
		c.zero(p)
		return
	}
	dst, a := &p.dst, &p.weights[0]
	experts := a.t.Shape[2]
	groups := c.groupByExpert(node, ids, experts)
	if c.manyID(p, groups) {
		return
	}
	n, used, xRows := dst.t.Shape[0], dst.t.Shape[1], p.x.t.Shape[1]
	fs := c.bothFactors(p)
	record := fs[0].units.form.stride(fs[0].k)
	gathered := c.scratch(mostTokens * record / 4)
	grain := c.weightGrain(n)
	chunks := (n + grain - 1) / grain
	tile := c.newResults(p, grain, mostTokens)
	c.step(func(w *worker) {
		for {
			item, _, ok := w.next(experts*chunks, 1)
			if !ok {
				return
			}
			e, i := item/chunks, item%chunks*grain
			rows := min(grain, n-i)
			for rest := groups.of(w, e); len(rest) > 0; {
				some := rest[:min(mostTokens, len(rest))]
				rest = rest[len(some):]
				for k, f := range fs {
					x, xStride := f.gather(w, some, used, xRows, gathered, record)
					f.multiply(w, f.a.at(i, e, 0), rows, x, xStride, len(some), tile.of(w, k), 0, 4*tile.rows)
				}
				for s, pair := range some {
					v := tile.row(w, len(fs), s, rows)
					if p.finish != nil {
						p.finish(w, int(pair), i, v)
						continue
					}
					at := dst.row(int(pair)) + 4*i
					copy(f32s(dst.p[at:at+4*rows]), v[0])
				}
			}
		}
	})
}

// gather returns the records of some pairs, side by side: those of several are copied to the scratch.
func (f *factors) gather(w *worker, pairs []int32, used, xRows, scratch, record int) (x *byte, stride int) {
	if len(pairs) == 1 {
		return f.token(w, xRow(pairs[0], used, xRows))
	}
	to := f32Bytes(w.floats[scratch:][:len(pairs)*record/4])
	for s, pair := range pairs {
		token, _ := f.token(w, xRow(pair, used, xRows))
		copy(to[s*record:], unsafe.Slice(token, f.units.form.bytes(f.k)))
	}
	return &to[0], record
}

// xRow returns the row of tokens that a pair uses: there is one for each use, or one for all.
func xRow(pair int32, used, xRows int) int {
	return int(pair)/used*xRows + int(pair)%used%xRows
}
