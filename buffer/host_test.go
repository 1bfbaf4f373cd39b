package buffer_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/internal/mmap"
)

var owner = buffer.Owner{Backend: "CPU", Device: "CPU1"}

func alloc(t *testing.T, typ buffer.Type, size int64) buffer.Buffer {
	t.Helper()
	b, err := typ.Alloc(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestHostIsWhatItsContractSays(t *testing.T) {
	h := buffer.NewHost(owner, 0)
	if h.Owner() != owner || h.Name() != "CPU1" || h.Owner().String() != "CPU1" {
		t.Errorf("%q of %v", h.Name(), h.Owner())
	}
	if a := h.Alignment(); a < 1 || a&(a-1) != 0 {
		t.Errorf("alignment %d is no power of two", a)
	}
	if h.MaxSize() < 1<<40 {
		t.Errorf("at most %d bytes without a limit", h.MaxSize())
	}
	if got := buffer.NewHost(owner, 1000).MaxSize(); got != 1000 {
		t.Errorf("at most %d bytes with a limit of 1000", got)
	}
	// Types are compared with ==, also inside an interface: two hosts of one owner are two types.
	b := alloc(t, h, 8)
	if b.Type() != buffer.Type(h) || b.Type() == buffer.Type(buffer.NewHost(owner, 0)) {
		t.Errorf("the buffer is of type %v", b.Type())
	}
}

func TestHostAllocIsZeroedAlignedAndCounted(t *testing.T) {
	h := buffer.NewHost(owner, 0)
	for _, size := range []int64{1, 63, 64, 4096, 1<<20 + 3} {
		b, err := h.Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		mem := buffer.HostBytes(b)
		if int64(len(mem)) != size || b.Size() != size || h.Used() != size {
			t.Errorf("asked for %d: %d bytes, size %d, used %d", size, len(mem), b.Size(), h.Used())
		}
		if at := uintptr(unsafe.Pointer(&mem[0])); at%uintptr(h.Alignment()) != 0 {
			t.Errorf("%#x is not aligned to %d", at, h.Alignment())
		}
		if len(bytes.Trim(mem, "\x00")) != 0 {
			t.Errorf("%d bytes are not zeroed", size)
		}
		for range 2 { // the second Close does nothing
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if h.Used() != 0 {
				t.Errorf("%d bytes are used after Close", h.Used())
			}
		}
	}
}

func TestHostEmpty(t *testing.T) {
	h := buffer.NewHost(owner, 10)
	b := alloc(t, h, 0)
	if n, err := b.ReadAt(nil, 0); n != 0 || err != nil || b.Size() != 0 || h.Used() != 0 {
		t.Errorf("read %d, %v of %d bytes, used %d", n, err, b.Size(), h.Used())
	}
	if _, err := b.WriteAt([]byte{1}, 0); !errors.Is(err, buffer.ErrRange) {
		t.Errorf("a byte was written to an empty buffer: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func TestHostLimit(t *testing.T) {
	h := buffer.NewHost(owner, 1000)
	a := alloc(t, h, 600)
	for _, size := range []int64{401, 1001, 1 << 40, math.MaxInt64, -1, math.MinInt64} {
		b, err := h.Alloc(size)
		var e *buffer.AllocError
		if b != nil || !errors.Is(err, buffer.ErrNoMemory) || !errors.As(err, &e) {
			t.Errorf("%d bytes of 400: %v, %v", size, b, err)
			continue
		}
		if e.Size != size || e.Available != 400 || e.Type != "CPU1" {
			t.Errorf("%+v", e)
		}
		if h.Used() != 600 {
			t.Fatalf("after a refusal %d bytes count as used", h.Used())
		}
	}
	b := alloc(t, h, 400)
	if h.Used() != 1000 {
		t.Errorf("used %d", h.Used())
	}
	if _, err := h.Alloc(1); !errors.Is(err, buffer.ErrNoMemory) || !strings.Contains(err.Error(), "0 are left") {
		t.Errorf("one byte too many: %v", err)
	}
	a.Close()
	b.Close()
	alloc(t, h, 1000)
}

// A refusal must not be seen by an allocation beside it, neither as memory in use nor as memory given back.
func TestHostLimitHoldsConcurrently(t *testing.T) {
	h := buffer.NewHost(owner, 1000)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for _, size := range []int64{-500, math.MaxInt64} {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if b, err := h.Alloc(size); err == nil {
					b.Close()
					t.Errorf("%d bytes were allocated", size)
					return
				}
			}
		})
	}
	for range 2000 {
		b, err := h.Alloc(1000)
		if err != nil {
			t.Errorf("all of the limit: %v", err)
			break
		}
		if over, err := h.Alloc(400); err == nil {
			over.Close()
			t.Error("1400 bytes of 1000 were allocated")
			break
		}
		b.Close()
	}
	close(stop)
	wg.Wait()
	if h.Used() != 0 {
		t.Errorf("%d bytes are used at the end", h.Used())
	}
}

func TestHostTooLargeForTheMachine(t *testing.T) {
	h := buffer.NewHost(owner, 0)
	for _, size := range []int64{1<<47 + 1, math.MaxInt64, -1} {
		_, err := h.Alloc(size)
		var e *buffer.AllocError
		if !errors.Is(err, buffer.ErrNoMemory) || !errors.As(err, &e) || e.Available != -1 {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if h.Used() != 0 {
		t.Errorf("used %d", h.Used())
	}
}

func TestHostReadWrite(t *testing.T) {
	b := alloc(t, buffer.NewHost(owner, 0), 100)
	if n, err := b.WriteAt([]byte("tenon"), 95); n != 5 || err != nil {
		t.Errorf("wrote %d, %v", n, err)
	}
	p := make([]byte, 10)
	if n, err := b.ReadAt(p, 90); n != 10 || err != nil || string(p) != "\x00\x00\x00\x00\x00tenon" {
		t.Errorf("read %d, %v: %q", n, err, p)
	}
	if n, err := b.ReadAt(nil, 100); n != 0 || err != nil {
		t.Errorf("nothing at the end: %d, %v", n, err)
	}
	before := bytes.Clone(buffer.HostBytes(b))
	for _, off := range []int64{-1, 91, 100, 101, math.MaxInt64, math.MinInt64} {
		q := []byte("0123456789")
		if n, err := b.ReadAt(q, off); n != 0 || !errors.Is(err, buffer.ErrRange) || string(q) != "0123456789" {
			t.Errorf("read 10 at %d: %d, %v, %q", off, n, err, q)
		}
		if n, err := b.WriteAt(q, off); n != 0 || !errors.Is(err, buffer.ErrRange) {
			t.Errorf("wrote 10 at %d: %d, %v", off, n, err)
		}
	}
	if !bytes.Equal(before, buffer.HostBytes(b)) {
		t.Error("a refused write moved bytes")
	}
}

func TestHostClosed(t *testing.T) {
	h := buffer.NewHost(owner, 0)
	imported, err := buffer.Import(h, aligned(t, 16))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []buffer.Buffer{alloc(t, h, 16), imported} {
		b.Close()
		if _, err := b.ReadAt(make([]byte, 4), 0); !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("read: %v", err)
		}
		if _, err := b.WriteAt(make([]byte, 4), 0); !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("write: %v", err)
		}
		if buffer.HostBytes(b) != nil {
			t.Error("the memory of a closed buffer can be reached")
		}
		if err := buffer.Fill(b, 0, 16, 1); !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("fill: %v", err)
		}
		open := alloc(t, h, 16)
		if err := buffer.Copy(open, 0, b, 0, 16, nil); !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("copy from: %v", err)
		}
		if err := buffer.Copy(b, 0, open, 0, 16, nil); !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("copy to: %v", err)
		}
	}
}

// aligned returns n bytes that can be imported, and not a byte beyond.
func aligned(t *testing.T, n int) []byte {
	m, err := mmap.Anon(n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m.Bytes()[:n:n]
}

// TestHostImportOfUnaligned: an embedded file may begin anywhere, and is then to be copied.
func TestHostImportOfUnaligned(t *testing.T) {
	host := aligned(t, 64)
	for skip := 1; skip < 32; skip++ {
		if b, err := buffer.Import(buffer.NewHost(owner, 0), host[skip:]); b != nil || err != nil {
			t.Errorf("%d bytes behind an aligned address: %v, %v", skip, b, err)
		}
	}
	if b, err := buffer.Import(buffer.NewHost(owner, 0), host[32:]); b == nil || err != nil {
		t.Errorf("at an aligned address: %v, %v", b, err)
	}
}

func TestHostImport(t *testing.T) {
	h := buffer.NewHost(owner, 10) // the limit is on what is allocated
	host := aligned(t, 20)
	copy(host, "memory of the caller")
	b, err := buffer.Import(h, host)
	if err != nil || b == nil {
		t.Fatal(b, err)
	}
	if b.Type() != buffer.Type(h) || b.Size() != int64(len(host)) || &buffer.HostBytes(b)[0] != &host[0] || h.Used() != 0 {
		t.Errorf("%d bytes, used %d", b.Size(), h.Used())
	}
	if _, err := b.WriteAt([]byte("M"), 0); err != nil || host[0] != 'M' {
		t.Errorf("%v: %q", err, host)
	}
	if err := b.Close(); err != nil || h.Used() != 0 || string(host) != "Memory of the caller" {
		t.Errorf("after Close: %v, used %d, %q", err, h.Used(), host)
	}
}
