// Package mmap gives memory outside the Go heap: whole files mapped read-only, and zeroed anonymous
// memory. The garbage collector neither scans nor moves nor frees it.
//
// A Mapping owns its bytes until Close; a slice of them that is used afterwards faults and ends the
// process. Reading the bytes from many goroutines is fine; Close must not run beside any use.
//
// A mapped file is the file itself, not a copy: if another process cuts it short, touching the lost
// part faults, and what another process writes may be seen.
//
// On platforms without memory mapping the same calls work on ordinary Go memory, and a file is read.
package mmap

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
)

// ErrSize is matched by the error of a size that cannot be mapped: negative, or more than the address
// space holds.
var ErrSize = errors.New("size cannot be mapped")

// ErrRange is matched by the error of a range that is not inside the mapping.
var ErrRange = errors.New("range outside the mapping")

// ErrNotRegular is matched by the error of a file that has no contents of a known size, such as a
// folder, a pipe or a device.
var ErrNotRegular = errors.New("not a regular file")

// Mapping is a run of memory outside the Go heap. It starts at a page boundary.
type Mapping struct {
	mu      sync.Mutex
	data    []byte
	release func([]byte) error // nil where there is nothing to give back
}

// File maps the whole of f, read-only and shared with other processes. Writing to the bytes faults.
// f may be closed at once; the mapping stays. An empty file gives an empty mapping.
//
// Errors: ErrNotRegular, ErrSize, or what the system said.
func File(f *os.File) (*Mapping, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("mmap: %s: %w but %s", f.Name(), ErrNotRegular, st.Mode().Type())
	}
	size := st.Size()
	if size > math.MaxInt {
		return nil, fmt.Errorf("mmap: %s: %w: %d bytes", f.Name(), ErrSize, size)
	}
	if size == 0 {
		return new(Mapping), nil
	}
	m, err := mapFile(f, int(size))
	if err != nil {
		return nil, fmt.Errorf("mmap: %s: %d bytes: %w", f.Name(), size, err)
	}
	return m, nil
}

// Anon returns size bytes of zeroed memory that can be read and written. Pages are taken from the
// system when they are first touched; a large mapping asks for huge pages where the system has them.
// Size 0 gives an empty mapping.
//
// Errors: ErrSize, or what the system said.
func Anon(size int) (*Mapping, error) {
	if size < 0 {
		return nil, fmt.Errorf("mmap: %w: %d bytes", ErrSize, size)
	}
	if size == 0 {
		return new(Mapping), nil
	}
	m, err := mapAnon(size)
	if err != nil {
		return nil, fmt.Errorf("mmap: %d bytes: %w", size, err)
	}
	m.release = retire(m.release)
	return m, nil
}

// Bytes returns the mapped memory, which stays the Mapping's own. It is nil if the mapping is empty
// or closed.
func (m *Mapping) Bytes() []byte { return m.data }

// Prefetch tells the system that n bytes from off are wanted soon, so that it may read them ahead.
// It returns before they are there. Where the system takes no such hint it does nothing.
//
// Errors: ErrRange, or what the system said.
func (m *Mapping) Prefetch(off, n int) error {
	if off < 0 || n < 0 || off > len(m.data) || n > len(m.data)-off {
		return fmt.Errorf("mmap: %d bytes from %d of %d: %w", n, off, len(m.data), ErrRange)
	}
	if n == 0 {
		return nil
	}
	// The hint takes whole pages, and the mapping starts at one.
	start := off &^ (os.Getpagesize() - 1)
	if err := prefetch(m.data[start : off+n]); err != nil {
		return fmt.Errorf("mmap: prefetch of %d bytes from %d: %w", n, off, err)
	}
	return nil
}

// Close gives the memory back. Closing again does nothing and returns nil.
func (m *Mapping) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	data := m.data
	m.data = nil
	if data == nil || m.release == nil {
		return nil
	}
	if err := m.release(data); err != nil {
		return fmt.Errorf("mmap: release of %d bytes: %w", len(data), err)
	}
	return nil
}
