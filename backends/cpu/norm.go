package cpu

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// Sums of norms are float64: no row of float32 values can make them overflow, and what they round off
// is far below a float32's last place.

func init() {
	register(tensor.RMSNorm{}, func(c *compiler) {
		eps := float64(c.node.Op.(tensor.RMSNorm).Eps)
		c.rowwise(func(dst, x []float32) {
			mean := sumSquares(x, 0) / float64(len(x))
			scaled(dst, x, 0, 1/math.Sqrt(mean+eps))
		})
	})
	register(tensor.LayerNorm{}, func(c *compiler) {
		eps := float64(c.node.Op.(tensor.LayerNorm).Eps)
		c.rowwise(func(dst, x []float32) {
			mean := sum(x) / float64(len(x))
			variance := sumSquares(x, mean) / float64(len(x))
			scaled(dst, x, mean, 1/math.Sqrt(variance+eps))
		})
	})
	register(tensor.L2Norm{}, func(c *compiler) {
		eps := float64(c.node.Op.(tensor.L2Norm).Eps)
		c.rowwise(func(dst, x []float32) {
			scaled(dst, x, 0, 1/max(math.Sqrt(sumSquares(x, 0)), eps))
		})
	})
	register(tensor.SumRows{}, sumRows)
}

// scaled writes (x - mean) * s.
func scaled(dst, x []float32, mean, s float64) {
	for i, v := range x[:len(dst)] {
		dst[i] = float32((float64(v) - mean) * s)
	}
}

// sum adds x up, in four sums so that additions need not wait for each other.
func sum(x []float32) float64 {
	var a, b, c, d float64
	for len(x) >= 4 {
		v := (*[4]float32)(x)
		a += float64(v[0])
		b += float64(v[1])
		c += float64(v[2])
		d += float64(v[3])
		x = x[4:]
	}
	for _, v := range x {
		a += float64(v)
	}
	return (a + b) + (c + d)
}

// sumSquares adds the squares of x - mean up.
func sumSquares(x []float32, mean float64) float64 {
	var a, b, c, d float64
	for len(x) >= 4 {
		v := (*[4]float32)(x)
		e, f, g, h := float64(v[0])-mean, float64(v[1])-mean, float64(v[2])-mean, float64(v[3])-mean
		a += e * e
		b += f * f
		c += g * g
		d += h * h
		x = x[4:]
	}
	for _, v := range x {
		e := float64(v) - mean
		a += e * e
	}
	return (a + b) + (c + d)
}

func sumRows(c *compiler) {
	dst, x := c.dst, c.src[0]
	s := x.t.Shape
	n, total := s[0], dst.t.Shape.Rows()
	grain := rowGrain(n)
	c.scratch(n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				v := 0.0
				if n > 0 { // without elements x has no memory
					v = sum(x.floats(r.of(&x), w.floats))
				}
				dst.floats(r.of(&dst), nil)[0] = float32(v)
				r.next()
			}
		}
	})
}
