package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// wholeWeights makes candidates with whole weights, whose sums are exact in any order. Ids have gaps unless dense.
func wholeWeights(r *rand.Rand, n int, dense bool) candidates {
	c := newCandidates(n, n, true)
	c.resize(n)
	id, levels := int32(0), pick(r, 3, 1000, 1<<20)
	for i := range n {
		c.score[i] = float32(r.IntN(levels))
		c.w[i] = float64(r.IntN(50))
		id += int32(1 + r.IntN(3))
		c.ids[i] = id
	}
	switch r.IntN(4) {
	case 0:
		slices.Sort(c.score)
	case 1: // a few that outweigh the others
		for range 10 {
			i := r.IntN(n)
			c.score[i], c.w[i] = c.score[i]+1e6, 1e6
		}
	case 2: // as typical-p has for tokens that are beyond its numbers
		for range n / 3 {
			c.score[r.IntN(n)] = negInf
		}
	}
	if dense {
		c.ids = nil
	}
	c.best = slices.Max(c.score)
	c.total = sumWeightsGo(c.w)
	c.weighted = true
	return c
}

func TestThresholds(t *testing.T) {
	for round := range 300 {
		r := rand.New(rand.NewPCG(uint64(round), 21))
		n := pick(r, 1, 3, 64, 1000, fewPlaces, fewPlaces+1, 5000, 30_000)
		c := wholeWeights(r, n, r.IntN(2) == 0)
		sorted := make([]cand, n)
		for i := range sorted {
			sorted[i] = cand{w: c.w[i], score: c.score[i], id: c.id(i)}
		}
		ordered := slices.Clone(sorted)
		slices.SortFunc(sorted, compare)

		k := 1 + r.IntN(n)
		if got := c.nth(c.score, k); got != sorted[k-1] {
			t.Fatalf("round %d: best number %d of %d is %+v, want %+v", round, k, n, got, sorted[k-1])
		}
		goal := max(1, math.Floor(c.total*pick(r, 0, 0.01, 0.5, 0.95, 1, r.Float64())))
		least := pick(r, 1, 5, n/2+1, n+5)
		sum, want := 0.0, 0
		for want < n && (want < least || sum < goal) {
			sum += sorted[want].w
			want++
		}
		last := c.throughMass(c.score, goal, least)
		if last != sorted[want-1] {
			t.Fatalf("round %d: %v of %v and %d of %d end at %+v, want %+v", round, goal, c.total, least, n, last, sorted[want-1])
		}
		c.keepThrough(c.score, last)
		i := 0
		for _, x := range ordered {
			if last.before(x) {
				continue
			}
			if i >= c.len() || c.id(i) != x.id || c.score[i] != x.score || c.w[i] != x.w {
				t.Fatalf("round %d: candidate %d of %d is not %+v", round, i, c.len(), x)
			}
			i++
		}
		if i != c.len() {
			t.Fatalf("round %d: %d candidates kept, want %d", round, c.len(), i)
		}
	}
}

func TestNthLargest(t *testing.T) {
	for round := range 500 {
		r := rand.New(rand.NewPCG(uint64(round), 22))
		a := make([]float32, 1+r.IntN(3000))
		for i := range a {
			a[i] = float32(r.IntN(pick(r, 2, 100, 1<<20)))
		}
		if r.IntN(3) == 0 {
			slices.Sort(a)
		}
		sorted := slices.Sorted(slices.Values(a))
		n := 1 + r.IntN(len(a))
		if got, want := nthLargest(a, n), sorted[len(sorted)-n]; got != want {
			t.Fatalf("round %d: number %d of %d is %v, want %v", round, n, len(a), got, want)
		}
	}
}

// A long row with a mask goes through the filters as the short ones of the other tests do.
func TestLongRows(t *testing.T) {
	checked := 0
	for round := range 30 {
		r := rand.New(rand.NewPCG(uint64(round), 23))
		n := 4000 + r.IntN(20_000)
		row := peaked(n, uint64(round))
		if round%3 == 1 {
			row = wide(n, uint64(round))
		}
		if round%2 == 1 {
			for range n / 3 {
				row[r.IntN(n)] = negInf
			}
		}
		p := Params{
			Temperature: 0.8, TypicalP: pick[float32](r, 0, 0, 0.9), TopP: pick[float32](r, 0, 0.8, 0.95), MinP: pick[float32](r, 0, 0.01),
			MinKeep: pick(r, 0, 3, 200), Seed: uint64(round),
		}
		s := mustNew(t, p, n)
		mustSample(t, s, row)
		if checkAgainstReference(t, s, p, row, nil) {
			checked++
		}
	}
	t.Logf("%d of 30 rows compared; in the others rounding decides", checked)
	if checked < 10 {
		t.Fatalf("only %d of 30 rows could be compared", checked)
	}
}
