package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// TestDecodeForms holds that each level decodes as package quant does, to the same bits where there is a
// number, and writes nothing behind the row.
func TestDecodeForms(t *testing.T) {
	eachLevel(t, func(t *testing.T, u *units) {
		r := rand.New(rand.NewPCG(11, 12))
		for _, typ := range quant.Types() {
			elems, size := typ.Block()
			for _, blocks := range []int{0, 1, 2, 3, 15, 16, 17, 33} {
				n := blocks * elems
				src := make([]byte, blocks*size)
				for i := range src {
					src[i] = byte(r.Uint32())
				}
				got, want := make([]float32, n+16), make([]float32, n)
				for i := range got {
					got[i] = outside
				}
				if err := quant.Decode(typ, want, src); err != nil {
					t.Fatal(err)
				}
				if typ == tensor.F32 {
					continue // nobody decodes it
				}
				u.decode[typ](got[:n], src)
				for i, g := range got {
					switch {
					case i >= n && g != outside:
						t.Fatalf("%s: element %d behind %d is %g", typ, i, n, g)
					case i < n && math.Float32bits(g) != math.Float32bits(want[i]) && !(g != g && want[i] != want[i]):
						t.Fatalf("%s: element %d of %d is %g, want %g", typ, i, n, g, want[i])
					}
				}
			}
		}
	})
}

// BenchmarkDecodeForms decodes 4096 elements. The bytes are those of the floats.
func BenchmarkDecodeForms(b *testing.B) {
	const n = 4096
	for _, l := range Levels() {
		u := unitsOf(l)
		for _, typ := range quant.Types() {
			if typ == tensor.F32 {
				continue
			}
			b.Run(l.String()+"/"+typ.String(), func(b *testing.B) {
				src, dst := make([]byte, typ.RowBytes(n)), make([]float32, n)
				b.SetBytes(4 * n)
				for b.Loop() {
					u.decode[typ](dst, src)
				}
			})
		}
	}
}
