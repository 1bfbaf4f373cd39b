package quant

import "math"

// MXFP4 is the microscaling format of the Open Compute Project with elements of 4 bits (E2M1) and a
// power of two for each 32 of them. Source: OCP Microscaling Formats (MX) Specification 1.0.

// mxfp4Values holds twice the value of each code, so that all are whole; the scale is halved instead.
var mxfp4Values = [16]float32{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}

// mxfp4Scale returns half the scale that the exponent byte e stands for: 2^(e-128). The two smallest
// are subnormal.
func mxfp4Scale(e byte) float32 {
	if e < 2 {
		return math.Float32frombits(0x00200000 << e)
	}
	return math.Float32frombits(uint32(e-1) << 23)
}

func decodeMXFP4(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[17:] {
		y, b := (*[32]float32)(dst), (*[17]byte)(src)
		d := mxfp4Scale(b[0])
		for i := range 16 {
			c := b[1+i]
			y[i] = d * mxfp4Values[c&15]
			y[i+16] = d * mxfp4Values[c>>4]
		}
	}
}

// mxfp4MaxExponent belongs to the greatest float32: it gives six times 2^125. Beyond it lie scales
// whose greatest values overflow.
const mxfp4MaxExponent = 252

// encodeMXFP4 takes the scale from the exponent of the greatest magnitude, as the specification says;
// with weights it also tries the next power of two, which does not cut the greatest values off.
func encodeMXFP4(dst []byte, src, weights []float32) {
	for ; len(src) > 0; src, dst = src[32:], dst[17:] {
		b := (*[17]byte)(dst)
		var buf [32]float32
		x := clean(buf[:], src[:32], math.MaxFloat32)
		e := mxfp4Exponent(abs(largest(x)))
		if weights != nil {
			var w [32]float64
			loadWeights(w[:], weights)
			if e < mxfp4MaxExponent && mxfp4Error(x, w[:], e+1) < mxfp4Error(x, w[:], e) {
				e++
			}
			weights = weights[32:]
		}
		b[0] = e
		d := mxfp4Scale(e)
		for i := range 16 {
			b[1+i] = mxfp4Code(x[i], d) | mxfp4Code(x[i+16], d)<<4
		}
	}
}

// mxfp4Exponent returns the exponent byte for values up to amax: 2^2 is the greatest power of two among
// the elements, and 127 the bias.
func mxfp4Exponent(amax float32) byte {
	if amax == 0 {
		return 0
	}
	_, exp := math.Frexp(float64(amax)) // amax = f * 2^exp with f in [0.5, 1)
	return byte(max(exp-1-2+127, 0))
}

// mxfp4Code returns the code nearest to x, the smaller one of two that are equally near. d is half
// the scale.
func mxfp4Code(x, d float32) byte {
	// Whole codes lie one apart up to 4, then two, then four: these are the middles between them.
	a := abs(x)
	var c byte
	switch {
	case a <= 0.5*d:
		return 0
	case a <= 1.5*d:
		c = 1
	case a <= 2.5*d:
		c = 2
	case a <= 3.5*d:
		c = 3
	case a <= 5*d:
		c = 4
	case a <= 7*d:
		c = 5
	case a <= 10*d:
		c = 6
	default:
		c = 7
	}
	if x < 0 {
		c |= 8
	}
	return c
}

// mxfp4Error returns the weighted squared error of x with exponent e.
func mxfp4Error(x []float32, w []float64, e byte) (sum float64) {
	d := mxfp4Scale(e)
	for i, v := range x {
		diff := float64(v) - float64(d*mxfp4Values[mxfp4Code(v, d)])
		sum += float64(w[i] * diff * diff)
	}
	return sum
}
