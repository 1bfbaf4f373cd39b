package quant

// The encoders look for scales by weighted least squares. The error of a block as a function of its
// scale has many local minimums, because every scale gives other codes. So the search starts from a
// grid of scales about the one that just reaches the greatest value, takes for the codes of each the
// scale that is best for them, and from the best of these goes on, codes and scale in turn, until
// nothing improves.
//
// All of it is float64: squares of any float32 stay in range, and differences of large sums mean
// something. Products are converted explicitly so that no platform fuses them with an addition: a
// file has the same bytes wherever it is written.

// nearest rounds to the nearest integer, halves to the even one.
func nearest(v float64) float64 {
	const unit = 3 << 51 // its last place is 1; values too large to round pass as they are
	return (v + unit) - unit
}

// fitScale returns the scale s for which s*q comes nearest to x, with q any integer from lo to hi.
func fitScale(x, w []float64, lo, hi float64) float64 {
	top := largest64(x)
	if top == 0 {
		return 0
	}
	var best, bestScore float64
	try := func(inv float64) bool {
		xq, qq := scaleSums(x, w, inv, lo, hi)
		// The error is sum(w*x*x) - xq*xq/qq.
		if qq == 0 || xq*xq <= bestScore*qq {
			return false
		}
		best, bestScore = xq/qq, xq*xq/qq
		return true
	}
	inv := 1 / top
	for k := -9.0; k <= 9; k++ {
		try((lo + 0.1*k) * inv)
	}
	for k := -4.0; k <= 4; k++ {
		try((hi + 0.2*k) * inv)
	}
	for range fitRounds {
		if !try(1 / best) {
			break
		}
	}
	return best
}

// fitRounds limits how often codes and scale are fitted to each other in turn.
const fitRounds = 4

func scaleSums(x, w []float64, inv, lo, hi float64) (xq, qq float64) {
	w = w[:len(x)]
	for i, v := range x {
		q := nearest(v * inv)
		if q < lo {
			q = lo
		}
		if q > hi {
			q = hi
		}
		wq := w[i] * q
		xq += float64(wq * v)
		qq += float64(wq * q)
	}
	return xq, qq
}

// scaleError returns the weighted squared error of x in codes of the given scale.
func scaleError(x, w []float64, scale, lo, hi float64) (sum float64) {
	inv := inverse64(scale)
	w = w[:len(x)]
	for i, v := range x {
		q := nearest(v * inv)
		if q < lo {
			q = lo
		}
		if q > hi {
			q = hi
		}
		diff := v - float64(scale*q)
		sum += float64(w[i] * diff * diff)
	}
	return sum
}

// affineGrid says which scales fitAffine starts from: those that spread the range of the values over
// maxCode+first, maxCode+first+step ... steps.
type affineGrid struct {
	first, step float64
	count       int
}

// fitAffine returns the scale and offset for which scale*q + offset comes nearest to x, with q any
// integer from 0 to maxCode. If nonPositive, the offset is not above 0.
func fitAffine(x, w []float64, maxCode float64, grid affineGrid, nonPositive bool) (scale, offset float64) {
	lo, hi := x[0], x[0]
	var sw, sx, sxx float64
	for i, v := range x {
		lo, hi = min(lo, v), max(hi, v)
		wx := w[i] * v
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
	scale, offset = (hi-lo)/maxCode, lo
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
	for k := range grid.count {
		try((maxCode+grid.first+float64(grid.step*float64(k)))/(hi-lo), lo)
	}
	for range fitRounds {
		if !try(1/scale, offset) {
			break
		}
	}
	return scale, offset
}

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
func affineSums(x, w []float64, inv, offset, maxCode float64) (sq, sqq, sxq float64) {
	w = w[:len(x)]
	for i, v := range x {
		q := nearest((v - offset) * inv)
		if q < 0 {
			q = 0
		}
		if q > maxCode {
			q = maxCode
		}
		wq := w[i] * q
		sq += wq
		sqq += float64(wq * q)
		sxq += float64(wq * v)
	}
	return sq, sqq, sxq
}

// affineError returns the weighted squared error of x in codes of the given scale and offset.
func affineError(x, w []float64, scale, offset, maxCode float64) (sum float64) {
	inv := inverse64(scale)
	w = w[:len(x)]
	for i, v := range x {
		v -= offset
		q := nearest(v * inv)
		if q < 0 {
			q = 0
		}
		if q > maxCode {
			q = maxCode
		}
		diff := v - float64(scale*q)
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
