//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"errors"
	"sync/atomic"
	"unsafe"

	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/buffer"
)

// alignment is that of tensors in a buffer, in bytes: what the widest load of any kernel asks for, and a line of most caches.
const alignment = card.Align

// memory is a buffer.Type.
type memory struct {
	dev    *Device
	name   string
	index  int   // of Vulkan's memory type
	heap   int   // where it comes from
	size   int64 // of the heap
	max    int64
	mapped bool // the host can address it
	cached bool // and read it fast
	shared bool // and HostBytes says so
	used   atomic.Int64
}

// chooseMemory returns the device's memory and the host's. The first is such that the host can write to it where all of the device's
// memory is of this kind: then small inputs need no staging.
func chooseMemory(d *Device, types []vk.MemoryType, heaps []vk.Heap) (local, host *memory) {
	score := func(t vk.MemoryType, largest int64) int {
		n := 0
		if t.Local {
			n += 8
		}
		if t.Local && heaps[t.Heap].Size == largest {
			n += 4
		}
		if t.Visible && t.Coherent {
			n += 2
		}
		if t.Cached {
			n++
		}
		return n
	}
	largest := int64(0)
	for _, h := range heaps {
		if h.Local {
			largest = max(largest, h.Size)
		}
	}
	best, bestHost := -1, -1
	hostScore := func(t vk.MemoryType) int {
		n := 0
		if !t.Local {
			n += 2
		}
		if t.Cached {
			n++
		}
		return n
	}
	for i, t := range types {
		if t.Odd {
			continue
		}
		if best < 0 || score(t, largest) > score(types[best], largest) {
			best = i
		}
		if t.Visible && t.Coherent && (bestHost < 0 || hostScore(t) > hostScore(types[bestHost])) {
			bestHost = i
		}
	}
	make := func(name string, i int) *memory {
		t := types[i]
		most := heaps[t.Heap].Size
		if d.phys.Limits.MaxAllocation > 0 {
			most = min(most, d.phys.Limits.MaxAllocation)
		}
		return &memory{
			dev: d, name: name, index: t.Index, heap: t.Heap, size: heaps[t.Heap].Size, max: (most - slack) &^ (alignment - 1),
			mapped: t.Visible && t.Coherent, cached: t.Cached,
		}
	}
	local, host = make(d.owner.Device, best), make(d.owner.Device+".host", bestHost)
	host.shared = true
	if d.opt.NoMapping {
		local.mapped = false
	}
	return local, host
}

func (m *memory) Name() string        { return m.name }
func (m *memory) Owner() buffer.Owner { return m.dev.owner }
func (m *memory) Alignment() int      { return alignment }
func (m *memory) MaxSize() int64      { return m.max }

// left returns the heap's size, and what is left of it now.
func (m *memory) left() (total, free int64) {
	_, heaps := m.dev.phys.Memory()
	h := heaps[m.heap]
	if h.Budget > 0 {
		return h.Size, max(0, h.Budget-h.Usage)
	}
	return h.Size, max(0, h.Size-m.used.Load())
}

// slack is how many bytes of ours follow a buffer's: kernels read whole words.
const slack = 64

// Alloc returns size zeroed bytes.
func (m *memory) Alloc(size int64) (buffer.Buffer, error) {
	refuse := func(err error) (buffer.Buffer, error) {
		_, free := m.left()
		return nil, &buffer.AllocError{Type: m.name, Size: size, Available: free, Err: err}
	}
	if size < 0 || size > m.max {
		return refuse(nil)
	}
	s, err := m.dev.session()
	if err != nil {
		return nil, err
	}
	all := (size + slack + 15) &^ 15
	b, err := s.vk.CreateBuffer(all, m.index, m.mapped || m.shared, nil)
	if err != nil && m.mapped && !m.shared { // the host's view of the card may be full where its memory is not
		b, err = s.vk.CreateBuffer(all, m.index, false, nil)
	}
	if err != nil {
		var e *vk.Error
		if errors.As(err, &e) && e.NoMemory() {
			return refuse(err)
		}
		return nil, s.failed("allocating", err)
	}
	s.retain()
	m.used.Add(all)
	out := &buf{typ: m, s: s, size: size, counted: all, vk: b}
	if err := out.clear(all); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// Import returns a buffer over host memory, where the device computes in the host's memory anyway and the driver
// takes it: weights then stay in the mapped file. Memory of the host type can be imported on any device that can.
func (m *memory) Import(host []byte) (buffer.Buffer, error) {
	p := m.dev.phys
	align := p.Limits.ImportAlignment
	at := unsafe.Pointer(unsafe.SliceData(host))
	if !p.Can.Import || align == 0 || len(host) == 0 || int64(uintptr(at))%align != 0 || !m.shared && m.dev.discrete() {
		return nil, nil
	}
	s, err := m.dev.session()
	if err != nil {
		return nil, err
	}
	all := (int64(len(host)) + align - 1) &^ (align - 1) // the rest of the last page is there as well
	if all > m.dev.phys.Limits.MaxAllocation || s.vk.ImportTypes(at)>>m.index&1 == 0 {
		return nil, nil
	}
	b, err := s.vk.CreateBuffer(all, m.index, false, at)
	if err != nil {
		return nil, nil // the driver does not like this memory: it is copied then
	}
	s.retain()
	return &buf{typ: m, s: s, size: int64(len(host)), vk: b, imported: host}, nil
}

// discrete reports whether the device has memory of its own.
func (d *Device) discrete() bool { return d.phys.Kind != vk.Software && d.phys.Kind != vk.Integrated }
