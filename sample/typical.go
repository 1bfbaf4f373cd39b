package sample

// typicalP keeps the tokens that are about as surprising as the distribution is on average.
type typicalP struct {
	p       float64
	minKeep int
}

// filter ranks by |−log p − H|. With logit l, partition sum Z and the mean logit m under p, −log p = log Z − l and
// H = log Z − m, so that the distance is |m − l|: no logarithm is needed.
func (t typicalP) filter(c *candidates) {
	c.weigh(1)
	sum, best := 0.0, float64(c.best)
	for lo := 0; lo < c.len(); lo += sumBlock {
		hi := min(lo+sumBlock, c.len())
		sum += sumMoments(c.w[lo:hi], c.score[lo:hi], best)
	}
	rank := c.room.rank[:c.len()]
	distances(rank, c.score, sum/c.total+best)
	c.keepThrough(rank, c.throughMass(rank, float64(t.p*c.total), t.minKeep))
}
