package gguf_test

import (
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/testcorpus"
)

// TestCorpusFiles opens every model file of the corpus, of any folder, and checks what it says about
// itself: sizes that add up, arrays that can be read, and a copy that is equal.
func TestCorpusFiles(t *testing.T) {
	root := testcorpus.Dir(t)
	files := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(strings.TrimSuffix(path, ".gz"), ".gguf") {
			return err
		}
		files++
		name, _ := filepath.Rel(root, path)
		t.Run(filepath.ToSlash(name), func(t *testing.T) {
			if strings.HasSuffix(path, ".gz") {
				path = gunzip(t, path)
			}
			checkFile(t, path)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatal("the corpus has no .gguf file")
	}
	t.Logf("%d files", files)
}

func gunzip(t *testing.T, path string) string {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), strings.TrimSuffix(filepath.Base(path), ".gz")))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(out, z)
	if err := errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Name()
}

func checkFile(t *testing.T, path string) {
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	elems := checkMetadata(t, f)
	var sum int64
	var copies []gguf.TensorSource
	for info := range f.Tensors() {
		want := int64(info.Type.RowBytes(info.Shape[0])) * int64(info.Shape.Rows())
		if info.Size != want || int64(len(f.Data(info))) != want {
			t.Errorf("tensor %q: %d bytes, want %d", info.Name, info.Size, want)
		}
		if err := f.Prefetch(info); err != nil {
			t.Error(err)
		}
		sum += info.Size
		copies = append(copies, f.Source(info))
	}
	if sum != f.TensorBytes() || sum > f.Size() {
		t.Errorf("tensors have %d bytes, TensorBytes says %d, the file has %d", sum, f.TensorBytes(), f.Size())
	}
	checkCopy(t, f, copies)
	t.Logf("version %d, %d keys with %d elements, %d tensors, %d of %d bytes", f.Version(), f.Len(), elems,
		f.NumTensors(), sum, f.Size())
}

// checkMetadata reads every value in every way there is, and returns how many elements they have.
func checkMetadata(t *testing.T, f *gguf.File) (elems int) {
	for key, v := range f.All() {
		n := 0
		for range v.Elems() {
			n++
		}
		elem, array := v.Elem()
		if !array {
			elems++
			continue
		}
		elems += n
		decoded := -1
		var err error
		switch elem {
		case gguf.TypeString:
			var s []string
			s, err = f.Strings(key)
			decoded = len(s)
		case gguf.TypeFloat32, gguf.TypeFloat64:
			var s []float32
			s, err = f.Floats(key)
			decoded = len(s)
		case gguf.TypeBool:
			var s []bool
			s, err = f.Bools(key)
			decoded = len(s)
		default:
			var s []int64
			s, err = f.Ints(key)
			decoded = len(s)
		}
		if err != nil || n != v.Len() || decoded != n {
			t.Errorf("key %q: %d elements, %d decoded, want %d: %v", key, n, decoded, v.Len(), err)
		}
	}
	return elems
}

// checkCopy writes the model again and compares the tensors byte for byte.
func checkCopy(t *testing.T, f *gguf.File, copies []gguf.TensorSource) {
	meta := f.Metadata.Clone()
	meta.Delete("split.no", "split.count", "split.tensors.count")
	path := filepath.Join(t.TempDir(), "copy.gguf")
	if err := gguf.WriteFile(path, meta, copies); err != nil {
		t.Fatal(err)
	}
	c, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for key, v := range meta.All() {
		if got, ok := c.Value(key); !ok || got.Type() != v.Type() || got.String() != v.String() || got.Len() != v.Len() {
			t.Errorf("copy: key %q is %v, want %v", key, got, v)
		}
	}
	if c.Len() != meta.Len() || c.NumTensors() != f.NumTensors() {
		t.Errorf("copy: %d keys and %d tensors, want %d and %d", c.Len(), c.NumTensors(), meta.Len(), f.NumTensors())
	}
	for want := range f.Tensors() {
		got, ok := c.Tensor(want.Name)
		if !ok || got.Type != want.Type || got.Shape != want.Shape || string(c.Data(got)) != string(f.Data(want)) {
			t.Errorf("copy: tensor %q differs", want.Name)
		}
	}
	t.Logf("copy of %d bytes, equal to the original as a whole: %v", c.Size(), string(c.Mapping(0)) == string(f.Mapping(0)))
}
