package sample

import (
	"errors"
	"fmt"
)

// Sentinels for errors.Is.
var (
	ErrParam        = errors.New("sample: bad parameter")
	ErrLogits       = errors.New("sample: bad logits")
	ErrNoCandidates = errors.New("sample: every token is masked")
	ErrToken        = errors.New("sample: token outside the vocabulary")
	ErrState        = errors.New("sample: state of another kind of sampler")
)

// ParamError says which parameter is bad, what it holds and what it may hold. It matches [ErrParam].
type ParamError struct {
	Name  string // field of Params, or "nVocab"
	Value any
	Want  string
}

func (e *ParamError) Error() string {
	return fmt.Sprintf("sample: %s is %v, want %s", e.Name, e.Value, e.Want)
}

// Is reports whether target is [ErrParam].
func (e *ParamError) Is(target error) bool { return target == ErrParam }

// LengthError says that a row of logits does not fit the vocabulary. It matches [ErrLogits].
type LengthError struct {
	Have, Want int // number of logits
}

func (e *LengthError) Error() string {
	return fmt.Sprintf("sample: row has %d logits, want one for each of %d tokens", e.Have, e.Want)
}

// Is reports whether target is [ErrLogits].
func (e *LengthError) Is(target error) bool { return target == ErrLogits }

// LogitError says that a logit is NaN or +Inf, from which no distribution follows. It matches [ErrLogits].
type LogitError struct {
	Token int32
	Value float32
}

func (e *LogitError) Error() string {
	return fmt.Sprintf("sample: logit of token %d is %v, want a finite number, or -Inf for a masked token", e.Token, e.Value)
}

// Is reports whether target is [ErrLogits].
func (e *LogitError) Is(target error) bool { return target == ErrLogits }

// MaskedError says that no token can be drawn because each logit is -Inf. It matches [ErrNoCandidates].
type MaskedError struct {
	NVocab int
}

func (e *MaskedError) Error() string {
	return fmt.Sprintf("sample: all %d logits are -Inf, want at least one token that is not masked", e.NVocab)
}

// Is reports whether target is [ErrNoCandidates].
func (e *MaskedError) Is(target error) bool { return target == ErrNoCandidates }

// TokenError says that a token is not in the vocabulary. It matches [ErrToken].
type TokenError struct {
	Token  int32
	NVocab int
}

func (e *TokenError) Error() string {
	return fmt.Sprintf("sample: token %d, want 0 to %d", e.Token, e.NVocab-1)
}

// Is reports whether target is [ErrToken].
func (e *TokenError) Is(target error) bool { return target == ErrToken }

// StateError says that a [State] was taken from a Sampler with another vocabulary or penalty window.
// It matches [ErrState].
type StateError struct {
	Field      string // "nVocab" or "PenaltyLastN"
	Have, Want int    // of the state, of the sampler
}

func (e *StateError) Error() string {
	return fmt.Sprintf("sample: state comes from a sampler with %s %d, want %d", e.Field, e.Have, e.Want)
}

// Is reports whether target is [ErrState].
func (e *StateError) Is(target error) bool { return target == ErrState }
