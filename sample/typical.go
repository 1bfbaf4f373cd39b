package sample

import "math"

// typicalP keeps the tokens that are about as surprising as the distribution is on average.
type typicalP struct {
	p       float64
	minKeep int
}

// filter ranks by |−log p − H|. With logit l, partition sum Z and the mean logit m under p, −log p = log Z − l and
// H = log Z − m, so that the distance is |m − l|: no logarithm is needed.
func (t typicalP) filter(c *candidates) {
	c.weigh(1)
	sum := 0.0
	for i := range c.list {
		sum += float64(c.list[i].w * (float64(c.list[i].score) - float64(c.best)))
	}
	mean := sum/c.total + float64(c.best)
	byDistance := func(x cand) cand {
		x.score = -float32(math.Abs(mean - float64(x.score)))
		return x
	}

	tmp := c.tmp[:0]
	for _, x := range c.list {
		tmp = append(tmp, byDistance(x))
	}
	n := selectMass(tmp, float64(t.p*c.total))
	if least := min(t.minKeep, len(tmp)); n < least {
		selectTop(tmp[n:], least-n)
		n = least
	}
	last := worst(tmp[:n])

	kept := c.list[:0]
	for _, x := range c.list {
		if !last.before(byDistance(x)) {
			kept = append(kept, x)
		}
	}
	c.setList(kept)
}
