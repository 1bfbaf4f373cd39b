package cpu

import "math"

// The exponential is 2^(k/32) from a table times a short polynomial for the rest: k is x*32/ln2
// rounded, so that the rest is below ln2/64. The first term left out is below 1.3e-12, so that a result
// rounded to float32 is the nearest one but for a few in a hundred thousand.
const (
	expSteps = 32
	expScale = expSteps / math.Ln2
	expUnit  = math.Ln2 / expSteps
	// Adding it puts the integer part of a number into the last bits of its mantissa.
	expShift = 3 << 51
	// Between these the result is a normal float64, far outside what a float32 can hold.
	expLeast, expMost = -708, 709
)

// expTable[i] holds the bits of 2^(i/32), less i in those bits to which the sum of k's are added.
var expTable = func() (table [expSteps]uint64) {
	for i := range table {
		table[i] = math.Float64bits(math.Exp2(float64(i)/expSteps)) - uint64(i)<<47
	}
	return table
}()

// exp returns e^x to about 12 digits; beyond what a float32 can hold it stays finite and not 0. NaN
// gives NaN.
func exp(x float64) float64 {
	z := min(max(x, expLeast), expMost) * expScale
	k := z + expShift
	bits := math.Float64bits(k)
	r := (z - (k - expShift)) * expUnit
	t := math.Float64frombits(expTable[bits%expSteps] + bits<<47)
	return t + t*r*(1+r*(1./2+r*(1./6+r*(1./24))))
}

// tanh returns the hyperbolic tangent of x to about 10 digits.
func tanh(x float64) float64 {
	if -0.125 < x && x < 0.125 { // the difference below would lose digits
		s := x * x
		return x + x*s*(-1./3+s*(2./15+s*(-17./315+s*(62./2835))))
	}
	return 1 - 2/(1+exp(2*x))
}
