package sample

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The reference: full sorts, math.Exp, one stage after the other as its definition reads.

type refTok struct {
	id    int32
	logit float64
}

// refRow edits the logits and returns the tokens that are not masked, best first.
func refRow(p Params, logits []float32, accepted []int32) []refTok {
	n := p.PenaltyLastN
	if n == 0 {
		n = DefaultPenaltyLastN
	}
	times := map[int32]int{}
	for _, t := range accepted[max(0, len(accepted)-n):] {
		times[t]++
	}
	var row []refTok
	for i, l := range logits {
		v := float64(float32(float64(l) + float64(p.LogitBias[int32(i)])))
		if k := times[int32(i)]; k > 0 {
			if r := float64(p.RepeatPenalty); r != 0 {
				if v > 0 {
					v /= r
				} else {
					v *= r
				}
			}
			v -= float64(k)*float64(p.FrequencyPenalty) + float64(p.PresencePenalty)
		}
		if v = float64(float32(v)); !math.IsInf(v, -1) {
			row = append(row, refTok{int32(i), v})
		}
	}
	refSort(row, func(t refTok) float64 { return -t.logit })
	return row
}

func refSort(row []refTok, key func(refTok) float64) {
	slices.SortStableFunc(row, func(a, b refTok) int {
		switch ka, kb := key(a), key(b); {
		case ka < kb:
			return -1
		case ka > kb:
			return 1
		}
		return int(a.id - b.id)
	})
}

func refSoftmax(row []refTok, temp float64) []float64 {
	best := math.Inf(-1)
	for _, t := range row {
		best = max(best, t.logit)
	}
	sum := 0.0
	p := make([]float64, len(row))
	for i, t := range row {
		p[i] = math.Exp((t.logit - best) / temp)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// margin is the smallest distance of a sum or a ratio from its threshold: below some rounding error the
// reference cannot say which side is right.
type margin float64

func (m *margin) see(d float64) { *m = min(*m, margin(math.Abs(d))) }

func refMass(row []refTok, share float64, minKeep int, m *margin) []refTok {
	p, sum := refSoftmax(row, 1), 0.0
	for i := range row {
		sum += p[i]
		if i+1 < len(row) {
			m.see(sum - share)
		}
		if sum >= share && i+1 >= minKeep {
			return row[:i+1]
		}
	}
	return row
}

func refTypical(row []refTok, share float64, minKeep int, m *margin) []refTok {
	p := refSoftmax(row, 1)
	entropy := 0.0
	for _, x := range p {
		if x > 0 {
			entropy -= x * math.Log(x)
		}
	}
	distance := map[int32]float64{}
	logZ := row[0].logit - math.Log(p[0]) // row[0] is the best
	for _, t := range row {
		distance[t.id] = math.Abs(logZ - t.logit - entropy)
	}
	refSort(row, func(t refTok) float64 { return distance[t.id] })
	for i := range row[1:] {
		if row[i].logit != row[i+1].logit {
			m.see(distance[row[i].id] - distance[row[i+1].id])
		}
	}
	row = refMass(row, share, minKeep, m)
	refSort(row, func(t refTok) float64 { return -t.logit })
	return row
}

func refMinP(row []refTok, p float64, minKeep int, m *margin) []refTok {
	n := 0
	for i, t := range row {
		m.see(math.Exp(t.logit-row[0].logit) - p)
		if math.Exp(t.logit-row[0].logit) >= p || i < minKeep {
			n++
		}
	}
	return row[:n]
}

// refChain returns what can be drawn, best first, and how far the nearest decision was from turning out otherwise.
func refChain(p Params, logits []float32, accepted []int32) ([]Candidate, float64) {
	m := margin(math.Inf(1))
	row := refRow(p, logits, accepted)
	keep := max(1, p.MinKeep)
	if p.TopK > 0 {
		row = row[:min(p.TopK, len(row))]
	}
	if p.TypicalP > 0 && p.TypicalP < 1 {
		row = refTypical(row, float64(p.TypicalP), keep, &m)
	}
	if p.TopP > 0 && p.TopP < 1 {
		row = refMass(row, float64(p.TopP), keep, &m)
	}
	if p.MinP > 0 {
		row = refMinP(row, float64(p.MinP), keep, &m)
	}
	temp := float64(p.Temperature)
	if temp <= 0 {
		row, temp = row[:1], 1
	}
	prob := refSoftmax(row, temp)
	out := make([]Candidate, len(row))
	for i, t := range row {
		out[i] = Candidate{t.id, prob[i], math.Log(prob[i])}
	}
	return out, float64(m)
}

// randomRow draws rows of several shapes: flat, peaked, with ties, with masked tokens.
func randomRow(r *rand.Rand, n int) []float32 {
	l := make([]float32, n)
	scale := math.Exp2(float64(r.IntN(7)) - 2)
	ties, masked := r.IntN(4) == 0, r.IntN(3) == 0
	for i := range l {
		l[i] = float32(r.NormFloat64() * scale)
		if ties {
			l[i] = float32(math.Round(float64(l[i]) * 2))
		}
		if masked && r.IntN(3) == 0 && i > 0 {
			l[i] = negInf
		}
	}
	return l
}

func pick[T any](r *rand.Rand, v ...T) T { return v[r.IntN(len(v))] }

// checkAgainstReference compares the candidates of the last Sample, and reports false where rounding decides.
func checkAgainstReference(t *testing.T, s *Sampler, p Params, logits []float32, accepted []int32) bool {
	t.Helper()
	want, m := refChain(p, logits, accepted)
	if m < 1e-5 {
		return false
	}
	got := s.Candidates(nil, len(logits))
	if len(got) != len(want) {
		t.Fatalf("%+v: %d candidates, want %d", p, len(got), len(want))
	}
	for i, g := range got {
		w := want[i]
		if g.Token != w.Token || math.Abs(g.Prob-w.Prob) > 1e-12 {
			t.Fatalf("%+v: candidate %d of %d is %+v, want %+v", p, i, len(got), g, w)
		}
		if w.Prob > 1e-300 && math.Abs(g.LogProb-w.LogProb) > 1e-11*max(1, -w.LogProb) {
			t.Fatalf("%+v: candidate %d has log probability %v, want %v", p, i, g.LogProb, w.LogProb)
		}
	}
	return true
}

// runStage checks one kind of parameters on many rows.
func runStage(t *testing.T, params func(r *rand.Rand, n int) Params) {
	const rounds = 400
	checked := 0
	for i := range rounds {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		n := pick(r, 1, 2, 5, 30, 400, 3000)
		p := params(r, n)
		p.Seed = uint64(i)
		s := mustNew(t, p, n)
		var accepted []int32
		for range r.IntN(100) {
			tok := int32(r.IntN(min(n, 40)))
			accepted = append(accepted, tok)
			accept(t, s, tok)
		}
		row := randomRow(r, n)
		before := slices.Clone(row)
		got := mustSample(t, s, row)
		if !slices.Equal(row, before) {
			t.Fatalf("%+v: Sample changed the logits", p)
		}
		if !slices.ContainsFunc(s.Candidates(nil, n), func(c Candidate) bool { return c.Token == got && c.Prob > 0 }) {
			t.Fatalf("%+v: drew %d, which is not a candidate", p, got)
		}
		if checkAgainstReference(t, s, p, row, accepted) {
			checked++
		}
	}
	t.Logf("%d of %d rows compared; in the others rounding decides", checked, rounds)
	if checked < rounds/2 {
		t.Fatalf("only %d of %d rows could be compared", checked, rounds)
	}
}

func TestStagesAgainstReference(t *testing.T) {
	share := func(r *rand.Rand) float32 { return pick(r, 0, 1e-6, 0.1, 0.5, 0.9, 0.95, 0.999, 1, r.Float32()) }
	topK := func(r *rand.Rand, n int) int { return pick(r, 1, 2, 3, 40, n/2, n, n+1, math.MaxInt) }
	temp := func(r *rand.Rand) float32 { return pick[float32](r, 0.3, 0.8, 1, 1.7) }
	for _, stage := range []struct {
		name   string
		params func(r *rand.Rand, n int) Params
	}{
		{"Greedy", func(r *rand.Rand, n int) Params { return Params{Temperature: pick[float32](r, 0, -1)} }},
		{"Temperature", func(r *rand.Rand, n int) Params { return Params{Temperature: temp(r)} }},
		{"TopK", func(r *rand.Rand, n int) Params { return Params{Temperature: 1, TopK: topK(r, n)} }},
		{"TypicalP", func(r *rand.Rand, n int) Params {
			return Params{Temperature: 1, TypicalP: share(r), MinKeep: r.IntN(4)}
		}},
		{"TopP", func(r *rand.Rand, n int) Params {
			return Params{Temperature: 1, TopP: share(r), MinKeep: r.IntN(4)}
		}},
		{"MinP", func(r *rand.Rand, n int) Params {
			return Params{Temperature: 1, MinP: share(r), MinKeep: r.IntN(4)}
		}},
		{"Penalties", func(r *rand.Rand, n int) Params {
			return Params{
				Temperature: 1, PenaltyLastN: pick(r, 0, 1, 7, 64, 200), RepeatPenalty: pick[float32](r, 0, 0.5, 1, 1.3),
				FrequencyPenalty: pick[float32](r, 0, 0.25, -0.5), PresencePenalty: pick[float32](r, 0, 1, -2),
			}
		}},
		{"LogitBias", func(r *rand.Rand, n int) Params {
			b := map[int32]float32{}
			for range r.IntN(10) {
				b[int32(r.IntN(n))] = pick(r, -3, 0, 5.5, negInf)
			}
			b[0] = 1 // token 0 is never masked, so that one candidate is left
			return Params{Temperature: 1, LogitBias: b}
		}},
		{"Chain", func(r *rand.Rand, n int) Params {
			return Params{
				Temperature: temp(r), TopK: pick(r, 0, topK(r, n)), TypicalP: pick(r, 0, share(r)), TopP: share(r), MinP: pick[float32](r, 0, 0.02),
				MinKeep: r.IntN(4), RepeatPenalty: 1.1, PresencePenalty: 0.25, LogitBias: map[int32]float32{0: 2},
			}
		}},
		{"GreedyAfterTypicalP", func(r *rand.Rand, n int) Params { return Params{TypicalP: share(r), TopK: topK(r, n)} }},
	} {
		t.Run(stage.name, func(t *testing.T) { runStage(t, stage.params) })
	}
}

func TestSelection(t *testing.T) {
	for i := range 600 {
		r := rand.New(rand.NewPCG(uint64(i), 9))
		a := make([]cand, 1+r.IntN(pick(r, 30, 2000)))
		for j := range a {
			a[j] = cand{w: float64(1 + r.IntN(50)), score: float32(r.IntN(pick(r, 5, 1000))), id: int32(j)}
		}
		switch r.IntN(4) {
		case 0:
			slices.SortFunc(a, compare)
		case 1:
			slices.SortFunc(a, func(x, y cand) int { return compare(y, x) })
		}
		sorted := slices.Clone(a)
		slices.SortFunc(sorted, compare)

		n := 1 + r.IntN(len(a))
		top := slices.Clone(a)
		selectTop(top, n)
		slices.SortFunc(top[:n], compare)
		if !slices.Equal(top[:n], sorted[:n]) {
			t.Fatalf("round %d: selectTop(%d of %d) found other elements than a sort", i, n, len(a))
		}

		// Whole weights make sums exact, so that the answer is exact too.
		total := 0.0
		for _, c := range a {
			total += c.w
		}
		goal := pick(r, 0, 1, math.Floor(total*r.Float64()), total, total+1)
		sum, want := 0.0, 0
		for want < len(sorted) {
			sum += sorted[want].w
			want++
			if sum >= goal {
				break
			}
		}
		mass := slices.Clone(a)
		if got := selectMass(mass, goal); got != want {
			t.Fatalf("round %d: selectMass(%v of %v) = %d, want %d", i, goal, total, got, want)
		}
		slices.SortFunc(mass[:want], compare)
		if !slices.Equal(mass[:want], sorted[:want]) {
			t.Fatalf("round %d: selectMass found other elements than a sort", i)
		}
	}
}
