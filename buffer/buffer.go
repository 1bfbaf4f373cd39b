// Package buffer says what bytes on a device are, and who owns them.
//
// A Type is one kind of memory of one Owner; a Buffer is a piece of it. Whether an op can run where a
// tensor lies is a question of the buffer's owner, and the scheduler and the KV cache's share path ask
// it before anything runs. Memory never lies on the Go heap. A Buffer's methods may be called
// concurrently if the byte ranges do not overlap; Close may not run beside any other method.
package buffer

import (
	"errors"
	"fmt"
	"io"
)

// What can be wrong with a buffer. Errors of this package match one of these with errors.Is.
var (
	ErrNoMemory = errors.New("out of memory")
	ErrRange    = errors.New("outside the buffer")
	ErrClosed   = errors.New("buffer is closed")
)

// Owner says who can address and free a piece of memory. One graphics card behind two APIs is two
// owners: neither can use the other's memory.
type Owner struct {
	Backend string // such as "Vulkan"
	Device  string // such as "Vulkan0", unique in a process
}

// String returns the device's name.
func (o Owner) String() string { return o.Device }

// Type is one kind of memory of one owner. Types are compared with ==: a backend returns the same
// value each time.
type Type interface {
	Name() string // such as "Vulkan0" or "Vulkan0.host"
	Owner() Owner
	Alignment() int // in bytes, a power of two: where tensors in a buffer may start
	MaxSize() int64 // of one buffer, in bytes
	// Alloc returns size zeroed bytes, or a *AllocError. Size 0 gives an empty buffer.
	Alloc(size int64) (Buffer, error)
}

// Buffer is a piece of memory. ReadAt and WriteAt copy between it and the host, and wait for work
// that was submitted to the device before them. A range outside the buffer is ErrRange and moves
// nothing; ReadAt never returns fewer bytes than asked for without an error.
type Buffer interface {
	io.ReaderAt
	io.WriterAt
	io.Closer // frees the memory; a second call does nothing
	Type() Type
	Size() int64 // in bytes
}

// AllocError says what could not be allocated. It matches ErrNoMemory.
type AllocError struct {
	Type      string
	Size      int64 // asked for, in bytes
	Available int64 // in bytes, or -1 if unknown
	Err       error // what the system or driver said, or nil
}

// Error returns one line with both figures.
func (e *AllocError) Error() string {
	s := fmt.Sprintf("buffer: cannot allocate %d bytes of %s memory", e.Size, e.Type)
	if e.Available >= 0 {
		s += fmt.Sprintf(", %d are left", e.Available)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap lets errors.Is find ErrNoMemory and the system's error.
func (e *AllocError) Unwrap() []error {
	if e.Err == nil {
		return []error{ErrNoMemory}
	}
	return []error{ErrNoMemory, e.Err}
}

// CheckRange returns an ErrRange if n bytes at offset do not lie in a buffer of the given size.
func CheckRange(size, offset, n int64) error {
	if offset < 0 || n < 0 || offset > size || n > size-offset {
		return fmt.Errorf("buffer: %w: %d bytes at offset %d of %d", ErrRange, n, offset, size)
	}
	return nil
}
