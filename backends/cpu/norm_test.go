package cpu

import (
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// rowsOf maps f over rows of n.
func rowsOf(x []float64, n int, f func(row []float64)) []float64 {
	for i := 0; n > 0 && i < len(x); i += n {
		f(x[i : i+n])
	}
	return x
}

func meanOf(x []float64, f func(float64) float64) float64 {
	s := 0.0
	for _, v := range x {
		s += f(v)
	}
	return s / float64(len(x))
}

func square(x float64) float64 { return x * x }

var normOps = []struct {
	op   tensor.Op
	want func(row []float64)
}{
	{tensor.RMSNorm{Eps: 1e-5}, func(row []float64) {
		s := 1 / math.Sqrt(meanOf(row, square)+float64(float32(1e-5)))
		for i := range row {
			row[i] *= s
		}
	}},
	{tensor.LayerNorm{Eps: 1e-5}, func(row []float64) {
		m := meanOf(row, func(x float64) float64 { return x })
		s := 1 / math.Sqrt(meanOf(row, func(x float64) float64 { return square(x - m) })+float64(float32(1e-5)))
		for i := range row {
			row[i] = (row[i] - m) * s
		}
	}},
	{tensor.L2Norm{Eps: 1e-3}, func(row []float64) {
		s := 1 / math.Max(math.Sqrt(meanOf(row, square)*float64(len(row))), float64(float32(1e-3)))
		for i := range row {
			row[i] *= s
		}
	}},
}

func TestNorm(t *testing.T) {
	devs := devices(t)
	for _, c := range normOps {
		t.Run(c.op.Kind().String(), func(t *testing.T) {
			for i, s := range []tensor.Shape{{67, 3, 2, 2}, {1, 5, 1, 1}, {2050, 1, 1, 1}, {5, 1, 1, 300}, {0, 2, 1, 1}, {3, 0, 1, 1}} {
				for layout := range layouts {
					r := newRig(t, uint64(i))
					x := r.strided(tensor.F32, s, layout)
					r.expect(devs, r.Apply(c.op, x), rowsOf(r.input(x), s[0], c.want), 1e-6)
				}
			}
			r := newRig(t, 1)
			x := r.values(tensor.F32, tensor.MakeShape(4, 3), []float32{0, 0, 0, 0, 1e30, -1e30, 2e30, 1e29, 1e-30, 2e-30, 0, 0})
			r.expect(devs, r.Apply(c.op, x), rowsOf(r.input(x), 4, c.want), 1e-6)
		})
	}
}

func TestSumRows(t *testing.T) {
	devs := devices(t)
	for _, s := range []tensor.Shape{{67, 3, 2, 2}, {1, 5, 1, 1}, {4096, 1, 1, 1}, {0, 2, 3, 1}, {3, 0, 1, 1}} {
		for layout := range layouts {
			r := newRig(t, 4)
			x := r.strided(tensor.F32, s, layout)
			want := make([]float64, s.Rows())
			for i, v := range r.input(x) {
				want[i/s[0]] += v
			}
			r.expect(devs, r.SumRows(x), want, 1e-6)
		}
	}
}
