package gguf

import (
	"errors"
	"fmt"
)

// What errors of this package match with errors.Is.
var (
	ErrFormat      = errors.New("not a valid GGUF file")       // every FormatError
	ErrTruncated   = errors.New("the file ends too early")     // a FormatError: a part of the file is absent
	ErrUnsupported = errors.New("unsupported version or type") // a FormatError: nothing is damaged, but this package cannot read it
	ErrMissingKey  = errors.New("metadata key is missing")
	ErrType        = errors.New("metadata value has another type")
	ErrInvalid     = errors.New("cannot be written as GGUF") // every WriteError
	ErrClosed      = errors.New("the file is closed")
)

// FormatError says which rule a file breaks, and where.
type FormatError struct {
	File   string // path or name
	Offset int64  // of the offending field, in bytes from the start of the file
	Field  string // what stands there, such as `tensor "output.weight"`
	Reason string // what was found and what was wanted
	Kind   error  // ErrTruncated, ErrUnsupported, or nil for any other damage
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("gguf: %s: at offset %d: %s: %s", e.File, e.Offset, e.Field, e.Reason)
}

// Is makes e match ErrFormat and its Kind.
func (e *FormatError) Is(target error) bool {
	return target == ErrFormat || e.Kind != nil && target == e.Kind
}

// MissingKeyError names a metadata key that is wanted and absent. It matches ErrMissingKey.
type MissingKeyError struct {
	File string // empty for metadata that is of no file
	Key  string
}

func (e *MissingKeyError) Error() string {
	return fmt.Sprintf("gguf: %skey %q is missing", filePrefix(e.File), e.Key)
}

// Is makes e match ErrMissingKey.
func (e *MissingKeyError) Is(target error) bool { return target == ErrMissingKey }

// TypeError is a metadata value of another type or range than is wanted. It matches ErrType.
type TypeError struct {
	File string // empty for metadata that is of no file
	Key  string
	Have string // type and value, such as "int32 -1"
	Want string // such as "an unsigned integer"
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("gguf: %skey %q is %s: want %s", filePrefix(e.File), e.Key, e.Have, e.Want)
}

// Is makes e match ErrType.
func (e *TypeError) Is(target error) bool { return target == ErrType }

// WriteError says why metadata or a tensor cannot be written. It matches ErrInvalid.
type WriteError struct {
	Item   string // such as `tensor "output.weight"`
	Reason string
}

func (e *WriteError) Error() string { return "gguf: write: " + e.Item + ": " + e.Reason }

// Is makes e match ErrInvalid.
func (e *WriteError) Is(target error) bool { return target == ErrInvalid }

func filePrefix(file string) string {
	if file == "" {
		return ""
	}
	return file + ": "
}
