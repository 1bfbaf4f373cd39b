//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import "testing"

// TestCardLeaks runs, and makes and frees, ten thousand times on a real card: its memory is what it was.
func TestCardLeaks(t *testing.T) {
	d := open(t, Options{})
	runs := 10_000
	if testing.Short() {
		runs = 500
	}
	r := newRig(t, d, 8)
	free := func() int64 {
		if err := d.open.settle("counting"); err != nil {
			t.Fatal(err)
		}
		_, free := d.local.left()
		return free
	}
	round := func(n int) {
		for i := range n {
			r.run(t)
			if i%10 == 0 {
				other := newRig(t, d, 5)
				other.run(t)
				other.close(t)
			}
		}
	}
	round(100) // what is made once is made now
	before := free()
	round(runs)
	// Others may use the card, and a driver keeps some for itself: a leak of one word a run would be more pages than this.
	if lost := before - free(); lost > 4<<20 {
		t.Errorf("%d bytes of %d are gone after %d runs", lost, before, runs)
	}
	if n := testing.AllocsPerRun(100, func() {
		if err := r.again(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Submit and Wait allocate %v times", n)
	}
	r.close(t)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
