package sample

import "math"

var negInf = float32(math.Inf(-1))

// cand is a token that can still be drawn.
type cand struct {
	w     float64 // weight: probability times candidates.total
	score float32 // what it ranks by, higher first: the logit, except within typical-p
	id    int32
}

// before is the rank order. No score is NaN.
func (c cand) before(d cand) bool {
	return c.score > d.score || c.score == d.score && c.id < d.id
}

// candidates is the list that the filters shorten. It stays in order of ids from the first stage to the draw: stages find
// the last element to keep in tmp and then drop what ranks after it.
type candidates struct {
	list []cand
	tmp  []cand // as large as list; belongs to whichever stage runs
	best float32

	weighted bool    // w and total are those of list at invT
	invT     float64 // 1/temperature
	total    float64 // sum of w in order of ids
}

func newCandidates(size int) candidates {
	return candidates{list: make([]cand, 0, size), tmp: make([]cand, 0, size)}
}

// weigh sets each weight to exp((logit-best)/T), if they are not so already. The best has weight 1, so that total is
// at least 1 and nothing overflows.
func (c *candidates) weigh(invT float64) {
	if c.weighted && c.invT == invT {
		return
	}
	best, total := float64(c.best), 0.0
	for i := range c.list {
		x := &c.list[i]
		x.w = exp(float64((float64(x.score) - best) * invT))
		total += x.w
	}
	c.weighted, c.invT, c.total = true, invT, total
}

// keepTop keeps the n best.
func (c *candidates) keepTop(n int) {
	if n >= len(c.list) {
		return
	}
	tmp := append(c.tmp[:0], c.list...)
	selectTop(tmp, n)
	c.keepThrough(worst(tmp[:n]))
}

// keepThrough drops what ranks after last.
func (c *candidates) keepThrough(last cand) {
	kept := c.list[:0]
	for _, x := range c.list {
		if !last.before(x) {
			kept = append(kept, x)
		}
	}
	c.setList(kept)
}

// setList replaces the list by a part of it.
func (c *candidates) setList(kept []cand) {
	best, total := negInf, 0.0
	for i := range kept {
		best = max(best, kept[i].score)
		total += kept[i].w
	}
	// Weights are relative to the best; without it they might be too small to be exact.
	c.weighted = c.weighted && best == c.best
	c.list, c.best, c.total = kept, best, total
}

// draw returns the first token at which the cumulative weight exceeds u times the total; u is in [0, 1).
func (c *candidates) draw(u float64) int32 {
	goal, sum := float64(u*c.total), 0.0
	for i := range c.list {
		if sum += c.list[i].w; sum > goal {
			return c.list[i].id
		}
	}
	// The sum ends at total, which u*total is below for every u of the generator.
	panic("sample: draw beyond the total weight")
}
