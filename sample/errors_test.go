package sample

import (
	"errors"
	"math"
	"testing"
)

func TestBadParams(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name string
		p    Params
	}{
		{"Temperature", Params{Temperature: nan}},
		{"Temperature", Params{Temperature: inf}},
		{"Temperature", Params{Temperature: -inf}},
		{"TopP", Params{TopP: -0.1}},
		{"TopP", Params{TopP: 1.1}},
		{"TopP", Params{TopP: nan}},
		{"MinP", Params{MinP: 2}},
		{"MinP", Params{MinP: nan}},
		{"TypicalP", Params{TypicalP: -1}},
		{"TypicalP", Params{TypicalP: inf}},
		{"TopK", Params{TopK: -1}},
		{"MinKeep", Params{MinKeep: -1}},
		{"RepeatPenalty", Params{RepeatPenalty: -1}},
		{"RepeatPenalty", Params{RepeatPenalty: inf}},
		{"FrequencyPenalty", Params{FrequencyPenalty: nan}},
		{"PresencePenalty", Params{PresencePenalty: -inf}},
		{"PenaltyLastN", Params{PenaltyLastN: -1}},
		{"PenaltyLastN", Params{PenaltyLastN: MaxPenaltyLastN + 1}},
		{"LogitBias[3]", Params{LogitBias: map[int32]float32{3: nan, 4: nan}}},
		{"LogitBias[3]", Params{LogitBias: map[int32]float32{3: inf}}},
		{"LogitBias", Params{LogitBias: map[int32]float32{-1: 0}}},
		{"LogitBias", Params{LogitBias: map[int32]float32{10: 0}}}, // outside the vocabulary
	} {
		s, err := New(c.p, 10)
		var pe *ParamError
		if s != nil || !errors.Is(err, ErrParam) || !errors.As(err, &pe) || pe.Name != c.name {
			t.Errorf("New(%+v) = %v, %v; want a ParamError for %s", c.p, s, err, c.name)
		}
	}
	tooMany := int64(math.MaxInt32) + 1
	for _, n := range []int{0, -1, int(tooMany)} {
		if _, err := New(Params{}, n); !errors.Is(err, ErrParam) {
			t.Errorf("New for %d tokens: %v, want ErrParam", n, err)
		}
	}
	if err := (Params{LogitBias: map[int32]float32{0: negInf}}).Validate(); err != nil {
		t.Errorf("bias -Inf forbids a token: %v", err)
	}
}

func TestBadLogits(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, p := range []Params{
		{},
		{Temperature: 1},
		{Temperature: 1, TopK: 1},
		{Temperature: 1, TopK: 2, RepeatPenalty: 2, LogitBias: map[int32]float32{0: 1, 2: -1, 3: negInf}},
	} {
		s := mustNew(t, p, 4)
		fresh := mustNew(t, p, 4)
		accept(t, s, 2, 3)
		accept(t, fresh, 2, 3)

		for _, row := range [][]float32{{1, 2, nan, 3}, {1, 2, inf, 3}, {1, 2, 0, nan}, {1, 2, 0, inf}} {
			var le *LogitError
			if _, err := s.Sample(row); !errors.Is(err, ErrLogits) || !errors.As(err, &le) || row[le.Token] == row[le.Token] && row[le.Token] != inf {
				t.Errorf("%+v: Sample(%v) gives %v, want a LogitError that names the token", p, row, err)
			}
		}
		var length *LengthError
		if _, err := s.Sample(make([]float32, 5)); !errors.Is(err, ErrLogits) || !errors.As(err, &length) || *length != (LengthError{5, 4}) {
			t.Errorf("%+v: five logits for four tokens: %v", p, err)
		}
		var masked *MaskedError
		if _, err := s.Sample([]float32{negInf, negInf, negInf, negInf}); !errors.Is(err, ErrNoCandidates) || !errors.As(err, &masked) {
			t.Errorf("%+v: all masked: %v, want ErrNoCandidates", p, err)
		}

		// What failed took no random number.
		for range 20 {
			row := []float32{1, 1, 1, 1}
			if a, b := mustSample(t, s, row), mustSample(t, fresh, row); a != b {
				t.Fatalf("%+v: token %d after errors, want %d", p, a, b)
			}
		}
	}
}
