//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// faultWords are what a kernel writes when it meets an index outside its tensor: state, node, and the
// index in two halves. They lie in memory of the host, and the device touches them in case of a fault only.
type faultWords struct {
	state, node, lo, hi uint32
	rows                uint32
	_                   [11]uint32 // a line of the cache for each program
}

const faultSlots = 1024

// faultTable is where the faults of all programs are told.
type faultTable struct {
	mu   sync.Mutex
	mem  *vk.Buffer
	free []int
	next int
}

func (f *faultTable) take(s *session) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mem == nil {
		m, err := s.vk.CreateBuffer(faultSlots*int64(unsafe.Sizeof(faultWords{})), s.dev.host.index, true, nil)
		if err != nil {
			return -1, s.failed("allocating fault words", err)
		}
		f.mem = m
	}
	slot := f.next
	switch n := len(f.free); {
	case n > 0:
		slot, f.free = f.free[n-1], f.free[:n-1]
	case f.next == faultSlots:
		return -1, fmt.Errorf("vulkan: %w: more than %d programs with indices on %s", buffer.ErrNoMemory, faultSlots, s.dev.owner)
	default:
		f.next++
	}
	*f.words(slot) = faultWords{}
	return slot, nil
}

func (f *faultTable) give(slot int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free = append(f.free, slot)
}

func (f *faultTable) words(slot int) *faultWords {
	return (*faultWords)(unsafe.Add(f.mem.Mapped, uintptr(slot)*unsafe.Sizeof(faultWords{})))
}

func (f *faultTable) address(slot int) uint64 {
	return f.mem.Address + uint64(slot)*uint64(unsafe.Sizeof(faultWords{}))
}

// struck reports whether a fault is told, perhaps by work that is still under way.
func (f *faultTable) struck(slot int) bool { return atomic.LoadUint32(&f.words(slot).state) != 0 }

// tell returns the error of a fault, and makes room for the next. The work is done.
func (f *faultTable) tell(slot int, nodes []*tensor.Tensor) error {
	w := f.words(slot)
	index := int64(uint64(w.lo) | uint64(w.hi)<<32)
	err := &backends.IndexError{Index: index, Rows: int(w.rows)}
	if int(w.node) < len(nodes) {
		err.Node, err.Op = nodes[w.node].Name, nodes[w.node].Op.Kind()
	}
	*w = faultWords{}
	return err
}
