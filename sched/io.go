package sched

import (
	"fmt"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// take makes the arenas e's own: what another Exec has left there is no longer of use.
func (e *Exec) take() {
	e.mem.user = e
	clear(e.written)
	e.done = false
}

// input returns the name of input i.
func (e *Exec) input(i int32) string {
	for _, r := range e.plan.layout.roots {
		if r.input == i {
			return r.t.Name
		}
	}
	return ""
}

// Write writes an input of the graph: all of its bytes, packed. It does not allocate on the Go heap.
//
// Errors: ErrTensor if t is no input of the plan, ErrSize, or what the buffer says.
func (e *Exec) Write(input *tensor.Tensor, data []byte) error {
	s, err := e.inputStorage(input)
	if err != nil {
		return err
	}
	if len(data) != input.Bytes() {
		return fmt.Errorf("sched: input %s: %w: %d, want %d", input.Name, ErrSize, len(data), input.Bytes())
	}
	if len(data) == 0 {
		return nil
	}
	if _, err := s.Buffer.WriteAt(data, s.Offset); err != nil {
		return fmt.Errorf("sched: input %s: %w", input.Name, err)
	}
	id := e.plan.layout.ids[input]
	for _, at := range e.plan.layout.more[id] {
		from, to := e.plan.layout.slots[at], e.slot(at)
		if _, err := to.Buffer.WriteAt(data[from.lo:from.lo+from.bytes], to.Offset); err != nil {
			return fmt.Errorf("sched: input %s: %w", input.Name, err)
		}
	}
	e.wrote(input)
	return nil
}

// inputStorage returns where the caller writes t, which it makes ready.
func (e *Exec) inputStorage(t *tensor.Tensor) (tensor.Storage, error) {
	id, ok := e.plan.layout.ids[t]
	if !ok || t.Role != tensor.Input {
		return tensor.Storage{}, fmt.Errorf("sched: write of %v: %w", t, ErrTensor)
	}
	if err := e.ready(); err != nil {
		return tensor.Storage{}, err
	}
	r := &e.plan.layout.roots[id]
	if r.first >= 0 && e.mem.user != e {
		e.take()
	}
	return e.storage(id, r.first), nil
}

func (e *Exec) wrote(t *tensor.Tensor) {
	if i := e.plan.layout.roots[e.plan.layout.ids[t]].input; i >= 0 {
		e.written[i] = true
	}
}

// Read reads an output of the graph, or anything that lies in memory bound to the graph, after a run.
// dst takes t.Bytes() bytes, which for a view with gaps has the gaps in it. It does not allocate on the
// Go heap.
//
// Errors: ErrTensor if t is none of these, ErrNoResult, ErrSize, or what the buffer says.
func (e *Exec) Read(output *tensor.Tensor, dst []byte) error {
	s, err := e.outputStorage(output)
	if err != nil {
		return err
	}
	if len(dst) != output.Bytes() {
		return fmt.Errorf("sched: output %s: %w: %d, want %d", output.Name, ErrSize, len(dst), output.Bytes())
	}
	if len(dst) == 0 {
		return nil
	}
	if _, err := s.Buffer.ReadAt(dst, s.Offset); err != nil {
		return fmt.Errorf("sched: output %s: %w", output.Name, err)
	}
	return nil
}

// outputStorage returns where t lies after a run.
func (e *Exec) outputStorage(t *tensor.Tensor) (tensor.Storage, error) {
	id, ok := e.plan.layout.ids[t.Root()]
	if !ok {
		return tensor.Storage{}, fmt.Errorf("sched: read of %v: %w", t, ErrTensor)
	}
	r := &e.plan.layout.roots[id]
	switch {
	case r.t.Storage.Bound():
	case !r.keep:
		return tensor.Storage{}, fmt.Errorf("sched: read of %v: %w", t, ErrTensor)
	case !e.done || e.mem.user != e || !e.compiled:
		return tensor.Storage{}, fmt.Errorf("sched: read of %v: %w: it is not run, or the memory has been used since", t, ErrNoResult)
	}
	if t.Bytes() == 0 {
		return tensor.Storage{}, nil
	}
	s := e.storage(id, r.last)
	s.Offset += int64(t.Offset)
	return s, nil
}

// HostBytes returns the memory of an input or output itself if the host can address it, and nil
// otherwise; it is nil as well for an input that several devices read from memory of their own. An input counts as written by the call: the caller fills it before Run. The slice is
// valid until the next NewExec or Run on the same Memory.
func (e *Exec) HostBytes(t *tensor.Tensor) []byte {
	var s tensor.Storage
	var err error
	input := t.Role == tensor.Input
	if input {
		if id, ok := e.plan.layout.ids[t]; ok && e.plan.layout.more[id] != nil {
			return nil
		}
		s, err = e.inputStorage(t)
	} else {
		s, err = e.outputStorage(t)
	}
	if err != nil || !s.Bound() {
		return nil
	}
	b := buffer.HostBytes(s.Buffer)
	if b == nil {
		return nil
	}
	if input {
		e.wrote(t)
	}
	return b[s.Offset : s.Offset+int64(t.Bytes()) : s.Offset+int64(t.Bytes())]
}
