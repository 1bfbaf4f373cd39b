//go:build !purego

package sample

import (
	"testing"

	"golang.org/x/sys/cpu"
)

// The widest form of exp is the one in use; the other has to give the same bits.
func TestNarrowExp(t *testing.T) {
	if !cpu.X86.HasAVX2 {
		t.Skip("this processor has no AVX2")
	}
	defer func(f func(w *float64, x *float32, n int, best, invT float64, consts, table *float64) float64) {
		expWhole = f
	}(expWhole)
	expWhole = expAVX2
	TestKernelsMatchGo(t)
	TestSumBits(t)
}
