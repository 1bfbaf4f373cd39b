//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"context"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
)

// One queue runs everything in order, and one timeline counts what is done.

// submit gives command buffers to the queue and returns the timeline's value when they are done.
func (s *session) submit(call string, r *vk.Recorded, from, to int) (uint64, error) {
	s.queue.Lock()
	defer s.queue.Unlock()
	if err := s.alive(call); err != nil {
		return 0, err
	}
	v := s.submitted.Load() + 1
	if err := s.vk.Submit(r, from, to, v); err != nil {
		return 0, s.failed(call, err)
	}
	s.submitted.Store(v)
	return v, nil
}

const (
	// A waiter looks by itself for about as long as a token takes, since a driver wakes it late.
	spinNS = 2_000_000
	// Then it waits for so long before it looks at its context again.
	napNS = 5_000_000
)

// wait waits until everything up to value is done. A cancelled ctx ends it early.
func (s *session) wait(ctx context.Context, call string, value uint64) error {
	if s.reached.Load() >= value {
		return nil
	}
	spin := uint64(spinNS)
	if s.dev.kind() == backends.CPU {
		spin = 0 // the device needs the core
	}
	for {
		done, err := s.vk.Wait(value, spin, napNS)
		if err != nil {
			return s.failed(call, err)
		}
		if done {
			s.reach(value)
			return nil
		}
		if s.lost.Load() {
			return s.lostError(call)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		spin = 0
	}
}

// reach notes that everything up to value is done.
func (s *session) reach(value uint64) {
	for {
		old := s.reached.Load()
		if old >= value || s.reached.CompareAndSwap(old, value) {
			return
		}
	}
}

// settle waits for everything that was submitted.
func (s *session) settle(call string) error {
	return s.wait(context.Background(), call, s.submitted.Load())
}
