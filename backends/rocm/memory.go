//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"errors"
	"sync/atomic"

	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/buffer"
)

// alignment is that of tensors in a buffer, in bytes: what the widest load of any kernel asks for, and two lines of the cache.
const alignment = card.Align

// slack is how many bytes of ours follow a buffer's: kernels read whole words.
const slack = 64

// memory is a buffer.Type.
type memory struct {
	dev    *Device
	name   string
	max    int64
	shared bool // memory of the host
	used   atomic.Int64
}

func (m *memory) Name() string        { return m.name }
func (m *memory) Owner() buffer.Owner { return m.dev.owner }
func (m *memory) Alignment() int      { return alignment }
func (m *memory) MaxSize() int64      { return m.max }

// left returns the device's memory, and what is left of it now. Asking the runtime would open the device, so that before it is
// open the management library is asked; without one all counts as free that is not allocated here.
func (m *memory) left() (total, free int64) {
	total = m.dev.phys.Memory
	m.dev.mu.Lock()
	s := m.dev.open
	m.dev.mu.Unlock()
	if s == nil || s.lost.Load() || s.with("asking for memory", func() (err error) { free, _, err = s.rt.Memory(); return err }) != nil {
		if now, ok := m.dev.Measure(); ok && now.MemoryUsedBytes >= 0 {
			return total, max(0, total-now.MemoryUsedBytes)
		}
		return total, max(0, total-m.used.Load())
	}
	return total, free
}

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
	b := &buf{typ: m, s: s, size: size, all: (size + slack + 15) &^ 15}
	err = s.with("allocating", func() (err error) {
		if m.shared {
			b.at, err = s.rt.HostMalloc(b.all)
		} else {
			b.at, err = s.rt.Malloc(b.all)
		}
		return err
	})
	var e *hip.Error
	if errors.As(err, &e) && e.NoMemory() {
		return refuse(err)
	} else if err != nil {
		return nil, err
	}
	s.retain()
	m.used.Add(b.all)
	if err := s.fill(b.at, 0, b.all); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}
