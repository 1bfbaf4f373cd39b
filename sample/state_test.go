package sample

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// penalized returns the logits after the penalties, from rows of ones.
func penalized(s *Sampler) []float32 {
	l := make([]float32, s.nVocab)
	for i := range l {
		l[i] = 1
	}
	for _, e := range s.editors {
		e.edit(l)
	}
	return l
}

func TestPenaltyWindow(t *testing.T) {
	s := mustNew(t, Params{RepeatPenalty: 2, FrequencyPenalty: 0.25, PresencePenalty: 1, PenaltyLastN: 4}, 5)
	for _, step := range []struct {
		token int32
		want  []float32
	}{
		{1, []float32{1, -0.75, 1, 1, 1}},
		{1, []float32{1, -1, 1, 1, 1}},
		{1, []float32{1, -1.25, 1, 1, 1}},
		{2, []float32{1, -1.25, -0.75, 1, 1}},
		{3, []float32{1, -1, -0.75, -0.75, 1}}, // the first 1 leaves the window
		{1, []float32{1, -1, -0.75, -0.75, 1}},
		{0, []float32{-0.75, -0.75, -0.75, -0.75, 1}},
	} {
		accept(t, s, step.token)
		for range 2 { // the edit leaves the counts as they were
			if got := penalized(s); !slices.Equal(got, step.want) {
				t.Fatalf("after %d: %v, want %v", step.token, got, step.want)
			}
		}
	}
	s.Reset()
	if got := penalized(s); !slices.Equal(got, []float32{1, 1, 1, 1, 1}) {
		t.Errorf("after Reset: %v", got)
	}
}

func TestAcceptOutside(t *testing.T) {
	for _, p := range []Params{{}, {PresencePenalty: 1}} {
		s := mustNew(t, p, 5)
		for _, tok := range []int32{-1, 5} {
			var te *TokenError
			if err := s.Accept(tok); !errors.Is(err, ErrToken) || !errors.As(err, &te) || te.Token != tok {
				t.Errorf("Accept(%d) = %v, want a TokenError", tok, err)
			}
		}
	}
}

// A verifier draws several rows, goes back to one of them and goes on: the tokens are those of a sampler that never left.
func TestRollBack(t *testing.T) {
	const n = 60
	p := Params{Temperature: 3, TopK: 30, RepeatPenalty: 1.5, FrequencyPenalty: 0.5, PenaltyLastN: 6, Seed: 4}
	rows := newRNG(8)
	row := exactRow(&rows, n)
	straight := mustNew(t, p, n)
	s := mustNew(t, p, n)
	r := rand.New(rand.NewPCG(1, 2))
	var states [8]State
	for round := range 300 {
		ahead := r.IntN(len(states))
		back := r.IntN(ahead + 1)
		var drawn []int32
		for i := range ahead {
			s.Snapshot(&states[i])
			tok := mustSample(t, s, row)
			accept(t, s, tok)
			drawn = append(drawn, tok)
		}
		s.Snapshot(&states[ahead])
		if err := s.Restore(&states[back]); err != nil {
			t.Fatal(err)
		}
		for _, tok := range drawn[:back] {
			if want := mustSample(t, straight, row); tok != want {
				t.Fatalf("round %d: token %d, want %d", round, tok, want)
			}
			accept(t, straight, tok)
		}
		if s.rng != straight.rng || !slices.Equal(penalized(s), penalized(straight)) {
			t.Fatalf("round %d: after going back from %d to %d tokens the state is not that of a straight run", round, ahead, back)
		}
	}
}

func TestCloneIsIndependent(t *testing.T) {
	p := Params{Temperature: 2, PresencePenalty: 2, PenaltyLastN: 5, LogitBias: map[int32]float32{3: 1}, Seed: 5}
	s := mustNew(t, p, 50)
	p.LogitBias[3] = 1000 // the Sampler has its own copy
	generate(t, s, 12)
	c := s.Clone()
	var st State
	s.Snapshot(&st)
	want := generate(t, s, 20)
	if got := generate(t, c, 20); !slices.Equal(got, want) {
		t.Errorf("clone gives %v, want %v", got, want)
	}
	// A state fits another sampler of the same kind.
	if err := c.Restore(&st); err != nil {
		t.Fatal(err)
	}
	if got := generate(t, c, 20); !slices.Equal(got, want) {
		t.Errorf("clone gives %v from the restored state, want %v", got, want)
	}
	if s.Params().LogitBias[3] != 1 {
		t.Errorf("bias is %v, want 1", s.Params().LogitBias[3])
	}
}

func TestRestoreOfAnotherKind(t *testing.T) {
	s := mustNew(t, Params{Temperature: 1, PresencePenalty: 1, PenaltyLastN: 5}, 50)
	var zero State
	for _, c := range []struct {
		field string
		from  *Sampler
	}{
		{"nVocab", mustNew(t, Params{PresencePenalty: 1, PenaltyLastN: 5}, 51)},
		{"PenaltyLastN", mustNew(t, Params{PresencePenalty: 1, PenaltyLastN: 6}, 50)},
		{"PenaltyLastN", mustNew(t, Params{}, 50)},
		{"nVocab", nil},
	} {
		st := &zero
		if c.from != nil {
			st = &State{}
			c.from.Snapshot(st)
		}
		before := s.rng
		var se *StateError
		if err := s.Restore(st); !errors.Is(err, ErrState) || !errors.As(err, &se) || se.Field != c.field || s.rng != before {
			t.Errorf("Restore gives %v, want a StateError for %s", err, c.field)
		}
	}
}
