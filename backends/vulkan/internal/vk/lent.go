//go:build cgo && linux && (amd64 || arm64)

package vk

// #include <stdlib.h>
import "C"

import "unsafe"

// lent is C memory under Go strings and slices: the binding writes their addresses into C structs, where Go's own memory must
// not be pointed to from. It lasts until free.
type lent struct{ all []unsafe.Pointer }

func (l *lent) memory(n int) unsafe.Pointer {
	p := cAlloc(uintptr(max(n, 1)))
	l.all = append(l.all, p)
	return p
}

// text returns s with the zero behind it that the binding's strings end with.
func (l *lent) text(s string) string {
	p := (*byte)(l.memory(len(s) + 1))
	copy(unsafe.Slice(p, len(s)), s)
	return unsafe.String(p, len(s)+1)
}

func (l *lent) floats(v ...float32) []float32 {
	s := unsafe.Slice((*float32)(l.memory(4*len(v))), len(v))
	copy(s, v)
	return s
}

// words returns the bytes of p, a whole number of 32-bit words in the machine's order.
func (l *lent) words(p []byte) []uint32 {
	s := unsafe.Slice((*uint32)(l.memory(len(p))), len(p)/4)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(p)), p)
	return s
}

func (l *lent) free() {
	for _, p := range l.all {
		cFree(p)
	}
	l.all = nil
}
