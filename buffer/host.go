package buffer

import (
	"io"
	"sync/atomic"
	"unsafe"

	"github.com/tenon-go/tenon/internal/mmap"
)

// HostAlignment is the alignment of host memory in bytes: a cache line, and the widest vector.
const HostAlignment = 64

// Host is memory of the host, outside the Go heap, that belongs to some owner: the CPU backend's only
// type. Limit bounds what may be allocated at a time.
type Host struct {
	owner Owner
	limit int64
	used  atomic.Int64
}

// NewHost returns a host memory type of owner. At most limit bytes may be allocated at a time; 0 means
// no limit but the machine's.
func NewHost(owner Owner, limit int64) *Host { return &Host{owner: owner, limit: limit} }

// Name returns the owner's name.
func (h *Host) Name() string { return h.owner.Device }

// Owner returns who owns the memory.
func (h *Host) Owner() Owner { return h.owner }

// Alignment returns HostAlignment.
func (h *Host) Alignment() int { return HostAlignment }

// MaxSize returns the limit on one buffer, in bytes.
func (h *Host) MaxSize() int64 {
	if h.limit > 0 {
		return h.limit
	}
	return 1 << 47
}

// Used returns the bytes allocated and not yet closed; imported memory does not count.
func (h *Host) Used() int64 { return h.used.Load() }

// Alloc returns size zeroed bytes.
func (h *Host) Alloc(size int64) (Buffer, error) {
	if size < 0 || size > h.MaxSize() { // before it is counted: others allocate at the same time
		return nil, &AllocError{Type: h.Name(), Size: size, Available: h.available()}
	}
	used := h.used.Add(size)
	if h.limit > 0 && used > h.limit {
		h.used.Add(-size)
		return nil, &AllocError{Type: h.Name(), Size: size, Available: h.available()}
	}
	m, err := mmap.Anon(int(size))
	if err != nil {
		h.used.Add(-size)
		return nil, &AllocError{Type: h.Name(), Size: size, Available: h.available(), Err: err}
	}
	return &hostBuffer{typ: h, mem: m.Bytes(), free: m.Close, counted: size}, nil
}

// available returns the bytes that the limit leaves, or -1 if there is no limit.
func (h *Host) available() int64 {
	if h.limit <= 0 {
		return -1
	}
	return max(0, h.limit-h.used.Load())
}

// importAlignment is what imported memory must be aligned to, in bytes: that of tensors in a model file.
const importAlignment = 32

// Import returns a Buffer over host memory where it lies, or nil if it is not aligned to 32 bytes, as a
// mapping is and an embedded file may not be. Its bytes may be read-only, as those of a mapped file
// are: a write to them is then the caller's fault and ends the process.
func (h *Host) Import(host []byte) (Buffer, error) {
	if uintptr(unsafe.Pointer(unsafe.SliceData(host)))%importAlignment != 0 {
		return nil, nil
	}
	return &hostBuffer{typ: h, mem: host}, nil
}

type hostBuffer struct {
	typ     *Host
	mem     []byte
	free    func() error // nil for imported memory
	counted int64
	closed  atomic.Bool
}

func (b *hostBuffer) Type() Type  { return b.typ }
func (b *hostBuffer) Size() int64 { return int64(len(b.mem)) }

func (b *hostBuffer) HostBytes() []byte {
	if b.closed.Load() {
		return nil
	}
	return b.mem
}

func (b *hostBuffer) ReadAt(p []byte, off int64) (int, error) {
	if err := b.check(off, len(p)); err != nil {
		return 0, err
	}
	return copy(p, b.mem[off:]), nil
}

func (b *hostBuffer) WriteAt(p []byte, off int64) (int, error) {
	if err := b.check(off, len(p)); err != nil {
		return 0, err
	}
	return copy(b.mem[off:], p), nil
}

func (b *hostBuffer) check(off int64, n int) error {
	if b.closed.Load() {
		return ErrClosed
	}
	return CheckRange(int64(len(b.mem)), off, int64(n))
}

func (b *hostBuffer) Close() error {
	if b.closed.Swap(true) || b.free == nil {
		return nil
	}
	b.typ.used.Add(-b.counted)
	return b.free()
}

var (
	_ Mapper    = (*hostBuffer)(nil)
	_ Importer  = (*Host)(nil)
	_ io.Closer = (*hostBuffer)(nil)
)
