package quant

import "math"

// signedLayout is the shape of a superblock whose values are scale*code with scales of either sign.
type signedLayout struct {
	groups   int   // groups per superblock
	size     int   // values per group
	half     int64 // codes go from -half to half-1; 0 for the codes of IQ4
	maxScale int64 // the integer scales of the groups go from -maxScale to maxScale-1
	window   int64 // how far from the nearest integer scale a better one is looked for
}

var (
	layoutQ3_K   = signedLayout{groups: 16, size: 16, half: 4, maxScale: 32, window: 1}
	layoutQ6_K   = signedLayout{groups: 16, size: 16, half: 32, maxScale: 128, window: 4}
	layoutIQ4_XS = signedLayout{groups: 8, size: 32, half: 0, maxScale: 32, window: 1}
)

// signedBlock is a superblock being encoded.
type signedBlock struct {
	x, w [kElems]float64

	signedScales
	codes [kElems]byte // those of IQ4, or the others with half added
}

// signedScales are the scales of a superblock as they will be stored: d is a binary16 value.
type signedScales struct {
	d      float64
	scales [16]int16
}

// groupFit is what a group would choose on its own: a scale, and the best one of the other sign.
type groupFit struct{ scale, other float64 }

// encode finds the codes and scales of the next superblock of src and returns the weights behind those
// it used.
func (s *signedBlock) encode(l *signedLayout, src, weights []float32) []float32 {
	loadValues(s.x[:], src)
	loadWeights(s.w[:], weights)
	if weights != nil {
		weights = weights[kElems:]
	}
	var fits [16]groupFit
	s.start(l, &fits)
	err := s.search(l, &fits)
	for range refineRounds {
		if err == 0 {
			break
		}
		was := s.signedScales
		s.refit(l)
		if s.d == was.d {
			break
		}
		next := s.search(l, &fits)
		if next >= err {
			s.signedScales = was
			break
		}
		err = next
	}
	s.writeCodes(l)
	return weights
}

func (s *signedBlock) group(l *signedLayout, g int) (x, w []float64) {
	return s.x[g*l.size:][:l.size], s.w[g*l.size:][:l.size]
}

// start fits each group on its own, and takes the best of a few scales of the superblock for them.
func (s *signedBlock) start(l *signedLayout, fits *[16]groupFit) {
	var most groupFit
	for g := range l.groups {
		x, w := s.group(l, g)
		if l.half == 0 {
			fits[g].scale, fits[g].other = fitIQ4(x, w)
		} else {
			fits[g].scale, fits[g].other = fitScale(x, w, l.half, 4)
		}
		if math.Abs(fits[g].scale) > math.Abs(most.scale) {
			most = fits[g]
		}
	}
	var best signedScales
	bestErr := math.Inf(1)
	for try := range scaleTries {
		// The greatest scale gets the negative end, which reaches one further.
		s.d = float64(tinyScale(most.scale / (float64(l.maxScale) * (float64(float64(try)/32) - 1))))
		var sum float64
		for g := range l.groups {
			at := s.place(l, fits[g].scale)
			s.scales[g] = int16(at)
			sum += s.groupErr(l, g, at)
		}
		if sum < bestErr {
			best, bestErr = s.signedScales, sum
		}
	}
	s.signedScales = best
}

// place returns the integer scale nearest to scale.
func (s *signedBlock) place(l *signedLayout, scale float64) int64 {
	return nearestIn(scale*inverse64(s.d), -l.maxScale, l.maxScale-1)
}

// groupErr returns the error of group g with the integer scale c.
func (s *signedBlock) groupErr(l *signedLayout, g int, c int64) float64 {
	x, w := s.group(l, g)
	if l.half == 0 {
		return iq4Error(x, w, s.d*float64(c))
	}
	return scaleError(x, w, s.d*float64(c), l.half)
}

// search moves the integer scale of each group to the best of those near it, or of the other sign, and
// returns the error of the superblock.
func (s *signedBlock) search(l *signedLayout, fits *[16]groupFit) (sum float64) {
	for g := range l.groups {
		at := int64(s.scales[g])
		best, bestErr := at, s.groupErr(l, g, at)
		try := func(c int64) {
			if err := s.groupErr(l, g, c); err < bestErr {
				best, bestErr = c, err
			}
		}
		if other := s.place(l, fits[g].other); other != at {
			try(other)
			at = best
		}
		for c := max(at-l.window, -l.maxScale); c <= min(at+l.window, l.maxScale-1); c++ {
			if c != at {
				try(c)
			}
		}
		s.scales[g] = int16(best)
		sum += bestErr
	}
	return sum
}

// refit sets d to the best for the integer scales, and for the codes that follow from these.
func (s *signedBlock) refit(l *signedLayout) {
	var sx, ss float64
	for g := range l.groups {
		c := float64(s.scales[g])
		if c == 0 {
			continue
		}
		x, w := s.group(l, g)
		var xq, qq float64
		if inv := inverse64(s.d * c); l.half == 0 {
			xq, qq = iq4Sums(x, w, inv)
		} else {
			xq, qq = scaleSums(x, w, inv, l.half)
		}
		sx += float64(c * xq)
		ss += float64(c * c * qq)
	}
	if ss > 0 && sx != 0 {
		s.d = float64(tinyScale(sx / ss))
	}
}

func (s *signedBlock) writeCodes(l *signedLayout) {
	for g := range l.groups {
		x, _ := s.group(l, g)
		codes := s.codes[g*l.size:][:len(x)]
		inv := inverse64(s.d * float64(s.scales[g]))
		for i, v := range x {
			if l.half == 0 {
				codes[i] = iq4Code(v * inv)
			} else {
				codes[i] = byte(nearestIn(v*inv, -l.half, l.half-1) + l.half)
			}
		}
	}
}
