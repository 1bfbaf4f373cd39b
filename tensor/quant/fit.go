package quant

import "math"

// The encoders look for scales by weighted least squares. The error of a group as a function of its
// scale has many local minimums, because every scale gives other codes. So the search starts from a
// grid of scales about the one that just reaches the greatest value, takes for the codes of each the
// scale that is best for them, and from the best of these goes on, codes and scale in turn, until
// nothing improves.
//
// All of it is float64: squares of any float32 stay in range, and differences of large sums mean
// something. Products are converted explicitly so that no platform fuses them with an addition: a
// file has the same bytes wherever it is written.

// fitRounds limits how often codes and scale are fitted to each other in turn.
const fitRounds = 4

// tieMargin is what a later candidate must be better by. Groups whose values lie on a grid have
// several scales without any error; rounding must not choose between them, because scales of one kind
// share a superblock better.
const tieMargin = 1 + 1e-9

// nearest rounds to the nearest integer, halves to the even one, if |v| is below 2^51. Beyond that it
// returns some integer: the error that is then measured for the code speaks against the scale.
func nearest(v float64) int64 {
	// The last place of 3 * 2^51 is 1: the addition rounds, and the integer stands in the mantissa.
	// The conversion keeps a product from being fused with the addition after inlining.
	const unit, unitBits = 3 << 51, 0x4338000000000000
	return int64(math.Float64bits(float64(v)+unit)) - unitBits
}

// nearestIn is nearest within the range from lo to hi.
func nearestIn(v float64, lo, hi int64) int64 { return min(max(nearest(v), lo), hi) }

// fitScale returns the scale s for which s*q comes nearest to x, with q any integer from -half to
// half-1, and the best scale of the other sign, which serves where scales have to be integers and the
// first falls between two. It starts from the scales that give the greatest value a code up to 1 from
// -half or from half-1, that many steps to each side. Both are 0 if all of x is.
func fitScale(x, w []float64, half int64, steps int) (scale, other float64) {
	top := largest64(x)
	if top == 0 {
		return 0, 0
	}
	inv := 1 / top
	a, scoreA := climbScale(x, w, half, -float64(half)*inv, inv, steps)
	b, scoreB := climbScale(x, w, half, float64(half-1)*inv, inv, steps)
	if scoreB > scoreA*tieMargin {
		return b, a
	}
	return a, b
}

// climbScale returns the best scale found from the inverse scales within unit of center, and by how much
// it lessens the squared error of no scale at all.
func climbScale(x, w []float64, half int64, center, unit float64, steps int) (best, bestScore float64) {
	try := func(inv float64) bool {
		xq, qq := scaleSums(x, w, inv, half)
		// The error is sum(w*x*x) - xq*xq/qq.
		if qq == 0 || xq*xq <= bestScore*qq*tieMargin {
			return false
		}
		best, bestScore = xq/qq, xq*xq/qq
		return true
	}
	step := unit / float64(steps)
	for k := -steps; k <= steps; k++ {
		try(center + float64(float64(k)*step))
	}
	for range fitRounds {
		if best == 0 || !try(1/best) {
			break
		}
	}
	return best, bestScore
}

// scaleSums returns the weighted sums of x*q and q*q, where q are the codes of x.
func scaleSums(x, w []float64, inv float64, half int64) (xq, qq float64) {
	w = w[:len(x)]
	for i, v := range x {
		q := float64(nearestIn(v*inv, -half, half-1))
		wq := float64(w[i] * q)
		xq += float64(wq * v)
		qq += float64(wq * q)
	}
	return xq, qq
}

// scaleError returns the weighted squared error of x in codes of the given scale.
func scaleError(x, w []float64, scale float64, half int64) (sum float64) {
	inv := inverse64(scale)
	w = w[:len(x)]
	for i, v := range x {
		diff := v - float64(scale*float64(nearestIn(v*inv, -half, half-1)))
		sum += float64(w[i] * diff * diff)
	}
	return sum
}

// fitAffine returns the scale and offset for which scale*q + offset comes nearest to x, with q any
// integer from 0 to maxCode. If nonPositive, the offset is not above 0.
func fitAffine(x, w []float64, maxCode int64, starts []affineStart, nonPositive bool) (scale, offset float64) {
	lo, hi := x[0], x[0]
	var sw, sx, sxx float64
	for i, v := range x {
		lo, hi = min(lo, v), max(hi, v)
		wx := float64(w[i] * v)
		sw += w[i]
		sx += wx
		sxx += float64(wx * v)
	}
	if nonPositive {
		lo = min(lo, 0)
	}
	if hi <= lo {
		return 0, lo
	}
	top := float64(maxCode)
	scale, offset = (hi-lo)/top, lo
	bestErr := affineError(x, w, scale, offset, maxCode)
	try := func(inv, from float64) bool {
		q, qq, xq := affineSums(x, w, inv, from, maxCode)
		s, o := solveAffine(sw, sx, q, qq, xq)
		if nonPositive && o > 0 {
			s, o = 0, 0
			if qq > 0 {
				s = xq / qq
			}
		}
		err := sxx - 2*float64(s*xq) - 2*float64(o*sx) + float64(s*s*qq) + 2*float64(s*o*q) + float64(o*o*sw)
		if s <= 0 || err >= bestErr {
			return false
		}
		scale, offset, bestErr = s, o, err
		return true
	}
	step := (hi - lo) / top
	for _, start := range starts {
		from := lo + float64(start.offset*step)
		if nonPositive && from > 0 {
			continue
		}
		for spread := start.first; spread < 1; spread += start.step {
			try((top+spread)/(hi-from), from)
		}
	}
	for range fitRounds {
		if !try(1/scale, offset) {
			break
		}
	}
	return scale, offset
}

// affineStart is a family of scales to start from.
type affineStart struct {
	offset      float64 // the first code lies this many steps between codes above the least value
	first, step float64 // the range is spread over maxCode+first, +first+step ... steps, up to +1
}

var (
	superblockStarts = []affineStart{{0, -1, 0.2}, {-0.25, -1, 0.4}, {0.25, -1, 0.4}, {0.5, -1, 0.4}}
	legacyStarts     = []affineStart{{0, -1, 0.1}, {-0.5, -1, 0.2}, {-0.25, -1, 0.2}, {0.25, -1, 0.2}, {0.5, -1, 0.2}, {0.75, -1, 0.2}}
)

// solveAffine returns the scale and offset of least error for given codes; the arguments are the
// weighted sums of 1, x, q, q*q and x*q. A scale of 0 means that all codes are equal.
func solveAffine(sw, sx, q, qq, xq float64) (scale, offset float64) {
	det := float64(sw*qq) - float64(q*q)
	if det <= 1e-12*float64(sw*qq) {
		return 0, 0
	}
	scale = (float64(sw*xq) - float64(sx*q)) / det
	offset = (float64(qq*sx) - float64(q*xq)) / det
	return scale, offset
}

// affineSums returns the weighted sums of q, q*q and x*q, where q are the codes of x.
func affineSums(x, w []float64, inv, offset float64, maxCode int64) (sq, sqq, sxq float64) {
	w = w[:len(x)]
	for i, v := range x {
		q := float64(nearestIn((v-offset)*inv, 0, maxCode))
		wq := float64(w[i] * q)
		sq += wq
		sqq += float64(wq * q)
		sxq += float64(wq * v)
	}
	return sq, sqq, sxq
}

// affineError returns the weighted squared error of x in codes of the given scale and offset.
func affineError(x, w []float64, scale, offset float64, maxCode int64) (sum float64) {
	inv := inverse64(scale)
	w = w[:len(x)]
	for i, v := range x {
		v -= offset
		diff := v - float64(scale*float64(nearestIn(v*inv, 0, maxCode)))
		sum += float64(w[i] * diff * diff)
	}
	return sum
}

// largest64 returns the value of greatest magnitude, the first of several.
func largest64(x []float64) (best float64) {
	var most float64
	for _, v := range x {
		if v > most {
			best, most = v, v
		}
		if -v > most {
			best, most = v, -v
		}
	}
	return best
}
