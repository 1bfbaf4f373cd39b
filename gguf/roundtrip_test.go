package gguf

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func write(t testing.TB, version int, m *Metadata, tensors []TensorSource) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := (Writer{Version: version}).Write(&out, m, tensors); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestRoundTrip(t *testing.T) {
	for _, version := range []int{2, 3} {
		for _, align := range []uint32{0, 8, 64, 4096} {
			meta := sampleMeta()
			if align != 0 {
				meta.Set("general.alignment", ValueOf(align))
			}
			want := max(int64(align), 8)
			if align == 0 {
				want = defaultAlignment
			}
			b := write(t, version, meta, sampleTensors())
			f, err := Open(writeTemp(t, t.TempDir(), "m.gguf", b))
			if err != nil {
				t.Fatal(err)
			}
			if f.Version() != version || f.Size() != int64(len(b)) || f.Splits() != 1 {
				t.Errorf("version %d, size %d, splits %d", f.Version(), f.Size(), f.Splits())
			}
			checkSameMeta(t, f.Metadata, meta)
			checkSameTensors(t, f, sampleTensors(), want)
			var again bytes.Buffer
			var copies []TensorSource
			for info := range f.Tensors() {
				copies = append(copies, f.Source(info))
			}
			if err := (Writer{Version: version}).Write(&again, f.Metadata.Clone(), copies); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(again.Bytes(), b) {
				t.Error("a copy through File.Source differs")
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func checkSameMeta(t *testing.T, got, want *Metadata) {
	t.Helper()
	if !slices.Equal(slices.Collect(got.Keys()), slices.Collect(want.Keys())) {
		t.Fatalf("keys %q, want %q", slices.Collect(got.Keys()), slices.Collect(want.Keys()))
	}
	for key, w := range want.All() {
		g, _ := got.Value(key)
		if g.Type() != w.Type() || g.Len() != w.Len() || !reflect.DeepEqual(g.Any(), w.Any()) || g.String() != w.String() {
			t.Errorf("key %q: %v, want %v", key, g, w)
		}
	}
}

func checkSameTensors(t *testing.T, f *File, want []TensorSource, align int64) {
	t.Helper()
	if f.NumTensors() != len(want) {
		t.Fatalf("%d tensors, want %d", f.NumTensors(), len(want))
	}
	i := 0
	var total int64
	for info := range f.Tensors() {
		w := want[i]
		var b bytes.Buffer
		if err := w.Write(&b); err != nil {
			t.Fatal(err)
		}
		if info.Name != w.Name || info.Type != w.Type || info.Shape != w.Shape || info.Size != int64(b.Len()) {
			t.Errorf("tensor %d: %+v, want %+v", i, info, w)
		}
		if info.Offset%align != 0 {
			t.Errorf("tensor %d at %d, want a multiple of %d", i, info.Offset, align)
		}
		if !bytes.Equal(f.Data(info), b.Bytes()) {
			t.Errorf("tensor %q: other bytes", info.Name)
		}
		if err := f.Prefetch(info); err != nil {
			t.Error(err)
		}
		if found, ok := f.Tensor(info.Name); !ok || found != info {
			t.Errorf("Tensor(%q) = %+v, %v", info.Name, found, ok)
		}
		total += info.Size
		i++
	}
	if f.TensorBytes() != total {
		t.Errorf("TensorBytes %d, want %d", f.TensorBytes(), total)
	}
	if _, ok := f.Tensor("absent"); ok {
		t.Error("a tensor that is not there was found")
	}
}

// TestWriterBytes compares the writer with a file made by hand: reader and writer could agree on a
// mistake.
func TestWriterBytes(t *testing.T) {
	m := new(Metadata)
	m.Set("general.alignment", ValueOf(uint32(16)))
	m.Set("s", ValueOf("hé"))
	m.Set("i", ValueOf(int16(-2)))
	m.Set("a", ArrayOf([]string{"x", ""}))
	m.Set("b", ValueOf(true))
	want := header(2, 5).
		key("general.alignment").typ(TypeUint32).u32(16).
		key("s").typ(TypeString).str("hé").
		key("i").typ(TypeInt16).u8(0xfe).u8(0xff).
		key("a").typ(TypeArray).typ(TypeString).u64(2).str("x").str("").
		key("b").typ(TypeBool).u8(1).
		tensor("t", 0, 0, 3).
		tensor("u", 8, 16, 32, 2).
		align(16)
	want.b = append(want.b, bytesOf(12, 1)...)
	want.align(16)
	want.b = append(want.b, bytesOf(68, 2)...)
	want.align(16)
	got := write(t, 3, m, []TensorSource{source("t", tensor.F32, 1, 3), source("u", tensor.Q8_0, 2, 32, 2)})
	if !bytes.Equal(got, want.b) {
		t.Errorf("wrote\n%q\nwant\n%q", got, want.b)
	}
}

func TestWriterRejects(t *testing.T) {
	good := func(name string) TensorSource { return source(name, tensor.F32, 0, 4) }
	with := func(change func(*TensorSource)) []TensorSource {
		s := good("t")
		change(&s)
		return []TensorSource{s}
	}
	meta := func(key string, v Value) *Metadata {
		m := new(Metadata)
		m.Set(key, v)
		return m
	}
	none := new(Metadata)
	for _, c := range []struct {
		name    string
		version int
		meta    *Metadata
		tensors []TensorSource
		want    string
	}{
		{"version", 4, none, nil, "version: 4, want 2 or 3"},
		{"empty key", 0, meta("", ValueOf("x")), nil, "a key of 0 bytes"},
		{"long key", 0, meta(strings.Repeat("k", 65536), ValueOf("x")), nil, "a key of 65536 bytes"},
		{"alignment", 0, meta("general.alignment", ValueOf(uint32(24))), nil, "uint32 24, want uint32, a power of two"},
		{"alignment type", 0, meta("general.alignment", ValueOf(uint64(32))), nil, "uint64 32, want uint32"},
		{"split", 0, meta("split.count", ValueOf(uint16(3))), nil, "uint16 3, but what is written is one file"},
		{"two names", 0, none, []TensorSource{good("a"), good("a")}, `tensor "a": there are two of this name`},
		{"no name", 0, none, []TensorSource{good("")}, "a name of 0 bytes"},
		{"type", 0, none, with(func(s *TensorSource) { s.Type = 4 }), "type 4 (Q4_2) was removed"},
		{"no source", 0, none, with(func(s *TensorSource) { s.Write = nil }), "no Write function"},
		{"zero", 0, none, with(func(s *TensorSource) { s.Shape[2] = 0 }), "dimension 2 is 0"},
		{"negative", 0, none, with(func(s *TensorSource) { s.Shape[0] = -4 }), "dimension 0 is -4"},
		{"row", 0, none, with(func(s *TensorSource) { s.Type = tensor.Q4_0 }), "a row of 4 elements is no whole number of Q4_0 blocks of 32"},
		{"overflow", 0, none, with(func(s *TensorSource) { s.Shape = tensor.MakeShape(1<<40, 1<<40) }), "overflows"},
		{"bytes overflow", 0, none, with(func(s *TensorSource) { s.Shape = tensor.MakeShape(1 << 61) }), "overflows"},
		{"sum overflow", 0, none, []TensorSource{source("a", tensor.I8, 0, 1<<62), source("b", tensor.I8, 0, 1<<62)}, "size of the file overflows"},
		{"too few", 0, none, with(func(s *TensorSource) {
			s.Write = func(w io.Writer) error { _, err := w.Write(make([]byte, 15)); return err }
		}), "wrote 15 bytes of 16"},
		{"too many", 0, none, with(func(s *TensorSource) {
			s.Write = func(w io.Writer) error { _, err := w.Write(make([]byte, 17)); return err }
		}), "writes more than its 16 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Writer{Version: c.version}.Write(io.Discard, c.meta, c.tensors)
			var we *WriteError
			if !errors.As(err, &we) || !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want a *WriteError with %q", err, c.want)
			}
		})
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("disk full")

func (w *failingWriter) Write(b []byte) (int, error) {
	n := min(len(b), w.left)
	w.left -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestWriterPassesErrorsOn(t *testing.T) {
	size := len(write(t, 3, sampleMeta(), sampleTensors()))
	for left := 0; left < size; left += 97 {
		if err := Write(&failingWriter{left}, sampleMeta(), sampleTensors()); !errors.Is(err, errFull) {
			t.Fatalf("after %d bytes: %v, want errFull", left, err)
		}
	}
	bad := source("t", tensor.F32, 0, 4)
	bad.Write = func(io.Writer) error { return errFull }
	if err := Write(io.Discard, new(Metadata), []TensorSource{bad}); !errors.Is(err, errFull) {
		t.Errorf("error of a source: %v", err)
	}
}

func TestWriteFileLeavesNoHalf(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.gguf")
	if err := WriteFile(path, sampleMeta(), sampleTensors()); err != nil {
		t.Fatal(err)
	}
	bad := source("t", tensor.F32, 0, 4)
	bad.Write = func(io.Writer) error { return errFull }
	if err := WriteFile(path, sampleMeta(), []TensorSource{bad}); !errors.Is(err, errFull) {
		t.Errorf("error %v, want errFull", err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatalf("the file before was lost: %v", err)
	}
	f.Close()
	if names, _ := os.ReadDir(dir); len(names) != 1 {
		t.Errorf("left over: %v", names)
	}
	if err := WriteFile(filepath.Join(dir, "absent", "m.gguf"), sampleMeta(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder that is not there: %v", err)
	}
}

func TestCloseEndsArrays(t *testing.T) {
	f, err := Open(writeTemp(t, t.TempDir(), "m.gguf", write(t, 3, sampleMeta(), sampleTensors())))
	if err != nil {
		t.Fatal(err)
	}
	kept := f.Metadata.Clone()
	info, _ := f.Tensor("one")
	strs, err := f.Strings("a.string")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.Strings("a.string"); !errors.Is(err, ErrClosed) {
		t.Errorf("array after Close: %v, want ErrClosed", err)
	}
	if v, _ := f.Value("a.f32"); v.String() != "float32[2][]" || len(v.Any().([]float32)) != 0 {
		t.Errorf("array after Close: %v", v)
	}
	if err := Write(io.Discard, f.Metadata, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("writing closed arrays: %v", err)
	}
	if err := f.Source(info).Write(io.Discard); !errors.Is(err, ErrClosed) {
		t.Errorf("source after Close: %v", err)
	}
	if f.Data(info) != nil || f.Mapping(0) != nil {
		t.Error("bytes after Close")
	}
	if s, err := f.String("string"); err != nil || s != "Καλημέρα\x00\xff" {
		t.Errorf("string after Close: %q, %v", s, err)
	}
	checkSameMeta(t, kept, sampleMeta())
	if !slices.Equal(strs, []string{"", "a", "long enough to tell", "\xf0\x9f\x98\x80"}) {
		t.Errorf("strings read before Close: %q", strs)
	}
}

func TestMetadataEdits(t *testing.T) {
	m := new(Metadata)
	m.Delete("nothing")
	m.Set("a", ValueOf(int32(1)))
	m.Set("b", ValueOf(int32(2)))
	m.Set("c", ValueOf(int32(3)))
	m.Set("a", ValueOf("x"))
	m.Delete("b", "absent")
	m.Set("d", ValueOf(math.Pi))
	if got := slices.Collect(m.Keys()); !slices.Equal(got, []string{"a", "c", "d"}) {
		t.Errorf("keys %q", got)
	}
	if v, err := m.String("a"); err != nil || v != "x" {
		t.Errorf("a = %q, %v", v, err)
	}
	if v, err := m.Uint("c"); err != nil || v != 3 {
		t.Errorf("c = %d, %v", v, err)
	}
	if m.Has("b") || m.Len() != 3 {
		t.Error("b is still there")
	}
}
