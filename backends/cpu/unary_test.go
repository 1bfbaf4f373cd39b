package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// What a result in float32, F16 or BF16 may be off by, relatively.
var rounding = map[tensor.DType]float64{tensor.F32: 3e-7, tensor.F16: 1. / 2048 * 1.01, tensor.BF16: 1. / 256 * 1.01}

// sigmoidOf is written unlike the kernel's.
func sigmoidOf(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

var unaryWant = map[tensor.Func]func(x float64) float64{
	tensor.Abs: math.Abs,
	tensor.Sgn: func(x float64) float64 {
		if x == 0 || x != x {
			return 0
		}
		return math.Copysign(1, x)
	},
	tensor.Neg: func(x float64) float64 { return -x },
	tensor.Step: func(x float64) float64 {
		if x > 0 {
			return 1
		}
		return 0
	},
	tensor.Tanh: math.Tanh,
	tensor.ELU: func(x float64) float64 {
		if x > 0 {
			return x
		}
		return math.Exp(x) - 1
	},
	tensor.ReLU:    func(x float64) float64 { return math.Max(x, 0) },
	tensor.Sigmoid: sigmoidOf,
	tensor.GELU: func(x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	},
	tensor.GELUQuick:   func(x float64) float64 { return x * sigmoidOf(1.702*x) },
	tensor.GELUErf:     func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
	tensor.SiLU:        func(x float64) float64 { return x * sigmoidOf(x) },
	tensor.HardSwish:   func(x float64) float64 { return x * math.Min(1, math.Max(0, (x+3)/6)) },
	tensor.HardSigmoid: func(x float64) float64 { return math.Min(1, math.Max(0, (x+3)/6)) },
	tensor.Exp:         math.Exp,
	tensor.Expm1:       math.Expm1,
	tensor.Softplus: func(x float64) float64 {
		if x > 50 {
			return x
		}
		return math.Log1p(math.Exp(x))
	},
	tensor.Floor: math.Floor,
	tensor.Ceil:  math.Ceil,
	tensor.Round: math.Round,
	tensor.Trunc: math.Trunc,
	tensor.Sqr:   func(x float64) float64 { return x * x },
	tensor.Sqrt:  math.Sqrt,
	tensor.Log:   math.Log,
	tensor.Sin:   math.Sin,
	tensor.Cos:   math.Cos,
}

// mapped returns f of each of x.
func mapped(x []float64, f func(float64) float64) []float64 {
	v := make([]float64, len(x))
	for i := range x {
		v[i] = f(x[i])
	}
	return v
}

func TestUnary(t *testing.T) {
	devs := devices(t)
	shapes := []tensor.Shape{{7, 3, 2, 5}, {2500, 1, 2, 1}, {1, 1, 1, 1}, {0, 3, 1, 1}, {5, 0, 1, 1}, {1, 6, 1, 2}}
	for f := range tensor.Func(tensor.Funcs()) {
		want := unaryWant[f]
		if want == nil {
			t.Fatalf("no expectation for %s", f)
		}
		t.Run(f.String(), func(t *testing.T) {
			for i, s := range shapes {
				for layout := range layouts {
					r := newRig(t, uint64(i))
					x := r.strided(tensor.F32, s, layout)
					r.expect(devs, r.Unary(f, x), mapped(r.input(x), want), rounding[tensor.F32])
				}
			}
			for _, typ := range []tensor.DType{tensor.F16, tensor.BF16} {
				r := newRig(t, 3)
				x := r.strided(typ, tensor.Shape{9, 5, 3, 1}, 3)
				r.expect(devs, r.Unary(f, x), mapped(r.input(x), want), rounding[typ])
			}
		})
	}
}

// TestUnaryExtremes compares relatively, at numbers where formulas overflow or lose digits.
func TestUnaryExtremes(t *testing.T) {
	dev := New(Options{Threads: 1})
	defer dev.Close()
	inf := float32(math.Inf(1))
	x := []float32{
		0, float32(math.Copysign(0, -1)), inf, -inf, float32(math.NaN()), 1e-30, -1e-30, 1e-5, -1e-5, 1e30, -1e30,
		88, -88, 104, -104, 3, -3, 0.1249, 0.1251, -0.1249, -0.1251, 20, -20, 0.5, 1.5, 2.5, -0.5, -1.5, math.MaxFloat32,
	}
	for f := range tensor.Func(tensor.Funcs()) {
		r := newRig(t, 1)
		out := r.Unary(f, r.values(tensor.F32, tensor.MakeShape(len(x)), x))
		b, err := r.bind(dev, false, out)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.prog.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, have := range b.read(out) {
			want := float64(float32(unaryWant[f](float64(x[i]))))
			if have == want || math.IsNaN(have) && math.IsNaN(want) {
				continue
			}
			// Far out in their tails the formulas of the expectation are 0 too early.
			if !(math.Abs(have-want) <= 4e-7*math.Abs(want)+1e-15) {
				t.Errorf("%s(%g) = %g, want %g", f, x[i], have, want)
			}
		}
	}
}

func TestExp(t *testing.T) {
	worst := 0.0
	for x := -100.; x < 100; x += 0.00731 {
		worst = max(worst, math.Abs(exp(x)/math.Exp(x)-1))
	}
	if worst > 2e-12 {
		t.Errorf("off by %.3g relatively", worst)
	}
	for x := -20.; x < 20; x += 0.00127 {
		if d := math.Abs(tanh(x) - math.Tanh(x)); d > 1e-11*math.Abs(math.Tanh(x)) {
			t.Fatalf("tanh(%g) is off by %g", x, d)
		}
	}
	worst = 0
	for x := float32(-87.3); x < 88.7; x += 0.00731 {
		worst = max(worst, math.Abs(float64(expf(x))/math.Exp(float64(x))-1))
	}
	if worst > 2.4e-7 {
		t.Errorf("in float32 off by %.3g relatively", worst)
	}
	inf := float32(math.Inf(1))
	for x, want := range map[float32]float32{0: 1, -88.1: 0, -1e30: 0, -inf: 0, 88.73: inf, 1e30: inf, inf: inf} {
		if expf(x) != want {
			t.Errorf("expf(%g) = %g, want %g", x, expf(x), want)
		}
	}
	if v := expf(float32(math.NaN())); v == v {
		t.Errorf("expf(NaN) = %g", v)
	}
	if exp(math.Inf(-1)) > 1e-300 || float32(exp(math.Inf(1))) != float32(math.Inf(1)) || !math.IsNaN(exp(math.NaN())) {
		t.Errorf("at infinities and NaN: %g %g %g", exp(math.Inf(-1)), exp(math.Inf(1)), exp(math.NaN()))
	}
}

func TestGLU(t *testing.T) {
	devs := devices(t)
	ops := []tensor.GLU{
		{Act: tensor.ReLU},
		{Act: tensor.GELU},
		{Act: tensor.GELUErf},
		{Act: tensor.GELUQuick},
		{Act: tensor.SiLU},
		{Act: tensor.SiLU, OAI: true, Alpha: 1.702, Limit: 1.5},
	}
	for _, op := range ops {
		for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
			for layout := range layouts {
				t.Run(fmt.Sprintf("%s/OAI=%v/%s/%d", op.Act, op.OAI, typ, layout), func(t *testing.T) {
					for _, s := range []tensor.Shape{{37, 3, 2, 2}, {1300, 2, 1, 1}, {1, 1, 1, 1}, {3, 0, 1, 1}} {
						r := newRig(t, 5)
						g, u := r.strided(typ, s, layout), r.strided(typ, s, (layout+2)%layouts)
						want, up := r.input(g), r.input(u)
						for i, v := range want {
							if op.OAI {
								v = math.Min(v, 1.5)
								want[i] = v * sigmoidOf(float64(op.Alpha)*v) * (math.Max(-1.5, math.Min(1.5, up[i])) + 1)
							} else {
								want[i] = unaryWant[op.Act](v) * up[i]
							}
						}
						r.expect(devs, r.Apply(op, g, u), want, rounding[typ])
					}
				})
			}
		}
	}
	t.Run("halves", func(t *testing.T) { // of one tensor, as fused projections give them
		r := newRig(t, 5)
		x := r.random(tensor.F32, tensor.Shape{2 * 19, 4, 1, 1})
		g, u := r.Slice(x, 0, 0, 19), r.Slice(x, 0, 19, 38)
		want, up := r.input(g), r.input(u)
		for i, v := range want {
			want[i] = v * sigmoidOf(v) * up[i]
		}
		r.expect(devs, r.GLU(tensor.SiLU, g, u), want, rounding[tensor.F32])
	})
}
