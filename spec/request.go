package spec

import (
	"math"
	"math/rand/v2"

	"github.com/tenon-go/tenon/sample"
)

// topCandidates is how many of the best tokens a guess's probability is relative to.
const topCandidates = 10

// Request asks for a draft of one sequence.
type Request struct {
	Seq  int32
	Pos  int32 // of Last
	Last int32 // the token that guesses follow: chosen, not in the target's cache yet
	Max  int   // guesses wanted at most

	// Guesses is the answer. A drafter appends to it, by Add or by Choose.
	Guesses []int32

	// Of rejection sampling: guesses are drawn, and what they were drawn from is kept.
	temperature float64 // 0 for the best token each time
	rng         *rand.Rand
	drawn       []sample.Candidate
	ends        []int // where each guess's part of drawn ends

	best []sample.Candidate // scratch
}

// Full reports whether there are as many guesses as are wanted.
func (r *Request) Full() bool { return len(r.Guesses) >= r.Max }

// Next returns the token to go on from: the last guess, or Last.
func (r *Request) Next() int32 {
	if n := len(r.Guesses); n > 0 {
		return r.Guesses[n-1]
	}
	return r.Last
}

// Add adds a guess that is certain in the drafter's eyes.
func (r *Request) Add(id int32) {
	r.Guesses = append(r.Guesses, id)
	r.ends = append(r.ends, len(r.drawn))
}

// Choose adds a guess made by a row of the drafter's logits, and reports whether it did: not if the
// guess is less probable than pMin among the ten best. Of equally good tokens the lowest is guessed.
// NaN is passed over; there is no guess if nothing else is left.
func (r *Request) Choose(logits []float32, pMin float32) bool {
	best := topOf(r.best[:0], logits)
	r.best = best
	if len(best) == 0 {
		return false
	}
	if r.temperature == 0 {
		weigh(best, 1)
		if best[0].Prob < float64(pMin) {
			return false
		}
		r.Add(best[0].Token)
		return true
	}
	weigh(best, r.temperature)
	i, u := 0, r.rng.Float64()
	for ; i < len(best)-1 && u >= best[i].Prob; i++ {
		u -= best[i].Prob
	}
	if best[i].Prob < float64(pMin) {
		return false
	}
	r.drawn = append(r.drawn, best...)
	r.Add(best[i].Token)
	return true
}

// from returns what guess i was drawn from; empty if it was certain.
func (r *Request) from(i int) []sample.Candidate {
	begin := 0
	if i > 0 {
		begin = r.ends[i-1]
	}
	return r.drawn[begin:r.ends[i]]
}

// clear forgets the guesses.
func (r *Request) clear() { r.Guesses, r.drawn, r.ends = r.Guesses[:0], r.drawn[:0], r.ends[:0] }

// topOf appends the greatest logits to best, at most ten, in falling order and rising ids among equals.
// LogProb is the logit.
func topOf(best []sample.Candidate, logits []float32) []sample.Candidate {
	least := math.Inf(-1)
	for i, v := range logits {
		x := float64(v)
		if !(x > least) {
			continue
		}
		if len(best) < topCandidates {
			best = append(best, sample.Candidate{})
		}
		at := len(best) - 1
		for at > 0 && x > best[at-1].LogProb {
			best[at] = best[at-1]
			at--
		}
		best[at] = sample.Candidate{Token: int32(i), LogProb: x}
		if len(best) == topCandidates {
			least = best[topCandidates-1].LogProb
		}
	}
	return best
}

// weigh sets the probabilities of candidates whose LogProb is a logit.
func weigh(best []sample.Candidate, temperature float64) {
	var sum float64
	for i := range best {
		best[i].Prob = 1 // the best may be +Inf
		if i > 0 {
			best[i].Prob = math.Exp((best[i].LogProb - best[0].LogProb) / temperature)
		}
		sum += best[i].Prob
	}
	for i := range best {
		best[i].Prob /= sum
	}
}
