package sched

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenon-go/tenon/buffer"
)

// What can go wrong here. Errors of this package match one of these, or one of the packages tensor,
// buffer and backends.
var (
	ErrPlacement = errors.New("cannot be placed")
	ErrInput     = errors.New("input is not written")
	ErrNoResult  = errors.New("no result to read")
	ErrSize      = errors.New("wrong number of bytes")
	ErrTensor    = errors.New("no such input or output")
	ErrClosed    = errors.New("exec is closed")
)

// Refusal says why a device does not run a node.
type Refusal struct {
	Device string `json:"device"`
	Reason string `json:"reason"`
	Err    error  `json:"-"` // what the device said, or nil
}

// PlacementError says why a node can run on no device, or not on the one it is pinned to. It matches
// ErrPlacement and the errors of the refusals.
type PlacementError struct {
	Node string // the node's name
	Op   string // its kind

	// Tensor is the bound tensor whose memory rules the devices out, such as "cache k.3", with the
	// name and the owner of its memory. It is empty if memory is not the reason.
	Tensor     string
	BufferType string
	Owner      buffer.Owner

	Pin     string    // the pattern that pins the node, if one does
	Reasons []Refusal // of each device that was asked
}

// Error returns one line with the reason of every device.
func (e *PlacementError) Error() string {
	var b strings.Builder
	b.WriteString("sched: ")
	switch {
	case e.Op == "":
		fmt.Fprintf(&b, "nodes cannot be placed as /%s/ pins them", e.Pin)
	case e.Pin != "":
		fmt.Fprintf(&b, "%s (%s) cannot be placed as /%s/ pins it", e.Op, e.Node, e.Pin)
	default:
		fmt.Fprintf(&b, "%s (%s) cannot be placed", e.Op, e.Node)
	}
	if e.Tensor != "" {
		fmt.Fprintf(&b, ": %s lies in %s memory, which %s owns", e.Tensor, e.BufferType, e.Owner)
	}
	for i, r := range e.Reasons {
		sep := "; "
		if i == 0 && e.Tensor == "" {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s: %s", sep, r.Device, r.Reason)
	}
	return b.String()
}

// Unwrap returns ErrPlacement and what the devices said.
func (e *PlacementError) Unwrap() []error {
	errs := []error{ErrPlacement}
	for _, r := range e.Reasons {
		if r.Err != nil {
			errs = append(errs, r.Err)
		}
	}
	return errs
}

// TooLargeError says that one tensor does not fit in any buffer of the device that is to hold it. It
// matches buffer.ErrNoMemory.
type TooLargeError struct {
	Tensor  string
	Device  string
	Bytes   int64
	MaxSize int64 // of one buffer, in bytes
}

// Error returns one line with both figures.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("sched: %s needs %d bytes in one buffer, %s gives at most %d", e.Tensor, e.Bytes, e.Device, e.MaxSize)
}

// Unwrap returns buffer.ErrNoMemory.
func (e *TooLargeError) Unwrap() error { return buffer.ErrNoMemory }
