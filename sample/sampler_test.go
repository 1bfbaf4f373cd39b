package sample

import (
	"math"
	"slices"
	"testing"
)

func mustNew(t testing.TB, p Params, n int) *Sampler {
	t.Helper()
	s, err := New(p, n)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSample(t testing.TB, s *Sampler, logits []float32) int32 {
	t.Helper()
	tok, err := s.Sample(logits)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func accept(t testing.TB, s *Sampler, tokens ...int32) {
	t.Helper()
	for _, tok := range tokens {
		if err := s.Accept(tok); err != nil {
			t.Fatal(err)
		}
	}
}

func tokensOf(c []Candidate) []int32 {
	var ids []int32
	for _, x := range c {
		ids = append(ids, x.Token)
	}
	slices.Sort(ids)
	return ids
}

// exactRow has logits that are the same bits everywhere: multiples of 2^-20 between -8 and 8.
func exactRow(r *rng, n int) []float32 {
	l := make([]float32, n)
	for i := range l {
		l[i] = float32(int64(r.next()>>40)-1<<23) * 0x1p-20
	}
	return l
}

// generate samples and accepts count tokens from rows of their own.
func generate(t *testing.T, s *Sampler, count int) []int32 {
	t.Helper()
	rows := newRNG(99)
	var out []int32
	for range count {
		tok := mustSample(t, s, exactRow(&rows, s.nVocab))
		accept(t, s, tok)
		out = append(out, tok)
	}
	return out
}

// The tokens were recorded once; they are the contract that the same seed gives the same text.
func TestRecordedTokens(t *testing.T) {
	for _, c := range []struct {
		name string
		p    Params
		want []int32
	}{
		{"temperature", Params{Temperature: 0.8, Seed: 1}, []int32{817, 342, 467, 941, 227, 631, 534, 177, 306, 845, 512, 656, 918, 191, 210, 602}},
		{"other seed", Params{Temperature: 0.8, Seed: 2}, []int32{307, 848, 385, 763, 536, 899, 846, 609, 251, 396, 342, 712, 34, 256, 246, 532}},
		{"llama.cpp defaults", Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, Seed: 42}, []int32{738, 132, 247, 16, 962, 195, 386, 177, 718, 246, 755, 940, 918, 84, 55, 905}},
		{"top-p", Params{Temperature: 1.5, TopP: 0.9, Seed: 7}, []int32{565, 232, 960, 873, 659, 330, 467, 615, 748, 95, 932, 228, 988, 571, 299, 818}},
		{"typical", Params{Temperature: 1, TypicalP: 0.7, Seed: 7}, []int32{529, 252, 945, 852, 627, 363, 498, 617, 748, 126, 905, 216, 988, 509, 328, 828}},
		{"all", Params{
			Temperature: 2, TopK: 300, TypicalP: 0.95, TopP: 0.9, MinP: 0.01, RepeatPenalty: 1.2, FrequencyPenalty: 0.1,
			PresencePenalty: 0.3, LogitBias: map[int32]float32{5: 9, 6: negInf}, Seed: 1 << 63,
		}, []int32{450, 948, 218, 5, 346, 5, 654, 516, 5, 5, 5, 571, 73, 416, 981, 645}},
		{"greedy", Params{RepeatPenalty: 1.2}, []int32{906, 171, 278, 766, 128, 195, 734, 673, 471, 31, 342, 425, 494, 782, 626, 204}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustNew(t, c.p, 1000)
			got := generate(t, s, 16)
			if !slices.Equal(got, c.want) {
				t.Errorf("tokens %v, want %v", got, c.want)
			}
			s.Reset()
			if again := generate(t, s, 16); !slices.Equal(again, got) {
				t.Errorf("after Reset %v, want %v", again, got)
			}
		})
	}
}

// A fixed seed makes this deterministic: it fails or passes for good.
func TestDrawDistribution(t *testing.T) {
	logits := []float32{1, -0.5, 2, negInf, 0, 3, 1, -2, 0.25, 2.5}
	for _, p := range []Params{
		{Temperature: 1, Seed: 11},
		{Temperature: 0.5, Seed: 12},
		{Temperature: 1.3, TopK: 6, TopP: 0.95, Seed: 13},
		{Temperature: 1, MinP: 0.1, Seed: 14},
	} {
		const draws = 40_000
		s := mustNew(t, p, len(logits))
		seen := make([]float64, len(logits))
		for range draws {
			seen[mustSample(t, s, logits)]++
		}
		want, _ := refChain(p, logits, nil)
		chi2, left := 0.0, float64(draws)
		for _, w := range want {
			e := w.Prob * draws
			chi2 += (seen[w.Token] - e) * (seen[w.Token] - e) / e
			left -= seen[w.Token]
		}
		df := float64(len(want) - 1)
		// Wilson-Hilferty: the cube root of chi2/df is about normal. 3.1 standard deviations are one in a thousand.
		z := (math.Cbrt(chi2/df) - (1 - 2/(9*df))) / math.Sqrt(2/(9*df))
		t.Logf("%+v: chi-square %.2f with %v degrees of freedom, %.2f standard deviations", p, chi2, df, z)
		if z > 3.1 {
			t.Errorf("%+v: chi-square %.2f with %v degrees of freedom", p, chi2, df)
		}
		if left != 0 {
			t.Errorf("%+v: %v draws outside the candidates", p, left)
		}
	}
}

func TestNoAllocation(t *testing.T) {
	const n = 5000
	rows := newRNG(5)
	row := exactRow(&rows, n)
	for _, p := range []Params{
		{},
		{TypicalP: 0.5},
		{Temperature: 1},
		{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05},
		{Temperature: 1, TypicalP: 0.9, TopP: 0.9, MinP: 0.01, MinKeep: 7, RepeatPenalty: 1.1, PresencePenalty: 1, LogitBias: map[int32]float32{3: 1}},
		{Temperature: 1, TopK: 3000, TopP: 0.99},
	} {
		s := mustNew(t, p, n)
		var st State
		s.Snapshot(&st)
		for range 2 * DefaultPenaltyLastN {
			accept(t, s, 1)
		}
		s.Snapshot(&st)
		top := make([]Candidate, 0, 20)
		allocs := testing.AllocsPerRun(50, func() {
			tok, err := s.Sample(row)
			if err != nil {
				t.Fatal(err)
			}
			top = s.Candidates(top[:0], 20)
			if err := s.Accept(tok); err != nil {
				t.Fatal(err)
			}
			if err := s.Restore(&st); err != nil {
				t.Fatal(err)
			}
			s.Snapshot(&st)
		})
		if allocs != 0 {
			t.Errorf("%+v: %v allocations per token, want 0", p, allocs)
		}
	}
}

func TestGreedy(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		logits []float32
		want   int32
	}{
		{[]float32{1, 3, 2}, 1},
		{[]float32{1, 3, 3, 3}, 1},
		{[]float32{negInf, -5}, 1},
		{[]float32{nan, -5, nan}, 1},
		{[]float32{negInf, negInf}, -1},
		{[]float32{nan}, -1},
		{nil, -1},
	} {
		if got := Greedy(c.logits); got != c.want {
			t.Errorf("Greedy(%v) = %d, want %d", c.logits, got, c.want)
		}
	}
	rows := newRNG(6)
	s := mustNew(t, Params{}, 3000)
	filtered := mustNew(t, Params{TopK: 5, TopP: 0.5, MinP: 0.5}, 3000)
	for range 50 {
		row := exactRow(&rows, 3000)
		want := Greedy(row)
		if got := mustSample(t, s, row); got != want {
			t.Fatalf("greedy Sample gives %d, Greedy %d", got, want)
		}
		if got := mustSample(t, filtered, row); got != want {
			t.Fatalf("greedy Sample after filters gives %d, Greedy %d", got, want)
		}
	}
}

func TestEdges(t *testing.T) {
	const big = math.MaxFloat32
	tie := []float32{2, 5, 5, 5, 1, 5}
	negZero := float32(math.Copysign(0, -1))
	for _, c := range []struct {
		name   string
		p      Params
		logits []float32
		want   []int32 // candidates
	}{
		{"k above n", Params{Temperature: 1, TopK: 99}, tie, []int32{0, 1, 2, 3, 4, 5}},
		{"k is 1", Params{Temperature: 1, TopK: 1}, tie, []int32{1}},
		{"ties go to lower ids", Params{Temperature: 1, TopK: 3}, tie, []int32{1, 2, 3}},
		{"-0 ties with 0", Params{Temperature: 1, TopK: 1}, []float32{-1, negZero, 0}, []int32{1}},
		{"p is 0: off", Params{Temperature: 1, TopP: 0, TypicalP: 0, MinP: 0}, tie, []int32{0, 1, 2, 3, 4, 5}},
		{"p is 1: off", Params{Temperature: 1, TopP: 1, TypicalP: 1}, tie, []int32{0, 1, 2, 3, 4, 5}},
		{"tiny p", Params{Temperature: 1, TopP: 1e-30}, tie, []int32{1}},
		{"tiny p, min keep", Params{Temperature: 1, TopP: 1e-30, MinKeep: 5}, tie, []int32{0, 1, 2, 3, 5}},
		{"min keep above n", Params{Temperature: 1, TopP: 0.1, MinP: 1, TypicalP: 0.1, MinKeep: math.MaxInt}, tie, []int32{0, 1, 2, 3, 4, 5}},
		{"min-p 1 keeps all that tie", Params{Temperature: 1, MinP: 1}, tie, []int32{1, 2, 3, 5}},
		{"top-p half of four equals", Params{Temperature: 1, TopP: 0.5}, []float32{1, 1, 1, 1}, []int32{0, 1}},
		{"typical drops the best", Params{Temperature: 1, TypicalP: 0.2}, []float32{3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, []int32{1, 2, 3, 4, 5, 6}},
		{"masked", Params{Temperature: 1, TopK: 3}, []float32{negInf, 1, negInf, 0}, []int32{1, 3}},
		{"one token", Params{Temperature: 1, TopP: 0.5, TypicalP: 0.5, MinP: 0.5}, []float32{-7}, []int32{0}},
		{"huge", Params{Temperature: 1, TopP: 0.9}, []float32{big, -big, big, 0}, []int32{0, 2}},
		{"huge, cold", Params{Temperature: 1e-45, MinP: 1e-45}, []float32{big, -big, 1}, []int32{0}},
		{"huge bias", Params{Temperature: 1, TopP: 0.9, LogitBias: map[int32]float32{1: big, 2: -big}}, []float32{1, big, -big}, []int32{1}},
		{"forbidden", Params{Temperature: 1, LogitBias: map[int32]float32{1: negInf}}, []float32{1, 9, 2}, []int32{0, 2}},
		{"bias does not lift a mask", Params{Temperature: 1, LogitBias: map[int32]float32{1: big}}, []float32{1, negInf}, []int32{0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustNew(t, c.p, len(c.logits))
			for range 20 {
				if tok := mustSample(t, s, c.logits); !slices.Contains(c.want, tok) {
					t.Fatalf("token %d, want one of %v", tok, c.want)
				}
			}
			all := s.Candidates(nil, 1000)
			if got := tokensOf(all); !slices.Equal(got, c.want) {
				t.Errorf("candidates %v, want %v", got, c.want)
			}
			sum := 0.0
			for _, x := range all {
				sum += x.Prob
			}
			if math.Abs(sum-1) > 1e-12 {
				t.Errorf("probabilities sum to %v", sum)
			}
		})
	}
}

func TestCandidates(t *testing.T) {
	s := mustNew(t, Params{Temperature: 1}, 4)
	if got := s.Candidates(nil, 3); got != nil {
		t.Errorf("before Sample: %v, want none", got)
	}
	mustSample(t, s, []float32{0, 2, -2000, 1})
	got := s.Candidates([]Candidate{{Token: 77}}, 3)
	if ids := []int32{got[0].Token, got[1].Token, got[2].Token, got[3].Token}; !slices.Equal(ids, []int32{77, 1, 3, 0}) {
		t.Errorf("tokens %v, want 77, which was there, and then the best three in order", ids)
	}
	last := s.Candidates(nil, 4)[3]
	if last.Prob != 0 || math.Abs(last.LogProb+2002.407606) > 1e-5 {
		t.Errorf("unlikely token has %+v, want log probability -2002.4076", last)
	}
	if got := s.Candidates(nil, -1); got != nil {
		t.Errorf("n of -1: %v, want none", got)
	}
	if _, err := s.Sample(nil); err == nil || s.Candidates(nil, 3) != nil {
		t.Errorf("after a Sample that failed (%v): %v, want none", err, s.Candidates(nil, 3))
	}
}

func TestDrawBorders(t *testing.T) {
	c := candidates{
		ids: []int32{3, 5, 6, 8, 9}, score: make([]float32, 5), w: []float64{0, 1, 0, 3, 0}, sums: []float64{4}, total: 4,
	}
	for _, d := range []struct {
		u    float64
		want int32
	}{{0, 5}, {0.25 - 0x1p-53, 5}, {0.25, 8}, {1 - 0x1p-53, 8}} {
		if got := c.draw(d.u); got != d.want {
			t.Errorf("draw(%v) = %d, want %d", d.u, got, d.want)
		}
	}
}
