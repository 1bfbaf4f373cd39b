package sample

// minP keeps the tokens that are at least p times as probable as the best.
type minP struct {
	logP    float64 // p as a distance between logits
	minKeep int
}

func (m minP) filter(c *candidates) {
	floor := float64(c.best) + m.logP
	n := 0
	for i := range c.list {
		if float64(c.list[i].score) >= floor {
			n++
		}
	}
	if n < m.minKeep {
		c.keepTop(m.minKeep)
		return
	}
	kept := c.list[:0]
	for _, x := range c.list {
		if float64(x.score) >= floor {
			kept = append(kept, x)
		}
	}
	c.setList(kept)
}
