package spec

import "context"

// Drafter guesses tokens. Sequences are the target's. It belongs to one Decoder.
//
// The calls for a sequence are Truncate(seq, 0), then Commit and Draft in turns, and Truncate wherever
// the sequence goes back. Draft may be left out for any number of rounds.
type Drafter interface {
	// Name is what users call it, such as "draft-mtp".
	Name() string
	// Hidden says which of the target's hidden states Commit is to bring.
	Hidden() Hidden
	// Truncate says that a sequence has its first n tokens alone from now on; 0 starts it anew.
	Truncate(seq, n int32)
	// Commit says what the target has taken into its cache, of several sequences at a time, each once.
	// What a drafter does with it can wait until Draft: then it costs nothing where nothing is drafted.
	// The commits are valid during the call alone.
	Commit(ctx context.Context, commits []Commit) error
	// Draft adds guesses to the requests, up to Max to each: see Request. None at all is no error.
	Draft(ctx context.Context, requests []*Request) error
	// Close frees what the drafter holds. The target stays. A second call does nothing.
	Close() error
}

// Hidden says which hidden states of the target are wanted.
type Hidden int

// What drafters want.
const (
	NoHidden   Hidden = iota
	LastHidden        // of the last committed token of each sequence
	AllHidden         // of every committed token, those of prompts too
)

// HiddenStates are rows of a batch, such as an *engine.Engine holds.
type HiddenStates interface{ Hidden(row int) []float32 }

// Commit is a stretch of tokens of a sequence that the target has in its cache now.
type Commit struct {
	Seq, Pos int32 // Pos is that of the first
	Tokens   []int32
	States   HiddenStates // nil if no drafter wants any
	LastRow  int          // row in States of the last token
}

// Hidden returns the target's hidden state after token i. A drafter that wants LastHidden may ask for
// that of the last alone.
func (c *Commit) Hidden(i int) []float32 {
	return c.States.Hidden(c.LastRow - (len(c.Tokens) - 1 - i))
}

// Last returns the hidden state after the last token.
func (c *Commit) Last() []float32 { return c.States.Hidden(c.LastRow) }
