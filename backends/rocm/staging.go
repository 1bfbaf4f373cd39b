//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"context"
	"errors"
	"sync"

	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
)

// stageBytes is what a slot of staging memory holds. Two of them let the host's copy and the device's overlap.
const stageBytes = 8 << 20

// staging is pinned memory that copies pass through. It is made at its first use.
type staging struct {
	mu    sync.Mutex
	ready bool
	slots [2]slot
	next  int
}

// slot is a piece of staging memory. Small writes fill one up in turn.
type slot struct {
	at   uintptr
	used int64
	busy uint64 // the number of the work that uses it last
}

func (g *staging) init(s *session) error {
	if g.ready {
		return nil
	}
	err := s.with("allocating staging memory", func() (err error) {
		for i := range g.slots {
			if g.slots[i].at, err = s.rt.HostMalloc(stageBytes); err != nil {
				return err
			}
		}
		return nil
	})
	g.ready = err == nil
	return err
}

func (g *staging) free(s *session) {
	for i := range g.slots {
		if g.slots[i].at != 0 {
			_ = s.rt.HostFree(g.slots[i].at) // the device is being closed
		}
	}
}

// take returns a place for n bytes in a slot, and waits for what uses it. staging is locked.
func (s *session) take(call string, n int64) (*slot, uintptr, error) {
	if err := s.alive(call); err != nil {
		return nil, 0, err
	}
	g := &s.stage
	if err := g.init(s); err != nil {
		return nil, 0, err
	}
	sl := &g.slots[g.next]
	if sl.used+n > stageBytes {
		g.next = (g.next + 1) % len(g.slots)
		sl = &g.slots[g.next]
		if err := s.wait(context.Background(), call, sl.busy); err != nil {
			return nil, 0, err
		}
		sl.used = 0
	}
	at := sl.at + uintptr(sl.used)
	sl.used += (n + 63) &^ 63
	return sl, at, nil
}

// send copies between a place in a slot and the device, after all that was submitted before.
func (s *session) send(call string, sl *slot, dst, src uintptr, n int64) error {
	v, err := s.submit(call, func(a *hip.Args) error { return s.rt.Copy(a, s.stream, dst, src, n) })
	if err == nil {
		sl.busy = v
	}
	return err
}

// upload copies p to the device. What is submitted later comes after it.
func (s *session) upload(dst uintptr, p []byte) error {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	for len(p) > 0 {
		n := min(len(p), stageBytes)
		sl, at, err := s.take("write", int64(n))
		if err != nil {
			return err
		}
		copy(hip.Bytes(at, int64(n)), p)
		if err := s.send("write", sl, dst, at, int64(n)); err != nil {
			return err
		}
		p, dst = p[n:], dst+uintptr(n)
	}
	return nil
}

// download copies from the device to p.
func (s *session) download(p []byte, src uintptr) error {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	type part struct {
		sl *slot
		at uintptr
		to []byte
	}
	var before part
	finish := func() error {
		if before.sl == nil {
			return nil
		}
		if err := s.wait(context.Background(), "read", before.sl.busy); err != nil {
			return err
		}
		copy(before.to, hip.Bytes(before.at, int64(len(before.to))))
		return nil
	}
	for len(p) > 0 {
		n := min(len(p), stageBytes)
		sl, at, err := s.take("read", int64(n))
		if err != nil {
			return err
		}
		if err := errors.Join(s.send("read", sl, at, src, int64(n)), finish()); err != nil {
			return err
		}
		before = part{sl, at, p[:n]}
		p, src = p[n:], src+uintptr(n)
	}
	return finish()
}

// fill sets bytes, after all that was submitted before.
func (s *session) fill(dst uintptr, value byte, n int64) error {
	_, err := s.submit("fill", func(a *hip.Args) error { return s.rt.Fill(a, s.stream, dst, value, n) })
	return err
}
