package cpu

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() { register(tensor.RoPE{}, rope, refusesRoPE) }

func refusesRoPE(n *tensor.Tensor) string {
	op := n.Op.(tensor.RoPE)
	sections := 0
	for _, s := range op.Sections {
		if s < 0 {
			return "a section is negative"
		}
		sections += int(s)
	}
	switch {
	case op.Mode.Axes() > 1 && sections == 0:
		return "mode " + op.Mode.String() + " needs sections"
	case op.Mode == tensor.RoPEVision && len(n.Src) > 2 && n.Src[2] != nil && n.Src[2].Shape[0] < int(op.Dims):
		return "mode Vision needs a frequency factor for each of its Dims pairs"
	case op.YaRN.ExtFactor != 0 && op.Base == 1:
		return "YaRN needs a base other than 1"
	}
	return ""
}

// turn says by what pair i of a row turns: the position on axis, times speed.
type turn struct {
	speed float64 // in radians a token, without frequency factors
	axis  int
}

// turner is what a RoPE node does to the rows of a token.
type turner struct {
	turns     []turn
	size      float64
	inverse   bool
	tokens    int
	pos, freq operand
	pair      func(out, in, cos, sin []float32)
}

// newTurner returns that of node n, whose operands are src.
func newTurner(n *tensor.Tensor, src []operand) turner {
	op := n.Op.(tensor.RoPE)
	t := turner{inverse: op.Inverse, tokens: n.Shape[2], pos: src[1], pair: rotateHalves}
	if len(src) > 2 {
		t.freq = src[2]
	}
	t.turns, t.size = turnsOf(&op)
	if op.Mode == tensor.RoPENormal {
		t.pair = rotateNeighbours
	}
	return t
}

func (t *turner) pairs() int { return len(t.turns) }

// angles computes the cosines and sines of a token.
func (t *turner) angles(token int, cos, sin []float32) {
	for i, turn := range t.turns {
		angle := float64(t.pos.index(0, turn.axis*t.tokens+token)) * turn.speed
		if t.freq.t != nil {
			angle /= float64(element(tensor.F32, t.freq.p[i*t.freq.t.Stride[0]:]))
		}
		y, x := math.Sincos(angle)
		cos[i], sin[i] = float32(x*t.size), float32(y*t.size)
		if t.inverse {
			sin[i] = -sin[i]
		}
	}
}

// rotate turns the pairs of a row and copies the rest; out may be in.
func (t *turner) rotate(out, in, cos, sin []float32) {
	t.pair(out, in, cos, sin)
	rest := 2 * len(cos)
	copy(out[rest:], in[rest:])
}

// rope rotates the rows of source 0. A worker takes a token: it computes the sines and cosines once
// and rotates all its heads.
func rope(c *compiler) {
	dst, x := c.dst, c.src[0]
	t := newTurner(c.node, c.src)
	pairs, s := t.pairs(), dst.t.Shape
	n, heads, tokens := s[0], s[1], s[2]
	c.scratch(2*pairs + 2*n)
	c.step(func(w *worker) {
		cos, sin, scratch := w.floats[:pairs], w.floats[pairs:2*pairs], w.floats[2*pairs:]
		for {
			from, _, ok := w.next(tokens*s[3], 1)
			if !ok {
				return
			}
			token, i3 := from%tokens, from/tokens
			t.angles(token, cos, sin)
			for h := range heads {
				d := dst.at(h, token, i3)
				out := dst.store(d, 0, n, scratch)
				t.rotate(out, x.floats(x.at(h, token, i3), scratch[n:]), cos, sin)
				dst.flush(d, 0, out)
			}
		}
	})
}

// rotateHalves turns element i against element i + len(cos); out may be in.
func rotateHalves(out, in, cos, sin []float32) {
	n := len(cos)
	sin = sin[:n]
	x, y := in[:n], in[n:2*n]
	u, v := out[:n], out[n:2*n]
	for i, c := range cos {
		a, b, s := x[i], y[i], sin[i]
		u[i] = a*c - b*s
		v[i] = a*s + b*c
	}
}

// rotateNeighbours turns element 2i against element 2i + 1; out may be in.
func rotateNeighbours(out, in, cos, sin []float32) {
	sin = sin[:len(cos)]
	for i, c := range cos {
		s := sin[i]
		x, u := (*[2]float32)(in[2*i:]), (*[2]float32)(out[2*i:])
		a, b := x[0], x[1]
		u[0] = a*c - b*s
		u[1] = a*s + b*c
	}
}

// turnsOf returns how each pair of a row turns, and what the result is multiplied by. Source of the
// stretching: arXiv:2309.00071.
func turnsOf(op *tensor.RoPE) (turns []turn, size float64) {
	scale, size := float64(op.Scale), float64(op.YaRN.AttnFactor)
	if scale == 0 {
		scale = 1
	}
	if size == 0 {
		size = 1
	}
	if op.YaRN.ExtFactor != 0 {
		size *= 1 - 0.1*math.Log(scale)
	}
	pairs := int(op.Dims / 2)
	if op.Mode == tensor.RoPEVision {
		pairs = int(op.Dims)
	}
	low, high := yarnRange(op)
	turns = make([]turn, pairs)
	for i := range turns {
		axis, exponent := axisOf(op, i)
		t := turn{math.Pow(float64(op.Base), -2*float64(exponent)/float64(op.Dims)), axis}
		mix := 1 - min(1, max(0, (float64(i)-low)/max(0.001, high-low)))
		mix *= float64(op.YaRN.ExtFactor)
		t.speed *= scale*(1-mix) + mix
		turns[i] = t
	}
	return turns, size
}

// yarnRange returns the pairs between which interpolation takes over from extrapolation: those that
// turn BetaFast and BetaSlow times within the trained context. It rounds in float32 as models were
// tuned with, so that the same pairs come out.
func yarnRange(op *tensor.RoPE) (low, high float64) {
	if op.YaRN.ExtFactor == 0 {
		return 0, 0
	}
	dim := func(turns float32) float64 {
		wavelengths := float32(op.YaRN.OrigCtx) / (turns * 2 * math.Pi)
		log := float32(math.Log(float64(wavelengths)))
		return float64(float32(op.Dims) * log / (2 * float32(math.Log(float64(op.Base)))))
	}
	low = max(0, math.Floor(dim(op.YaRN.BetaFast)))
	high = min(float64(op.Dims-1), math.Ceil(dim(op.YaRN.BetaSlow)))
	return low, high
}

// axisOf returns the axis whose position turns pair i, and the pair's place in the falling series of
// speeds. Axes own sections of the pairs, over and over until the row ends. Source: arXiv:2409.12191.
func axisOf(op *tensor.RoPE, i int) (axis, exponent int) {
	if op.Mode.Axes() == 1 {
		return 0, i
	}
	var s [4]int
	all := 0
	for a, n := range op.Sections {
		s[a] = int(n)
		all += s[a]
	}
	k := i % all
	if op.Mode == tensor.RoPEIMulti {
		if a := k % 3; k < 3*s[a] {
			return a, i
		}
		return 3, i
	}
	begin := 0
	for axis = range s {
		if k < begin+s[axis] {
			break
		}
		begin += s[axis]
	}
	if op.Mode == tensor.RoPEVision { // the series begins anew in each section
		return axis, k - begin
	}
	return axis, i
}
