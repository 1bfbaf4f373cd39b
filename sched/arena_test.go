package sched

import (
	"math/rand/v2"
	"regexp"
	"testing"
)

func mustPin(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// TestBank places random slots, of short and of long use, in buffers of random size: none may overlap
// one that is in use at the same time, or reach over the end.
func TestBank(t *testing.T) {
	worst := 0.0
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		n := 1 + rng.IntN(300)
		b := bank{align: 1 << rng.IntN(9), max: 1 << 40, slots: make([]slot, n), seen: make([]int32, n), calendar: make([]int32, n+2)}
		if seed%2 == 0 {
			b.max = 5000 + rng.Int64N(5000)
		}
		ids := make([]int32, n)
		for i := range b.slots {
			start := rng.IntN(n+1) - 1
			length := rng.IntN(8)
			if rng.IntN(10) == 0 {
				length = rng.IntN(n + 1)
			}
			b.slots[i] = slot{start: int32(start), end: int32(min(n, start+length)), bytes: 1 + rng.Int64N(5000)}
			ids[i] = int32(i)
		}
		largest := b.largest(ids)
		sizes, sum := b.best(ids, largest)
		total := int64(0)
		for _, s := range sizes {
			total += s
			if s > b.max {
				t.Errorf("seed %d: a buffer of %d bytes, at most %d", seed, s, b.max)
			}
		}
		for i := range b.slots {
			s := &b.slots[i]
			if s.offset%b.align != 0 || s.offset+s.bytes > sizes[s.chunk] {
				t.Fatalf("seed %d: %+v", seed, *s)
			}
			for k := range i {
				o := &b.slots[k]
				if s.chunk == o.chunk && s.start <= o.end && o.start <= s.end && s.offset < o.offset+o.bytes && o.offset < s.offset+s.bytes {
					t.Fatalf("seed %d: %+v and %+v", seed, *s, *o)
				}
			}
		}
		live := int64(0)
		for at := -1; at <= n; at++ {
			now := int64(0)
			for i := range b.slots {
				if s := &b.slots[i]; int(s.start) <= at && at <= int(s.end) {
					now += s.bytes
				}
			}
			live = max(live, now)
		}
		if live != largest || total < largest || total != sum {
			t.Errorf("seed %d: largest %d, want %d, of %d", seed, largest, live, total)
		}
		if seed%2 == 1 {
			worst = max(worst, float64(total)/float64(largest))
		}
	}
	t.Logf("at worst %.3f of what is in use at a time", worst)
}
