package spec

import (
	"errors"
	"fmt"
	"time"
)

// What can be wrong. A drafter's failures go to Options.OnFailure.
var (
	ErrSequence = errors.New("wrong sequence")
	ErrGuess    = errors.New("impossible guess")
	ErrVocab    = errors.New("target and draft do not have the same vocabulary")
)

// Options sets up a Decoder.
type Options struct {
	Max int // guesses in a round at most; 0 decodes without speculation
	Min int // drafts shorter than this are not worth a check, and are dropped

	// Fixed always asks for as many guesses as there may be, in place of as many as pay.
	Fixed bool
	// Rejection has drafters draw their guesses where the sampler draws, and takes each with the
	// probability that leaves the sampler's distribution as it is (arXiv:2211.17192). More guesses are
	// taken than if the sampler's own draw must hit them, but the text is another one than without
	// speculation. Greedy sampling is as without.
	Rejection bool

	// OnFailure is told once of a drafter that failed and is left out from then on.
	OnFailure func(drafter string, err error)
	// Clock tells the time, from which costs are taken; time.Now if nil.
	Clock func() time.Time
}

// SequenceError says why a sequence cannot be decoded. It matches ErrSequence.
type SequenceError struct {
	Seq    int32
	Reason string
}

// Error returns one line.
func (e *SequenceError) Error() string { return fmt.Sprintf("spec: sequence %d %s", e.Seq, e.Reason) }

// Unwrap returns ErrSequence.
func (e *SequenceError) Unwrap() error { return ErrSequence }

// GuessError says what is wrong with a draft. It matches ErrGuess.
type GuessError struct {
	Seq    int32
	Reason string
}

// Error returns one line.
func (e *GuessError) Error() string {
	return fmt.Sprintf("spec: a draft for sequence %d %s", e.Seq, e.Reason)
}

// Unwrap returns ErrGuess.
func (e *GuessError) Unwrap() error { return ErrGuess }
