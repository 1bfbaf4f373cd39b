package sim

import (
	"context"
	"sync"

	"github.com/tenon-go/tenon/buffer"
)

// buf is a buffer of a simulated device.
type buf struct {
	typ        *memory
	size       int64
	mem        []byte       // nil for planning only
	free       func() error // nil for memory that goes by itself
	imported   bool
	counted    bool
	generation uint64 // of the device when it was allocated

	mu     sync.Mutex
	pins   int // programs that are submitted over it
	closed bool
}

// mappedBuf is a buffer whose bytes the host can address.
type mappedBuf struct{ *buf }

// HostBytes returns the memory itself.
func (b *mappedBuf) HostBytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	return b.mem
}

// bufOf returns the simulated buffer that b is, or nil.
func bufOf(b buffer.Buffer) *buf {
	switch b := b.(type) {
	case *buf:
		return b
	case *mappedBuf:
		return b.buf
	}
	return nil
}

func (b *buf) Type() buffer.Type { return b.typ }
func (b *buf) Size() int64       { return b.size }

// pin keeps the memory from going away while a program runs. It reports whether the buffer is open.
func (b *buf) pin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.pins++
	return true
}

func (b *buf) unpin() {
	b.mu.Lock()
	b.pins--
	last := b.closed && b.pins == 0
	b.mu.Unlock()
	if last {
		_ = b.release() // Close, which could have said it, is gone
	}
}

// release gives the bytes back.
func (b *buf) release() error {
	if b.typ.dev.cfg.Heap && !b.imported {
		for i := range b.mem {
			b.mem[i] = 0xdd // so that a late reader notices
		}
	}
	b.mem = nil
	if b.free == nil {
		return nil
	}
	return b.free()
}

// Close frees the memory once nothing that is submitted uses it.
func (b *buf) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	idle := b.pins == 0
	b.mu.Unlock()
	b.typ.dev.stats.opened(-1)
	if b.counted {
		b.typ.pool.give(b.size)
		b.typ.dev.stats.freed(b.size)
	}
	if idle {
		return b.release()
	}
	return nil
}

// usable reports why n bytes at offset cannot be copied.
func (b *buf) usable(call string, offset, n int64) error {
	b.mu.Lock()
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return buffer.ErrClosed
	}
	if err := buffer.CheckRange(b.size, offset, n); err != nil {
		return err
	}
	return b.typ.dev.alive(call, b.generation)
}

// ReadAt copies from the device.
func (b *buf) ReadAt(p []byte, off int64) (int, error) {
	d := b.typ.dev
	if err := b.usable("read", off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	if d.cfg.PlanOnly {
		return 0, d.planOnly("read")
	}
	d.settle(true)
	corrupt, err := d.copied(&d.stats.Reads, "read", b.generation, int64(len(p)), nil)
	if err != nil {
		return 0, err
	}
	n := copy(p, b.mem[off:])
	if corrupt {
		d.flip(p)
	}
	return n, nil
}

// WriteAt copies to the device.
func (b *buf) WriteAt(p []byte, off int64) (int, error) {
	d := b.typ.dev
	if err := b.usable("write", off, int64(len(p))); err != nil || len(p) == 0 {
		return 0, err
	}
	d.settle(false)
	corrupt, err := d.copied(&d.stats.Writes, "write", b.generation, int64(len(p)), nil)
	if err != nil {
		return 0, err
	}
	if d.cfg.PlanOnly {
		return len(p), nil
	}
	n := copy(b.mem[off:], p)
	if corrupt {
		d.flip(b.mem[off : off+int64(n)])
	}
	return n, nil
}

// Fill sets bytes without a way through the host: it is no copy, and takes only the device's own time.
func (b *buf) Fill(offset, n int64, value byte) error {
	d := b.typ.dev
	if err := b.usable("fill", offset, n); err != nil || n == 0 || d.cfg.PlanOnly {
		return err
	}
	d.settle(false)
	d.line.join(d.line.begin(cost(0, d.cfg.MemoryBandwidth, n), nil))
	p := b.mem[offset : offset+n]
	for i := range p {
		p[i] = value
	}
	return nil
}

// CopyFrom copies within the device, and from memory that the device can use where it lies.
func (b *buf) CopyFrom(offset int64, src buffer.Buffer, srcOffset, n int64) (bool, error) {
	from := bufOf(src)
	d := b.typ.dev
	if from == nil || !d.CanUse(from.typ) || d.cfg.PlanOnly || from.typ.dev.cfg.PlanOnly {
		return false, nil
	}
	if err := b.usable("copy", offset, n); err != nil {
		return true, err
	}
	if err := from.usable("copy", srcOffset, n); err != nil || n == 0 {
		return true, err
	}
	from.typ.dev.settle(true)
	d.settle(false)
	var also *timeline
	if from.typ.dev != d {
		also = &from.typ.dev.line
	}
	corrupt, err := d.copied(&d.stats.Transfers, "copy", b.generation, n, also)
	if err != nil {
		return true, err
	}
	copy(b.mem[offset:offset+n], from.mem[srcOffset:srcOffset+n])
	if corrupt {
		d.flip(b.mem[offset : offset+n])
	}
	return true, nil
}

// copied counts a copy of n bytes and its time, and lets a fault strike. also is the timeline of another
// device that takes part. It reports whether the bytes are to be corrupted.
func (d *Device) copied(c *Count, call string, generation uint64, n int64, also *timeline) (corrupt bool, err error) {
	f := d.faults.strike(failCopy, loseAtCopy, corruptCopy)
	switch f.kind {
	case failCopy:
		return false, &FaultError{Device: d.cfg.Name, Call: call, Fault: f}
	case loseAtCopy:
		d.lose()
	}
	if err := d.alive(call, generation); err != nil {
		return false, err
	}
	d.stats.count(c, n)
	took := cost(d.cfg.CopyLatency, d.cfg.CopyBandwidth, n)
	d.line.join(d.line.begin(took, also))
	return f.kind == corruptCopy, d.line.sleep(context.Background(), took)
}

// flip changes one bit of p, which the device's seed chooses.
func (d *Device) flip(p []byte) {
	at := d.random()
	p[at%uint64(len(p))] ^= 1 << (at >> 61)
}

var (
	_ buffer.Mapper = (*mappedBuf)(nil)
	_ buffer.Copier = (*buf)(nil)
	_ buffer.Filler = (*buf)(nil)
)
