package cpu

import (
	"errors"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// spread returns the elements of a tensor of shape from, repeated to shape to.
func spread(v []float64, from, to tensor.Shape) []float64 {
	var out []float64
	for i3 := range to[3] {
		for i2 := range to[2] {
			for i1 := range to[1] {
				for i0 := range to[0] {
					out = append(out, v[i0%from[0]+from[0]*(i1%from[1]+from[1]*(i2%from[2]+from[2]*(i3%from[3])))])
				}
			}
		}
	}
	return out
}

var binaryOps = []struct {
	op   tensor.Op
	want func(a, b float64) float64
}{
	{tensor.Add{}, func(a, b float64) float64 { return a + b }},
	{tensor.Sub{}, func(a, b float64) float64 { return a - b }},
	{tensor.Mul{}, func(a, b float64) float64 { return a * b }},
	{tensor.Div{}, func(a, b float64) float64 { return a / b }},
}

// expectBinary compares op of operands with these types, shapes and layouts.
func expectBinary(t *testing.T, devs []*Device, which int, ta, tb tensor.DType, sa, sb tensor.Shape, la, lb int) {
	t.Helper()
	r := newRig(t, uint64(la*7+lb))
	a, b := r.strided(ta, sa, la), r.strided(tb, sb, lb)
	want := r.input(a)
	if len(want) > 0 {
		y := spread(r.input(b), sb, sa)
		for i, v := range want {
			want[i] = binaryOps[which].want(v, y[i])
		}
	}
	r.expect(devs, r.Apply(binaryOps[which].op, a, b), want, rounding[ta])
}

func TestBinary(t *testing.T) {
	devs := devices(t)
	full := tensor.Shape{6, 4, 3, 2}
	sizes := [4][]int{{1, 3, 6}, {1, 2, 4}, {1, 3}, {1, 2}}
	i := 0
	for _, b0 := range sizes[0] {
		for _, b1 := range sizes[1] {
			for _, b2 := range sizes[2] {
				for _, b3 := range sizes[3] {
					i++
					expectBinary(t, devs, i%4, tensor.F32, tensor.F32, full, tensor.Shape{b0, b1, b2, b3}, i%layouts, i/2%layouts)
				}
			}
		}
	}
	floats := []tensor.DType{tensor.F32, tensor.F16, tensor.BF16}
	for which := range binaryOps {
		for _, ta := range floats {
			for _, tb := range floats {
				expectBinary(t, devs, which, ta, tb, tensor.Shape{33, 5, 1, 2}, tensor.Shape{33, 1, 1, 2}, which, 1)
			}
		}
		for _, s := range []tensor.Shape{{2500, 3, 1, 1}, {1, 1, 1, 1}, {1, 7, 1, 1}, {0, 2, 1, 1}, {4, 0, 2, 1}, {1, 1, 9, 1}} {
			for layout := range layouts {
				expectBinary(t, devs, which, tensor.F32, tensor.F32, s, s, layout, (layout+1)%layouts)
			}
			one := tensor.MakeShape(1)
			expectBinary(t, devs, which, tensor.F32, tensor.F32, s, one, 0, 0)
			if s[0] > 1 {
				expectBinary(t, devs, which, tensor.F32, tensor.F32, s, tensor.MakeShape(s[0]), 0, 0)
			}
		}
	}
	t.Run("same source twice", func(t *testing.T) {
		r := newRig(t, 1)
		x := r.random(tensor.F32, tensor.MakeShape(50, 3))
		want := r.input(x)
		for i := range want {
			want[i] *= want[i]
		}
		r.expect(devs, r.Mul(x, x), want, rounding[tensor.F32])
	})
}

func TestScaleClamp(t *testing.T) {
	devs := devices(t)
	for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
		for layout := range layouts {
			r := newRig(t, 2)
			x := r.strided(typ, tensor.Shape{19, 3, 2, 2}, layout)
			want := mapped(r.input(x), func(x float64) float64 { return x*-1.25 + 3 })
			r.expect(devs, r.Apply(tensor.Scale{Scale: -1.25, Bias: 3}, x), want, rounding[typ])

			r = newRig(t, 2)
			x = r.strided(typ, tensor.Shape{19, 3, 2, 2}, layout)
			want = mapped(r.input(x), func(x float64) float64 { return math.Min(0.75, math.Max(-0.5, x)) })
			r.expect(devs, r.Clamp(x, -0.5, 0.75), want, 0)
		}
	}
	r := newRig(t, 1)
	nan := math.NaN()
	x := r.values(tensor.F32, tensor.MakeShape(4), []float32{float32(nan), float32(math.Inf(1)), float32(math.Inf(-1)), 0})
	r.expect(devs, r.Clamp(x, -1, 2), []float64{nan, 2, -1, 0}, 0)
}

func TestAddID(t *testing.T) {
	devs := devices(t)
	for layout := range layouts {
		r := newRig(t, uint64(layout))
		const n, used, tok, experts = 7, 3, 4, 5
		a := r.strided(tensor.F32, tensor.Shape{n, used, tok, 1}, layout)
		b := r.strided(tensor.F32, tensor.Shape{n, experts, 1, 1}, layout%3)
		wide := make([]int, 6*tok) // ids as a router gives them: the first of wider rows
		for i := range wide {
			wide[i] = r.rand.IntN(experts)
		}
		ids := r.Slice(r.ints(tensor.MakeShape(6, tok), wide), 0, 0, used)
		want, bias := r.input(a), r.input(b)
		for i := range want {
			j, k := i/n%used, i/n/used
			want[i] += bias[wide[k*6+j]*n+i%n]
		}
		r.expect(devs, r.AddID(a, b, ids), want, rounding[tensor.F32])
	}
	for _, id := range []int{-1, 5, 1 << 30, math.MinInt32} {
		r := newRig(t, 1)
		a, b := r.random(tensor.F32, tensor.MakeShape(3, 2, 2)), r.random(tensor.F32, tensor.MakeShape(3, 5))
		expectIndexError(t, r, devs, r.AddID(a, b, r.ints(tensor.MakeShape(2, 2), []int{0, 4, id, 1})), int64(id), 5)
	}
}

// expectIndexError runs out on every device and wants an IndexError, no change outside the results, and
// a device that works afterwards.
func expectIndexError(t *testing.T, r *rig, devs []*Device, out *tensor.Tensor, index int64, rows int) {
	t.Helper()
	for _, dev := range devs {
		b, err := r.bind(dev, false, out)
		if err != nil {
			t.Fatal(err)
		}
		err = b.prog.Submit(t.Context())
		var e *backends.IndexError
		if !errors.As(err, &e) || !errors.Is(err, backends.ErrIndex) {
			t.Fatalf("index %d: have %v, want an IndexError", index, err)
		}
		if e.Index != index || e.Rows != rows || e.Op != out.Op.Kind() || e.Node != out.Name {
			t.Errorf("have %+v, want index %d of %d rows in %s %s", e, index, rows, out.Op.Kind(), out.Name)
		}
		b.check()
	}
	good := newRig(t, 1)
	x := good.random(tensor.F32, tensor.MakeShape(5))
	good.expect(devs, good.Neg(x), mapped(good.input(x), func(x float64) float64 { return -x }), 0)
}

// Neg is a small op that always works.
func (r *rig) Neg(x *tensor.Tensor) *tensor.Tensor { return r.Unary(tensor.Neg, x) }
