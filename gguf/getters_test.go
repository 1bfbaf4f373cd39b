package gguf

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// parsed is sampleMeta after a round trip, so that values come from a file and errors name it.
func parsed(t *testing.T) *Metadata {
	t.Helper()
	f, err := Parse(write(t, 3, sampleMeta(), nil), "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return f.Metadata
}

// result is what a getter returned.
type result struct {
	value any
	err   error
}

func got[T any](v T, err error) result { return result{v, err} }

func TestGetters(t *testing.T) {
	m := parsed(t)
	for _, c := range []struct {
		name string
		got  result
		want any
	}{
		{"String", got(m.String("general.architecture")), "llama"},
		{"String empty", got(m.String("string.empty")), ""},
		{"String not UTF-8", got(m.String("string")), "Καλημέρα\x00\xff"},
		{"StringOr", got(m.StringOr("absent", "d")), "d"},
		{"Uint u8", got(m.Uint("u8")), uint64(200)},
		{"Uint u16", got(m.Uint("u16")), uint64(60000)},
		{"Uint u32", got(m.Uint("u32")), uint64(4e9)},
		{"Uint u64", got(m.Uint("u64")), uint64(math.MaxUint64)},
		{"UintOr", got(m.UintOr("absent", 9)), uint64(9)},
		{"UintOr there", got(m.UintOr("u8", 9)), uint64(200)},
		{"Int u8", got(m.Int("u8")), int64(200)},
		{"Int i8", got(m.Int("i8")), int64(-100)},
		{"Int i16", got(m.Int("i16")), int64(-30000)},
		{"Int i32", got(m.Int("i32")), int64(-2e9)},
		{"Int i64", got(m.Int("i64")), int64(math.MinInt64)},
		{"Int u32", got(m.Int("u32")), int64(4e9)},
		{"IntOr", got(m.IntOr("absent", -1)), int64(-1)},
		{"Float f32", got(m.Float("f32")), 1.5},
		{"Float f64", got(m.Float("f64")), math.Pi},
		{"FloatOr", got(m.FloatOr("absent", 2)), 2.0},
		{"Bool true", got(m.Bool("true")), true},
		{"Bool false", got(m.Bool("false")), false},
		{"BoolOr", got(m.BoolOr("absent", true)), true},
		{"Strings", got(m.Strings("a.string")), []string{"", "a", "long enough to tell", "\xf0\x9f\x98\x80"}},
		{"Strings empty", got(m.Strings("a.empty")), []string{}},
		{"Ints u8", got(m.Ints("a.u8")), []int64{0, 255}},
		{"Ints i8", got(m.Ints("a.i8")), []int64{-128, 127}},
		{"Ints u16", got(m.Ints("a.u16")), []int64{0, 65535}},
		{"Ints i16", got(m.Ints("a.i16")), []int64{-32768, 32767}},
		{"Ints u32", got(m.Ints("a.u32")), []int64{7, math.MaxUint32}},
		{"Ints i32", got(m.Ints("a.i32")), []int64{math.MinInt32, math.MaxInt32}},
		{"Ints i64", got(m.Ints("a.i64")), []int64{math.MinInt64, math.MaxInt64}},
		{"Floats f32", got(m.Floats("a.f32")), []float32{-0.5, float32(math.Inf(1))}},
		{"Floats f64", got(m.Floats("a.f64")), []float32{0, -1}},
		{"Bools", got(m.Bools("a.bool")), []bool{true, false, true}},
		{"UintPerLayer scalar", got(m.UintPerLayer("u8", 3)), []uint64{200, 200, 200}},
		{"UintPerLayer array", got(m.UintPerLayer("a.u8", 2)), []uint64{0, 255}},
		{"UintPerLayer none", got(m.UintPerLayer("u8", 0)), []uint64{}},
		{"FloatPerLayer", got(m.FloatPerLayer("f32", 2)), []float64{1.5, 1.5}},
		{"BoolPerLayer", got(m.BoolPerLayer("a.bool", 3)), []bool{true, false, true}},
	} {
		if c.got.err != nil || !reflect.DeepEqual(c.got.value, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, c.got.value, c.got.err, c.want)
		}
	}
}

func TestGetterErrors(t *testing.T) {
	m := parsed(t)
	for _, c := range []struct {
		name string
		got  result
		want string // empty for a missing key
	}{
		{"missing", got(m.Uint("absent")), ""},
		{"missing list", got(m.Strings("absent")), ""},
		{"missing per layer", got(m.UintPerLayer("absent", 2)), ""},
		{"String of a number", got(m.String("u8")), `key "u8" is uint8 200: want a string`},
		{"StringOr of a number", got(m.StringOr("u8", "d")), "want a string"},
		{"Uint of a negative", got(m.Uint("i8")), `key "i8" is int8 -100: want an unsigned integer`},
		{"UintOr of a string", got(m.UintOr("string.empty", 1)), `is string "": want an unsigned integer`},
		{"Uint of a float", got(m.Uint("f32")), "is float32 1.5: want"},
		{"Uint of a bool", got(m.Uint("true")), "is bool true: want"},
		{"Uint of an array", got(m.Uint("a.u8")), "is an array uint8[2][0 255]: want"},
		{"Int too large", got(m.Int("u64")), "is uint64 18446744073709551615: want an integer that fits int64"},
		{"Float of an integer", got(m.Float("u8")), "want a floating-point number"},
		{"Bool of an integer", got(m.Bool("u8")), "want a bool"},
		{"Strings of integers", got(m.Strings("a.u8")), "want an array of strings"},
		{"Strings of a string", got(m.Strings("string")), "want an array of strings"},
		{"Ints too large", got(m.Ints("a.u64")), "want an array of integers that fit int64"},
		{"Ints of strings", got(m.Ints("a.string")), "want an array of integers"},
		{"Ints of an empty string array", got(m.Ints("a.empty")), "want an array of integers"},
		{"Floats of integers", got(m.Floats("a.u8")), "want an array of floating-point numbers"},
		{"Bools of integers", got(m.Bools("a.u8")), "want an array of bools"},
		{"per layer, other length", got(m.UintPerLayer("a.u8", 3)), "want an unsigned integer, or an array of 3, each an unsigned integer"},
		{"per layer, negative", got(m.UintPerLayer("a.i8", 2)), "want an unsigned integer"},
		{"per layer, hostile", got(m.UintPerLayer("u8", 1<<31)), "asked for 2147483648 layers: want 0 to 65536 layers"},
		{"per layer, below 0", got(m.UintPerLayer("u8", -1)), "asked for -1 layers"},
	} {
		if c.want == "" {
			var me *MissingKeyError
			if !errors.As(c.got.err, &me) || !errors.Is(c.got.err, ErrMissingKey) || me.Key != "absent" || me.File != "m.gguf" {
				t.Errorf("%s: %v, want a *MissingKeyError", c.name, c.got.err)
			}
			continue
		}
		var te *TypeError
		if !errors.As(c.got.err, &te) || !errors.Is(c.got.err, ErrType) || te.File != "m.gguf" ||
			!strings.Contains(c.got.err.Error(), c.want) {
			t.Errorf("%s: %v, want a *TypeError with %q", c.name, c.got.err, c.want)
		}
	}
}

func TestSection(t *testing.T) {
	m := new(Metadata)
	m.Set("llama.block_count", ValueOf(uint32(3)))
	m.Set("llama.attention.head_count", ArrayOf([]int32{4, 4, 8}))
	m.Set("llama.rope.freq_base", ValueOf(float32(1e4)))
	m.Set("llama.attention.causal", ValueOf(false))
	m.Set("llama.vision.swa", ArrayOf([]bool{true, false, true}))
	m.Set("llama.name", ValueOf("x"))
	m.Set("llama.big", ValueOf(uint32(1<<31)))
	m.Set("llama.inf", ValueOf(math.MaxFloat64))

	s := m.Section("llama")
	n := s.Int("block_count")
	have := fmt.Sprintln(n, s.IntPerLayer("attention.head_count", n), s.IntPerLayerOr("attention.head_count_kv", n, 2),
		s.IntPerLayerOr("block_count", 2, 9), s.IntOr("absent", 7), s.Ints("attention.head_count"),
		s.Float("rope.freq_base"), s.FloatOr("absent", 0.5), s.FloatPerLayer("rope.freq_base", 2),
		s.Bool("attention.causal"), s.BoolOr("absent", true), s.BoolPerLayer("vision.swa", n),
		s.String("name"), s.StringOr("absent", "d"), s.Has("name"), s.Has("llama.name"))
	want := "3 [4 4 8] [2 2 2] [3 3] 7 [4 4 8] 10000 0.5 [10000 10000] false true [true false true] x d true false\n"
	if s.Check(n == 3, "block_count", "3"); have != want || s.Err() != nil {
		t.Errorf("%s, %v\nwant %s", have, s.Err(), want)
	}

	for _, c := range []struct {
		name string
		use  func(*Section)
		is   error
		want string
	}{
		{"missing", func(s *Section) { s.Int("absent") }, ErrMissingKey, `key "llama.absent" is missing`},
		{"too large", func(s *Section) { s.Int("big") }, ErrType, "uint32 2147483648: want an integer from 0 to 2147483647"},
		{"not finite", func(s *Section) { s.Float("inf") }, ErrType, "want a finite floating-point number"},
		{"per layer", func(s *Section) { s.IntPerLayer("attention.head_count", 2) }, ErrType, "or an array of 2"},
		{"layers", func(s *Section) { s.IntPerLayerOr("absent", 1<<40, 1) }, ErrType, "asked for 1099511627776 layers"},
		{"Or of another type", func(s *Section) { s.BoolOr("name", true) }, ErrType, `string "x": want a bool`},
		{"check", func(s *Section) { s.Check(false, "block_count", "at most %d", 2) }, ErrType, `is uint32 3: want at most 2`},
		{"check of a missing key", func(s *Section) { s.Check(false, "absent", "1") }, ErrType, "is missing: want 1"},
	} {
		s := m.Section("llama")
		c.use(s)
		s.Int("also absent") // must not take the place of the first
		if err := s.Err(); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if s.Int("block_count") != 0 || s.IntOr("absent", 3) != 0 || s.IntPerLayerOr("absent", 3, 1) != nil {
			t.Errorf("%s: a value after an error", c.name)
		}
	}
}

func TestValueString(t *testing.T) {
	for _, c := range []struct {
		v    Value
		want string
	}{
		{ValueOf(int8(-3)), "-3"},
		{ValueOf(uint64(math.MaxUint64)), "18446744073709551615"},
		{ValueOf(float32(0.1)), "0.1"},
		{ValueOf(1e-5), "1e-05"},
		{ValueOf(true), "true"},
		{ValueOf("a\n\xff"), `"a\n\xff"`},
		{ValueOf(strings.Repeat("ä", 64)), `"` + strings.Repeat("ä", 64) + `"`},
		{ValueOf(strings.Repeat("ä", 65)), `"` + strings.Repeat("ä", 64) + `"...`},
		{ArrayOf([]int32{1, 2}), "int32[2][1 2]"},
		{ArrayOf(make([]bool, 9)), "bool[9][false false false false false false false false ...]"},
		{ArrayOf([]string{}), "string[0][]"},
		{Value{}, "0"},
	} {
		if got := c.v.String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	if TypeFloat64.String() != "float64" || Type(13).String() != "Type(13)" {
		t.Error("names of types")
	}
}

// TestArraysAreLazy opens a large vocabulary and counts what that allocates.
func TestArraysAreLazy(t *testing.T) {
	b := write(t, 3, vocabulary(50000), nil)
	open := testing.AllocsPerRun(3, func() {
		if _, err := Parse(b, "m.gguf"); err != nil {
			t.Fatal(err)
		}
	})
	f, err := Parse(b, "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	read := testing.AllocsPerRun(3, func() {
		if s, err := f.Strings("tokenizer.ggml.tokens"); err != nil || len(s) != 50000 {
			t.Fatal(len(s), err)
		}
	})
	if open > 100 || read > 10 {
		t.Errorf("%v allocations to open, %v to read the strings", open, read)
	}
}
