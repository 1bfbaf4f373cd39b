package cpu

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() { register(tensor.SoftMax{}, softMax) }

func softMax(c *compiler) {
	op := c.node.Op.(tensor.SoftMax)
	dst, x, mask, sinks := c.dst, c.src[0], operand{}, operand{}
	if len(c.src) > 1 {
		mask = c.src[1]
	}
	if len(c.src) > 2 {
		sinks = c.src[2]
	}
	s := dst.t.Shape
	slopes := alibiSlopes(s[2], op.MaxBias)
	n, total, grain := s[0], s.Rows(), max(1, stretch/s[0])
	c.scratch(2 * n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				out := dst.floats(r.of(&dst), nil)
				in := x.floats(r.of(&x), w.floats)
				most := float32(math.Inf(-1))
				if sinks.t != nil {
					most = element(tensor.F32, sinks.p[r.i2*sinks.t.Stride[0]:])
				}
				sink := most
				if mask.t == nil {
					most = scaleMax(out, in, op.Scale, most)
				} else {
					slope := float32(1)
					if slopes != nil {
						slope = slopes[r.i2]
					}
					most = maskMax(out, in, mask.floats(r.repeated(&mask), w.floats[n:]), op.Scale, slope, most)
				}
				normalize(out, most, sink)
				r.next()
			}
		}
	})
}

// scaleMax writes scale*x and returns the greatest of it and most; a NaN is not seen.
func scaleMax(dst, x []float32, scale, most float32) float32 {
	for i, v := range x[:len(dst)] {
		v *= scale
		dst[i] = v
		if v > most {
			most = v
		}
	}
	return most
}

// maskMax writes scale*x + slope*mask and returns the greatest of it and most; a NaN is not seen.
func maskMax(dst, x, mask []float32, scale, slope, most float32) float32 {
	mask = mask[:len(dst)]
	for i, v := range x[:len(dst)] {
		v = v*scale + slope*mask[i]
		dst[i] = v
		if v > most {
			most = v
		}
	}
	return most
}

// normalize turns scores into weights: e^(v-most) by their sum, in which e^(sink-most) takes part.
func normalize(row []float32, most, sink float32) {
	if math.IsInf(float64(most), -1) {
		// All is hidden and no weight is left to share out, unless a NaN is what hides.
		for i, v := range row {
			row[i] = 0
			if v != v {
				row[i] = v
			}
		}
		return
	}
	for i, v := range row {
		row[i] = expf(v - most)
	}
	share := float32(1 / (sum(row) + float64(expf(sink-most)))) // without a sink that is e^-Inf
	for i, v := range row {
		row[i] = v * share
	}
}
