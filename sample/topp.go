package sample

// topP keeps the smallest set of best tokens that holds the share p of the probability.
type topP struct {
	p       float64
	minKeep int
}

func (t topP) filter(c *candidates) {
	c.weigh(1)
	c.keepThrough(c.score, c.throughMass(c.score, float64(t.p*c.total), t.minKeep))
}
