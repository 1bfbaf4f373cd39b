package gguf

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

// oneKey is a file with one key, whose type and value build writes.
func oneKey(build func(r *raw)) *raw {
	r := header(0, 1).key("k")
	build(r)
	return r
}

// malformed are files with one mistake each, and what the error must say.
var malformed = []struct {
	name   string
	file   *raw
	kind   error // ErrTruncated, ErrUnsupported or nil
	offset int64
	reason string
}{
	{"empty", new(raw), ErrTruncated, 0, "the file has 0 bytes"},
	{"three bytes", new(raw).text("GGU"), ErrTruncated, 0, "the file has 3 bytes"},
	{"magic", new(raw).text("GGUD").zeros(40), nil, 0, `found "GGUD", want "GGUF"`},
	{"ggml", new(raw).text("tjgg").zeros(40), nil, 0, "from before GGUF"},
	{"lfs pointer", new(raw).text("version https://git-lfs.github.com/spec/v1\n"), nil, 0, "Git LFS pointer"},
	{"safetensors", new(raw).u64(2).text("{}"), nil, 0, "a safetensors file"},
	{"no version", new(raw).text("GGUF"), ErrTruncated, 4, "4 bytes are wanted, 0 are left"},
	{"version 0", headerV(0, 0, 0), ErrUnsupported, 4, "version 0, want 2 or 3"},
	{"version 1", headerV(1, 0, 0), ErrUnsupported, 4, "version 1"},
	{"version 4", headerV(4, 0, 0), ErrUnsupported, 4, "version 4, want 2 or 3"},
	{"big-endian", new(raw).text("GGUF\x00\x00\x00\x03").zeros(16), ErrUnsupported, 4, "the file is big-endian"},
	{"tensor count", header(0, 0).huge(8), ErrTruncated, 8, "9223372036854775807 of at least 25 bytes each"},
	{"tensor count wraps", header(0, 0).put(8, math.MaxUint64), ErrTruncated, 8, "18446744073709551615 of"},
	{"metadata count", header(0, 0).huge(16), ErrTruncated, 16, "9223372036854775807 of at least 14 bytes each"},
	{"tensor count after metadata", header(1, 1).key("key").typ(TypeString).str("to take room"), ErrTruncated, 8, "are left after the metadata"},

	{"key length", header(0, 1).u64(math.MaxInt64).zeros(20), ErrTruncated, 32, "9223372036854775807 bytes are wanted, 20 are left"},
	{"key too long", header(0, 1).str(strings.Repeat("k", 65536)).typ(TypeBool).u8(0), nil, 24, "length 65536, at most 65535 is allowed"},
	{"empty key", header(0, 1).key("").typ(TypeUint64).u64(0), nil, 24, "it is empty"},
	{"key twice", header(0, 2).key("k").typ(TypeBool).u8(0).key("k").typ(TypeBool).u8(1), nil, 38, "it was there before, at offset 24"},
	{"value type", oneKey(func(r *raw) { r.u32(13).u64(0) }), nil, 33, "value type 13, want 0 to 12"},
	{"value type high", oneKey(func(r *raw) { r.u32(1 << 31).u64(0) }), nil, 33, "value type 2147483648"},
	{"bool", oneKey(func(r *raw) { r.typ(TypeBool).u8(2) }), nil, 37, "a bool is 2, want 0 or 1"},
	{"scalar cut", oneKey(func(r *raw) { r.typ(TypeUint64).u32(1) }), ErrTruncated, 37, "8 bytes are wanted, 4 are left"},
	{"string length", oneKey(func(r *raw) { r.typ(TypeString).u64(1 << 63) }), ErrTruncated, 45, "9223372036854775808 bytes are wanted"},
	{"string wraps", oneKey(func(r *raw) { r.typ(TypeString).u64(math.MaxUint64 - 20) }), ErrTruncated, 45, "bytes are wanted, 0 are left"},

	{"array element type", oneKey(func(r *raw) { r.typ(TypeArray).u32(99).u64(0) }), nil, 37, "value type 99"},
	{"array length", oneKey(func(r *raw) { r.typ(TypeArray).typ(TypeUint64).u64(1 << 61) }), ErrTruncated, 41, "2305843009213693952 of at least 8 bytes"},
	{"array cut", oneKey(func(r *raw) { r.typ(TypeArray).typ(TypeUint16).u64(3).u32(0) }), ErrTruncated, 41, "3 of at least 2 bytes each are announced, 4 bytes are left"},
	{"array bool", oneKey(func(r *raw) { r.typ(TypeArray).typ(TypeBool).u64(3).u8(1).u8(0).u8(255) }), nil, 51, "a bool is 255"},
	{"array string", oneKey(func(r *raw) { r.typ(TypeArray).typ(TypeString).u64(2).str("abc").u64(1 << 62) }), ErrTruncated, 60, "string 1 of 2 has 4611686018427387904 bytes, 0 are left"},
	{"array string cut", oneKey(func(r *raw) { r.typ(TypeArray).typ(TypeString).u64(2).str("abcdefgh").u32(0) }), ErrTruncated, 65, "the length of string 1 of 2 is cut off"},
	{"nesting", oneKey(func(r *raw) {
		r.typ(TypeArray)
		for range 1000 {
			r.typ(TypeArray).u64(1)
		}
		r.typ(TypeUint8).u64(0)
	}), nil, 85, "arrays are nested more than 4 deep"},

	{"alignment 0", withAlignment(func(r *raw) { r.typ(TypeUint32).u32(0) }), nil, 24, "uint32 0, want a power of two from 8 to 16777216"},
	{"alignment 24", withAlignment(func(r *raw) { r.typ(TypeUint32).u32(24) }), nil, 24, "uint32 24, want"},
	{"alignment 4", withAlignment(func(r *raw) { r.typ(TypeUint32).u32(4) }), nil, 24, "uint32 4, want"},
	{"alignment 2^31", withAlignment(func(r *raw) { r.typ(TypeUint32).u32(1 << 31) }), nil, 24, "uint32 2147483648, want"},
	{"alignment type", withAlignment(func(r *raw) { r.typ(TypeFloat32).u32(0) }), nil, 24, "float32 0, want"},

	{"tensor name", header(1, 0).str("").u32(1).u64(4).u32(0).u64(0).zeros(64), nil, 24, "it is empty"},
	{"tensor name too long", header(1, 0).tensor(strings.Repeat("n", 4097), 0, 0, 4).zeros(64), nil, 24, "length 4097, at most 4096"},
	{"tensor name length", header(1, 0).u64(1 << 63).zeros(64), ErrTruncated, 32, "9223372036854775808 bytes are wanted"},
	{"tensor name twice", header(2, 0).tensor("t", 0, 0, 4).tensor("t", 0, 32, 4).zeros(96), nil, 57, "number 1 has the name of number 0"},
	{"five dimensions", header(1, 0).tensor("t", 0, 0, 1, 1, 1, 1, 1).zeros(64), nil, 33, "5 dimensions, at most 4"},
	{"4294967295 dimensions", header(1, 0).str("t").u32(math.MaxUint32).zeros(64), nil, 33, "4294967295 dimensions"},
	{"dimension 0", header(1, 0).tensor("t", 0, 0, 4, 0).zeros(64), nil, 45, "dimension 1 is 0, want"},
	{"dimension 2^63", header(1, 0).tensor("t", 0, 0, 1<<63).zeros(64), nil, 37, "dimension 0 is 9223372036854775808"},
	{"elements overflow", header(1, 0).tensor("t", 0, 0, 1<<32, 1<<32).zeros(64), nil, 53, "the number of elements of shape [4294967296 4294967296] overflows"},
	{"bytes overflow", header(1, 0).tensor("t", 28, 0, 1<<62).zeros(64), nil, 45, "in F64 overflows"},
	{"row", header(1, 0).tensor("t", 12, 0, 128, 4).zeros(640), nil, 53, "a row of 128 elements is no whole number of Q4_K blocks of 256"},
	{"type unknown", header(1, 0).tensor("t", 43, 0, 32).zeros(64), ErrUnsupported, 45, "unknown type 43"},
	{"type 256 is not F32", header(1, 0).tensor("t", 256, 0, 32).zeros(256), ErrUnsupported, 45, "unknown type 256"},
	{"type Q4_2", header(1, 0).tensor("t", 4, 0, 32).zeros(64), ErrUnsupported, 45, "type 4 (Q4_2) was removed"},
	{"type Q4_3", header(1, 0).tensor("t", 5, 0, 32).zeros(64), ErrUnsupported, 45, "type 5 (Q4_3) was removed"},
	{"type Q4_0_4_4", header(1, 0).tensor("t", 31, 0, 32).zeros(64), ErrUnsupported, 45, "type 31 (Q4_0_4_4) was removed"},
	{"type Q4_0_4_8", header(1, 0).tensor("t", 32, 0, 32).zeros(64), ErrUnsupported, 45, "type 32 (Q4_0_4_8) was removed"},
	{"type Q4_0_8_8", header(1, 0).tensor("t", 33, 0, 32).zeros(64), ErrUnsupported, 45, "type 33 (Q4_0_8_8) was removed"},
	{"type IQ4_NL_4_4", header(1, 0).tensor("t", 36, 0, 32).zeros(64), ErrUnsupported, 45, "type 36 (IQ4_NL_4_4) was removed"},
	{"type IQ4_NL_4_8", header(1, 0).tensor("t", 37, 0, 32).zeros(64), ErrUnsupported, 45, "type 37 (IQ4_NL_4_8) was removed"},
	{"type IQ4_NL_8_8", header(1, 0).tensor("t", 38, 0, 32).zeros(64), ErrUnsupported, 45, "type 38 (IQ4_NL_8_8) was removed"},
	{"offset misaligned", header(1, 0).tensor("t", 0, 16, 4).align(32).zeros(64), nil, 49, "offset 16 is no multiple of the alignment 32"},
	{"offset beyond", header(1, 0).tensor("t", 0, 64, 4).align(32).zeros(64), ErrTruncated, 49, "16 bytes from offset 64 of the tensor data, which has 64 bytes"},
	{"offset near 2^63", header(1, 0).tensor("t", 0, math.MaxInt64-31, 4).align(32).zeros(64), ErrTruncated, 49, "from offset 9223372036854775776 of the tensor data"},
	{"offset 2^63", header(1, 0).tensor("t", 0, 1<<63, 4).align(32).zeros(64), ErrTruncated, 49, "offset 9223372036854775808 is beyond any file"},
	{"data cut", header(1, 0).tensor("t", 0, 0, 4).align(32).zeros(15), ErrTruncated, 49, "16 bytes from offset 0 of the tensor data, which has 15 bytes"},
	{"no data", header(1, 0).tensor("t", 0, 0, 4), ErrTruncated, 49, "of the tensor data, which has 0 bytes"},
	{"overlap", header(2, 0).tensor("a", 0, 0, 9).tensor("b", 0, 32, 4).align(32).zeros(128), nil, 82, `its bytes from 128 overlap tensor "a", which ends at 132`},
	{"overlap backwards", header(2, 0).tensor("a", 0, 32, 4).tensor("b", 0, 0, 9).align(32).zeros(128), nil, 49, `overlap tensor "b"`},
	{"same place", header(2, 0).tensor("a", 0, 0, 4).tensor("b", 0, 0, 4).align(32).zeros(64), nil, 82, `overlap tensor "a"`},
}

// put overwrites 8 bytes at off.
func (r *raw) put(off int, v uint64) *raw {
	copy(r.b[off:], new(raw).u64(v).b)
	return r
}

func (r *raw) huge(off int) *raw { return r.put(off, math.MaxInt64) }

func withAlignment(build func(r *raw)) *raw {
	r := header(0, 1).key("general.alignment")
	build(r)
	return r
}

func TestMalformed(t *testing.T) {
	dir := t.TempDir()
	for _, c := range malformed {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.file.parse()
			var fe *FormatError
			if !errors.As(err, &fe) {
				t.Fatalf("error %v, want a *FormatError", err)
			}
			if fe.Kind != c.kind || !errors.Is(err, ErrFormat) || c.kind != nil && !errors.Is(err, c.kind) {
				t.Errorf("kind %v, want %v", fe.Kind, c.kind)
			}
			if fe.Offset != c.offset || !strings.Contains(fe.Reason, c.reason) || fe.Field == "" {
				t.Errorf("%v\nwant offset %d and %q", err, c.offset, c.reason)
			}
			if !strings.HasPrefix(err.Error(), "gguf: m.gguf: at offset ") {
				t.Errorf("the text %q does not name the file", err)
			}
			path := writeTemp(t, dir, "bad.gguf", c.file.b)
			if _, err := Open(path); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

// TestUnusual has files that look odd and are right.
func TestUnusual(t *testing.T) {
	for _, c := range []struct {
		name string
		file *raw
	}{
		{"nothing in it", header(0, 0)},
		{"bytes after the end", header(0, 0).zeros(100)},
		{"no dimension", header(1, 0).tensor("t", 0, 0).align(32).zeros(4)},
		{"no padding at the end", header(1, 0).tensor("t", 24, 0, 1).align(32).zeros(1)},
		{"gap between tensors", header(2, 0).tensor("a", 0, 0, 4).tensor("b", 0, 96, 4).align(32).zeros(112)},
		{"order of data", header(2, 0).tensor("a", 0, 32, 4).tensor("b", 0, 0, 4).align(32).zeros(64)},
		{"long tensor name", header(1, 0).tensor(strings.Repeat("n", 4096), 0, 0, 4).align(32).zeros(16)},
		{"longest key", header(0, 1).str(strings.Repeat("k", 65535)).typ(TypeBool).u8(0)},
		{"nested arrays", oneKey(func(r *raw) {
			r.typ(TypeArray).typ(TypeArray).u64(2).
				typ(TypeUint8).u64(3).u8(1).u8(2).u8(3).
				typ(TypeString).u64(2).str("x").str("")
		})},
		{"nested to the limit", oneKey(func(r *raw) {
			r.typ(TypeArray).typ(TypeArray).u64(1).typ(TypeArray).u64(1).typ(TypeArray).u64(1).typ(TypeInt8).u64(1).u8(9)
		})},
	} {
		f, err := c.file.parse()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		readAll(t, f)
	}
}

func TestNestedArray(t *testing.T) {
	f, err := oneKey(func(r *raw) {
		r.typ(TypeArray).typ(TypeArray).u64(3).
			typ(TypeUint8).u64(3).u8(1).u8(2).u8(3).
			typ(TypeArray).u64(1).typ(TypeString).u64(1).str("deep").
			typ(TypeString).u64(2).str("x").str("")
	}).parse()
	if err != nil {
		t.Fatal(err)
	}
	v, _ := f.Value("k")
	if want := `array[3][uint8[3][1 2 3] array[1][string[1]["deep"]] string[2]["x" ""]]`; v.String() != want {
		t.Errorf("%v, want %s", v, want)
	}
	if _, err := f.Strings("k"); !errors.Is(err, ErrType) {
		t.Errorf("Strings: %v", err)
	}
	again, err := Parse(write(t, 3, f.Metadata, nil), "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	checkSameMeta(t, again.Metadata, f.Metadata)
}

// readAll reads everything that a File offers, so that a check missing in parse shows as a panic.
func readAll(t testing.TB, f *File) {
	t.Helper()
	for key, v := range f.All() {
		n := 0
		for range v.Elems() {
			n++
		}
		if v.Type() == TypeArray && n != v.Len() {
			t.Errorf("key %q: %d elements, want %d", key, n, v.Len())
		}
		if v.String() == "" || v.Any() == nil {
			t.Errorf("key %q: no value", key)
		}
		s := f.Section("")
		_, _, _, _ = s.Int(key), s.Float(key), s.Bool(key), s.String(key)
		_, err1 := f.Strings(key)
		_, err2 := f.Ints(key)
		_, err3 := f.Floats(key)
		_, err4 := f.Bools(key)
		_, err5 := f.UintPerLayer(key, v.Len())
		for _, err := range []error{err1, err2, err3, err4, err5} {
			if err != nil && !errors.Is(err, ErrType) {
				t.Errorf("key %q: %v", key, err)
			}
		}
	}
	for info := range f.Tensors() {
		if data := f.Data(info); int64(len(data)) != info.Size || info.Size == 0 {
			t.Errorf("tensor %q: %d bytes, want %d", info.Name, len(data), info.Size)
		}
	}
}

// TestTruncated cuts a file after every byte.
func TestTruncated(t *testing.T) {
	full := write(t, 3, sampleMeta(), sampleTensors())
	f, err := Parse(full, "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	var end int64 // of the last tensor; what follows is padding
	for info := range f.Tensors() {
		end = max(end, info.Offset+info.Size)
	}
	for n := range full {
		// A copy of its own, so that a read beyond the end is a read beyond the slice.
		f, err := Parse(append([]byte(nil), full[:n]...), "m.gguf")
		switch {
		case int64(n) >= end:
			if err != nil {
				t.Errorf("%d bytes: %v", n, err)
			} else {
				readAll(t, f)
			}
		case !errors.Is(err, ErrTruncated):
			t.Errorf("%d bytes: %v, want ErrTruncated", n, err)
		}
	}
}

// TestBitFlips damages a file in up to three bits of its header, again and again.
func TestBitFlips(t *testing.T) {
	full := write(t, 3, sampleMeta(), sampleTensors())
	f, err := Parse(full, "m.gguf")
	if err != nil {
		t.Fatal(err)
	}
	first, _ := f.Tensor("token_embd.weight")
	const seed, rounds = 7, 20000
	rng := rand.New(rand.NewPCG(seed, 0))
	failed := 0
	for round := range rounds {
		b := append([]byte(nil), full...)
		for range 1 + rng.IntN(3) {
			bit := rng.IntN(8 * int(first.Offset))
			b[bit/8] ^= 1 << (bit % 8)
		}
		f, err := Parse(b, "m.gguf")
		if err == nil {
			readAll(t, f)
			continue
		}
		failed++
		var fe *FormatError
		if !errors.As(err, &fe) || fe.Offset < 0 || fe.Offset > int64(len(b)) {
			t.Fatalf("seed %d round %d: %v", seed, round, err)
		}
	}
	if failed < rounds/10 {
		t.Errorf("only %d of %d damaged files were refused", failed, rounds)
	}
	t.Logf("%d of %d damaged files were refused", failed, rounds)
}

// TestHostileAllocation opens small files that announce much.
func TestHostileAllocation(t *testing.T) {
	for _, c := range malformed {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = c.file.parse()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(1<<16+20*len(c.file.b)) {
			t.Errorf("%s: %d bytes allocated for a file of %d", c.name, grown, len(c.file.b))
		}
	}
	// The densest legal file: nothing but the shortest pairs and tensors.
	const n = 20000
	r := header(n, n)
	for i := range uint32(n) {
		r.u64(4).u32(i).typ(TypeBool).u8(0)
	}
	for i := range uint32(n) {
		r.u64(4).u32(i).u32(0).u32(24).u64(uint64(i) * 32)
	}
	r.align(32).zeros(32 * n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := r.parse(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	grown := after.TotalAlloc - before.TotalAlloc
	t.Logf("%.1f bytes allocated per byte", float64(grown)/float64(len(r.b)))
	if grown > 40*uint64(len(r.b)) {
		t.Errorf("%d bytes allocated for a file of %d", grown, len(r.b))
	}
}
