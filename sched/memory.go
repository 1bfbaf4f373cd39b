package sched

import (
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/buffer"
)

// Memory holds the arenas of an engine: of each type of memory the buffers that the largest of its
// plans takes. All Execs of one Memory share them, so that they must not run at the same time. The zero
// Memory is empty and ready for use.
type Memory struct {
	arenas     []memoryArena
	execs      []*Exec
	generation uint64 // raised when a buffer is replaced: programs that know the old one are void
	user       *Exec  // whose inputs and results the arenas hold, or nil
}

type memoryArena struct {
	typ     buffer.Type
	buffers []buffer.Buffer // nil where an allocation has failed
}

// Reserve makes room for p. It replaces buffers that are too small; what they held is lost, and every
// Exec compiles its programs again before it runs next. On an error what is there stays usable for the
// Execs that fit into it.
//
// Errors: *buffer.AllocError, or what a device says when it frees a program or buffer.
func (m *Memory) Reserve(p *Plan) error {
	for i, a := range p.Memory {
		arena := m.arena(p.layout.types[p.layout.arenas[i]])
		for c, size := range a.Buffers {
			if c < len(arena.buffers) && arena.buffers[c] != nil && arena.buffers[c].Size() >= size {
				continue
			}
			if err := m.replace(arena, c, size); err != nil {
				return fmt.Errorf("sched: memory of %s: %w", a.Device, err)
			}
		}
	}
	return nil
}

// arena returns the arena of type t, which it adds if it is new.
func (m *Memory) arena(t buffer.Type) *memoryArena {
	for i := range m.arenas {
		if m.arenas[i].typ == t {
			return &m.arenas[i]
		}
	}
	m.arenas = append(m.arenas, memoryArena{typ: t})
	return &m.arenas[len(m.arenas)-1]
}

// replace frees buffer c of a, if it is there, before it allocates size bytes: both at a time might not
// fit.
func (m *Memory) replace(a *memoryArena, c int, size int64) error {
	for len(a.buffers) <= c {
		a.buffers = append(a.buffers, nil)
	}
	if old := a.buffers[c]; old != nil {
		if err := m.void(); err != nil {
			return err
		}
		a.buffers[c] = nil
		if err := old.Close(); err != nil {
			return err
		}
	}
	b, err := a.typ.Alloc(size)
	if err != nil {
		return err
	}
	a.buffers[c] = b
	return nil
}

// void frees all programs, because they know buffers that go away.
func (m *Memory) void() error {
	m.generation++
	m.user = nil
	var errs []error
	for _, e := range m.execs {
		errs = append(errs, e.drop())
	}
	return errors.Join(errs...)
}

// Bytes returns the bytes that the arenas of the given device hold.
func (m *Memory) Bytes(device string) int64 {
	n := int64(0)
	for _, a := range m.arenas {
		if a.typ.Owner().Device != device {
			continue
		}
		for _, b := range a.buffers {
			if b != nil {
				n += b.Size()
			}
		}
	}
	return n
}

// Close frees the programs of all Execs and the arenas. The Memory is empty then, and can be used again.
func (m *Memory) Close() error {
	errs := []error{m.void()}
	for _, a := range m.arenas {
		for _, b := range a.buffers {
			if b != nil {
				errs = append(errs, b.Close())
			}
		}
	}
	m.arenas = nil
	return errors.Join(errs...)
}
