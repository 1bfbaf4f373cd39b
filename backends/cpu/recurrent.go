package cpu

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.SSMConv{}, ssmConv)
	register(tensor.GatedDeltaNet{}, (*compiler).deltaNet)
}

// ssmConv goes through some channels of a sequence at a time, and through the tokens of each.
func ssmConv(c *compiler) {
	dst, x, filters := c.dst, c.src[0], c.src[1]
	k, channels, tokens := filters.t.Shape[0], dst.t.Shape[0], dst.t.Shape[1]
	n := k - 1 + tokens
	total := channels * dst.t.Shape[2]
	c.scratch(n + k)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, rowGrain(n*k))
			if !ok {
				return
			}
			for i := from; i < to; i++ {
				ch, seq := i%channels, i/channels
				in := x.floats(x.at(ch, seq, 0), w.floats)
				f := filters.floats(filters.at(ch, 0, 0), w.floats[n:])
				for t := range tokens {
					v := 0.0
					for j, y := range f {
						v += float64(in[t+j]) * float64(y)
					}
					dst.floats(dst.at(t, seq, 0), nil)[ch] = float32(v)
				}
			}
		}
	})
}

// deltaRows is how many rows of a head's matrix a worker takes at a time. Rows do not meet: each is
// corrected by its own element of v, and gives its own element of the output.
const deltaRows = 16

// deltaNet is one GatedDeltaNet node, resolved.
type deltaNet struct {
	dst                        operand
	q, k, v, g, beta, state    operand
	dk, dv, heads, tokens, seq int
	states                     int
}

func (c *compiler) deltaNet() {
	s := &c.src[2].t.Shape
	d := &deltaNet{
		dst: c.dst, q: c.src[0], k: c.src[1], v: c.src[2], g: c.src[3], beta: c.src[4], state: c.src[5],
		dk: c.src[1].t.Shape[0], dv: s[0], heads: s[1], tokens: s[2], seq: s[3],
		states: c.node.Op.(tensor.GatedDeltaNet).States,
	}
	c.scratch(4*d.dk + d.dv)
	per := pieces(d.dv, deltaRows)
	c.step(func(w *worker) {
		for {
			i, _, ok := w.next(per*d.heads*d.seq, 1)
			if !ok {
				return
			}
			from := i % per * deltaRows
			d.rows(w.floats, from, min(from+deltaRows, d.dv), i/per%d.heads, i/per/d.heads)
		}
	})
}

// rows takes rows from to to-1 of a head's matrix through all tokens of a sequence. The matrix lies in
// the result from the start, where its latest state has to be.
func (d *deltaNet) rows(scratch []float32, from, to, head, seq int) {
	dk, u := d.dk, d.dst.u
	gates, keys, queries, values := scratch[:dk], scratch[dk:2*dk], scratch[2*dk:3*dk], scratch[4*dk:]
	all := f32s(d.dst.p)
	latest := d.after(all, 0, from, to, head, seq)
	for j := from; j < to; j++ {
		copy(latest[(j-from)*dk:][:dk], d.state.floats(d.state.at(j, head, seq), scratch[3*dk:]))
	}
	headK := head % d.k.t.Shape[1]
	scale := float32(1 / math.Sqrt(float64(dk)))
	one := d.g.t.Shape[0] == 1
	for t := range d.tokens {
		gate := gates[:d.g.t.Shape[0]]
		for i, g := range d.g.floats(d.g.at(head, t, seq), gates) {
			gate[i] = float32(exp(float64(g)))
		}
		k := d.k.floats(d.k.at(headK, t, seq), keys)
		q := d.q.floats(d.q.at(headK, t, seq), queries)
		v := d.v.floats(d.v.at(head, t, seq), values)
		beta := d.beta.floats(d.beta.at(head, t, seq), scratch[3*dk:])[0]
		out := all[((seq*d.tokens+t)*d.heads+head)*d.dv:][:d.dv]
		for j := from; j < to; j++ {
			row := latest[(j-from)*dk:][:dk]
			if one {
				decay(u, row, gate[0])
			} else {
				for i, f := range gate {
					row[i] *= f
				}
			}
			u.addScaledF32(row, k, beta*(v[j]-u.dotF32(row, k)))
			out[j] = scale * u.dotF32(row, q)
		}
		if back := d.tokens - 1 - t; back > 0 && back < d.states {
			copy(d.after(all, back, from, to, head, seq), latest)
		}
	}
}

// decay multiplies row by f.
func decay(u *units, row []float32, f float32) {
	if f >= 0.5 && f <= 2 { // f-1 is exact, and the sum is made by the faster loop
		u.addScaledF32(row, row, f-1)
		return
	}
	for i := range row {
		row[i] *= f
	}
}

// after returns the place in the result of rows from to to-1 of a head's matrix, back tokens before the
// last one.
func (d *deltaNet) after(all []float32, back, from, to, head, seq int) []float32 {
	size := d.dk * d.dv
	at := d.dv*d.heads*d.tokens*d.seq + ((back*d.seq+seq)*d.heads+head)*size
	return all[at+from*d.dk : at+to*d.dk]
}
