package sample

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

const (
	// DefaultPenaltyLastN is the window of the penalties if [Params.PenaltyLastN] is 0.
	DefaultPenaltyLastN = 64

	// MaxPenaltyLastN bounds the window, which New allocates as a whole.
	MaxPenaltyLastN = 1 << 24
)

// Params says how tokens are chosen. A zero field means that its stage is off, and the zero Params mean greedy.
type Params struct {
	// Temperature divides the logits before the draw. 0 or less: no draw, the best token that the filters left.
	Temperature float32

	// TopK keeps the k tokens with the highest logits. 0: all. More than the vocabulary: all.
	TopK int

	// TypicalP keeps the tokens whose surprise is nearest to the expected one, by |−log p − entropy|, until their
	// probabilities sum to TypicalP. 0 or 1: all. This is the one filter that may drop the best token.
	// Source: arXiv:2202.00666.
	TypicalP float32

	// TopP keeps the smallest set of most probable tokens whose probabilities sum to TopP. 0 or 1: all.
	// Source: arXiv:1904.09751.
	TopP float32

	// MinP keeps the tokens that are at least MinP times as probable as the best one. 0: all.
	// Source: arXiv:2407.01082.
	MinP float32

	// MinKeep is the number of tokens that typical-p, top-p and min-p leave at least. 0: 1.
	MinKeep int

	// RepeatPenalty divides a positive logit, and multiplies another, of each token in the window; above 1 it makes
	// repetition less likely. 0 or 1: off. Source: arXiv:1909.05858.
	RepeatPenalty float32

	// FrequencyPenalty is subtracted from a token's logit once for each time the token is in the window.
	FrequencyPenalty float32

	// PresencePenalty is subtracted once from the logit of each token in the window.
	PresencePenalty float32

	// PenaltyLastN is the window of the penalties: the number of last accepted tokens that they look at.
	// 0: DefaultPenaltyLastN. It has no effect while the penalties are off.
	PenaltyLastN int

	// LogitBias is added to the logits of single tokens, by token id. -Inf forbids the token. A token whose
	// logit is -Inf stays forbidden whatever its bias.
	LogitBias map[int32]float32

	// Seed of the random numbers; each value, 0 too, is one fixed stream. The caller who wants another text each time
	// brings another seed. The first state of SplitMix64 is its own output function applied to Seed, so that
	// neighbouring seeds have unrelated streams.
	Seed uint64
}

// Validate checks every field that can be checked without a vocabulary; New checks the token ids of LogitBias too.
//
// Errors: *ParamError (ErrParam) for the first bad field. NaN is refused everywhere, and infinity too, but for -Inf in LogitBias.
func (p Params) Validate() error {
	for _, f := range []struct {
		name   string
		value  float32
		lo, hi float32
		want   string
	}{
		{"Temperature", p.Temperature, -math.MaxFloat32, math.MaxFloat32, "a finite number; 0 or less means greedy"},
		{"TypicalP", p.TypicalP, 0, 1, "0 to 1"},
		{"TopP", p.TopP, 0, 1, "0 to 1"},
		{"MinP", p.MinP, 0, 1, "0 to 1"},
		{"RepeatPenalty", p.RepeatPenalty, 0, math.MaxFloat32, "a finite number of at least 0; 0 or 1 means off"},
		{"FrequencyPenalty", p.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32, "a finite number"},
		{"PresencePenalty", p.PresencePenalty, -math.MaxFloat32, math.MaxFloat32, "a finite number"},
	} {
		if !within(f.value, f.lo, f.hi) {
			return &ParamError{f.name, f.value, f.want}
		}
	}
	switch {
	case p.TopK < 0:
		return &ParamError{"TopK", p.TopK, "0 (all) or more"}
	case p.MinKeep < 0:
		return &ParamError{"MinKeep", p.MinKeep, "0 or more"}
	case p.PenaltyLastN < 0 || p.PenaltyLastN > MaxPenaltyLastN:
		return &ParamError{"PenaltyLastN", p.PenaltyLastN, fmt.Sprintf("0 to %d", MaxPenaltyLastN)}
	}
	// Sorted, so that of several bad entries the same one is named each time.
	for _, id := range slices.Sorted(maps.Keys(p.LogitBias)) {
		b := p.LogitBias[id]
		if id < 0 {
			return &ParamError{"LogitBias", id, "token ids of at least 0"}
		}
		if b != negInf && !within(b, -math.MaxFloat32, math.MaxFloat32) {
			return &ParamError{fmt.Sprintf("LogitBias[%d]", id), b, "a finite number, or -Inf to forbid the token"}
		}
	}
	return nil
}

// within is false for NaN.
func within(v, lo, hi float32) bool { return v >= lo && v <= hi }

func (p Params) greedy() bool { return p.Temperature <= 0 }

// window is the number of accepted tokens that must be remembered.
func (p Params) window() int {
	repeat := p.RepeatPenalty != 0 && p.RepeatPenalty != 1
	switch {
	case !repeat && p.FrequencyPenalty == 0 && p.PresencePenalty == 0:
		return 0
	case p.PenaltyLastN == 0:
		return DefaultPenaltyLastN
	}
	return p.PenaltyLastN
}
