package ref

import (
	"fmt"
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// function returns f(x) and the magnitude by which its error is measured: that of the result where
// nothing cancels, and more where a rounded argument or a rounded factor must show.
func function(f tensor.Func, x float64) (y, mag float64, ok bool) {
	if math.IsNaN(x) && f != tensor.Step && f != tensor.Sgn && f < tensor.Func(tensor.Funcs()) {
		return x, 0, true
	}
	a := math.Abs(x)
	switch f {
	case tensor.Abs:
		y = a
	case tensor.Sgn:
		switch {
		case x > 0:
			y = 1
		case x < 0:
			y = -1
		}
	case tensor.Neg:
		y = -x
	case tensor.Step:
		if x > 0 {
			y = 1
		}
	case tensor.Tanh:
		y = math.Tanh(x)
	case tensor.ELU:
		if y = x; x <= 0 {
			y = math.Expm1(x)
		}
	case tensor.ReLU:
		y = math.Max(x, 0)
	case tensor.Sigmoid:
		y = sigmoid(x)
		mag = y * (1 + a)
	case tensor.GELU: // 1 + tanh cancels
		y = x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		mag = a
	case tensor.GELUQuick:
		y = x * sigmoid(1.702*x)
		mag = math.Abs(y)*(1+a) + a*vanishing
	case tensor.GELUErf: // 1 + erf cancels
		y = x / 2 * math.Erfc(-x/math.Sqrt2)
		mag = a
	case tensor.SiLU:
		y = x * sigmoid(x)
		mag = math.Abs(y)*(1+a) + a*vanishing
	case tensor.HardSwish:
		y = x * math.Min(math.Max(x+3, 0), 6) / 6
		mag = math.Max(math.Abs(y), math.Min(a, 3)/2) // x + 3 cancels
	case tensor.HardSigmoid:
		y = math.Min(math.Max(x+3, 0), 6) / 6
		mag = math.Max(y, 0.5)
	case tensor.Exp: // the last place of x
		y = math.Exp(x)
		mag = y * (1 + a)
	case tensor.Expm1:
		y = math.Expm1(x)
		mag = math.Abs(y) * (1 + math.Max(x, 0))
	case tensor.Softplus:
		y = math.Max(x, 0) + math.Log1p(math.Exp(-a))
		mag = y * (1 + math.Max(-x, 0))
	case tensor.Floor:
		y = math.Floor(x)
	case tensor.Ceil:
		y = math.Ceil(x)
	case tensor.Round:
		y = math.Round(x)
	case tensor.Trunc:
		y = math.Trunc(x)
	case tensor.Sqr:
		y = x * x
	case tensor.Sqrt:
		y = math.Sqrt(x)
	case tensor.Log: // near 1 the logarithm is small, and so is what a last place of 1 makes
		y = math.Log(x)
	case tensor.Sin: // the last place of the argument, in radians
		y, mag = math.Sin(x), math.Max(1, a)
	case tensor.Cos:
		y, mag = math.Cos(x), math.Max(1, a)
	default:
		return 0, 0, false
	}
	if math.IsInf(mag, 0) || math.IsNaN(mag) {
		mag = 0
	}
	return y, mag, true
}

// vanishing is the magnitude of a factor that a float32 cannot hold with all its bits, and that may
// count as 0: its last place is the least normal number.
const vanishing = 0x1p-126 * (1 << 23)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func unary(op tensor.Unary, n *tensor.Tensor, src []Value) (Value, error) {
	out := newValue(n.Type, n.Shape).withMag()
	for i, x := range src[0].F {
		var ok bool
		if out.F[i], out.Mag[i], ok = function(op.Func, x); !ok {
			return Value{}, fmt.Errorf("ref: no reference for %s", op.Func)
		}
	}
	return out, nil
}

func glu(op tensor.GLU, n *tensor.Tensor, src []Value) (Value, error) {
	out := newValue(n.Type, n.Shape).withMag()
	for i, g := range src[0].F {
		up := src[1].F[i]
		if op.OAI {
			limit, alpha := float64(op.Limit), float64(op.Alpha)
			g = math.Min(g, limit)
			up = math.Min(math.Max(up, -limit), limit)
			out.F[i] = g * sigmoid(alpha*g) * (up + 1)
			// up + 1 cancels, and the last place of alpha*g shows in the exponential.
			out.Mag[i] = math.Abs(g*sigmoid(alpha*g)) * (1 + math.Abs(alpha*g)) * math.Max(1, math.Abs(up))
			continue
		}
		y, mag, ok := function(op.Act, g)
		if !ok {
			return Value{}, fmt.Errorf("ref: no reference for gates by %s", op.Act)
		}
		out.F[i], out.Mag[i] = y*up, math.Max(mag, math.Abs(y))*math.Abs(up)
	}
	return out, nil
}
