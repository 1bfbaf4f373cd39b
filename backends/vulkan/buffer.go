//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/buffer"
)

// buf is a buffer.Buffer.
type buf struct {
	typ      *memory
	s        *session
	size     int64
	counted  int64 // of the type's use; 0 if imported
	vk       *vk.Buffer
	imported []byte
	closed   atomic.Bool
}

func (b *buf) Type() buffer.Type { return b.typ }
func (b *buf) Size() int64       { return b.size }

// bytes returns the buffer's memory if the host can address it.
func (b *buf) bytes() []byte {
	if b.imported != nil {
		return b.imported
	}
	if b.vk.Mapped == nil || b.size == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(b.vk.Mapped), b.size)
}

// HostBytes returns the memory of a buffer of the host's kind. That of other kinds may be slow to read, and is to
// be read when the device is done.
func (b *buf) HostBytes() []byte {
	if b.closed.Load() || !b.typ.shared {
		return nil
	}
	return b.bytes()
}

func (b *buf) check(call string, off int64, n int) error {
	if b.closed.Load() {
		return buffer.ErrClosed
	}
	if err := buffer.CheckRange(b.size, off, int64(n)); err != nil {
		return err
	}
	return b.s.alive(call)
}

// directRead is up to how many bytes are read where they lie if reading is slow.
const directRead = 64

// ReadAt copies from the device.
func (b *buf) ReadAt(p []byte, off int64) (int, error) {
	if err := b.check("read", off, len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	if mem := b.bytes(); mem != nil && (b.typ.cached || b.imported != nil || len(p) <= directRead) {
		if err := b.s.settle("read"); err != nil {
			return 0, err
		}
		return copy(p, mem[off:]), nil
	}
	if err := b.s.download(p, b.vk, off); err != nil {
		return 0, err
	}
	return len(p), nil
}

// WriteAt copies to the device.
func (b *buf) WriteAt(p []byte, off int64) (int, error) {
	if err := b.check("write", off, len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	if mem := b.bytes(); mem != nil {
		if err := b.s.settle("write"); err != nil {
			return 0, err
		}
		return copy(mem[off:], p), nil
	}
	if err := b.s.upload(b.vk, off, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Fill sets bytes on the device: whole words by a command, and what is left at the ends by writes.
func (b *buf) Fill(off, n int64, value byte) error {
	if err := b.check("fill", off, 0); err != nil {
		return err
	}
	if err := buffer.CheckRange(b.size, off, n); err != nil || n == 0 {
		return err
	}
	var edge [8]byte
	for i := range edge {
		edge[i] = value
	}
	lo, hi := (off+3)&^3, (off+n)&^3
	if hi <= lo {
		_, err := b.WriteAt(edge[:n], off)
		return err
	}
	if _, err := b.WriteAt(edge[:lo-off], off); err != nil {
		return err
	}
	if _, err := b.WriteAt(edge[:off+n-hi], hi); err != nil {
		return err
	}
	return b.s.fill(b.vk, lo, hi-lo, uint32(value)*0x01010101)
}

// clear zeroes all bytes, those behind the end as well.
func (b *buf) clear(all int64) error {
	return b.s.fill(b.vk, 0, all, 0)
}

// CopyFrom copies between memory of this device, and does not wait: whatever comes later does.
func (b *buf) CopyFrom(off int64, src buffer.Buffer, from, n int64) (bool, error) {
	o, ok := src.(*buf)
	if !ok || o.s != b.s {
		return false, nil
	}
	if err := b.check("copy", off, 0); err != nil {
		return false, err
	}
	if err := o.check("copy", from, 0); err != nil {
		return false, err
	}
	if n == 0 {
		return true, nil
	}
	err := b.s.copy(b.vk, off, o.vk, from, n)
	if err == nil && b.typ.shared { // who has HostBytes looks at once
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
	if b.s.lost.Load() {
		err = nil // there is nothing to wait for
	}
	b.s.vk.DestroyBuffer(b.vk)
	b.typ.used.Add(-b.counted)
	b.s.release()
	if err != nil {
		return fmt.Errorf("vulkan: closing a buffer of %s: %w", b.typ.name, err)
	}
	return nil
}

var (
	_ buffer.Buffer   = (*buf)(nil)
	_ buffer.Mapper   = (*buf)(nil)
	_ buffer.Copier   = (*buf)(nil)
	_ buffer.Filler   = (*buf)(nil)
	_ buffer.Importer = (*memory)(nil)
)
