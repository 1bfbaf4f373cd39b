package tokenizer

import (
	"runtime"
	"strings"
	"sync"
)

// mergeSymbols are the symbols of a merge and of its result, none for texts that are no token.
type mergeSymbols struct{ left, right, into int32 }

// loadMerges fills the table. A merge is two texts with a space between; the first text may begin with one.
func (t *Tokenizer) loadMerges(merges []string) {
	t.bpe.merges = newPairTable(len(merges))
	for rank, m := range t.mergeSymbols(merges) {
		left, right, ok := cutMerge(merges[rank])
		if !ok {
			continue
		}
		if t.bpe.pre.rawUTF8 {
			t.joins.addMerge(left, right)
		}
		if m.left == none {
			m.left = t.intern(left)
		}
		if m.right == none {
			m.right = t.intern(right)
		}
		if m.into == none {
			m.into = t.intern(left + right)
		}
		t.bpe.merges.add(m.left, m.right, uint32(rank), m.into)
	}
}

func cutMerge(m string) (left, right string, ok bool) {
	if m == "" {
		return "", "", false
	}
	at := strings.IndexByte(m[1:], ' ') + 1
	return m[:at], m[min(at+1, len(m)):], at > 0 && at+1 < len(m)
}

// mergesEach is how many merges a goroutine looks up at least.
const mergesEach = 1 << 15

// mergeSymbols looks up all texts of merges: most of the time that a large vocabulary takes to load, and many
// misses of the processor's caches, which goroutines have side by side.
func (t *Tokenizer) mergeSymbols(merges []string) []mergeSymbols {
	out := make([]mergeSymbols, len(merges))
	parts := max(1, min(runtime.GOMAXPROCS(0), len(merges)/mergesEach))
	var wg sync.WaitGroup
	for p := range parts {
		lo, hi := p*len(merges)/parts, (p+1)*len(merges)/parts
		wg.Go(func() {
			var both []byte
			for i := lo; i < hi; i++ {
				left, right, ok := cutMerge(merges[i])
				if !ok {
					continue
				}
				m := &out[i]
				m.left, _ = t.ids.get(left)
				m.right, _ = t.ids.get(right)
				both = append(append(both[:0], left...), right...)
				m.into, _ = t.ids.find(both)
			}
		})
	}
	wg.Wait()
	return out
}
