package cpu

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.Unary{}, func(c *compiler) {
		f := functions[c.node.Op.(tensor.Unary).Func]
		c.unary(f.grain, f.each)
	}, func(n *tensor.Tensor) string {
		if f := n.Op.(tensor.Unary).Func; int(f) >= len(functions) || functions[f].each == nil {
			return "there is no kernel for " + f.String()
		}
		return ""
	})
}

// function is how a tensor.Func is computed for each of x; dst may be x.
type function struct {
	grain int
	each  func(dst, x []float32)
}

// The loops of frequent functions stand here in full, so that they hold no call for each element.
var functions = [...]function{
	tensor.Abs: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = math.Float32frombits(math.Float32bits(v) &^ (1 << 31))
		}
	}},
	tensor.Sgn: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			switch {
			case v > 0:
				dst[i] = 1
			case v < 0:
				dst[i] = -1
			default:
				dst[i] = 0
			}
		}
	}},
	tensor.Neg: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = -v
		}
	}},
	tensor.Step: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = 0
			if v > 0 {
				dst[i] = 1
			}
		}
	}},
	tensor.ReLU: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = max(v, 0)
		}
	}},
	tensor.HardSwish: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = v * (min(max(v+3, 0), 6) / 6)
		}
	}},
	tensor.HardSigmoid: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = min(max(v+3, 0), 6) / 6
		}
	}},
	tensor.Sqr: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = v * v
		}
	}},
	tensor.Sqrt: {cheap, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = float32(math.Sqrt(float64(v)))
		}
	}},
	tensor.Exp: {costly, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = float32(exp(float64(v)))
		}
	}},
	tensor.Sigmoid: {costly, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = 1 / (1 + expf(-v))
		}
	}},
	tensor.SiLU: {costly, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = v / (1 + expf(-v))
		}
	}},
	tensor.GELU: {costly, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = v / (1 + expf(gelu(v)))
		}
	}},
	tensor.GELUQuick: {costly, func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = v / (1 + expf(-1.702*v))
		}
	}},
	tensor.Tanh:     {costly, tanhs},
	tensor.GELUErf:  {costly, each(geluErf)},
	tensor.ELU:      {costly, each(elu)},
	tensor.Expm1:    {costly, each(math.Expm1)},
	tensor.Softplus: {costly, each(softplus)},
	tensor.Floor:    {cheap, each(math.Floor)},
	tensor.Ceil:     {cheap, each(math.Ceil)},
	tensor.Round:    {cheap, each(math.Round)},
	tensor.Trunc:    {cheap, each(math.Trunc)},
	tensor.Log:      {costly, each(math.Log)},
	tensor.Sin:      {costly, each(math.Sin)},
	tensor.Cos:      {costly, each(math.Cos)},
}

// each returns the loop over f.
func each(f func(float64) float64) func(dst, x []float32) {
	return func(dst, x []float32) {
		for i, v := range x[:len(dst)] {
			dst[i] = float32(f(float64(v)))
		}
	}
}

// gelu returns the exponent of the tanh approximation: (1 + tanh(u))/2 is 1/(1 + e^-2u), here with
// u = sqrt(2/π) * (x + 0.044715x³).
func gelu(x float32) float32 { return -2 * math.Sqrt2 / sqrtPi * x * (1 + 0.044715*x*x) }

const sqrtPi = 1.77245385090551602729816748334114518

func geluErf(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }

func elu(x float64) float64 {
	if x > 0 {
		return x
	}
	return math.Expm1(x)
}

// softplus returns ln(1 + e^x).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
