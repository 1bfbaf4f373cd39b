package quant

import "math"

// affineLayout is the shape of a superblock whose values are scale*code - minimum.
type affineLayout struct {
	groups   int   // groups per superblock
	size     int   // values per group
	maxCode  int64 // codes go from 0 to this
	maxScale int64 // and so do the integer scales and minimums of the groups
}

var (
	layoutQ2_K = affineLayout{groups: 16, size: 16, maxCode: 3, maxScale: 15}
	layoutQ4_K = affineLayout{groups: 8, size: 32, maxCode: 15, maxScale: 63}
	layoutQ5_K = affineLayout{groups: 8, size: 32, maxCode: 31, maxScale: 63}
)

// affineBlock is a superblock being encoded.
type affineBlock struct {
	x, w [kElems]float64

	affineScales
	codes [kElems]byte
}

// affineScales are the scales of a superblock as they will be stored: d and dmin are binary16 values.
type affineScales struct {
	d, dmin      float64
	scales, mins [16]byte
}

// refineRounds limits how often the scales of the groups and of the superblock are fitted in turn.
const refineRounds = 1

// scaleTries is how many scales of the superblock are tried first: those that give the greatest scale
// of a group the greatest integer, or one somewhat smaller. One of them suits the others best.
const scaleTries = 4

// encode finds the codes and scales of the next superblock of src and returns the weights behind those
// it used.
func (a *affineBlock) encode(l *affineLayout, src, weights []float32) []float32 {
	loadValues(a.x[:], src)
	loadWeights(a.w[:], weights)
	if weights != nil {
		weights = weights[kElems:]
	}
	a.start(l)
	err := a.search(l)
	for range refineRounds {
		if err == 0 {
			break
		}
		was := a.affineScales
		a.refit(l)
		if a.d == was.d && a.dmin == was.dmin {
			break
		}
		next := a.search(l)
		if next >= err {
			a.affineScales = was
			break
		}
		err = next
	}
	a.writeCodes(l)
	return weights
}

func (a *affineBlock) group(l *affineLayout, g int) (x, w []float64) {
	return a.x[g*l.size:][:l.size], a.w[g*l.size:][:l.size]
}

// start fits each group on its own, and takes the best of a few scales of the superblock for them.
func (a *affineBlock) start(l *affineLayout) {
	var scales, mins [16]float64
	var maxScale, maxMin float64
	for g := range l.groups {
		x, w := a.group(l, g)
		s, o := fitAffine(x, w, l.maxCode, superblockStarts, true)
		scales[g], mins[g] = s, max(-o, 0)
		maxScale, maxMin = max(maxScale, scales[g]), max(maxMin, mins[g])
	}
	var best affineScales
	bestErr := math.Inf(1)
	for try := range scaleTries {
		top := float64(l.maxScale) * (1 - float64(float64(try)/32))
		a.d = float64(tinyScale(maxScale / top))
		a.dmin = float64(tinyScale(maxMin / top))
		a.place(l, &scales, &mins)
		if err := a.err(l); err < bestErr {
			best, bestErr = a.affineScales, err
		}
	}
	a.affineScales = best
}

// place sets the integer scales nearest to the given ones.
func (a *affineBlock) place(l *affineLayout, scales, mins *[16]float64) {
	inv, invMin := inverse64(a.d), inverse64(a.dmin)
	for g := range l.groups {
		a.scales[g] = byte(nearestIn(scales[g]*inv, 0, l.maxScale))
		a.mins[g] = byte(nearestIn(mins[g]*invMin, 0, l.maxScale))
	}
}

// groupErr returns the error of group g with integer scale s and minimum m.
func (a *affineBlock) groupErr(l *affineLayout, g int, s, m int64) float64 {
	x, w := a.group(l, g)
	return affineError(x, w, float64(a.d*float64(s)), float64(-a.dmin*float64(m)), l.maxCode)
}

func (a *affineBlock) err(l *affineLayout) (sum float64) {
	for g := range l.groups {
		sum += a.groupErr(l, g, int64(a.scales[g]), int64(a.mins[g]))
	}
	return sum
}

// search moves the integer scale and minimum of each group to the best of their neighbours, and
// returns the error of the superblock.
func (a *affineBlock) search(l *affineLayout) (sum float64) {
	for g := range l.groups {
		s, m := int64(a.scales[g]), int64(a.mins[g])
		best, bestS, bestM := a.groupErr(l, g, s, m), s, m
		for s1 := max(s-1, 0); s1 <= min(s+1, l.maxScale); s1++ {
			for m1 := max(m-1, 0); m1 <= min(m+1, l.maxScale); m1++ {
				if s1 == s && m1 == m {
					continue
				}
				if err := a.groupErr(l, g, s1, m1); err < best {
					best, bestS, bestM = err, s1, m1
				}
			}
		}
		a.scales[g], a.mins[g] = byte(bestS), byte(bestM)
		sum += best
	}
	return sum
}

// refit sets d and dmin to the best for the integer scales, and for the codes that follow from these.
func (a *affineBlock) refit(l *affineLayout) {
	// The values are d*(scale*code) - dmin*min: two unknowns, and five sums for their equations.
	var ss, sm, mm, sx, mx float64
	for g := range l.groups {
		x, w := a.group(l, g)
		s, m := float64(a.scales[g]), float64(a.mins[g])
		q, qq, xq := affineSums(x, w, inverse64(a.d*s), float64(-a.dmin*m), l.maxCode)
		var gx, gw float64
		for i, v := range x {
			gx += float64(w[i] * v)
			gw += w[i]
		}
		ss += float64(s * s * qq)
		sm += float64(s * m * q)
		mm += float64(m * m * gw)
		sx += float64(s * xq)
		mx += float64(m * gx)
	}
	d, dmin := a.d, a.dmin
	if det := float64(ss*mm) - float64(sm*sm); det > 1e-9*float64(ss*mm) {
		d = (float64(mm*sx) - float64(sm*mx)) / det
		dmin = (float64(sm*sx) - float64(ss*mx)) / det
	} else if ss > 0 {
		d = (sx + float64(sm*dmin)) / ss
	}
	if d > 0 {
		a.d = float64(tinyScale(d))
	}
	if dmin >= 0 {
		a.dmin = float64(tinyScale(dmin))
	}
}

func (a *affineBlock) writeCodes(l *affineLayout) {
	for g := range l.groups {
		scale, minimum := a.d*float64(a.scales[g]), float64(a.dmin*float64(a.mins[g]))
		inv := inverse64(scale)
		x, _ := a.group(l, g)
		codes := a.codes[g*l.size:][:len(x)]
		for i, v := range x {
			codes[i] = byte(nearestIn((v+minimum)*inv, 0, l.maxCode))
		}
	}
}
