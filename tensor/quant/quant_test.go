package quant_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// relativeError is, for each block format, the most that the root mean square error may be of that of
// normally distributed values: about one and a half times what a uniform quantizer of that many levels loses.
var relativeError = map[tensor.DType]float64{
	tensor.Q8_0: 0.008, tensor.Q8_1: 0.008, tensor.Q8_K: 0.01, tensor.Q6_K: 0.02,
	tensor.Q5_0: 0.06, tensor.Q5_1: 0.05, tensor.Q5_K: 0.04,
	tensor.Q4_0: 0.12, tensor.Q4_1: 0.1, tensor.Q4_K: 0.08, tensor.IQ4_NL: 0.09, tensor.IQ4_XS: 0.09, tensor.MXFP4: 0.14,
	tensor.Q3_K: 0.17, tensor.Q2_K: 0.33,
}

func mustOf(t testing.TB, typ tensor.DType) quant.Format {
	t.Helper()
	f, err := quant.Of(typ)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// roundTrip returns the bytes of x and the values that they decode to.
func roundTrip(t testing.TB, typ tensor.DType, x, weights []float32) ([]byte, []float32) {
	t.Helper()
	b := make([]byte, typ.RowBytes(len(x)))
	if err := quant.Encode(typ, b, x, weights); err != nil {
		t.Fatal(err)
	}
	y := make([]float32, len(x))
	if err := quant.Decode(typ, y, b); err != nil {
		t.Fatal(err)
	}
	return b, y
}

func TestDecodeOwnBytes(t *testing.T) {
	x := gaussian(1 << 12)
	for _, typ := range quant.Types() {
		if !typ.Quantized() {
			continue
		}
		limit, ok := relativeError[typ]
		if !ok {
			t.Errorf("%v has no bound for its error", typ)
		}
		for _, scale := range []float32{1, 1e-2, 1e3} {
			scaled := make([]float32, len(x))
			for i, v := range x {
				scaled[i] = v * scale
			}
			b, y := roundTrip(t, typ, scaled, nil)
			var sum, power float64
			for i, v := range scaled {
				diff := float64(v) - float64(y[i])
				sum += diff * diff
				power += float64(v) * float64(v)
			}
			if got := math.Sqrt(sum / power); !(got <= limit) {
				t.Errorf("%v, values times %g: relative error %.4f, want at most %.4f", typ, scale, got, limit)
			}
			again := make([]byte, len(b))
			if err := quant.Encode(typ, again, scaled, nil); err != nil || !bytes.Equal(b, again) {
				t.Errorf("%v: encoding twice gives different bytes (%v)", typ, err)
			}
		}
	}
}

// TestEncodeIdempotent holds for the formats in which the greatest value keeps its code.
func TestEncodeIdempotent(t *testing.T) {
	x := gaussian(1 << 12)
	for _, typ := range []tensor.DType{
		tensor.F32, tensor.F64, tensor.F16, tensor.BF16, tensor.I8, tensor.I16, tensor.I32, tensor.I64,
		tensor.Q8_0, tensor.Q8_1, tensor.Q4_0, tensor.Q5_0, tensor.MXFP4,
	} {
		_, y := roundTrip(t, typ, x, nil)
		_, z := roundTrip(t, typ, y, nil)
		for i := range y {
			if y[i] != z[i] {
				t.Errorf("%v: value %d decodes to %g, encoded again to %g", typ, i, y[i], z[i])
				break
			}
		}
	}
}

// TestEncodeEdges encodes blocks that a search or a division could stumble over.
func TestEncodeEdges(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	rng := rand.New(rand.NewPCG(7, 8))
	cases := map[string]func(i int) float32{
		"zeros":           func(int) float32 { return 0 },
		"negative zeros":  func(int) float32 { return float32(math.Copysign(0, -1)) },
		"ones":            func(int) float32 { return 1 },
		"minus ones":      func(int) float32 { return -1 },
		"denormals":       func(i int) float32 { return math.SmallestNonzeroFloat32 * float32(i-100) },
		"near f16 zero":   func(i int) float32 { return float32(i-128) * 1e-9 },
		"one value":       func(i int) float32 { return float32(i/255) * 3 },
		"huge":            func(i int) float32 { return float32(i-128) * 1e36 },
		"greatest":        func(i int) float32 { return math.MaxFloat32 * float32(1-2*(i%2)) },
		"mostly tiny":     func(i int) float32 { return float32(math.Pow(10, float64(i%60)-40)) },
		"infinities":      func(i int) float32 { return inf * float32(1-2*(i%2)) },
		"one infinity":    func(i int) float32 { return float32(i) / float32(255-i) },
		"NaN":             func(int) float32 { return nan },
		"NaN among ones":  func(i int) float32 { return [...]float32{1, nan, -1}[i%3] },
		"anything":        func(int) float32 { return math.Float32frombits(rng.Uint32()) },
		"beyond binary16": func(i int) float32 { return 70000 + float32(i) },
	}
	for name, value := range cases {
		x := make([]float32, 256)
		most := 0.0
		for i := range x {
			x[i] = value(i)
			if a := math.Abs(float64(x[i])); a > most {
				most = min(a, math.MaxFloat32)
			}
		}
		for _, typ := range quant.Types() {
			if !typ.Quantized() {
				continue
			}
			for _, weights := range [][]float32{nil, x} { // as weights they are as odd as it gets
				_, y := roundTrip(t, typ, x, weights)
				for i, v := range y {
					// Twice the greatest value is far more than any scale can be off by, and 2^-17 the
					// greatest code of the smallest scale.
					if !(math.Abs(float64(v)) <= 2*most+0x1p-17) || math.IsInf(float64(v), 0) {
						t.Errorf("%s, %v (weights %v): value %d, %g, decodes to %g", name, typ, weights != nil, i, x[i], v)
						break
					}
				}
			}
		}
	}
}

func TestEncodeSaturates(t *testing.T) {
	for _, typ := range quant.Types() {
		if !typ.Quantized() || typ == tensor.Q8_K || typ == tensor.MXFP4 { // these two reach as far as float32
			continue
		}
		x := make([]float32, 256)
		for i := range x {
			x[i] = math.MaxFloat32 * float32(1-2*(i%2))
		}
		_, y := roundTrip(t, typ, x, nil)
		for i, v := range y {
			if math.Signbit(float64(v)) != math.Signbit(float64(x[i])) || math.Abs(float64(v)) < 60000 {
				t.Errorf("%v: value %d, %g, decodes to %g", typ, i, x[i], v)
				break
			}
		}
	}
}

func TestEncodeIntegers(t *testing.T) {
	inf := float32(math.Inf(1))
	x := []float32{0, 0.5, 1.5, -0.5, -2.5, 3.49, 127, 128, -128, -129, 40000, -40000, 3e9, -3e9, 1e20, -1e20, inf, -inf, float32(math.NaN())}
	for typ, want := range map[tensor.DType][]float32{
		tensor.I8:  {0, 0, 2, 0, -2, 3, 127, 127, -128, -128, 127, -128, 127, -128, 127, -128, 127, -128, 0},
		tensor.I16: {0, 0, 2, 0, -2, 3, 127, 128, -128, -129, 32767, -32768, 32767, -32768, 32767, -32768, 32767, -32768, 0},
		tensor.I32: {0, 0, 2, 0, -2, 3, 127, 128, -128, -129, 40000, -40000, 1 << 31, -1 << 31, 1 << 31, -1 << 31, 1 << 31, -1 << 31, 0},
		tensor.I64: {0, 0, 2, 0, -2, 3, 127, 128, -128, -129, 40000, -40000, 3e9, -3e9, 1 << 63, -1 << 63, 1 << 63, -1 << 63, 0},
	} {
		_, got := roundTrip(t, typ, x, nil)
		for i := range x {
			if got[i] != want[i] {
				t.Errorf("%v: %g becomes %g, want %g", typ, x[i], got[i], want[i])
			}
		}
	}
}

func TestWeights(t *testing.T) {
	x := gaussian(1 << 12)
	uneven, ones, zeros, odd := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
	rng := rand.New(rand.NewPCG(9, 10))
	for i := range x {
		uneven[i] = float32(math.Exp(2 * rng.NormFloat64()))
		ones[i] = 1
		odd[i] = [...]float32{float32(math.NaN()), -1, float32(math.Copysign(0, -1))}[i%3]
	}
	for _, typ := range quant.Types() {
		f := mustOf(t, typ)
		plain, y := roundTrip(t, typ, x, nil)
		weighted, z := roundTrip(t, typ, x, uneven)
		if !f.Weighted {
			if !bytes.Equal(plain, weighted) {
				t.Errorf("%v says that it ignores weights, and does not", typ)
			}
			continue
		}
		if before, after := weightedError(x, y, uneven), weightedError(x, z, uneven); !(after < before) {
			t.Errorf("%v: weighted error %g with weights, %g without", typ, after, before)
		}
		// Weights that say nothing are equal weights.
		equal, _ := roundTrip(t, typ, x, ones)
		for name, w := range map[string][]float32{"zeros": zeros, "NaN and negative": odd} {
			if got, _ := roundTrip(t, typ, x, w); !bytes.Equal(got, equal) {
				t.Errorf("%v: weights of %s give other bytes than equal ones", typ, name)
			}
		}
	}
}

func weightedError(x, y, w []float32) (sum float64) {
	for i := range x {
		diff := float64(x[i]) - float64(y[i])
		sum += float64(w[i]) * diff * diff
	}
	return sum
}

func TestErrors(t *testing.T) {
	for _, typ := range []tensor.DType{tensor.IQ2_XS, tensor.NVFP4, 4, 200, 255} {
		if _, err := quant.Of(typ); !errors.Is(err, quant.ErrUnsupported) {
			t.Errorf("Of(%v): %v, want ErrUnsupported", typ, err)
		}
		if err := quant.Decode(typ, nil, nil); !errors.Is(err, quant.ErrUnsupported) {
			t.Errorf("Decode(%v): %v, want ErrUnsupported", typ, err)
		}
		if err := quant.Encode(typ, nil, nil, nil); !errors.Is(err, quant.ErrUnsupported) {
			t.Errorf("Encode(%v): %v, want ErrUnsupported", typ, err)
		}
	}
	for _, c := range []struct{ values, bytes, weights int }{
		{31, 34, 0}, {33, 34, 0}, {32, 33, 0}, {32, 35, 0}, {32, 68, 0}, {64, 34, 0}, {0, 34, 0}, {32, 0, 0}, {32, 34, 31}, {32, 34, 64},
	} {
		values, b := make([]float32, c.values), make([]byte, c.bytes)
		var weights []float32
		if c.weights > 0 {
			weights = make([]float32, c.weights)
		}
		var length *quant.LengthError
		if err := quant.Encode(tensor.Q8_0, b, values, weights); !errors.Is(err, quant.ErrLength) || !errors.As(err, &length) {
			t.Errorf("Encode, %+v: %v, want a LengthError", c, err)
		}
		if err := quant.Decode(tensor.Q8_0, values, b); c.weights == 0 && !errors.Is(err, quant.ErrLength) {
			t.Errorf("Decode, %+v: %v, want ErrLength", c, err)
		}
	}
	for _, typ := range quant.Types() {
		if err := quant.Decode(typ, nil, nil); err != nil {
			t.Errorf("Decode(%v) of nothing: %v", typ, err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	x := gaussian(512)
	for _, typ := range quant.Types() {
		f := mustOf(t, typ)
		b := make([]byte, typ.RowBytes(len(x)))
		if n := testing.AllocsPerRun(3, func() {
			f.Encode(b, x, x)
			f.Encode(b, x, nil)
			f.Decode(x, b)
		}); n != 0 {
			t.Errorf("%v: %g allocations", typ, n)
		}
	}
}
