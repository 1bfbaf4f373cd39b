package spec

import "math"

// topCandidates is how many of the best tokens a draft's probability is relative to.
const topCandidates = 10

type candidate struct {
	id    int32
	logit float32
}

// choose returns the greatest of logits, the lowest id among equals, and its probability among the ten
// greatest.
func (m *MTP) choose(logits []float32) (int32, float32) {
	best := m.best[:0]
	for i, v := range logits {
		if len(best) == topCandidates && !(v > best[topCandidates-1].logit) {
			continue
		}
		if len(best) < topCandidates {
			best = append(best, candidate{})
		}
		at := len(best) - 1
		for at > 0 && v > best[at-1].logit {
			best[at] = best[at-1]
			at--
		}
		best[at] = candidate{int32(i), v}
	}
	m.best = best
	var sum float64
	for _, c := range best {
		sum += math.Exp(float64(c.logit - best[0].logit))
	}
	return best[0].id, float32(1 / sum)
}
