package mmap

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"
)

func open(t *testing.T, content []byte) *os.File {
	t.Helper()
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestFileOutlivesItsHandle(t *testing.T) {
	content := make([]byte, 3*os.Getpagesize()+17)
	for i := range content {
		content[i] = byte(i * 7)
	}
	f := open(t, content)
	m, err := File(f)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.Bytes(), content) {
		t.Fatal("the mapping differs from the file")
	}
	if p := uintptr(unsafe.Pointer(&m.Bytes()[0])); p%uintptr(os.Getpagesize()) != 0 {
		t.Errorf("address %#x is not page aligned", p)
	}
}

func TestFileEmpty(t *testing.T) {
	m, err := File(open(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(m.Bytes()); n != 0 {
		t.Errorf("%d bytes of an empty file", n)
	}
	if err := m.Prefetch(0, 0); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestFileRejects(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, err := File(dir); !errors.Is(err, ErrNotRegular) {
		t.Errorf("folder: %v, want ErrNotRegular", err)
	}
	f := open(t, []byte("x"))
	f.Close()
	if _, err := File(f); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed file: %v, want os.ErrClosed", err)
	}
}

func TestAnonIsZeroAlignedAndWritable(t *testing.T) {
	for _, size := range []int{1, 4095, 4096, 4097, 8<<20 + 5} {
		m, err := Anon(size)
		if err != nil {
			t.Fatal(err)
		}
		b := m.Bytes()
		if len(b) != size || cap(b) != size {
			t.Errorf("size %d: len %d, cap %d", size, len(b), cap(b))
		}
		if p := uintptr(unsafe.Pointer(&b[0])); p%uintptr(os.Getpagesize()) != 0 {
			t.Errorf("size %d: address %#x is not page aligned", size, p)
		}
		for i, v := range b {
			if v != 0 {
				t.Fatalf("size %d: byte %d is %d", size, i, v)
			}
		}
		b[0], b[size-1] = 1, 2
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestAnonIsOffTheGoHeap(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" && runtime.GOOS != "windows" {
		t.Skip("this platform has no mappings")
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := Anon(1 << 30)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
		t.Errorf("the Go heap grew by %d bytes", grown)
	}
}

func TestAnonSizes(t *testing.T) {
	m, err := Anon(0)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Bytes()) != 0 || m.Close() != nil {
		t.Error("size 0 is not an empty mapping")
	}
	if _, err := Anon(-1); !errors.Is(err, ErrSize) {
		t.Errorf("size -1: %v, want ErrSize", err)
	}
	if runtime.GOOS == "linux" || runtime.GOOS == "darwin" || runtime.GOOS == "windows" {
		if _, err := Anon(math.MaxInt); err == nil {
			t.Error("size MaxInt was mapped")
		}
	}
}

func TestCloseTwice(t *testing.T) {
	m, err := Anon(1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if m.Bytes() != nil {
		t.Error("bytes after Close")
	}
}

func TestPrefetch(t *testing.T) {
	m, err := File(open(t, make([]byte, 5*os.Getpagesize()+3)))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	n := len(m.Bytes())
	for _, r := range [][2]int{{0, n}, {1, 1}, {n - 1, 1}, {n, 0}, {os.Getpagesize() + 1, 2 * os.Getpagesize()}} {
		if err := m.Prefetch(r[0], r[1]); err != nil {
			t.Errorf("%v: %v", r, err)
		}
	}
	for _, r := range [][2]int{{-1, 1}, {0, -1}, {0, n + 1}, {n, 1}, {n + 1, 0}, {1, math.MaxInt}} {
		if err := m.Prefetch(r[0], r[1]); !errors.Is(err, ErrRange) {
			t.Errorf("%v: %v, want ErrRange", r, err)
		}
	}
}

func TestEvict(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, make([]byte, 5<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Evict(path); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := Evict(path + "-"); !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a file that is not there: %v", err)
	}
}
