package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func TestSSMConv(t *testing.T) {
	devs := devices(t)
	for _, c := range []struct{ k, channels, tokens, seqs int }{
		{4, 70, 1, 1}, {4, 33, 9, 3}, {1, 5, 4, 2}, {3, 1, 2, 1}, {4, 10, 0, 2}, {4, 10, 3, 0}, {2, 300, 17, 1},
	} {
		for layout := range layouts {
			r := newRig(t, 1)
			n := c.k - 1 + c.tokens
			x := r.strided(tensor.F32, tensor.MakeShape(n, c.channels, c.seqs), layout)
			w := r.strided(tensor.F32, tensor.MakeShape(c.k, c.channels), layout)
			in, filters := r.input(x), r.input(w)
			var want []float64
			for s := range c.seqs {
				for i := range c.tokens {
					for ch := range c.channels {
						v := 0.0
						for j := range c.k {
							v += in[(s*c.channels+ch)*n+i+j] * filters[ch*c.k+j]
						}
						want = append(want, v)
					}
				}
			}
			r.expect(devs, r.SSMConv(x, w), want, 1e-6)
		}
	}
}

// deltaCase are the sizes of a GatedDeltaNet.
type deltaCase struct {
	dk, dv, keyHeads, heads, tokens, seqs, states int
	perElement                                    bool // g is for each element of the key
}

// deltaNetWant computes the recurrence as it is written, in float64.
func deltaNetWant(c deltaCase, q, k, v, g, beta, state []float64) []float64 {
	out := make([]float64, c.dv*c.heads*c.tokens*c.seqs)
	size := c.dk * c.dv
	after := make([]float64, size*c.heads*c.seqs*c.states)
	gates := 1
	if c.perElement {
		gates = c.dk
	}
	for s := range c.seqs {
		for h := range c.heads {
			m := append([]float64(nil), state[(s*c.heads+h)*size:][:size]...)
			for t := range c.tokens {
				at, atK := (s*c.tokens+t)*c.heads+h, (s*c.tokens+t)*c.keyHeads+h%c.keyHeads
				for j := range c.dv {
					row := m[j*c.dk:][:c.dk]
					says, sum := 0.0, 0.0
					for i := range row {
						row[i] *= math.Exp(g[at*gates+i%gates])
						says += row[i] * k[atK*c.dk+i]
					}
					for i := range row {
						row[i] += beta[at] * (v[at*c.dv+j] - says) * k[atK*c.dk+i]
						sum += row[i] * q[atK*c.dk+i]
					}
					out[at*c.dv+j] = sum / math.Sqrt(float64(c.dk))
				}
				if back := c.tokens - 1 - t; back < c.states {
					copy(after[((back*c.seqs+s)*c.heads+h)*size:], m)
				}
			}
		}
	}
	return append(out, after...)
}

func TestGatedDeltaNet(t *testing.T) {
	devs := devices(t)
	for _, c := range []deltaCase{
		{16, 16, 2, 4, 5, 1, 1, false},
		{33, 20, 1, 3, 4, 2, 4, false},
		{64, 17, 2, 2, 7, 3, 3, true},
		{1, 1, 1, 1, 3, 1, 2, true},
		{128, 128, 1, 2, 1, 2, 1, false},
		{8, 48, 4, 4, 40, 1, 2, true},
	} {
		for layout := range layouts {
			t.Run(fmt.Sprint(c, layout), func(t *testing.T) {
				r := newRig(t, 2)
				in := func(a, b int) *tensor.Tensor {
					return r.strided(tensor.F32, tensor.Shape{a, b, c.tokens, c.seqs}, layout)
				}
				gates := 1
				if c.perElement {
					gates = c.dk
				}
				// Keys of length 1 and beta below 1 keep the matrix from growing, as in a model.
				q, v := in(c.dk, c.keyHeads), in(c.dv, c.heads)
				k := r.L2Norm(in(c.dk, c.keyHeads), 1e-6)
				g := r.Scale(r.Unary(tensor.Softplus, in(gates, c.heads)), -1)
				beta := r.Unary(tensor.Sigmoid, in(1, c.heads))
				state := r.strided(tensor.F32, tensor.Shape{c.dk, c.dv, c.heads, c.seqs}, layout)
				both := r.Apply(tensor.GatedDeltaNet{States: c.states}, q, k, v, g, beta, state)

				dk, fk := r.input(k.Src[0]), float64(float32(1e-6))
				rowsOf(dk, c.dk, func(row []float64) {
					s := 1 / math.Max(math.Sqrt(meanOf(row, square)*float64(len(row))), fk)
					for i := range row {
						row[i] *= s
					}
				})
				dg := r.input(g.Src[0].Src[0])
				for i, x := range dg {
					dg[i] = -softplus(x)
				}
				db := r.input(beta.Src[0])
				for i, x := range db {
					db[i] = 1 / (1 + math.Exp(-x))
				}
				r.expect(devs, both, deltaNetWant(c, r.input(q), dk, r.input(v), dg, db, r.input(state)), 1e-4)
			})
		}
	}
}

// TestDeltaNetGoesOn checks that many tokens at once and one by one from the states in between are the
// same, bit for bit: a kernel must not depend on where a batch ends.
func TestDeltaNetGoesOn(t *testing.T) {
	const n = 6
	r := newRig(t, 3)
	q, k, v := r.random(tensor.F32, tensor.Shape{32, 1, n, 1}), r.random(tensor.F32, tensor.Shape{32, 1, n, 1}), r.random(tensor.F32, tensor.Shape{24, 2, n, 1})
	k = r.L2Norm(k, 1e-6)
	g, beta := r.random(tensor.F32, tensor.Shape{1, 2, n, 1}), r.random(tensor.F32, tensor.Shape{1, 2, n, 1})
	first := r.random(tensor.F32, tensor.Shape{32, 24, 2, 1})
	all, states := r.GatedDeltaNet(q, k, v, g, beta, first, n)
	outs := []*tensor.Tensor{r.Contiguous(all), r.Contiguous(states)}
	state := first
	for i := range n {
		at := func(x *tensor.Tensor) *tensor.Tensor { return r.Slice(x, 2, i, i+1) }
		out, after := r.GatedDeltaNet(at(q), at(k), at(v), at(g), at(beta), state, 1)
		state = r.Reshape(after, 32, 24, 2, 1)
		outs = append(outs, r.Contiguous(out), after)
	}
	b, err := r.bind(devices(t)[1], false, outs...)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.prog.Submit(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.check()
	together, after := b.read(outs[0]), b.read(outs[1])
	size := len(after) / n
	for i := range n {
		r.compare(outs[2+2*i], b.read(outs[2+2*i]), together[i*48:][:48], 0)
		r.compare(outs[3+2*i], b.read(outs[3+2*i]), after[(n-1-i)*size:][:size], 0)
	}
}
