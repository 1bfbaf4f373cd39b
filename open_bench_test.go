package tenon_test

import (
	"context"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/mmap"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/tensor"
)

// benchModel writes a model of about gb GB in Q4_0, as wide as one of 8 billion weights, with a vocabulary of 150,000.
func benchModel(b *testing.B, gb float64) string {
	b.Helper()
	const layerBytes, tableBytes = 123e6, 345e6
	path := tinymodel.Path(b, tinymodel.Config{
		Embd: 4096, Heads: 32, KVHeads: 8, HeadDim: 128, FeedForward: 14336, Vocab: 150_000, Context: 4096, Type: tensor.Q4_0,
		Layers: max(1, int((gb*1e9-2*tableBytes)/layerBytes)),
	})
	return path
}

// BenchmarkOpen opens a model of TENON_BENCH_GB GB, 1 if that is not set, until its first run could begin: from a file that
// is in the page cache, and from one that is not. "first" is the first run on top, of one token, which reads all
// weights.
func BenchmarkOpen(b *testing.B) {
	gb := 1.0
	if s := os.Getenv("TENON_BENCH_GB"); s != "" {
		var err error
		if gb, err = strconv.ParseFloat(s, 64); err != nil {
			b.Fatal(err)
		}
	}
	path := benchModel(b, gb)
	for _, cold := range []bool{false, true} {
		b.Run(map[bool]string{false: "warm", true: "cold"}[cold], func(b *testing.B) {
			if cold && mmap.Evict(path) != nil {
				b.Skip("no way here to take a file out of the page cache")
			}
			var first time.Duration
			for b.Loop() {
				b.StopTimer()
				if cold {
					if err := mmap.Evict(path); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				m, err := tenon.Open(path)
				b.StopTimer()
				if err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				if err := m.Engine().Decode(context.Background(), []engine.Token{{ID: 5, Output: true}}); err != nil {
					b.Fatal(err)
				}
				first += time.Since(start)
				if err := m.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(info.Size())/1e9, "GB")
			b.ReportMetric(first.Seconds()/float64(b.N), "s/first")
		})
	}
}
