package sample

import "math"

// topK makes the first list of candidates from the logits: the k best of those that are not -Inf.
type topK struct{ k int }

// listSize is the room that the list needs. A larger room than k means that the list is cut back less often.
func (t topK) listSize(nVocab int) int {
	if t.k >= nVocab {
		return nVocab
	}
	return min(nVocab, 2*t.k+256)
}

// gather reads each logit once. Only what ranks above the k best so far enters the list, which is cut back to k when it
// is full: a few comparisons per token in any order of the logits, and next to none in a usual one.
func (t topK) gather(c *candidates, logits []float32) error {
	list, best, floor := c.list[:0], negInf, negInf
	c.weighted = false
	for i, v := range logits {
		if v <= floor { // false for NaN; a later token with the same logit ranks behind
			continue
		}
		if v > math.MaxFloat32 || v != v {
			return &LogitError{int32(i), v}
		}
		if len(list) == cap(list) {
			c.list = list
			c.keepTop(t.k)
			list = c.list
			if floor = lowest(list); v <= floor {
				continue
			}
		}
		if v > best {
			best = v
			if t.k == 1 {
				list, floor = list[:0], v
			}
		}
		list = append(list, cand{score: v, id: int32(i)})
	}
	c.list, c.best = list, best
	if len(list) == 0 {
		return &MaskedError{len(logits)}
	}
	c.keepTop(t.k)
	return nil
}

func lowest(list []cand) float32 {
	low := list[0].score
	for _, x := range list[1:] {
		low = min(low, x.score)
	}
	return low
}
