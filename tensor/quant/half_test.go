package quant_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/tensor/quant"
)

// f16Slow is the value of a finite binary16 number by definition.
func f16Slow(bits uint16) float64 {
	exp, mant := int(bits>>10&31), float64(bits&0x3ff)
	v := math.Ldexp(1024+mant, exp-25)
	if exp == 0 {
		v = math.Ldexp(mant, -24)
	}
	if bits&0x8000 != 0 {
		return -v
	}
	return v
}

func TestF16ToF32(t *testing.T) {
	for b := range 1 << 16 {
		bits := uint16(b)
		got := float64(quant.F16ToF32(bits))
		switch mant := bits & 0x3ff; {
		case bits&0x7c00 != 0x7c00:
			if want := f16Slow(bits); got != want || math.Signbit(got) != math.Signbit(want) {
				t.Fatalf("F16ToF32(%#04x) = %g, want %g", bits, got, want)
			}
		case mant == 0:
			if !math.IsInf(got, 1-2*int(bits>>15)) {
				t.Fatalf("F16ToF32(%#04x) = %g, want infinity", bits, got)
			}
		case !math.IsNaN(got):
			t.Fatalf("F16ToF32(%#04x) = %g, want NaN", bits, got)
		}
	}
}

func TestF16RoundTrip(t *testing.T) {
	for b := range 1 << 16 {
		bits := uint16(b)
		if got := quant.F32ToF16(quant.F16ToF32(bits)); got != bits {
			t.Fatalf("F32ToF16(F16ToF32(%#04x)) = %#04x", bits, got)
		}
		v := quant.BF16ToF32(bits)
		want := bits
		if v != v {
			want |= 0x40
		}
		if got := quant.F32ToBF16(v); got != want {
			t.Fatalf("F32ToBF16(BF16ToF32(%#04x)) = %#04x, want %#04x", bits, got, want)
		}
	}
}

// TestF32ToF16Rounding looks at each number halfway between two neighbours, and at the float32 numbers
// next to it.
func TestF32ToF16Rounding(t *testing.T) {
	check := func(v float64, want uint16) {
		t.Helper()
		f := float32(v)
		if float64(f) != v {
			t.Fatalf("%g is no float32", v)
		}
		if got := quant.F32ToF16(f); got != want {
			t.Fatalf("F32ToF16(%g) = %#04x, want %#04x", v, got, want)
		}
		if got := quant.F32ToF16(-f); got != want|0x8000 {
			t.Fatalf("F32ToF16(%g) = %#04x, want %#04x", -v, got, want|0x8000)
		}
	}
	for b := range 0x7c00 {
		bits := uint16(b)
		low := f16Slow(bits)
		high := 65536.0 // the value after the greatest, were there one
		if bits+1 < 0x7c00 {
			high = f16Slow(bits + 1)
		}
		middle := (low + high) / 2
		check(low, bits)
		check(middle, bits+bits&1)
		check(float64(math.Nextafter32(float32(middle), 0)), bits)
		check(float64(math.Nextafter32(float32(middle), math.MaxFloat32)), bits+1)
	}
	for _, v := range []float32{65536, 1e6, math.MaxFloat32, float32(math.Inf(1))} {
		check(float64(v), 0x7c00)
	}
	for _, v := range []float32{1e-8, 1e-30, math.SmallestNonzeroFloat32} {
		check(float64(v), 0)
	}
}

func TestF32ToBF16Rounding(t *testing.T) {
	for b := range 0x7f80 {
		bits := uint16(b)
		low := uint32(bits) << 16
		for _, c := range []struct {
			add  uint32
			want uint16
		}{{0, bits}, {1, bits}, {0x7fff, bits}, {0x8000, bits + bits&1}, {0x8001, bits + 1}, {0xffff, bits + 1}} {
			for _, sign := range []uint32{0, 1 << 31} {
				v := math.Float32frombits(low + c.add | sign)
				if got, want := quant.F32ToBF16(v), c.want|uint16(sign>>16); got != want {
					t.Fatalf("F32ToBF16(%g) = %#04x, want %#04x", v, got, want)
				}
			}
		}
	}
}

func TestHalfNaN(t *testing.T) {
	for _, bits := range []uint32{0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001, 0xffc12345} {
		v := math.Float32frombits(bits)
		if got := quant.F32ToF16(v); got&0x7c00 != 0x7c00 || got&0x3ff == 0 || got>>15 != uint16(bits>>31) {
			t.Errorf("F32ToF16(NaN %#x) = %#04x", bits, got)
		}
		if got := quant.F32ToBF16(v); got&0x7fc0 != 0x7fc0 || got>>15 != uint16(bits>>31) {
			t.Errorf("F32ToBF16(NaN %#x) = %#04x, want a quiet NaN", bits, got)
		}
	}
}

// TestHalfBulk compares the bulk functions with the single ones for lengths about their strides.
func TestHalfBulk(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for n := range 20 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		f16, bf16 := make([]byte, 2*n), make([]byte, 2*n)
		quant.EncodeF16(f16, x)
		quant.EncodeBF16(bf16, x)
		gotF16, gotBF16 := make([]float32, n), make([]float32, n)
		quant.DecodeF16(gotF16, f16)
		quant.DecodeBF16(gotBF16, bf16)
		for i, v := range x {
			if want := quant.F16ToF32(quant.F32ToF16(v)); gotF16[i] != want {
				t.Fatalf("F16, %d values: value %d is %g, want %g", n, i, gotF16[i], want)
			}
			if want := quant.BF16ToF32(quant.F32ToBF16(v)); gotBF16[i] != want {
				t.Fatalf("BF16, %d values: value %d is %g, want %g", n, i, gotBF16[i], want)
			}
		}
	}
}
