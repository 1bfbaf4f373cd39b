package sim

import (
	"math"
	"sync"
	"unsafe"

	"github.com/tenon-go/tenon/buffer"
)

// pool counts the bytes of one memory, which several types may take from.
type pool struct {
	mu    sync.Mutex
	limit int64 // in bytes, 0 for none
	used  int64
}

// take takes n bytes and returns how many there were, -1 without a limit. If n are more than that it
// takes nothing and reports false. end is one more limit, or -1.
func (p *pool) take(n, end int64) (left int64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	left = p.left(end)
	if left >= 0 && n > left || n > math.MaxInt64-p.used {
		return left, false
	}
	p.used += n
	return left, true
}

func (p *pool) left(end int64) int64 {
	limit := p.limit
	if end >= 0 && (limit == 0 || end < limit) {
		return max(0, end-p.used)
	}
	if limit == 0 {
		return -1
	}
	return limit - p.used
}

func (p *pool) give(n int64) {
	p.mu.Lock()
	p.used -= n
	p.mu.Unlock()
}

// free returns the limit and what is left of it, 0 and 0 without one.
func (p *pool) free() (limit, left int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit, max(0, p.left(-1))
}

// memory is one kind of a device's memory.
type memory struct {
	dev    *Device
	name   string
	owner  buffer.Owner
	pool   *pool
	max    int64
	align  int
	mapped bool
	first  bool         // the default
	host   *buffer.Host // where the bytes really are
}

func (d *Device) newMemory(t MemoryType, p *pool) *memory {
	m := &memory{
		dev: d, name: t.label(d.cfg.Name), owner: d.owner, pool: p,
		max: t.MaxBuffer, align: t.Alignment, mapped: t.Mapped, first: t.Name == "",
		host: buffer.NewHost(d.owner, 0),
	}
	if m.align == 0 {
		m.align = buffer.HostAlignment
	}
	if m.max == 0 {
		m.max = p.limit
	}
	if m.max == 0 {
		m.max = 1 << 47
	}
	return m
}

// Name returns the full name, such as "Vulkan0.host".
func (m *memory) Name() string { return m.name }

// Owner returns the device.
func (m *memory) Owner() buffer.Owner { return m.owner }

// Alignment returns where tensors may start, in bytes.
func (m *memory) Alignment() int { return m.align }

// MaxSize returns the limit on one buffer, in bytes.
func (m *memory) MaxSize() int64 { return m.max }

// Alloc returns size zeroed bytes.
func (m *memory) Alloc(size int64) (buffer.Buffer, error) {
	if err := m.dev.alive("allocation", m.dev.generation.Load()); err != nil {
		return nil, &buffer.AllocError{Type: m.name, Size: size, Available: -1, Err: err}
	}
	if f := m.dev.faults.strike(failAlloc); f.kind != noFault {
		err := &FaultError{Device: m.dev.cfg.Name, Call: "allocation", Fault: f}
		return nil, &buffer.AllocError{Type: m.name, Size: size, Available: -1, Err: err}
	}
	end := int64(-1)
	if m.first {
		if f := m.dev.faults.find(endMemory, ""); f.kind != noFault {
			end = f.n
		}
	}
	if size < 0 || size > m.max {
		left, _ := m.pool.take(0, end)
		return nil, &buffer.AllocError{Type: m.name, Size: size, Available: left}
	}
	left, ok := m.pool.take(size, end)
	if !ok {
		return nil, &buffer.AllocError{Type: m.name, Size: size, Available: left}
	}
	b, err := m.bytes(size)
	if err != nil {
		m.pool.give(size)
		return nil, &buffer.AllocError{Type: m.name, Size: size, Available: left, Err: err}
	}
	b.counted = true
	m.dev.stats.allocated(size)
	return m.wrap(b), nil
}

// bytes makes a buffer of the given size, wherever the device has its memory.
func (m *memory) bytes(size int64) (*buf, error) {
	b := &buf{typ: m, size: size, generation: m.dev.generation.Load()}
	switch {
	case m.dev.cfg.PlanOnly:
	case m.dev.cfg.Heap:
		b.mem = alignedSlice(int(size), max(m.align, buffer.HostAlignment))
	default:
		in, err := m.host.Alloc(size)
		if err != nil {
			return nil, err
		}
		b.mem, b.free = buffer.HostBytes(in), in.Close
	}
	return b, nil
}

// alignedSlice returns n bytes of the Go heap that start at a multiple of align.
func alignedSlice(n, align int) []byte {
	p := make([]byte, n+align)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(p))) & uintptr(align-1))
	return p[skip : skip+n : skip+n]
}

// wrap gives b the methods of its kind of memory: the bytes show only where the host can address them.
func (m *memory) wrap(b *buf) buffer.Buffer {
	m.dev.stats.opened(1)
	if m.mapped && !m.dev.cfg.PlanOnly {
		return &mappedBuf{b}
	}
	return b
}

// Import returns a buffer over host memory, or nil if the device has no way to use that.
func (m *memory) Import(host []byte) (buffer.Buffer, error) {
	if !m.dev.cfg.Import || m.dev.cfg.PlanOnly {
		return nil, nil
	}
	if err := m.dev.alive("import", m.dev.generation.Load()); err != nil {
		return nil, err
	}
	if uintptr(unsafe.Pointer(unsafe.SliceData(host)))%uintptr(m.align) != 0 || int64(len(host)) > m.max {
		return nil, nil
	}
	return m.wrap(&buf{typ: m, size: int64(len(host)), mem: host, imported: true, generation: m.dev.generation.Load()}), nil
}

var (
	_ buffer.Type     = (*memory)(nil)
	_ buffer.Importer = (*memory)(nil)
)
