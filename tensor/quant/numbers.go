package quant

import "math"

func abs(v float32) float32 { return math.Float32frombits(math.Float32bits(v) &^ (1 << 31)) }

func isInf(v float32) bool { return abs(v) > math.MaxFloat32 }

// inverse returns 1/d, or 0 if that is no finite number.
func inverse(d float32) float32 {
	if inv := 1 / d; !isInf(inv) {
		return inv
	}
	return 0
}

// inverse64 returns 1/d, or 0 for 0.
func inverse64(d float64) float64 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

// roundAway rounds to the nearest integer, halves away from zero. v is within the range of int32.
func roundAway(v float32) int32 {
	v = float32(v) // rounded, where the caller's product might be fused
	r := int32(v)
	switch frac := v - float32(r); {
	case frac >= 0.5:
		return r + 1
	case frac <= -0.5:
		return r - 1
	}
	return r
}

// roundEven rounds to the nearest integer, halves to the even one. |v| is below 2^22.
func roundEven(v float32) int32 {
	// The last place of 1.5 * 2^23 is 1: the addition rounds, and the integer stands in the mantissa.
	return int32(math.Float32bits(float32(v)+12582912)&0x7fffff) - 0x400000
}

// largest returns the value of greatest magnitude, the first of several; 0 if x is empty.
func largest(x []float32) float32 {
	var best, most float32
	for _, v := range x {
		if a := abs(v); a > most {
			best, most = v, a
		}
	}
	return best
}

// clamp returns the number that stands for v in an encoder: 0 for NaN, and for what lies outside
// -limit to limit the nearer end.
func clamp(v, limit float32) float32 {
	if v != v {
		return 0
	}
	return min(max(v, -limit), limit)
}

// clean returns src if all its values are within -limit to limit, and otherwise buf with the numbers
// that stand for them. buf has the length of src.
func clean(buf, src []float32, limit float32) []float32 {
	sound := true
	for _, v := range src {
		if !(abs(v) <= limit) { // NaN is not
			sound = false
		}
	}
	if sound {
		return src
	}
	for i, v := range src {
		buf[i] = clamp(v, limit)
	}
	return buf
}

// leastWeight is the least weight of a value as a part of the mean weight of its block. It is too
// little to be noticed, and keeps every group of a block solvable.
const leastWeight = 1e-6

// loadWeights writes the weights that an encoder uses to w: those of src made sound, or ones if src
// is nil or has nothing positive.
func loadWeights(w []float64, src []float32) {
	var sum float64
	if src != nil {
		src = src[:len(w)]
		for i, v := range src {
			w[i] = float64(max(clamp(v, math.MaxFloat32), 0))
			sum += w[i]
		}
	}
	if sum == 0 {
		for i := range w {
			w[i] = 1
		}
		return
	}
	least := sum / float64(len(w)) * leastWeight
	for i := range w {
		w[i] = max(w[i], least)
	}
}

// searchLimit is beyond what any of the searched formats can hold, and its quotient by a scale that
// comes near it is within reach of nearest.
const searchLimit = 1 << 36

// loadValues writes the numbers that stand for src to x.
func loadValues(x []float64, src []float32) {
	src = src[:len(x)]
	for i, v := range src {
		x[i] = float64(clamp(v, searchLimit))
	}
}
