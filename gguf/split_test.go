package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// splitPart is one part of a split model, made by hand: the writer refuses to.
func splitPart(no, count int, extra func(*Metadata), tensors ...TensorSource) []byte {
	m := new(Metadata)
	if extra != nil {
		extra(m)
	}
	r := header(len(tensors), m.Len()+2)
	for key, v := range m.All() {
		r.key(key).typ(v.Type())
		switch v.Type() {
		case TypeString:
			r.str(v.str)
		case TypeInt32:
			r.u32(uint32(v.bits))
		default:
			panic(v.Type())
		}
	}
	r.key("split.no").typ(TypeUint16).u8(uint8(no)).u8(uint8(no >> 8))
	r.key("split.count").typ(TypeUint16).u8(uint8(count)).u8(uint8(count >> 8))
	var data raw
	for _, t := range tensors {
		r.tensor(t.Name, uint32(t.Type), uint64(len(data.b)), uint64(t.Shape[0]), uint64(t.Shape[1]))
		if err := t.Write(&data); err != nil {
			panic(err)
		}
		data.align(32)
	}
	r.align(32)
	r.b = append(r.b, data.b...)
	return r.b
}

func (r *raw) Write(b []byte) (int, error) {
	r.b = append(r.b, b...)
	return len(b), nil
}

func total(n int32) func(*Metadata) {
	return func(m *Metadata) {
		m.Set("general.architecture", ValueOf("llama"))
		m.Set("split.tensors.count", ValueOf(n))
	}
}

// splitParts is a model in three parts, of which the first has no tensors.
func splitParts() [][]byte {
	return [][]byte{
		splitPart(0, 3, total(3)),
		splitPart(1, 3, nil, source("a", tensor.F32, 1, 5, 2), source("b", tensor.Q8_0, 2, 64)),
		splitPart(2, 3, nil, source("c", tensor.F16, 3, 9)),
	}
}

func writeParts(t testing.TB, parts [][]byte) (paths []string) {
	t.Helper()
	dir := t.TempDir()
	for i, b := range parts {
		paths = append(paths, writeTemp(t, dir, fmt.Sprintf("m-%05d-of-%05d.gguf", i+1, len(parts)), b))
	}
	return paths
}

func TestSplit(t *testing.T) {
	parts := splitParts()
	paths := writeParts(t, parts)
	size := int64(len(parts[0]) + len(parts[1]) + len(parts[2]))
	for _, path := range paths {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if f.Splits() != 3 || f.Size() != size {
			t.Errorf("%s: %d splits of %d bytes, want 3 of %d", path, f.Splits(), f.Size(), size)
		}
		for i := range paths {
			if f.Path(i) != paths[i] || string(f.Mapping(i)) != string(parts[i]) {
				t.Errorf("%s: part %d is %s", path, i, f.Path(i))
			}
		}
		if s, err := f.String("general.architecture"); err != nil || s != "llama" {
			t.Errorf("%s: metadata of the first part: %q, %v", path, s, err)
		}
		checkSameTensors(t, f, []TensorSource{
			source("a", tensor.F32, 1, 5, 2), source("b", tensor.Q8_0, 2, 64), source("c", tensor.F16, 3, 9),
		}, 32)
		if c, _ := f.Tensor("c"); c.Split != 2 {
			t.Errorf("c is in part %d, want 2", c.Split)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSplitParse reads one part alone.
func TestSplitParse(t *testing.T) {
	f, err := Parse(splitParts()[1], "part")
	if err != nil || f.NumTensors() != 2 {
		t.Fatalf("%v, %v", f, err)
	}
}

func TestSplitErrors(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(t *testing.T, parts [][]byte, paths []string) (open string)
		is     error
		want   string
	}{
		{"part is absent", func(t *testing.T, _ [][]byte, paths []string) string {
			os.Remove(paths[1])
			return paths[2]
		}, fs.ErrNotExist, "part 2 of 3"},
		{"part is damaged", func(t *testing.T, parts [][]byte, paths []string) string {
			os.WriteFile(paths[2], parts[2][:40], 0o600)
			return paths[0]
		}, ErrTruncated, "m-00003-of-00003.gguf: at offset"},
		{"another name", func(t *testing.T, parts [][]byte, paths []string) string {
			return writeTemp(t, t.TempDir(), "model.gguf", parts[1])
		}, ErrFormat, "this is part 2 of 3, and the other parts are found only under the name NAME-00002-of-00003.gguf"},
		{"another number", func(t *testing.T, parts [][]byte, paths []string) string {
			os.WriteFile(paths[0], parts[1], 0o600)
			return paths[0]
		}, ErrFormat, "this is part 2 of 3"},
		{"parts exchanged", func(t *testing.T, parts [][]byte, paths []string) string {
			os.WriteFile(paths[1], parts[2], 0o600)
			return paths[0]
		}, ErrFormat, "part 3 of 3, want part 2 of 3 as the name says"},
		{"not a part", func(t *testing.T, parts [][]byte, paths []string) string {
			os.WriteFile(paths[1], header(0, 0).b, 0o600)
			return paths[0]
		}, ErrFormat, "part 1 of 1, want part 2 of 3"},
		{"tensor twice", func(t *testing.T, parts [][]byte, paths []string) string {
			os.WriteFile(paths[2], splitPart(2, 3, nil, source("a", tensor.F16, 3, 9)), 0o600)
			return paths[0]
		}, ErrFormat, `at offset 104: tensor "a": it is in ` + "%s" + ` as well`},
		{"tensor is absent", func(t *testing.T, parts [][]byte, paths []string) string {
			os.WriteFile(paths[2], splitPart(2, 3, nil), 0o600)
			return paths[0]
		}, ErrFormat, "3 tensors are announced, the 3 parts have 2"},
		{"count of another type", func(t *testing.T, _ [][]byte, _ []string) string {
			return writeTemp(t, t.TempDir(), "m.gguf", header(0, 1).key("split.count").typ(TypeString).str("3").b)
		}, ErrFormat, `string "3", want an integer from 0 to 65535`},
		{"count too large", func(t *testing.T, _ [][]byte, _ []string) string {
			return writeTemp(t, t.TempDir(), "m.gguf", header(0, 1).key("split.count").typ(TypeUint64).u64(1<<40).b)
		}, ErrFormat, "uint64 1099511627776, want an integer from 0 to 65535"},
		{"number beyond the count", func(t *testing.T, _ [][]byte, paths []string) string {
			os.WriteFile(paths[0], splitPart(3, 3, nil), 0o600)
			return paths[0]
		}, ErrFormat, "uint16 3, want an integer from 0 to 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts := splitParts()
			paths := writeParts(t, parts)
			open := c.change(t, parts, paths)
			want := c.want
			if strings.Contains(want, "%s") {
				want = fmt.Sprintf(want, paths[1])
			}
			f, err := Open(open)
			if f != nil || !errors.Is(err, c.is) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}

func TestSplitNames(t *testing.T) {
	for _, c := range []struct {
		path string
		want splitName
		ok   bool
	}{
		{"a/m-00001-of-00003.gguf", splitName{"a/m", 1, 3}, true},
		{"-00010-of-65535.gguf", splitName{"", 10, 65535}, true},
		{"m-00001-of-00001-00002-of-00002.gguf", splitName{"m-00001-of-00001", 2, 2}, true},
		{"m-00000-of-00003.gguf", splitName{}, false},
		{"m-00004-of-00003.gguf", splitName{}, false},
		{"m-00001-of-99999.gguf", splitName{}, false},
		{"m-1-of-3.gguf", splitName{}, false},
		{"m-00001-of-00003.bin", splitName{}, false},
		{"m-00001_of-00003.gguf", splitName{}, false},
		{"m-+0001-of-00003.gguf", splitName{}, false},
		{"00001-of-00003.gguf", splitName{}, false},
		{".gguf", splitName{}, false},
	} {
		got, ok := parseSplitName(c.path)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %+v, %v", c.path, got, ok)
		}
		if ok && got.path(got.no-1) != c.path {
			t.Errorf("%s is put together as %s", c.path, got.path(got.no-1))
		}
	}
}

func TestOpenSystemErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "absent.gguf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if f, err := Open(dir); err == nil || f != nil {
		t.Error("a folder was opened")
	}
}
