package cpu

import (
	"fmt"
	"math"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// A fused kernel does the same arithmetic in the same order as those of its nodes, so that the bits of a
// result do not depend on whether a plan fuses.

// fusion is how groups of one kind are run.
type fusion struct {
	// refuses returns why nodes cannot be run as one although each can, or "". May be nil.
	refuses func(n []*tensor.Tensor) string
	compile func(c *compiler, n []member)
}

// member is a node of a group, with its operands. Those that are inner have no memory.
type member struct {
	t   *tensor.Tensor
	dst operand
	src []operand
}

// fusions has the groups that there are kernels for; it is filled by init, as kernels is.
var fusions map[backends.Fusion]fusion

func init() {
	fusions = map[backends.Fusion]fusion{
		backends.AddRMSNormMul: {nil, addRMSNormMul},
		backends.RMSNormMul:    {nil, rmsNormMul},
		backends.RoPESetRows:   {nil, ropeSetRows},
		backends.MatMulGLU:     {refusesGLU, matMulGLU},
		backends.MatMulIDGLU:   {refusesGLU, matMulIDGLU},
		backends.MatMulAdd:     {refusesMatMulAdd, matMulAdd},
		backends.SoftCap: {func(n []*tensor.Tensor) string {
			if t := n[0].Type; t != tensor.F32 {
				return fmt.Sprintf("between its steps numbers would not be rounded to %s", t)
			}
			return ""
		}, softCap},
	}
}

// Fuses reports why nodes cannot be run as one here.
func (d *Device) Fuses(f backends.Fusion, nodes []*tensor.Tensor) error {
	why := ""
	if k, ok := fusions[f]; !ok {
		why = "there is no kernel for it"
	} else if k.refuses != nil {
		why = k.refuses(nodes)
	}
	if why == "" {
		return nil
	}
	last := nodes[len(nodes)-1]
	return &backends.UnsupportedError{Device: d.owner.Device, Node: last.Name, Op: last.Op.Kind(), Fusion: f.String(), Reason: why}
}

// fused adds the steps of a group of nodes.
func (c *compiler) fused(f backends.Fusion, nodes []*tensor.Tensor) error {
	if err := c.dev.Fuses(f, nodes); err != nil {
		return err
	}
	inner := map[*tensor.Tensor]bool{}
	resolve := func(t *tensor.Tensor) (operand, error) {
		if t == nil || inner[t.Root()] {
			return operand{t: t, u: c.u}, nil
		}
		return c.operand(t)
	}
	members := make([]member, len(nodes))
	for i, n := range nodes {
		if err := c.dev.Supports(n); err != nil {
			return err
		}
		inner[n] = f.Inner(i)
		m := member{t: n, src: make([]operand, len(n.Src))}
		var err error
		if m.dst, err = resolve(n); err != nil {
			return err
		}
		for k, s := range n.Src {
			if m.src[k], err = resolve(s); err != nil {
				return err
			}
		}
		members[i] = m
	}
	c.node, c.used, c.own = nodes[len(nodes)-1], 0, 0
	fusions[f].compile(c, members)
	return nil
}

func rmsNormMul(c *compiler, n []member) {
	x := n[0].src[0]
	c.normed(n[0].t, n[1].dst, n[1].src[1], func(w *worker, r rows) []float32 {
		return x.floats(r.of(&x), w.floats)
	})
}

func addRMSNormMul(c *compiler, n []member) {
	sum, a, b := n[0].dst, n[0].src[0], n[0].src[1]
	size, m := sum.t.Shape[0], b.t.Shape[0]
	c.normed(n[1].t, n[2].dst, n[2].src[1], func(w *worker, r rows) []float32 {
		out := sum.floats(r.of(&sum), nil)
		x := a.floats(r.of(&a), w.floats)
		y := b.floats(r.repeated(&b), w.floats[size:])
		for i := 0; i < len(out); i += m {
			part, x := out[i:i+m], x[i:i+m]
			for k := range part {
				part[k] = x[k] + y[k]
			}
		}
		return out
	})
}

// normed adds a step that computes each row of dst as that which row returns over its root mean square,
// times the row of gain. row may use two rows of scratch; what it returns may be the row of dst.
func (c *compiler) normed(norm *tensor.Tensor, dst, gain operand, row func(w *worker, r rows) []float32) {
	eps := float64(norm.Op.(tensor.RMSNorm).Eps)
	s := dst.t.Shape
	n, m, total := s[0], gain.t.Shape[0], s.Rows()
	grain := rowGrain(n)
	c.scratch(3 * n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				x := row(w, r)
				out := dst.floats(r.of(&dst), nil)
				scaled(out, x, 0, 1/math.Sqrt(sumSquares(x, 0)/float64(n)+eps))
				y := gain.floats(r.repeated(&gain), w.floats[2*n:])
				for i := 0; i < n; i += m {
					part := out[i : i+m]
					for k := range part {
						part[k] *= y[k]
					}
				}
				r.next()
			}
		}
	})
}

// ropeSetRows rotates the rows of x and writes them where the indices say. A worker takes some heads and
// goes through all tokens, so that no two of them write to one row's bytes even if an index comes twice.
func ropeSetRows(c *compiler, n []member) {
	x, dst, idx := n[0].src[0], n[1].dst, n[1].src[2]
	node, have := n[1].t, n[1].dst.t.Shape[1]
	t := newTurner(n[0].t, n[0].src)
	size, heads, tokens := x.t.Shape[0], x.t.Shape[1], x.t.Shape[2]
	group := 1 // heads that make whole blocks
	if elems, _ := dst.t.Type.Block(); size%elems != 0 {
		group = heads
	}
	angles := c.angles(&t, tokens)
	c.scratch(2*t.pairs() + (group+1)*size)
	c.step(func(w *worker) {
		out := w.floats[2*t.pairs():][:group*size]
		in := w.floats[2*t.pairs()+len(out):]
		for {
			h, _, ok := w.next(heads/group, 1)
			if !ok {
				return
			}
			for j := range tokens {
				id := idx.index(0, j)
				if id < 0 || id >= int64(have) {
					w.r.fail(indexError(node, id, have))
					return
				}
				cos, sin := angles(w, j)
				for k := range group {
					t.rotate(out[k*size:(k+1)*size], x.floats(x.at(h*group+k, j, 0), in), cos, sin)
				}
				dst.put(dst.at(int(id), 0, 0), h*group*size, out)
			}
		}
	})
}

// angles returns what gives the cosines and sines of a token: of several they are computed once for the
// team, in a step before, and of a single one by each worker in the first floats of its scratch.
func (c *compiler) angles(t *turner, tokens int) func(w *worker, token int) (cos, sin []float32) {
	pairs := t.pairs()
	if tokens <= 1 {
		return func(w *worker, token int) (cos, sin []float32) {
			cos, sin = w.floats[:pairs], w.floats[pairs:2*pairs]
			t.angles(token, cos, sin)
			return cos, sin
		}
	}
	at := c.common(8 * pairs * tokens)
	table := func(w *worker, token int) (cos, sin []float32) {
		v := f32s(w.shared[at+8*pairs*token : at+8*pairs*(token+1)])
		return v[:pairs], v[pairs:]
	}
	c.step(func(w *worker) {
		for {
			token, _, ok := w.next(tokens, 1)
			if !ok {
				return
			}
			cos, sin := table(w, token)
			t.angles(token, cos, sin)
		}
	})
	return table
}

func softCap(c *compiler, n []member) {
	in, out := n[0].t.Op.(tensor.Scale), n[2].t.Op.(tensor.Scale)
	tanh := functions[tensor.Tanh]
	c.dst, c.src = n[2].dst, n[0].src
	c.unary(tanh.grain, func(dst, x []float32) {
		scaleBy(dst, x, in)
		tanh.each(dst, dst)
		scaleBy(dst, dst, out)
	})
}
