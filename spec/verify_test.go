package spec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/sample"
)

// TestRejectionKeepsTheDistribution draws guesses from one distribution and verifies them by another: what
// comes out is distributed by the second.
func TestRejectionKeepsTheDistribution(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 1))
	distribution := func(n int, sharp float64) []sample.Candidate {
		list, sum := make([]sample.Candidate, n), 0.0
		for i := range list {
			list[i] = sample.Candidate{Token: int32(i), Prob: math.Exp(sharp * r.NormFloat64())}
			sum += list[i].Prob
		}
		for i := range list {
			list[i].Prob /= sum
		}
		return list
	}
	few := func(list []sample.Candidate) []sample.Candidate { // the best half alone
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b sample.Candidate) int { return int(math.Copysign(1, b.Prob-a.Prob)) })
		list = list[:len(list)/2]
		sum := 0.0
		for _, c := range list {
			sum += c.Prob
		}
		for i := range list {
			list[i].Prob /= sum
		}
		return list
	}
	draw := func(list []sample.Candidate) int32 {
		u := r.Float64()
		for _, c := range list {
			if u -= c.Prob; u < 0 {
				return c.Token
			}
		}
		return list[len(list)-1].Token
	}
	same := distribution(8, 1)
	for i, c := range []struct{ mine, theirs []sample.Candidate }{
		{same, same},
		{same, few(same)},
		{few(same), same},
		{distribution(6, 1), distribution(6, 1)},
		{distribution(6, 3), distribution(6, 0.1)},
		{distribution(3, 1), []sample.Candidate{{Token: 1, Prob: 1}}},
		{distribution(3, 1), []sample.Candidate{{Token: 7, Prob: 1}}}, // never mine
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			const n = 40000
			count := map[int32]float64{}
			taken, overlap := 0.0, 0.0
			for range n {
				guess := draw(c.theirs)
				got := reject(c.mine, c.theirs, guess, r.Float64(), r.Float64())
				count[got]++
				if got == guess {
					taken++
				}
			}
			var chi float64
			for _, x := range c.mine {
				overlap += min(x.Prob, probability(c.theirs, x.Token))
				want := n * x.Prob
				chi += (count[x.Token] - want) * (count[x.Token] - want) / want
				delete(count, x.Token)
			}
			if len(count) > 0 {
				t.Errorf("tokens that are not mine: %v", count)
			}
			if chi > 30 { // 7 degrees of freedom at most: one in 10,000
				t.Errorf("chi-squared %.1f", chi)
			}
			// A guess can come out of the rest only if it is not all of theirs that was refused.
			if taken/n < overlap-0.01 {
				t.Errorf("%.3f of the guesses taken, want %.3f", taken/n, overlap)
			}
		})
	}
}

// TestChoose draws guesses and compares how often each comes with its probability.
func TestChoose(t *testing.T) {
	logits := []float32{0, 3, 1, float32(math.NaN()), 3, -2, float32(math.Inf(-1)), 2}
	r := Request{Max: 1}
	if !r.Choose(logits, 0) || r.Guesses[0] != 1 {
		t.Errorf("guesses %v, want the first of the best", r.Guesses)
	}
	r.clear()
	if r.Choose(logits, 0.5) || len(r.Guesses) != 0 {
		t.Error("a guess that is not probable enough was made")
	}
	nothing := []float32{float32(math.NaN()), float32(math.Inf(-1))}
	if r.Choose(nothing, 0) {
		t.Error("a guess was made of nothing")
	}
	if !r.Choose([]float32{0, float32(math.Inf(1)), 1}, 0.99) || r.Guesses[0] != 1 {
		t.Errorf("guesses %v of an infinite logit", r.Guesses)
	}
	const n, temperature = 30000, 0.7
	r.rng, r.temperature = rand.New(rand.NewPCG(5, 6)), temperature
	count := map[int32]float64{}
	for range n {
		r.clear()
		r.Choose(logits, 0)
		count[r.Guesses[0]]++
		if from := r.from(0); len(from) != 6 || math.Abs(sum(from)-1) > 1e-9 || probability(from, r.Guesses[0]) == 0 {
			t.Fatalf("drawn from %v", from)
		}
	}
	for _, c := range r.from(0) {
		if got := count[c.Token] / n; math.Abs(got-c.Prob) > 0.015 {
			t.Errorf("token %d: %.3f, want %.3f", c.Token, got, c.Prob)
		}
	}
}

func sum(list []sample.Candidate) (s float64) {
	for _, c := range list {
		s += c.Prob
	}
	return s
}
