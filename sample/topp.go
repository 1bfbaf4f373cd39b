package sample

// topP keeps the smallest set of best tokens that holds the share p of the probability.
type topP struct {
	p       float64
	minKeep int
}

// filter sorts nothing that cannot matter: the n tokens that each have less than (1-p)/n of the weight have together less
// than 1-p, so that the set is complete before the first of them. Half that border leaves room for rounding. On a
// real vocabulary a few thousand of 150,000 tokens remain to select from.
func (t topP) filter(c *candidates) {
	c.weigh(1)
	goal := float64(t.p * c.total)
	border := (c.total - goal) / float64(2*len(c.list))
	tmp := c.tmp[:0]
	for _, x := range c.list {
		if x.w >= border {
			tmp = append(tmp, x)
		}
	}
	n := selectMass(tmp, goal)
	if n < t.minKeep {
		c.keepTop(t.minKeep)
		return
	}
	c.keepThrough(worst(tmp[:n]))
}
