package quant_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor/quant"
)

// FuzzDecode decodes any bytes as any type: nothing panics, and nothing but the values asked for is
// written.
func FuzzDecode(f *testing.F) {
	for i := range quant.Types() {
		f.Add(byte(i), bytes.Repeat([]byte{0xff, 0x00, 0x80, 0x7c, 0x3b}, 60))
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		types := quant.Types()
		format := mustOf(t, types[int(which)%len(types)])
		blocks := len(data) / format.BlockBytes
		n := blocks * format.BlockElems
		const guard, mark = 8, 12345
		buf := make([]float32, n+2*guard)
		for i := range buf {
			buf[i] = mark
		}
		if err := quant.Decode(format.Type, buf[guard:guard+n], data[:blocks*format.BlockBytes]); err != nil {
			t.Fatal(err)
		}
		for i := range guard {
			if buf[i] != mark || buf[guard+n+i] != mark {
				t.Fatalf("%v wrote beyond its %d values", format.Type, n)
			}
		}
	})
}

// FuzzEncode encodes any floats with any weights: nothing panics, nothing but the bytes asked for is
// written, and what a block format wrote decodes to finite values.
func FuzzEncode(f *testing.F) {
	seed := make([]byte, 0, 2048)
	for i := range 256 {
		seed = append(seed, byte(i), byte(i*7), byte(i*31), byte(i*i), 0, 0, 0x80, 0x3f)
	}
	for i := range quant.Types() {
		f.Add(byte(i), seed, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, which byte, data []byte, weighted bool) {
		types := quant.Types()
		format := mustOf(t, types[int(which)%len(types)])
		x := floats(data)
		var weights []float32
		if weighted {
			weights = x[len(x)/2:]
			x = x[:len(x)/2]
		}
		n := len(x) / format.BlockElems * format.BlockElems
		x = x[:n]
		if weights != nil {
			weights = weights[:n]
		}
		size := format.Type.RowBytes(n)
		const guard, mark = 8, 0xa5
		buf := bytes.Repeat([]byte{mark}, size+2*guard)
		if err := quant.Encode(format.Type, buf[guard:guard+size], x, weights); err != nil {
			t.Fatal(err)
		}
		for i := range guard {
			if buf[i] != mark || buf[guard+size+i] != mark {
				t.Fatalf("%v wrote beyond its %d bytes", format.Type, size)
			}
		}
		if !format.Type.Quantized() {
			return
		}
		y := make([]float32, n)
		if err := quant.Decode(format.Type, y, buf[guard:guard+size]); err != nil {
			t.Fatal(err)
		}
		for i, v := range y {
			if v-v != 0 {
				t.Fatalf("%v: value %d, %g (%#x), decodes to %g", format.Type, i, x[i], math.Float32bits(x[i]), v)
			}
		}
	})
}
