package sample

import "math"

// minP keeps the tokens that are at least p times as probable as the best.
type minP struct {
	logP    float64 // p as a distance between logits
	minKeep int
}

func (m minP) filter(c *candidates) {
	floor := float64(c.best) + m.logP
	// The lowest logit that is at least floor.
	low := float32(max(floor, -math.MaxFloat32))
	if float64(low) < floor {
		low = math.Nextafter32(low, math.MaxFloat32)
	}
	switch n := c.atLeast(c.score, low); {
	case n < m.minKeep:
		c.keepTop(m.minKeep)
		return
	case n == c.len():
		return
	}
	c.keepThrough(c.score, cand{score: low, id: math.MaxInt32})
}
