//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/buffer"
)

// buf is a buffer.Buffer.
type buf struct {
	typ    *memory
	s      *session
	size   int64
	all    int64   // with what is ours behind it
	at     uintptr // the device's address, and the host's for memory of the host
	closed atomic.Bool

	imported []byte // memory that is the caller's, or nil
}

func (b *buf) Type() buffer.Type { return b.typ }
func (b *buf) Size() int64       { return b.size }

// HostBytes returns the memory of a buffer of the host's kind, to be read when the device is done.
func (b *buf) HostBytes() []byte {
	switch {
	case b.closed.Load() || !b.typ.shared || b.size == 0:
		return nil
	case b.imported != nil:
		return b.imported
	}
	return hip.Bytes(b.at, b.size)
}

func (b *buf) check(call string, off, n int64) error {
	if b.closed.Load() {
		return buffer.ErrClosed
	}
	if err := buffer.CheckRange(b.size, off, n); err != nil {
		return err
	}
	return b.s.alive(call)
}

// ReadAt copies from the device.
func (b *buf) ReadAt(p []byte, off int64) (int, error) {
	if err := b.check("read", off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	if mem := b.HostBytes(); mem != nil {
		if err := b.s.settle("read"); err != nil {
			return 0, err
		}
		return copy(p, mem[off:]), nil
	}
	if err := b.s.download(p, b.at+uintptr(off)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteAt copies to the device.
func (b *buf) WriteAt(p []byte, off int64) (int, error) {
	if err := b.check("write", off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	if mem := b.HostBytes(); mem != nil {
		if err := b.s.settle("write"); err != nil {
			return 0, err
		}
		return copy(mem[off:], p), nil
	}
	if err := b.s.upload(b.at+uintptr(off), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Fill sets bytes on the device.
func (b *buf) Fill(off, n int64, value byte) error {
	if err := b.check("fill", off, n); err != nil || n == 0 {
		return err
	}
	err := b.s.fill(b.at+uintptr(off), value, n)
	if err == nil && b.typ.shared { // who has HostBytes looks at once
		err = b.s.settle("fill")
	}
	return err
}

// CopyFrom copies between memory of this device, and does not wait: whatever comes later does.
func (b *buf) CopyFrom(off int64, src buffer.Buffer, from, n int64) (bool, error) {
	o, ok := src.(*buf)
	if !ok || o.s != b.s {
		return false, nil
	}
	if err := b.check("copy", off, n); err != nil {
		return false, err
	}
	if err := o.check("copy", from, n); err != nil {
		return false, err
	}
	if n == 0 {
		return true, nil
	}
	_, err := b.s.submit("copy", func(a *hip.Args) error {
		return b.s.rt.Copy(a, b.s.stream, b.at+uintptr(off), o.at+uintptr(from), n)
	})
	if err == nil && b.typ.shared {
		err = b.s.settle("copy")
	}
	return true, err
}

// Close frees the memory when the device is done with it.
func (b *buf) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	err := b.s.settle("closing a buffer")
	if err == nil {
		err = b.s.with("freeing", func() error {
			switch {
			case b.imported != nil:
				return b.s.rt.HostUnregister(unsafe.Pointer(unsafe.SliceData(b.imported)))
			case b.typ.shared:
				return b.s.rt.HostFree(b.at)
			}
			return b.s.rt.Free(b.at)
		})
	}
	if b.s.lost.Load() {
		err = nil // there is nothing to free
	}
	b.typ.used.Add(-b.all)
	b.s.release()
	if err != nil {
		return fmt.Errorf("rocm: closing a buffer of %s: %w", b.typ.name, err)
	}
	return nil
}

var (
	_ buffer.Buffer = (*buf)(nil)
	_ buffer.Mapper = (*buf)(nil)
	_ buffer.Copier = (*buf)(nil)
	_ buffer.Filler = (*buf)(nil)
)
