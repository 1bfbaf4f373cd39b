package tensor_test

import (
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func TestDTypeNamesGoBothWays(t *testing.T) {
	valid := 0
	for i := range 256 {
		d := tensor.DType(i)
		elems, bytes := d.Block()
		if !d.Valid() {
			if elems != 0 || bytes != 0 || d.Quantized() || d.RowBytes(256) != -1 {
				t.Errorf("%s is not valid and has a layout", d)
			}
			if _, ok := tensor.ParseDType(d.String()); ok {
				t.Errorf("%s is not valid and can be parsed", d)
			}
			continue
		}
		valid++
		if elems < 1 || bytes < 1 || d.Quantized() != (elems > 1) {
			t.Errorf("%s: blocks of %d elements in %d bytes, quantized %v", d, elems, bytes, d.Quantized())
		}
		if got, ok := tensor.ParseDType(d.String()); !ok || got != d {
			t.Errorf("ParseDType(%q) = %v, %v", d.String(), got, ok)
		}
	}
	if valid < 30 {
		t.Errorf("only %d valid types", valid)
	}
	if _, ok := tensor.ParseDType(""); ok {
		t.Error("the empty name is a type")
	}
}

// The sizes of the GGUF specification, by hand: scales and bits of each format counted out.
func TestDTypeBlocks(t *testing.T) {
	for _, c := range []struct {
		t            tensor.DType
		elems, bytes int
	}{
		{tensor.F32, 1, 4},
		{tensor.BF16, 1, 2},
		{tensor.I64, 1, 8},
		{tensor.Q4_0, 32, 2 + 16},
		{tensor.Q4_1, 32, 2 + 2 + 16},
		{tensor.Q5_0, 32, 2 + 4 + 16},
		{tensor.Q5_1, 32, 2 + 2 + 4 + 16},
		{tensor.Q8_0, 32, 2 + 32},
		{tensor.Q8_1, 32, 2 + 2 + 32},
		{tensor.Q2_K, 256, 16 + 64 + 2 + 2},
		{tensor.Q3_K, 256, 32 + 64 + 12 + 2},
		{tensor.Q4_K, 256, 2 + 2 + 12 + 128},
		{tensor.Q5_K, 256, 2 + 2 + 12 + 32 + 128},
		{tensor.Q6_K, 256, 128 + 64 + 16 + 2},
		{tensor.Q8_K, 256, 4 + 256 + 16*2},
		{tensor.IQ4_NL, 32, 2 + 16},
		{tensor.IQ4_XS, 256, 2 + 2 + 4 + 128},
		{tensor.MXFP4, 32, 1 + 16},
		{tensor.NVFP4, 64, 4 + 32},
		{tensor.TQ1_0, 256, 2 + 4 + 48},
		{tensor.TQ2_0, 256, 2 + 64},
	} {
		if e, b := c.t.Block(); e != c.elems || b != c.bytes {
			t.Errorf("%s: blocks of %d in %d bytes, want %d in %d", c.t, e, b, c.elems, c.bytes)
		}
		if got, want := c.t.RowBytes(3*c.elems), 3*c.bytes; got != want {
			t.Errorf("%s: a row of 3 blocks has %d bytes, want %d", c.t, got, want)
		}
	}
}

func TestRowBytesRefuses(t *testing.T) {
	for _, c := range []struct {
		t tensor.DType
		n int
	}{
		{tensor.F32, -1},
		{tensor.Q8_0, 33},
		{tensor.Q8_0, -32},
		{tensor.Q4_K, 128},
		{tensor.F32, 1 << 61}, // 2^63 bytes
		{tensor.F32, 1 << 62}, // 2^64 bytes, which wrap to 0
		{tensor.F64, math.MaxInt},
		{tensor.Q8_0, math.MaxInt &^ 31},
	} {
		if got := c.t.RowBytes(c.n); got != -1 {
			t.Errorf("a row of %d %s has %d bytes, want -1", c.n, c.t, got)
		}
	}
	if got := tensor.Q8_0.RowBytes(0); got != 0 {
		t.Errorf("an empty row has %d bytes", got)
	}
}

func TestUnknownNamesAreNumbers(t *testing.T) {
	for _, c := range []struct {
		got  interface{ String() string }
		want string
	}{
		{tensor.DType(200), "DType(200)"},
		{tensor.DType(4), "DType(4)"}, // a number that GGUF has given up
		{tensor.Kind(-1), "Kind(-1)"},
		{tensor.Func(255), "Func(255)"},
		{tensor.RoPEMode(77), "RoPEMode(77)"},
		{tensor.Role(9), "Role(9)"},
	} {
		if c.got.String() != c.want {
			t.Errorf("%q, want %q", c.got.String(), c.want)
		}
	}
}

func TestFuncNames(t *testing.T) {
	seen := map[string]bool{}
	for i := range tensor.Funcs() {
		name := tensor.Func(i).String()
		if name == "" || seen[name] {
			t.Errorf("function %d is named %q, as another is", i, name)
		}
		seen[name] = true
	}
}
