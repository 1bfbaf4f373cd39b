package sample

import "math"

// The functions of this file give the same bits on every platform. A conversion to float64 round a product keeps the compiler
// from fusing it with a sum (Go specification, "Floating-point operators"); do not remove one.

// ln2Hi has 32 bits, so that its products with the integers of exp are exact.
const (
	ln2Hi = 0x1.62e42feep-1
	ln2Lo = math.Ln2 - ln2Hi
)

// expStep is the number of steps that exp divides a factor of two into.
const expStep = 64

// exp returns e^x for x up to 700, to about one unit in the last place, and 0 below -708, where the result would be
// subnormal.
//
// With x = (k + j/64) ln 2 + r it is 2^k times 2^(j/64), from a table, times e^r, where |r| is at most ln(2)/128
// and five terms of the series are exact to 2^-54.
func exp(x float64) float64 {
	if x < -708 {
		return 0
	}
	const shift = 0x1.8p52 // adding it rounds to an integer, which is then in the low bits
	t := float64(x*(expStep/math.Ln2)) + shift
	n := t - shift
	bits := math.Float64bits(t) // its low 51 bits are those of n

	r := float64(x-float64(n*(ln2Hi/expStep))) - float64(n*(ln2Lo/expStep))
	p := float64(r*(1.0/120)) + 1.0/24
	p = float64(r*p) + 1.0/6
	p = float64(r*p) + 0.5
	p = float64(float64(r*r)*p) + r

	// The low 6 bits of n are j; the rest, added to the exponent field, multiplies by 2^k. What is above that field falls off.
	s := math.Float64frombits(math.Float64bits(exp2Table[bits%expStep]) + bits/expStep<<52)
	return s + float64(s*p)
}

// log returns the natural logarithm of a positive, finite, normal x, to a few units in the last place.
//
// With x = 2^k f, and f between the roots of 1/2 and 2, log f = 2 artanh((f-1)/(f+1)), whose series is exact to 2^-55
// after eleven terms.
func log(x float64) float64 {
	f, k := math.Frexp(x)
	if f < math.Sqrt2/2 {
		f, k = 2*f, k-1
	}
	s := (f - 1) / (f + 1)
	z := float64(s * s)
	sum := 0.0
	for n := 21.0; n >= 1; n -= 2 {
		sum = float64(sum*z) + 1/n
	}
	n := float64(k)
	return float64(n*ln2Hi) + (float64(n*ln2Lo) + float64(2*s*sum))
}

// exp2Table holds 2^(j/64), rounded to nearest.
var exp2Table = [expStep]float64{
	0x1p+00, 0x1.02c9a3e778061p+00, 0x1.059b0d3158574p+00, 0x1.0874518759bc8p+00,
	0x1.0b5586cf9890fp+00, 0x1.0e3ec32d3d1a2p+00, 0x1.11301d0125b51p+00, 0x1.1429aaea92dep+00,
	0x1.172b83c7d517bp+00, 0x1.1a35beb6fcb75p+00, 0x1.1d4873168b9aap+00, 0x1.2063b88628cd6p+00,
	0x1.2387a6e756238p+00, 0x1.26b4565e27cddp+00, 0x1.29e9df51fdee1p+00, 0x1.2d285a6e4030bp+00,
	0x1.306fe0a31b715p+00, 0x1.33c08b26416ffp+00, 0x1.371a7373aa9cbp+00, 0x1.3a7db34e59ff7p+00,
	0x1.3dea64c123422p+00, 0x1.4160a21f72e2ap+00, 0x1.44e086061892dp+00, 0x1.486a2b5c13cdp+00,
	0x1.4bfdad5362a27p+00, 0x1.4f9b2769d2ca7p+00, 0x1.5342b569d4f82p+00, 0x1.56f4736b527dap+00,
	0x1.5ab07dd485429p+00, 0x1.5e76f15ad2148p+00, 0x1.6247eb03a5585p+00, 0x1.6623882552225p+00,
	0x1.6a09e667f3bcdp+00, 0x1.6dfb23c651a2fp+00, 0x1.71f75e8ec5f74p+00, 0x1.75feb564267c9p+00,
	0x1.7a11473eb0187p+00, 0x1.7e2f336cf4e62p+00, 0x1.82589994cce13p+00, 0x1.868d99b4492edp+00,
	0x1.8ace5422aa0dbp+00, 0x1.8f1ae99157736p+00, 0x1.93737b0cdc5e5p+00, 0x1.97d829fde4e5p+00,
	0x1.9c49182a3f09p+00, 0x1.a0c667b5de565p+00, 0x1.a5503b23e255dp+00, 0x1.a9e6b5579fdbfp+00,
	0x1.ae89f995ad3adp+00, 0x1.b33a2b84f15fbp+00, 0x1.b7f76f2fb5e47p+00, 0x1.bcc1e904bc1d2p+00,
	0x1.c199bdd85529cp+00, 0x1.c67f12e57d14bp+00, 0x1.cb720dcef9069p+00, 0x1.d072d4a07897cp+00,
	0x1.d5818dcfba487p+00, 0x1.da9e603db3285p+00, 0x1.dfc97337b9b5fp+00, 0x1.e502ee78b3ff6p+00,
	0x1.ea4afa2a490dap+00, 0x1.efa1bee615a27p+00, 0x1.f50765b6e454p+00, 0x1.fa7c1819e90d8p+00,
}
