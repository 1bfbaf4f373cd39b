//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// faultWords are what a kernel writes when it meets an index outside its tensor: state, node, and the index in two
// halves. They lie in memory of the host. The first kernel to meet one passes a gate in memory of the device.
type faultWords struct {
	state, node, lo, hi uint32
	rows                uint32
	_                   [11]uint32 // a line of the cache for each program
}

const (
	faultSlots = 1024
	gateBytes  = 16 // a gate, and the address of the words: struct Fault in common.h
)

// faultTable is where the faults of all programs are told.
type faultTable struct {
	mu    sync.Mutex
	words uintptr // in memory of the host
	gates uintptr // in memory of the device
	spare []int
	next  int
}

func (f *faultTable) init(s *session) error {
	if f.gates != 0 {
		return nil
	}
	size := int64(unsafe.Sizeof(faultWords{}))
	err := s.with("allocating fault words", func() (err error) {
		if f.words == 0 {
			if f.words, err = s.rt.HostMalloc(faultSlots * size); err != nil {
				return err
			}
		}
		f.gates, err = s.rt.Malloc(faultSlots * gateBytes)
		return err
	})
	if err != nil {
		return err
	}
	clear(hip.Bytes(f.words, faultSlots*size))
	gates := make([]byte, faultSlots*gateBytes)
	for i := range faultSlots {
		binary.LittleEndian.PutUint64(gates[i*gateBytes+8:], uint64(f.words)+uint64(i)*uint64(size))
	}
	return s.upload(f.gates, gates)
}

func (f *faultTable) free(s *session) {
	if f.words != 0 {
		_ = s.rt.HostFree(f.words) // the device is being closed
	}
	if f.gates != 0 {
		_ = s.rt.Free(f.gates)
	}
}

func (f *faultTable) take(s *session) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.init(s); err != nil {
		return -1, err
	}
	if n := len(f.spare); n > 0 {
		slot := f.spare[n-1]
		f.spare = f.spare[:n-1]
		return slot, nil
	}
	if f.next == faultSlots {
		return -1, fmt.Errorf("rocm: %w: more than %d programs with indices on %s", buffer.ErrNoMemory, faultSlots, s.dev.owner)
	}
	f.next++
	return f.next - 1, nil
}

func (f *faultTable) give(slot int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.spare = append(f.spare, slot)
}

func (f *faultTable) at(slot int) *faultWords {
	size := int64(unsafe.Sizeof(faultWords{}))
	return (*faultWords)(unsafe.Pointer(&hip.Bytes(f.words+uintptr(slot)*uintptr(size), size)[0]))
}

func (f *faultTable) address(slot int) uint64 { return uint64(f.gates) + uint64(slot)*gateBytes }

// struck reports whether a fault is told, perhaps by work that is still under way.
func (f *faultTable) struck(slot int) bool { return atomic.LoadUint32(&f.at(slot).state) != 0 }

// tell returns the error of a fault, and makes room for the next. The work is done.
func (f *faultTable) tell(s *session, slot int, nodes []*tensor.Tensor) error {
	w := f.at(slot)
	index := int64(uint64(w.lo) | uint64(w.hi)<<32)
	err := &backends.IndexError{Index: index, Rows: int(w.rows)}
	if int(w.node) < len(nodes) {
		err.Node, err.Op = nodes[w.node].Name, nodes[w.node].Op.Kind()
	}
	*w = faultWords{}
	if e := s.fill(uintptr(f.address(slot)), 0, 4); e != nil {
		return e
	}
	return err
}
