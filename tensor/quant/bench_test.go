package quant_test

import (
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/tensor/quant"
)

// gaussian returns n values as the weights of a model are spread.
func gaussian(n int) []float32 {
	rng := rand.New(rand.NewPCG(1, 2))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * 0.02)
	}
	return x
}

const benchElems = 1 << 13

// BenchmarkDecode reports the bytes of float32 written, and the values as a number of their own.
func BenchmarkDecode(b *testing.B) {
	x := gaussian(benchElems)
	for _, typ := range quant.Types() {
		b.Run(typ.String(), func(b *testing.B) {
			f, err := quant.Of(typ)
			if err != nil {
				b.Fatal(err)
			}
			src := make([]byte, typ.RowBytes(len(x)))
			f.Encode(src, x, nil)
			dst := make([]float32, len(x))
			b.SetBytes(4 * benchElems)
			b.ReportAllocs()
			for b.Loop() {
				f.Decode(dst, src)
			}
			reportValues(b)
		})
	}
}

// BenchmarkEncode reports the bytes of float32 read, and the values as a number of their own.
func BenchmarkEncode(b *testing.B) {
	x := gaussian(benchElems)
	weights := make([]float32, len(x))
	for i := range weights {
		weights[i] = x[i]*x[i] + 1e-4
	}
	for _, typ := range quant.Types() {
		f, err := quant.Of(typ)
		if err != nil {
			b.Fatal(err)
		}
		run := func(weights []float32) func(*testing.B) {
			return func(b *testing.B) {
				dst := make([]byte, typ.RowBytes(len(x)))
				b.SetBytes(4 * benchElems)
				b.ReportAllocs()
				for b.Loop() {
					f.Encode(dst, x, weights)
				}
				reportValues(b)
			}
		}
		b.Run(typ.String(), run(nil))
		if f.Weighted {
			b.Run(typ.String()+"/weighted", run(weights))
		}
	}
}

func reportValues(b *testing.B) {
	b.ReportMetric(float64(b.N)*benchElems/b.Elapsed().Seconds()/1e6, "Mvalues/s")
}
