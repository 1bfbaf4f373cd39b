//go:build unix

package cpu

import (
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
)

// fenced returns n bytes between pages that nobody may touch: at the end of their own pages, or, where
// atEnd is false, at the beginning. free gives them back.
func fenced(t *testing.T, n int, atEnd bool) (p []byte, free func()) {
	t.Helper()
	page := os.Getpagesize()
	own := (n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, own+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skipf("no memory of our own: %v", err)
	}
	free = func() {
		if err := syscall.Munmap(mem); err != nil {
			t.Error(err)
		}
	}
	for _, fence := range [][]byte{mem[:page], mem[page+own:]} {
		if err := syscall.Mprotect(fence, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	if atEnd {
		return mem[page+own-n : page+own : page+own], free
	}
	return mem[page : page+n : page+n], free
}

// TestRowUnitsReach holds that units touch nothing but rows, records and results: an access to a page beside
// them ends the test.
func TestRowUnitsReach(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(13, 14))
		for typ, ru := range u.rows {
			typ := tensor.DType(typ)
			if ru.form == noForm {
				continue
			}
			elems, _ := typ.Block()
			for _, k := range []int{elems, 17 * elems} {
				for n, dot := range ru.dot {
					if dot == nil {
						continue
					}
					for _, rows := range []int{1, 4, 9} {
						for _, atEnd := range []bool{false, true} {
							reach(t, u, typ, dot, r, rows, n+1, k, atEnd)
						}
					}
				}
			}
		}
	})
}

// reach multiplies fenced rows with fenced tokens.
func reach(t *testing.T, u *units, typ tensor.DType, dot func(*product), r *rand.Rand, rows, tokens, k int, atEnd bool) {
	f := u.rows[typ].form
	size := f.bytes(k)
	w, freeW := fenced(t, rows*typ.RowBytes(k), atEnd)
	defer freeW()
	x, freeX := fenced(t, tokens*size, atEnd)
	defer freeX()
	dst, freeDst := fenced(t, 4*rows*tokens, atEnd)
	defer freeDst()
	copy(w, weightsOf(r, typ, rows, k))
	for i := range tokens {
		u.round[f](x[i*size:][:size], randomFloats(r, k))
	}
	dot(&product{
		dst: (*float32)(unsafe.Pointer(&dst[0])), dstStride: 4 * rows,
		w: &w[0], wStride: typ.RowBytes(k), rows: rows,
		x: &x[0], xStride: size, k: k,
	})
}
