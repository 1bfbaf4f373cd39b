//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly && !windows

package mmap

import (
	"io"
	"os"
	"unsafe"
)

// mapFile reads the file, for want of a way to map it.
func mapFile(f *os.File, size int) (*Mapping, error) {
	data := alignedBytes(size)
	if n, err := f.ReadAt(data, 0); n < size {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return &Mapping{data: data}, nil
}

func mapAnon(size int) (*Mapping, error) { return &Mapping{data: alignedBytes(size)}, nil }

// alignedBytes returns Go memory that starts at a page boundary, as a mapping would. Go does not move
// heap objects, so that it stays there.
func alignedBytes(size int) []byte {
	page := os.Getpagesize()
	b := make([]byte, size+page-1)
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (page - 1)
	return b[skip : skip+size : skip+size]
}

func prefetch([]byte) error { return nil }
