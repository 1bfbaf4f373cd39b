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

// The same in float32, for the loops that run over whole activations: a conversion to float64 in each
// turn would make it wait for the one before. The product k*unit32Hi is exact, as unit32Hi has few bits.
const (
	unit32Hi   = 0x1.62p-6
	unit32Lo   = expUnit - unit32Hi
	expShift32 = 3 << 22
	expLeast32 = -127 * math.Ln2 // here the table gives 0
	expMost32  = 128 * math.Ln2  // and here +Inf
)

// expTable32 is expTable for float32.
var expTable32 = func() (table [expSteps]uint32) {
	for i := range table {
		table[i] = math.Float32bits(float32(math.Exp2(float64(i)/expSteps))) - uint32(i)<<18
	}
	return table
}()

// expf returns e^x to within two of a float32's last places; 0 where that is no normal number, and +Inf
// from 88.71 on. NaN gives NaN.
func expf(x float32) float32 {
	if x < expLeast32 { // seldom so; min and max would cost more
		x = expLeast32
	}
	if x > expMost32 {
		x = expMost32
	}
	k := x*expScale + expShift32
	bits := math.Float32bits(k)
	k -= expShift32
	r := x - k*unit32Hi - k*unit32Lo
	return math.Float32frombits(expTable32[bits%expSteps]+bits<<18) * (1 + r*(1+r*(0.5+r*(1./6))))
}

// tanh returns the hyperbolic tangent of x to 11 digits. Up to 1, where nearly all logits are that are capped, it is
// Lambert's continued fraction, cut where it is off by 2.2e-12; the difference behind it would lose digits there.
func tanh(x float64) float64 {
	if -1 < x && x < 1 {
		return smallTanh(x)
	}
	return 1 - 2/(1+exp(2*x))
}

// smallTanh is tanh up to 1: small enough to be inlined.
func smallTanh(x float64) float64 {
	s := x * x
	return x * (135135 + s*(17325+s*(378+s))) / (135135 + s*(62370+s*(3150+s*28)))
}

// tanhs is each(tanh), without a call where x is small.
func tanhs(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		if -1 < v && v < 1 {
			dst[i] = float32(smallTanh(float64(v)))
			continue
		}
		dst[i] = float32(tanh(float64(v)))
	}
}
