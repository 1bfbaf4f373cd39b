package sample

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Sampler chooses the tokens of one sequence.
type Sampler struct {
	params Params
	nVocab int

	bias    logitBias
	seen    *history // nil without penalties
	editors []editor
	work    []float32 // [nVocab], for the editors; nil without them
	topK    topK
	filters []filter

	cands candidates
	rng   rng
}

// editor changes a row of logits in place: what must see, or may raise, any token.
type editor interface{ edit(logits []float32) }

// filter drops candidates, and leaves at least one.
type filter interface{ filter(c *candidates) }

// New returns a Sampler for rows of nVocab logits.
//
// Errors: *ParamError (ErrParam) if p is not valid, names a token outside the vocabulary, or nVocab is not in 1 to 2^31-1.
func New(p Params, nVocab int) (*Sampler, error) {
	if nVocab <= 0 || nVocab > math.MaxInt32 {
		return nil, &ParamError{"nVocab", nVocab, fmt.Sprintf("1 to %d", math.MaxInt32)}
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	bias, err := newLogitBias(p.LogitBias, nVocab)
	if err != nil {
		return nil, err
	}
	p.LogitBias = maps.Clone(p.LogitBias)
	return newSampler(p, bias, nVocab), nil
}

// newSampler builds the chain. Stages that are off are left out.
func newSampler(p Params, bias logitBias, nVocab int) *Sampler {
	s := &Sampler{params: p, nVocab: nVocab, bias: bias, rng: newRNG(p.Seed)}
	keep := max(1, p.MinKeep)

	if len(bias) > 0 {
		s.editors = append(s.editors, bias)
	}
	if window := p.window(); window > 0 {
		s.seen = newHistory(window, nVocab)
		pen := penalties{float64(p.RepeatPenalty), float64(p.FrequencyPenalty), float64(p.PresencePenalty), s.seen}
		if pen.repeat == 0 {
			pen.repeat = 1
		}
		s.editors = append(s.editors, pen)
	}
	s.topK = topK{p.TopK}
	if p.TopK == 0 {
		s.topK.k = nVocab
	}
	if p.TypicalP > 0 && p.TypicalP < 1 {
		s.filters = append(s.filters, typicalP{float64(p.TypicalP), keep})
	}
	if p.greedy() && len(s.filters) == 0 {
		// Top-k, top-p and min-p always keep the best token, which is all that is asked for.
		s.topK.k = 1
		return s.withMemory()
	}
	if p.TopP > 0 && p.TopP < 1 {
		s.filters = append(s.filters, topP{float64(p.TopP), keep})
	}
	if p.MinP > 0 {
		s.filters = append(s.filters, minP{log(float64(p.MinP)), keep})
	}
	return s.withMemory()
}

// withMemory allocates what the chain needs.
func (s *Sampler) withMemory() *Sampler {
	size := s.topK.listSize(s.nVocab)
	typical := false
	for _, f := range s.filters {
		if _, ok := f.(typicalP); ok {
			typical = true
		}
	}
	s.cands = newCandidates(size, s.nVocab, typical)
	switch {
	case len(s.editors) == 0:
	case size == s.nVocab && s.topK.k > 1:
		s.work = s.cands.room.score // the candidates' logits are the edited ones
	default:
		s.work = make([]float32, s.nVocab)
	}
	return s
}

// Params returns the parameters that the Sampler was made with. The map is a copy.
func (s *Sampler) Params() Params {
	p := s.params
	p.LogitBias = maps.Clone(p.LogitBias)
	return p
}

// Sample chooses a token from a row of logits.
//
//	logits  F32 [nVocab], finite, or -Inf for a token that must not be chosen
//
// The logits are read only and not kept. The token is not accepted: see Accept.
//
// Errors: *LengthError and *LogitError (ErrLogits); *MaskedError (ErrNoCandidates) if every token is masked or forbidden.
// After an error the state is as before the call.
func (s *Sampler) Sample(logits []float32) (int32, error) {
	s.cands.clear()
	if len(logits) != s.nVocab {
		return 0, &LengthError{len(logits), s.nVocab}
	}
	if len(s.editors) > 0 {
		copy(s.work, logits)
		logits = s.work
	}
	for _, e := range s.editors {
		e.edit(logits)
	}
	if err := s.topK.gather(&s.cands, logits); err != nil {
		return 0, err
	}
	for _, f := range s.filters {
		f.filter(&s.cands)
	}
	if s.params.greedy() {
		s.cands.keepTop(1)
		s.cands.weigh(1)
		return s.cands.id(0), nil
	}
	s.cands.weigh(1 / float64(s.params.Temperature))
	return s.cands.draw(s.rng.uniform()), nil
}

// Candidate is a token that the last Sample could have chosen.
type Candidate struct {
	Token   int32
	Prob    float64 // 0 to 1; all candidates of a row sum to 1
	LogProb float64 // natural logarithm of Prob, exact even where Prob is 0 by underflow
}

// Candidates appends the n most probable tokens of the last Sample to dst, best first, and returns dst. The
// probabilities are those of the draw, after the filters and the temperature; greedy sampling has a single candidate of
// probability 1. There are none before the first Sample and after one that failed. It allocates nothing if dst has room.
func (s *Sampler) Candidates(dst []Candidate, n int) []Candidate {
	c := &s.cands
	n = min(n, c.len())
	if n <= 0 {
		return dst
	}
	floor := negInf
	if c.len() > fewPlaces {
		floor = c.lowerBound(c.topsOf(c.score), n)
	}
	top := c.gather(c.score, floor, math.MaxFloat32)
	selectTop(top, n)
	top = top[:n]
	slices.SortFunc(top, compare)
	logTotal := log(c.total)
	for _, x := range top {
		d := float64((float64(x.score) - float64(c.best)) * c.invT)
		dst = append(dst, Candidate{x.id, x.w / c.total, d - logTotal})
	}
	return dst
}

// Greedy returns the token with the highest logit, of several the lowest. NaN is passed over. It returns -1 if no logit is
// above -Inf.
func Greedy(logits []float32) int32 {
	best, at := negInf, -1
	for i, v := range logits {
		if v > best {
			best, at = v, i
		}
	}
	return int32(at)
}
