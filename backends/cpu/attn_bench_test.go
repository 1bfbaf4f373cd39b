package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// BenchmarkFlashAttn times the attention of a prompt's last 512 tokens and of a single one over 8192 cells,
// with 8 planes of keys for 32 heads. MB/s counts the cache that a token must read; GFLOPS the
// multiply-adds, of which the causal mask hides few, as two.
func BenchmarkFlashAttn(b *testing.B) {
	const heads, planes, cells = 32, 8, 8192
	for _, l := range Levels() {
		if l == Scalar && testing.Short() {
			continue
		}
		dev, err := NewAt(l, Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, typ := range []tensor.DType{tensor.F16, tensor.Q8_0} {
			for _, d := range []int{64, 128} {
				for _, tokens := range []int{1, 4, 512} {
					b.Run(fmt.Sprintf("%s/%s/d=%d/tokens=%d", l, typ, d, tokens), func(b *testing.B) {
						r := newRig(b, 1)
						kv := tensor.MakeShape(d, planes, cells)
						mask := make([]float32, tokens*cells)
						for t := range tokens {
							for c := cells - tokens + t + 1; c < cells; c++ {
								mask[t*cells+c] = float32(math.Inf(-1))
							}
						}
						k, v := r.random(typ, kv), r.random(typ, kv)
						p, err := r.bind(dev, false, r.FlashAttn(tensor.FlashAttn{Scale: 0.1},
							r.random(tensor.F32, tensor.MakeShape(d, heads, tokens)), k, v,
							r.values(tensor.F16, tensor.MakeShape(cells, tokens), mask), nil))
						if err != nil {
							b.Fatal(err)
						}
						b.SetBytes(int64(k.Bytes() + v.Bytes()))
						for b.Loop() {
							if err := p.prog.Submit(b.Context()); err != nil {
								b.Fatal(err)
							}
						}
						flops := 4 * float64(d) * heads * cells * float64(tokens)
						b.ReportMetric(flops*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOPS")
					})
				}
			}
		}
		dev.Close()
	}
}

// BenchmarkAttnUnits times the units by themselves, from near caches: products of 64 by 64 over 128, and a
// block's softmax of 64 queries.
func BenchmarkAttnUnits(b *testing.B) {
	const k = 128
	for _, l := range Levels() {
		u := unitsOf(l)
		f := make([]float32, 4*k*64)
		b.Run(fmt.Sprintf("%s/tile", l), func(b *testing.B) {
			t := attnTile{cRow: 256, aRow: 4 * k, aStep: 4, bStep: 256, k: k}
			for b.Loop() {
				t.a, t.b, t.c = &f[0], &f[k*64], &f[2*k*64]
				u.attn.multiply(&t, 64, 64)
			}
			b.ReportMetric(2*64*64*k*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOPS")
		})
		b.Run(fmt.Sprintf("%s/soft", l), func(b *testing.B) {
			s := softBlock{&f[0], 256, 64, 64 / u.attn.lanes, &f[k*64], &f[k*64+64], &f[k*64+128]}
			for b.Loop() {
				u.attn.soft(&s)
			}
		})
		for _, typ := range []tensor.DType{tensor.F16, tensor.Q8_0} {
			if u.attn.cells[typ] == nil {
				continue
			}
			b.Run(fmt.Sprintf("%s/cells/%s", l, typ), func(b *testing.B) {
				src := make([]byte, 64*typ.RowBytes(k))
				c := cellRows{&f[0], 4 * k, &src[0], typ.RowBytes(k), 64, k}
				b.SetBytes(int64(len(src)))
				for b.Loop() {
					u.attn.cells[typ](&c)
				}
			})
		}
	}
}
