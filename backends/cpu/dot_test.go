package cpu

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

func randomFloats(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func BenchmarkDot(b *testing.B) {
	const k, rows = 2048, 64
	r := rand.New(rand.NewPCG(1, 2))
	w, x := randomFloats(r, k*rows), randomFloats(r, k)
	packed := make([]byte, rows*tensor.Q8_0.RowBytes(k))
	encode(tensor.Q8_0, packed, w)
	q, scale := make([]int8, k), make([]float32, k/q8Block)
	roundQ8(q, scale, x)
	var sink float32
	b.Run("f32", func(b *testing.B) {
		b.SetBytes(4 * k * rows)
		for b.Loop() {
			for i := range rows {
				sink += dotF32(w[i*k:(i+1)*k], x)
			}
		}
	})
	b.Run("q8", func(b *testing.B) {
		b.SetBytes(int64(len(packed)))
		n := tensor.Q8_0.RowBytes(k)
		for b.Loop() {
			for i := range rows {
				sink += dotQ8(packed[i*n:(i+1)*n], q, scale)
			}
		}
	})
	b.Run("roundQ8", func(b *testing.B) {
		b.SetBytes(4 * k)
		for b.Loop() {
			roundQ8(q, scale, x)
		}
	})
}

// TestDotForms compares the form in use with the Go one, over lengths that no vector divides. Sums are
// rounded in another order, so they may differ by the rounding of the greatest partial sum.
func TestDotForms(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for n := range 131 {
		a, b := randomFloats(r, n), randomFloats(r, n)
		var size float64
		for i := range a {
			size += math.Abs(float64(a[i]) * float64(b[i]))
		}
		if got, want := dotF32(a, b), dotF32Go(a, b); math.Abs(float64(got-want)) > size*1e-6 {
			t.Errorf("dotF32 of %d: %g, in Go %g", n, got, want)
		}
		got, want := append([]float32(nil), a...), append([]float32(nil), a...)
		addScaledF32(got, b, 0.3)
		addScaledF32Go(want, b, 0.3)
		for i := range got {
			if math.Abs(float64(got[i]-want[i])) > 1e-6*(1+math.Abs(float64(want[i]))) {
				t.Errorf("addScaledF32 of %d, element %d: %g, in Go %g", n, i, got[i], want[i])
			}
		}
	}
	for blocks := range 9 {
		k := blocks * q8Block
		w := make([]byte, blocks*34)
		for i := range w {
			w[i] = byte(r.Uint32()) // every int8, -128 too
		}
		for b := range blocks {
			w[b*34+1] = 0x38 // a finite scale of about a half
		}
		q, scale := make([]int8, k), make([]float32, blocks)
		roundQ8(q, scale, randomFloats(r, k))
		if blocks > 1 {
			for i := range q8Block {
				w[2+i], q[i] = 0x80, 127 // the greatest products
			}
		}
		got, want := dotQ8(w, q, scale), dotQ8Go(w, q, scale)
		if math.Abs(float64(got-want)) > 1e-5*(1+math.Abs(float64(want))) {
			t.Errorf("dotQ8 of %d blocks: %g, in Go %g", blocks, got, want)
		}
	}
}

func TestRoundQ8KeepsWhatIsNotFinite(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		x := make([]float32, 2*q8Block)
		x[3], x[40] = bad, 1
		q, scale := make([]int8, len(x)), make([]float32, 2)
		roundQ8(q, scale, x)
		if scale[0] == scale[0] || scale[1] != 1.0/127 || q[8+q8Block] != 127 {
			t.Errorf("%g: scales %g, quant %d", bad, scale, q[8+q8Block])
		}
	}
}

// TestDecodeF16Forms compares the form in use with package quant's, over every F16 value and lengths
// that no vector divides.
func TestDecodeF16Forms(t *testing.T) {
	src := make([]byte, 2*(1<<16))
	for i := range 1 << 16 {
		src[2*i], src[2*i+1] = byte(i), byte(i>>8)
	}
	for _, n := range []int{0, 1, 7, 8, 9, 31, 1 << 16} {
		got, want := make([]float32, n), make([]float32, n)
		decode(tensor.F16, got, src[:2*n])
		quant.DecodeF16(want, src[:2*n])
		for i := range got {
			g, w := got[i], want[i]
			if math.Float32bits(g) != math.Float32bits(w) && !(g != g && w != w) {
				t.Fatalf("%d of %d: %g, want %g", i, n, g, w)
			}
		}
	}
}
