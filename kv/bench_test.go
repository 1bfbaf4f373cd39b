package kv

import (
	"fmt"
	"testing"
)

// filled returns a cache of n cells that n-free tokens of the given number of sequences fill in turn.
func filled(b *testing.B, n, free, seqs int) *Cache {
	cfg := testConfig(n, seqs, 512, 0, 0)
	c := mustNew(b, cfg)
	for placed := 0; placed < n-free; {
		var batch Batch
		for len(batch.Pos) < 512 && placed < n-free {
			batch.Pos = append(batch.Pos, int32(placed/seqs))
			batch.Seq = append(batch.Seq, int32(placed%seqs))
			placed++
		}
		put(b, c, batch)
	}
	return c
}

func BenchmarkFillMask(b *testing.B) {
	for _, cells := range []int{32 << 10, 128 << 10} {
		for _, toks := range []int{1, 512} {
			for _, seqs := range []int{1, 4} {
				b.Run(fmt.Sprintf("cells=%d/tokens=%d/seqs=%d", cells, toks, seqs), func(b *testing.B) {
					c := filled(b, cells, toks, seqs)
					s := put(b, c, tokens(0, c.MaxPos(0)+1, c.MaxPos(0)+1+toks))
					mask := make([]float32, cells*toks)
					b.SetBytes(int64(4 * len(mask)))
					b.ResetTimer()
					for range b.N {
						if err := c.FillMask(0, mask, s, cells); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

func BenchmarkFind(b *testing.B) {
	for _, toks := range []int{1, 512} {
		b.Run(fmt.Sprintf("cells=32768/tokens=%d", toks), func(b *testing.B) {
			c := filled(b, 32<<10, toks, 1)
			batch := tokens(0, c.MaxPos(0)+1, c.MaxPos(0)+1+toks)
			b.ResetTimer()
			for range b.N {
				s, err := c.Find(batch)
				if err == nil {
					err = c.Apply(s)
				}
				if err == nil {
					err = c.Undo(s)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWindow decodes a sequence without end through a window.
func BenchmarkWindow(b *testing.B) {
	c := mustNew(b, testConfig(1<<20, 1, 512, 0, 4096))
	batch := tokens(0, 0, 1)
	for range b.N {
		s, err := c.Find(batch)
		if err == nil {
			err = c.Apply(s)
		}
		if err != nil {
			b.Fatal(err)
		}
		batch.Pos[0]++
	}
}

// BenchmarkReject removes the last tokens of a long sequence, as speculative decoding does.
func BenchmarkReject(b *testing.B) {
	c := filled(b, 32<<10, 4, 1)
	at := c.MaxPos(0) + 1
	batch := tokens(0, at, at+4)
	for range b.N {
		put(b, c, batch)
		if err := c.Remove(0, at, -1); err != nil {
			b.Fatal(err)
		}
	}
}
