package sample

import (
	"encoding/binary"
	"fmt"
	"math"
)

// stateVersion is the first byte of a marshalled State.
const stateVersion = 1

// AppendBinary appends the state in the form of UnmarshalBinary to b. The error is always nil.
func (st *State) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, stateVersion)
	b = binary.LittleEndian.AppendUint64(b, st.rng.state)
	for _, n := range []int{st.nVocab, st.window, len(st.tokens)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	for _, t := range st.tokens {
		b = binary.LittleEndian.AppendUint32(b, uint32(t))
	}
	return b, nil
}

// MarshalBinary returns the state in the form of UnmarshalBinary. The error is always nil.
func (st *State) MarshalBinary() ([]byte, error) { return st.AppendBinary(nil) }

// UnmarshalBinary sets the state to one that AppendBinary wrote, perhaps in another process or on another machine.
//
// Errors: one that matches ErrState for anything else; the state is then unchanged.
func (st *State) UnmarshalBinary(b []byte) error {
	const head = 1 + 8 + 3*4
	if len(b) < head {
		return fmt.Errorf("sample: %d bytes, want at least %d: %w", len(b), head, ErrState)
	}
	if b[0] != stateVersion {
		return fmt.Errorf("sample: version %d, want %d: %w", b[0], stateVersion, ErrState)
	}
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(b[9+4*i:]) }
	nVocab, window, n := word(0), word(1), word(2)
	switch {
	case nVocab > math.MaxInt32 || window > MaxPenaltyLastN || n > window:
		return fmt.Errorf("sample: %d tokens of a window of %d and a vocabulary of %d: %w", n, window, nVocab, ErrState)
	case uint64(len(b)) != head+4*uint64(n):
		return fmt.Errorf("sample: %d bytes for %d tokens, want %d: %w", len(b), n, head+4*uint64(n), ErrState)
	}
	tokens := make([]int32, n)
	for i := range tokens {
		t := word(3 + i)
		if t >= nVocab {
			return fmt.Errorf("sample: token %d of a vocabulary of %d: %w", t, nVocab, ErrState)
		}
		tokens[i] = int32(t)
	}
	*st = State{nVocab: int(nVocab), window: int(window), rng: rng{binary.LittleEndian.Uint64(b[1:])}, tokens: tokens}
	return nil
}
