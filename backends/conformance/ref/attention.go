package ref

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// slope returns the factor of a head's mask. With ALiBi it is a geometric series over the heads up to
// a power of two, and every other term of the series of twice as many for the rest.
// Source: arXiv:2108.12409.
func slope(head, heads int, maxBias float64) float64 {
	if maxBias <= 0 {
		return 1
	}
	p := 1
	for 2*p <= heads {
		p *= 2
	}
	if head < p {
		return math.Pow(2, -maxBias*float64(head+1)/float64(p))
	}
	return math.Pow(2, -maxBias*float64(2*(head-p)+1)/float64(2*p))
}

// weights turns scores into softmax weights in place, with sink (or -Inf) beside them, and returns how
// large the scores are: their last place shows in the weights.
func weights(scores []float64, sink float64) (size float64) {
	most := sink
	for _, s := range scores {
		if s > most {
			most = s
		}
		if !math.IsInf(s, 0) {
			size = math.Max(size, math.Abs(s))
		}
	}
	if math.IsInf(most, -1) { // all is hidden, and only NaN stays
		for i, s := range scores {
			if !math.IsNaN(s) {
				scores[i] = 0
			}
		}
		return size
	}
	total := math.Exp(sink - most)
	for i, s := range scores {
		scores[i] = math.Exp(s - most)
		total += scores[i]
	}
	for i := range scores {
		scores[i] /= total
	}
	return size
}

// masked adds the mask's row, times the head's slope.
func masked(scores []float64, mask *Value, slope float64, i1, i2, i3 int) {
	s := &mask.Shape
	for c := range scores {
		scores[c] += slope * mask.F[at(s, c, i1, i2%s[2], i3%s[3])]
	}
}

func softMax(op tensor.SoftMax, n *tensor.Tensor, src []Value) Value {
	out := newValue(n.Type, n.Shape).withMag()
	out.Terms = n.Shape[0]
	each(n.Shape, func(row, i1, i2, i3 int) {
		w := out.row(row)
		for i, x := range src[0].row(row) {
			w[i] = x * float64(op.Scale)
		}
		if present(n, 1) {
			masked(w, &src[1], slope(i2, n.Shape[2], float64(op.MaxBias)), i1, i2, i3)
		}
		sink := math.Inf(-1)
		if present(n, 2) {
			sink = src[2].F[i2]
		}
		size := weights(w, sink)
		for i, p := range w {
			out.Mag[row*n.Shape[0]+i] = p * (1 + size)
		}
	})
	return out
}

func flashAttn(op tensor.FlashAttn, n *tensor.Tensor, src []Value) Value {
	q, k, v := &src[0], &src[1], &src[2]
	out := newValue(n.Type, n.Shape).withMag()
	heads, cells, dv := n.Shape[1], k.Shape[2], n.Shape[0]
	out.Terms = k.Shape[0] + cells
	share := heads / k.Shape[1]
	scores := make([]float64, cells)
	squares := make([]float64, dv)
	each(n.Shape, func(row, head, tok, stream int) {
		plane := head / share
		for c := range scores {
			s, _ := dot(k.row(plane+k.Shape[1]*(c+cells*stream)), q.row(row))
			s *= float64(op.Scale)
			if limit := float64(op.SoftCap); limit != 0 {
				s = limit * math.Tanh(s/limit)
			}
			scores[c] = s
		}
		if present(n, 3) {
			masked(scores, &src[3], slope(head, heads, float64(op.MaxBias)), tok, head, stream)
		}
		sink := math.Inf(-1)
		if present(n, 4) {
			sink = src[4].F[head]
		}
		size := weights(scores, sink)
		clear(squares)
		for c, p := range scores {
			if p == 0 {
				continue // a hidden cell counts for nothing, whatever it holds
			}
			for i, x := range v.row(plane + v.Shape[1]*(c+cells*stream)) {
				out.row(row)[i] += p * x
				squares[i] += p * x * p * x
			}
		}
		for i, s := range squares {
			out.Mag[row*dv+i] = math.Sqrt(s) * (1 + size)
		}
	})
	return out
}
