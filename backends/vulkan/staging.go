//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"context"
	"errors"
	"sync"
	"unsafe"

	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
)

// stageBytes is what a slot of staging memory holds. Two of them let the host's copy and the device's overlap.
const stageBytes = 8 << 20

// staging is memory of the host that copies pass through, and the command buffers of copies. It is made at
// its first use.
type staging struct {
	mu    sync.Mutex
	ready bool
	slots [2]slot
	next  int
	cmds  vk.Commands
}

// slot is a piece of staging memory with a command buffer.
type slot struct {
	mem  *vk.Buffer
	pool *vk.Pool
	cb   *vk.Recorded
	busy uint64 // the timeline's value when it is free again
}

func (g *staging) init(s *session) error {
	if g.ready {
		return nil
	}
	for i := range g.slots {
		sl := &g.slots[i]
		var err error
		if sl.mem, err = s.vk.CreateBuffer(stageBytes, s.dev.host.index, true, nil); err != nil {
			return s.failed("allocating staging memory", err)
		}
		if sl.pool, err = s.vk.NewPool(); err != nil {
			return s.failed("making a command pool", err)
		}
		if sl.cb, err = sl.pool.Allocate(1); err != nil {
			return s.failed("making a command buffer", err)
		}
	}
	g.ready = true
	return nil
}

func (g *staging) free(s *session) {
	for i := range g.slots {
		sl := &g.slots[i]
		if sl.cb != nil {
			sl.cb.Free()
		}
		if sl.pool != nil {
			sl.pool.Close()
		}
		if sl.mem != nil {
			s.vk.DestroyBuffer(sl.mem)
		}
	}
	*g = staging{}
}

// take returns a slot that nothing uses. staging is locked.
func (s *session) take(call string) (*slot, error) {
	if err := s.alive(call); err != nil {
		return nil, err
	}
	g := &s.stage
	if err := g.init(s); err != nil {
		return nil, err
	}
	sl := &g.slots[g.next]
	g.next = (g.next + 1) % len(g.slots)
	if err := s.wait(context.Background(), call, sl.busy); err != nil {
		return nil, err
	}
	g.cmds.Reset()
	return sl, nil
}

// send submits the commands in staging.cmds, after all that was submitted before.
func (s *session) send(call string, sl *slot) error {
	s.stage.cmds.End()
	if err := s.vk.Record(sl.cb, 0, &s.stage.cmds, true); err != nil {
		return s.failed(call, err)
	}
	v, err := s.submit(call, sl.cb, 0, 1)
	sl.busy = v
	return err
}

// upload copies p to the device, and waits.
func (s *session) upload(dst *vk.Buffer, off int64, p []byte) error {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	for len(p) > 0 {
		sl, err := s.take("write")
		if err != nil {
			return err
		}
		n := copy(unsafe.Slice((*byte)(sl.mem.Mapped), stageBytes), p)
		s.stage.cmds.Copy(dst, off, sl.mem, 0, int64(n))
		if err := s.send("write", sl); err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil // what is submitted later comes after the copies
}

// download copies from the device to p.
func (s *session) download(p []byte, src *vk.Buffer, off int64) error {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	type part struct {
		sl *slot
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
		copy(before.to, unsafe.Slice((*byte)(before.sl.mem.Mapped), stageBytes))
		return nil
	}
	for len(p) > 0 {
		sl, err := s.take("read")
		if err != nil {
			return err
		}
		n := min(len(p), stageBytes)
		s.stage.cmds.Copy(sl.mem, 0, src, off, int64(n))
		if err := errors.Join(s.send("read", sl), finish()); err != nil {
			return err
		}
		before = part{sl, p[:n]}
		p, off = p[n:], off+int64(n)
	}
	return finish()
}

// fill sets whole words, after all that was submitted before.
func (s *session) fill(dst *vk.Buffer, off, n int64, pattern uint32) error {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	sl, err := s.take("fill")
	if err != nil {
		return err
	}
	s.stage.cmds.Fill(dst, off, n, pattern)
	return s.send("fill", sl)
}

// copy copies between buffers, after all that was submitted before.
func (s *session) copy(dst *vk.Buffer, to int64, src *vk.Buffer, from, n int64) error {
	s.stage.mu.Lock()
	defer s.stage.mu.Unlock()
	sl, err := s.take("copy")
	if err != nil {
		return err
	}
	s.stage.cmds.Copy(dst, to, src, from, n)
	return s.send("copy", sl)
}
