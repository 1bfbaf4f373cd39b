package sample

import "math"

// topK makes the first candidates from the logits: the k best of those that are not -Inf.
type topK struct{ k int }

// listSize is the room that the candidates need. A larger room than k means that they are cut back less often.
func (t topK) listSize(nVocab int) int {
	if t.k >= nVocab {
		return nVocab
	}
	return min(nVocab, 2*t.k+256)
}

// gather reads each logit once for the highest of each block, which gives a bound for the k-th best, and then those of
// the blocks that reach it.
func (t topK) gather(c *candidates, logits []float32) error {
	c.clear()
	tops := c.room.tops[:topBlocks(len(logits))]
	low, nan := blockTops(tops, logits)
	best := negInf
	for _, top := range tops {
		best = max(best, top)
	}
	switch {
	case nan || best > math.MaxFloat32:
		return badLogit(logits)
	case best == negInf:
		return &MaskedError{len(logits)}
	}
	c.best = best
	switch {
	case t.k == 1:
		t.gatherBest(c, logits)
	case t.k >= len(logits):
		t.gatherAll(c, logits, low)
	default:
		t.gatherSome(c, logits)
		c.keepTop(t.k)
	}
	return nil
}

func badLogit(logits []float32) error {
	for i, v := range logits {
		if v > math.MaxFloat32 || v != v {
			return &LogitError{int32(i), v}
		}
	}
	panic("sample: no bad logit where there was one")
}

// gatherBest takes the first of the best.
func (t topK) gatherBest(c *candidates, logits []float32) {
	c.resize(1)
	c.score[0] = c.best
	for b, top := range c.room.tops {
		if top != c.best {
			continue
		}
		for i, v := range logits[b*topBlock:] {
			if v == c.best {
				c.ids[0] = int32(b*topBlock + i)
				return
			}
		}
	}
}

// gatherAll takes whatever is not -Inf. logits may be c's own memory.
func (t topK) gatherAll(c *candidates, logits []float32, low float32) {
	c.resize(len(logits))
	if low > negInf {
		copy(c.score, logits)
		c.ids, c.topped = nil, c.score
		return
	}
	n := 0
	for i, v := range logits {
		if v > negInf {
			c.ids[n], c.score[n] = int32(i), v
			n++
		}
	}
	c.resize(n)
}

// gatherSome takes k or more, the k best among them. When the room is full it is cut back to k.
func (t topK) gatherSome(c *candidates, logits []float32) {
	tops := c.room.tops[:topBlocks(len(logits))]
	floor := c.lowerBound(tops, t.k)
	n, size := 0, len(c.room.score)
	c.resize(size)
	for b, top := range tops {
		if top < floor {
			continue
		}
		for i, v := range logits[b*topBlock : min((b+1)*topBlock, len(logits))] {
			if v < floor || v == negInf {
				continue
			}
			if n == size {
				n = t.cutBack(c)
				lowest := c.lowest()
				c.resize(size)
				// A later token with the same logit ranks behind.
				if floor = math.Nextafter32(lowest, math.MaxFloat32); v < floor {
					continue
				}
			}
			c.ids[n], c.score[n] = int32(b*topBlock+i), v
			n++
		}
	}
	c.resize(n)
}

// cutBack keeps the k best and returns how many these are. It leaves room.tops alone.
func (t topK) cutBack(c *candidates) int {
	tmp := c.room.tmp[:0]
	for i, v := range c.score {
		tmp = append(tmp, cand{score: v, id: c.id(i)})
	}
	selectTop(tmp, t.k)
	c.keepThrough(c.score, worst(tmp[:t.k]))
	return c.len()
}

func (c *candidates) lowest() float32 {
	low := c.score[0]
	for _, v := range c.score[1:] {
		low = min(low, v)
	}
	return low
}
