package sample

// Loops over many tokens. Each has a form in assembly that gives the same bits: no sum depends on the machine.

const (
	sumBlock = 256 // places whose weights are summed by themselves
	topBlock = 64  // places whose highest rank is kept
)

// The kernels of this machine.
var (
	expBlock   = expBlockGo
	sumWeights = sumWeightsGo
	sumMoments = sumMomentsGo
	sumsAbove  = sumsAboveGo
	blockTops  = blockTopsGo
	distances  = distancesGo
)

// lanes is a sum in eight parts, as vector units make it: part j of the elements i with i%8 == j.
type lanes [8]float64

func (l *lanes) sum() float64 {
	return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

// expBlockGo sets w[i] to exp((x[i]-best)*invT) and returns the sum of w: of its first len(w) &^ 7 elements
// in lanes, and then one by one. best is the highest of all x.
func expBlockGo(w []float64, x []float32, best, invT float64) float64 {
	x = x[:len(w)]
	for i, v := range x {
		w[i] = exp(float64((float64(v) - best) * invT))
	}
	return sumWeightsGo(w)
}

// sumWeightsGo returns the sum of w in the order of expBlock.
func sumWeightsGo(w []float64) float64 {
	var l lanes
	whole := len(w) &^ 7
	for i := 0; i < whole; i += 8 {
		v := w[i : i+8 : i+8]
		for j := range l {
			l[j] += v[j]
		}
	}
	sum := l.sum()
	for _, v := range w[whole:] {
		sum += v
	}
	return sum
}

// sumMomentsGo returns the sum of w[i]*(x[i]-best) in the order of expBlock.
func sumMomentsGo(w []float64, x []float32, best float64) float64 {
	var l lanes
	x = x[:len(w)]
	whole := len(w) &^ 7
	for i := range whole {
		l[i%8] += float64(w[i] * (float64(x[i]) - best))
	}
	sum := l.sum()
	for i := whole; i < len(w); i++ {
		sum += float64(w[i] * (float64(x[i]) - best))
	}
	return sum
}

// sumsAboveGo returns for each of four t the sum of those w[i] whose x[i] is above t, in the order of expBlock.
func sumsAboveGo(w []float64, x []float32, t [4]float32) (sums [4]float64) {
	var l [4]lanes
	x = x[:len(w)]
	whole := len(w) &^ 7
	for i, v := range x[:whole] {
		for k := range l {
			if v > t[k] {
				l[k][i%8] += w[i]
			}
		}
	}
	for k := range sums {
		sums[k] = l[k].sum()
		for i := whole; i < len(w); i++ {
			if x[i] > t[k] {
				sums[k] += w[i]
			}
		}
	}
	return sums
}

// blockTopsGo sets tops[b] to the highest of the b-th topBlock values of x, and returns the lowest of x and whether
// one is NaN. With a NaN the others mean nothing.
func blockTopsGo(tops, x []float32) (low float32, nan bool) {
	low = -negInf
	for b := range tops {
		top := negInf
		for _, v := range x[b*topBlock : min((b+1)*topBlock, len(x))] {
			if !(v <= top) { // higher, or NaN
				nan = nan || v != v
				top = v
			}
			if v < low {
				low = v
			}
		}
		tops[b] = top
	}
	return low, nan
}

// distancesGo sets dst[i] to -|mean-x[i]|.
func distancesGo(dst, x []float32, mean float64) {
	x = x[:len(dst)]
	for i := range dst {
		d := mean - float64(x[i])
		if d < 0 {
			d = -d
		}
		dst[i] = -float32(d)
	}
}
