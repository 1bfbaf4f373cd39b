package kv

import (
	"errors"
	"fmt"
	"strings"
)

// What can go wrong. Errors of this package match one of these with errors.Is.
var (
	ErrConfig   = errors.New("bad cache configuration")
	ErrFull     = errors.New("the KV cache is full")
	ErrBatch    = errors.New("malformed batch")
	ErrSeq      = errors.New("wrong sequence")
	ErrPos      = errors.New("wrong position")
	ErrRollback = errors.New("the window has lost tokens that this needs")
	ErrMask     = errors.New("wrong mask size")
	ErrStale    = errors.New("slots are out of date")
	ErrBorrowed = errors.New("the KV cache is borrowed")
	ErrClosed   = errors.New("the KV cache is closed")
)

// ConfigError says which field of a Config is wrong. It matches ErrConfig.
type ConfigError struct {
	Layer int    // LayerConfig.Layer, or -1 if the field belongs to no layer
	Field string // the field's name
	Have  string
	Want  string
}

// Error returns one line with both sides.
func (e *ConfigError) Error() string {
	if e.Layer < 0 {
		return fmt.Sprintf("kv: %s is %s, want %s", e.Field, e.Have, e.Want)
	}
	return fmt.Sprintf("kv: layer %d: %s is %s, want %s", e.Layer, e.Field, e.Have, e.Want)
}

// Unwrap returns ErrConfig.
func (e *ConfigError) Unwrap() error { return ErrConfig }

// FullError says that a batch finds no cells. It matches ErrFull.
type FullError struct {
	Group  int
	Window int // of the group, in tokens, 0 if it sees everything
	Need   int // in cells
	Free   int // in cells, expired ones included
	Cells  int // of the group
}

// Error returns one line with both figures.
func (e *FullError) Error() string {
	group := ""
	if e.Window > 0 {
		group = fmt.Sprintf(" of window %d", e.Window)
	}
	return fmt.Sprintf("kv: no room for %d tokens: %d of %d cells%s are free", e.Need, e.Free, e.Cells, group)
}

// Unwrap returns ErrFull.
func (e *FullError) Unwrap() error { return ErrFull }

// SeqError says what is wrong with a sequence. It matches ErrSeq.
type SeqError struct {
	Seq    int
	Token  int // index in the batch, or -1
	Reason string
}

// Error returns one line.
func (e *SeqError) Error() string {
	if e.Token < 0 {
		return fmt.Sprintf("kv: sequence %d %s", e.Seq, e.Reason)
	}
	return fmt.Sprintf("kv: token %d: sequence %d %s", e.Token, e.Seq, e.Reason)
}

// Unwrap returns ErrSeq.
func (e *SeqError) Unwrap() error { return ErrSeq }

// PosError says what is wrong with a position of a sequence. It matches ErrPos.
type PosError struct {
	Seq    int
	Token  int // index in the batch, or -1
	Pos    int
	Reason string
}

// Error returns one line.
func (e *PosError) Error() string {
	if e.Token < 0 {
		return fmt.Sprintf("kv: sequence %d, position %d %s", e.Seq, e.Pos, e.Reason)
	}
	return fmt.Sprintf("kv: token %d: sequence %d, position %d %s", e.Token, e.Seq, e.Pos, e.Reason)
}

// Unwrap returns ErrPos.
func (e *PosError) Unwrap() error { return ErrPos }

// RollbackError says that a sequence cannot end where it should, because the tokens that its next one
// would see are no longer there. It matches ErrRollback.
type RollbackError struct {
	Seq    int
	End    int // the sequence's highest position if it were done
	Window int // of the group that lost the tokens; 0 if recurrent layers say no
	Lost   int // highest position that is lost, or that recurrent layers cannot forget

	// States are the positions after which recurrent layers have the sequence's state; nil if they are
	// not what says no.
	States []int
}

// Error returns one line with both positions and the way out.
func (e *RollbackError) Error() string {
	if e.States != nil {
		return fmt.Sprintf("kv: sequence %d cannot end at position %d without position %d: recurrent layers have its state after %s only: remove it whole and process it again, or configure more Snapshots",
			e.Seq, e.End, e.Lost, statesText(e.States))
	}
	return fmt.Sprintf("kv: sequence %d cannot end at position %d: its window of %d tokens is lost up to position %d: remove it whole and process it again, or configure FullWindow",
		e.Seq, e.End, e.Window, e.Lost)
}

// Unwrap returns ErrRollback.
func (e *RollbackError) Unwrap() error { return ErrRollback }

// MaskError says that a mask does not fit. It matches ErrMask.
type MaskError struct {
	Group  int
	Cells  int // columns asked for
	Least  int // columns must be at least this: what ReadCells returns
	Most   int // and at most this: the group's cells
	Tokens int // rows
	Len    int // elements given, want Cells*Tokens
}

// Error returns one line with both sides.
func (e *MaskError) Error() string {
	if e.Cells < e.Least || e.Cells > e.Most {
		return fmt.Sprintf("kv: a mask of %d cells for group %d, want %d to %d", e.Cells, e.Group, e.Least, e.Most)
	}
	return fmt.Sprintf("kv: a mask of %d elements for group %d, want %d cells by %d tokens", e.Len, e.Group, e.Cells, e.Tokens)
}

// Unwrap returns ErrMask.
func (e *MaskError) Unwrap() error { return ErrMask }

// BorrowedError says that a cache cannot be closed while others read it. It matches ErrBorrowed.
type BorrowedError struct{ Borrowers []string }

// Error returns one line.
func (e *BorrowedError) Error() string {
	return fmt.Sprintf("kv: the cache cannot be closed while it is read by %s: close that first", strings.Join(e.Borrowers, ", "))
}

// Unwrap returns ErrBorrowed.
func (e *BorrowedError) Unwrap() error { return ErrBorrowed }
