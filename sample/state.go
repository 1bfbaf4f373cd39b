package sample

// Accept remembers a token for the penalties. Prompt tokens count if the caller accepts them.
// Sample does not call it, so that a verifier may draw and accept something else.
//
// Errors: *TokenError (ErrToken) if the token is not in the vocabulary.
func (s *Sampler) Accept(token int32) error {
	if token < 0 || int(token) >= s.nVocab {
		return &TokenError{token, s.nVocab}
	}
	if s.seen != nil {
		s.seen.push(token)
	}
	return nil
}

// Reset goes back to the state that New returned: the first random number, and no accepted token.
func (s *Sampler) Reset() {
	s.rng = newRNG(s.params.Seed)
	if s.seen != nil {
		s.seen.clear()
	}
	s.cands.clear()
}

// Clone returns a Sampler with the same parameters and state and memory of its own. Both go on with the same random
// numbers. The clone has no Candidates until its first Sample.
func (s *Sampler) Clone() *Sampler {
	c := newSampler(s.params, s.bias, s.nVocab)
	c.rng = s.rng
	if s.seen != nil {
		for i := range s.seen.n {
			c.seen.push(s.seen.at(i))
		}
	}
	return c
}

// at returns the i-th oldest token of the window.
func (h *history) at(i int) int32 { return h.ring[(h.start+i)%len(h.ring)] }

// State is what a Sampler remembers from one token to the next: its place in the random numbers, and the accepted
// tokens. The zero State is ready for Snapshot, which reuses its memory.
type State struct {
	nVocab, window int
	rng            rng
	tokens         []int32 // oldest first
}

// Snapshot stores the state in st: a word, and the window if penalties are on. A speculative verifier that
// takes one for each row it draws from may later go back to any of them.
func (s *Sampler) Snapshot(st *State) {
	st.nVocab, st.window, st.rng = s.nVocab, 0, s.rng
	st.tokens = st.tokens[:0]
	if s.seen == nil {
		return
	}
	st.window = len(s.seen.ring)
	for i := range s.seen.n {
		st.tokens = append(st.tokens, s.seen.at(i))
	}
}

// Restore goes back, or forward, to a state that Snapshot stored, of this Sampler or of another one with the same vocabulary
// size and penalty window. It may be used any number of times. Candidates are empty until the next Sample.
//
// Errors: *StateError (ErrState) if the state does not fit; the Sampler is then unchanged.
func (s *Sampler) Restore(st *State) error {
	window := 0
	if s.seen != nil {
		window = len(s.seen.ring)
	}
	switch {
	case st.nVocab != s.nVocab:
		return &StateError{"nVocab", st.nVocab, s.nVocab}
	case st.window != window:
		return &StateError{"PenaltyLastN", st.window, window}
	}
	s.Reset()
	s.rng = st.rng
	for _, t := range st.tokens {
		s.seen.push(t)
	}
	return nil
}
