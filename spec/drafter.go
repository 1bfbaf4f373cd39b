package spec

import "context"

// Drafter guesses tokens. Sequences are the target's.
type Drafter interface {
	// Name is what users call it, such as "draft-mtp".
	Name() string
	// Begin starts a sequence anew.
	Begin(seq int32)
	// Commit tells which tokens the target has taken into its cache, and their hidden states: rows has
	// one for each of the last tokens, or for all of them, and is valid during the call alone.
	Commit(ctx context.Context, seq int32, tokens []int32, rows Rows) error
	// Draft appends up to n guesses of what follows last, which is chosen but not in the cache yet.
	Draft(ctx context.Context, seq, last int32, n int, dst []int32) ([]int32, error)
	// Close frees what the drafter holds. The target stays.
	Close() error
}

// Rows are hidden states of the target, of the last tokens of a batch.
type Rows interface {
	Len() int
	Row(i int) []float32
}
