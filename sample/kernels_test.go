package sample

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"
)

func kernelRow(r *rand.Rand, n int) (w []float64, x []float32) {
	w, x = make([]float64, n), make([]float32, n)
	for i := range x {
		w[i], x[i] = r.Float64(), float32(r.NormFloat64()*pick(r, 1.0, 30, 1000))
		switch r.IntN(50) {
		case 0:
			x[i] = negInf
		case 1:
			x[i] = -math.MaxFloat32
		}
	}
	return w, x
}

func sameBits(t *testing.T, what string, n int, got, want float64) {
	t.Helper()
	if math.Float64bits(got) != math.Float64bits(want) {
		t.Fatalf("%s of %d elements is %x, want %x as in Go", what, n, got, want)
	}
}

// The kernels of this machine give the bits of their Go twins.
func TestKernelsMatchGo(t *testing.T) {
	for round := range 400 {
		r := rand.New(rand.NewPCG(uint64(round), 31))
		n := r.IntN(2*sumBlock + 1)
		w, x := kernelRow(r, n)
		best := float64(float32(3000 * r.Float64()))
		invT := math.Exp2(r.NormFloat64() * 4)

		sameBits(t, "sum", n, sumWeights(w), sumWeightsGo(w))
		if m := sumMomentsGo(w, x, best); m == m && !math.IsInf(m, 0) {
			sameBits(t, "moment", n, sumMoments(w, x, best), m)
		}
		at := [4]float32{float32(r.NormFloat64()), negInf, 0, math.MaxFloat32}
		got, want := sumsAbove(w, x, at), sumsAboveGo(w, x, at)
		for k := range got {
			sameBits(t, "sum above", n, got[k], want[k])
		}

		w2 := make([]float64, n)
		sameBits(t, "sum of exp", n, expBlock(w, x, best, invT), expBlockGo(w2, x, best, invT))
		for i := range w {
			sameBits(t, "exp", n, w[i], w2[i])
		}

		tops, tops2 := make([]float32, topBlocks(n)), make([]float32, topBlocks(n))
		for _, nan := range []bool{false, true} {
			if nan && n > 0 {
				x[r.IntN(n)] = float32(math.NaN())
			}
			low, bad := blockTops(tops, x)
			low2, bad2 := blockTopsGo(tops2, x)
			if bad != bad2 || bad != (nan && n > 0) {
				t.Fatalf("round %d: NaN among %d: %v, in Go %v", round, n, bad, bad2)
			}
			if bad {
				continue
			}
			if low != low2 {
				t.Fatalf("round %d: lowest of %d is %v, in Go %v", round, n, low, low2)
			}
			for b := range tops {
				if tops[b] != tops2[b] {
					t.Fatalf("round %d: top %d of %d is %v, in Go %v", round, b, n, tops[b], tops2[b])
				}
			}
			d, d2 := make([]float32, n), make([]float32, n)
			distances(d, x, best)
			distancesGo(d2, x, best)
			for i := range d {
				sameBits(t, "distance", n, float64(d[i]), float64(d2[i]))
			}
		}
	}
}

// The hash was recorded once. A machine or a compiler on which it differs would draw other tokens.
func TestSumBits(t *testing.T) {
	const recorded = 0xc6fe28b7ef8bf1e4
	h := fnv.New64a()
	for round := range 50 {
		r := rand.New(rand.NewPCG(uint64(round), 32))
		w, x := make([]float64, 250+round), make([]float32, 250+round)
		for i := range x {
			x[i] = float32(-30 * r.Float64())
		}
		for _, v := range []float64{expBlock(w, x, 0, 1.25), sumMoments(w, x, 0), sumsAbove(w, x, [4]float32{-9, -7, -5, -3})[1]} {
			var b [8]byte
			binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
			h.Write(b[:])
		}
	}
	if got := h.Sum64(); got != recorded {
		t.Errorf("hash of sums is %#x, want %#x", got, uint64(recorded))
	}
}

func BenchmarkExpBlock(b *testing.B) {
	x, w := peaked(sumBlock, 3), make([]float64, sumBlock)
	for _, k := range []struct {
		name string
		f    func(w []float64, x []float32, best, invT float64) float64
	}{{"machine", expBlock}, {"go", expBlockGo}} {
		b.Run(k.name, func(b *testing.B) {
			for b.Loop() {
				k.f(w, x, 15, 1.25)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/sumBlock, "ns/logit")
		})
	}
}
