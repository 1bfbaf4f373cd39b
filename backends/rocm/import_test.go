//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/internal/hipemu"
	"github.com/tenon-go/tenon/internal/mmap"
)

// A mapped file is imported where it lies, also by a card without memory of its own as its default; its end need not be that of a page.
func TestEmulatedImport(t *testing.T) {
	d, e := emulated(t, hipemu.Options{})
	file := filepath.Join(t.TempDir(), "weights")
	want := strings.Repeat("0123456789", 2000)
	if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
	host := mapped(t, file)
	if b, err := buffer.Import(d.local, host); b != nil || err != nil {
		t.Errorf("a card with memory of its own imports: %v, %v", b, err)
	}
	if b, err := buffer.Import(d.host, host[1:]); b != nil || err != nil {
		t.Errorf("what begins within a page is imported: %v, %v", b, err)
	}
	d.phys.Integrated = true
	for _, typ := range d.BufferTypes() {
		b, err := buffer.Import(typ, host)
		if b == nil || err != nil {
			t.Fatalf("%s: %v, %v", typ.Name(), b, err)
		}
		got := make([]byte, len(want))
		if _, err := b.ReadAt(got, 0); err != nil || string(got) != want {
			t.Errorf("%s: read something else, %v", typ.Name(), err)
		}
		if b.Size() != int64(len(want)) || typ.(*memory).used.Load() != 0 {
			t.Errorf("%s: %d bytes, %d of them counted", typ.Name(), b.Size(), typ.(*memory).used.Load())
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	e.Fail("hipHostRegister", 1, 0, -1)
	if b, err := buffer.Import(d.host, host); b != nil || err != nil {
		t.Errorf("a driver that refuses: %v, %v", b, err)
	}
	if f := d.Info().Features; !strings.Contains(strings.Join(f, ", "), "copies host memory: ") {
		t.Errorf("the reason is not told: %q", f)
	}
	e.Fail("hipHostRegister", 1, 0, 1) // a runtime that wants to be told that pages are read only
	b, err := buffer.Import(d.host, host)
	if b == nil || err != nil {
		t.Fatalf("read only: %v, %v", b, err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func mapped(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := mmap.File(f)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m.Bytes()
}
