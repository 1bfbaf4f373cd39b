//go:build invariants

package mmap

import (
	"math"
	"testing"
	"unsafe"
)

// TestFreedMemoryIsPoisoned: what is read after Close is no number, for as long as it stays mapped.
func TestFreedMemoryIsPoisoned(t *testing.T) {
	m, err := Anon(1 << 12)
	if err != nil {
		t.Fatal(err)
	}
	stale := unsafe.Slice((*float32)(unsafe.Pointer(&m.Bytes()[0])), 1<<10)
	stale[7] = 1
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for i, v := range stale {
		if !math.IsNaN(float64(v)) {
			t.Fatalf("number %d is %g after Close", i, v)
		}
	}
	for range 80 { // more than stays mapped
		m, err := Anon(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if freed.bytes > heldMost {
		t.Errorf("%d bytes are still mapped, want at most %d", freed.bytes, heldMost)
	}
}
