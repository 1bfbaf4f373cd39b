package conformance

import (
	"errors"

	"github.com/tenon-go/tenon/buffer"
)

// What memory is known to get wrong.

var memoryFaults = []planted{
	{"memory not zeroed", "^buffers/zeroed", "want 0", func(m *mutant) {
		m.withMemory(&faultyMemory{alloc: func(real func(int64) (buffer.Buffer, error), size int64) (buffer.Buffer, error) {
			b, err := real(size)
			if err == nil && size > 0 {
				_, err = b.WriteAt([]byte{1}, size-1)
			}
			return b, err
		}})
	}},
	{"a short read", "^buffers/", "ReadAt", func(m *mutant) {
		m.withMemory(&faultyMemory{readAt: func(b buffer.Buffer, p []byte, off int64) (int, error) {
			if len(p) > 4096 {
				p = p[:4096]
			}
			return b.ReadAt(p, off)
		}})
	}},
	{"ranges not checked", "^buffers/range-errors", "ErrRange", func(m *mutant) {
		m.withMemory(&faultyMemory{writeAt: func(b buffer.Buffer, p []byte, off int64) (int, error) {
			off = max(0, min(off, b.Size()))
			n := min(int64(len(p)), b.Size()-off)
			return b.WriteAt(p[:n], off)
		}})
	}},
	{"a fill one byte short", "^buffers/fill", "want", func(m *mutant) {
		m.withMemory(&faultyMemory{fill: func(b buffer.Buffer, off, n int64, v byte) error {
			return buffer.Fill(b, off, max(0, n-1), v)
		}})
	}},
	{"unaligned writes rounded down", "^buffers/(read-write|copies)", "", func(m *mutant) {
		m.withMemory(&faultyMemory{writeAt: func(b buffer.Buffer, p []byte, off int64) (int, error) {
			return b.WriteAt(p, off&^3)
		}})
	}},
	{"no error when memory ends", "^buffers/too-large", "AllocError", func(m *mutant) {
		m.withMemory(&faultyMemory{alloc: func(real func(int64) (buffer.Buffer, error), size int64) (buffer.Buffer, error) {
			b, err := real(size)
			if err != nil {
				return nil, errors.New("driver error -3")
			}
			return b, nil
		}})
	}},
	{"a second Close fails", "^buffers/close", "second Close", func(m *mutant) {
		m.withMemory(&faultyMemory{closing: func(b buffer.Buffer) error {
			if _, err := b.ReadAt(nil, 0); err != nil {
				return err
			}
			return b.Close()
		}})
	}},
	{"a buffer over an earlier one", "^buffers/many", "buffer", func(m *mutant) {
		var big buffer.Buffer
		m.withMemory(&faultyMemory{alloc: func(real func(int64) (buffer.Buffer, error), size int64) (buffer.Buffer, error) {
			if size > 300 && size < 310 && big != nil {
				return overlapping{big, size}, nil
			}
			b, err := real(size)
			if size > 310 {
				big = b
			}
			return b, err
		}})
	}},
}

// overlapping is a part of another buffer that claims to be one.
type overlapping struct {
	buffer.Buffer
	size int64
}

func (o overlapping) Size() int64 { return o.size }
