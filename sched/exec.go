package sched

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// scratchBytes is what copies pass through the host in, where neither end is mapped.
const scratchBytes = 1 << 20

// Exec runs a Plan in a Memory, many times. Inputs are written, Run computes, and outputs are read,
// before another Exec of the same Memory does anything.
type Exec struct {
	plan       *Plan
	mem        *Memory
	splits     []execSplit
	compiled   bool
	generation uint64
	scratch    []byte
	written    []bool // of each input
	done       bool   // the results of a run are there
	closed     bool
}

// execSplit is a compiled split.
type execSplit struct {
	dev     int32
	waits   []int32
	copies  []execCopy
	program backends.Program
	pending bool // submitted, and not yet waited for
}

type execCopy struct {
	dst, src         buffer.Buffer
	dstOffset, srcAt int64
	bytes            int64
	after            int32 // as Copy.After
}

// NewExec reserves the memory of p and compiles its splits.
//
// Errors: *buffer.AllocError, or what a device says when it compiles.
func NewExec(p *Plan, mem *Memory) (*Exec, error) {
	e := &Exec{plan: p, mem: mem}
	inputs := int32(0)
	for _, r := range p.layout.roots {
		inputs = max(inputs, r.input+1)
	}
	e.written = make([]bool, inputs)
	if err := e.compile(); err != nil {
		return nil, err
	}
	mem.execs = append(mem.execs, e)
	return e, nil
}

// Plan returns what e runs.
func (e *Exec) Plan() *Plan { return e.plan }

// Close frees the programs. The Memory and everything bound stay.
func (e *Exec) Close() error {
	if i := slices.Index(e.mem.execs, e); i >= 0 {
		e.mem.execs = slices.Delete(e.mem.execs, i, i+1)
	}
	if e.mem.user == e {
		e.mem.user = nil
	}
	e.closed = true
	return e.drop()
}

// drop frees the programs; compile makes new ones.
func (e *Exec) drop() error {
	var errs []error
	for i := range e.splits {
		if p := e.splits[i].program; p != nil {
			errs = append(errs, p.Close())
		}
	}
	e.splits, e.compiled = nil, false
	return errors.Join(errs...)
}

// ready compiles again if the programs are void.
func (e *Exec) ready() error {
	if e.closed {
		return fmt.Errorf("sched: %w", ErrClosed)
	}
	if e.compiled && e.generation == e.mem.generation {
		return nil
	}
	return e.compile()
}

// compile reserves memory and compiles every split for it.
func (e *Exec) compile() error {
	if err := e.mem.Reserve(e.plan); err != nil {
		return err
	}
	l := &e.plan.layout
	e.splits = make([]execSplit, len(l.splits))
	for i := range l.splits {
		s := &l.splits[i]
		out := execSplit{dev: s.dev, waits: s.waits}
		for _, c := range s.copies {
			out.copies = append(out.copies, e.copyOf(c))
		}
		program, err := e.plan.devices[s.dev].Compile(&backends.Subgraph{
			Nodes:  e.plan.graph.Nodes[e.plan.Splits[i].From:e.plan.Splits[i].To],
			Groups: s.groups, Reproducible: e.plan.reproducible,
			Place: func(t *tensor.Tensor) tensor.Storage { return e.place(i, t) },
		})
		if err != nil {
			return errors.Join(fmt.Errorf("sched: split %d on %s: %w", i, e.plan.Splits[i].Device, err), e.drop())
		}
		out.program = program
		e.splits[i] = out
	}
	e.compiled, e.generation = true, e.mem.generation
	return nil
}

func (e *Exec) copyOf(c copyLayout) execCopy {
	from := e.storage(c.root, c.from)
	to := e.slot(c.to)
	out := execCopy{dst: to.Buffer, dstOffset: to.Offset, src: from.Buffer, srcAt: from.Offset + c.lo, bytes: c.hi - c.lo, after: c.after}
	if e.scratch == nil && buffer.HostBytes(out.src) == nil && buffer.HostBytes(out.dst) == nil {
		e.scratch = make([]byte, scratchBytes)
	}
	return out
}

// slot returns where slot s lies.
func (e *Exec) slot(s int32) tensor.Storage {
	sl := &e.plan.layout.slots[s]
	a := e.mem.arena(e.plan.layout.types[sl.typ])
	return tensor.Storage{Buffer: a.buffers[sl.chunk], Offset: sl.offset}
}

// storage returns where root id lies if its slot is s, or it is bound.
func (e *Exec) storage(id, s int32) tensor.Storage {
	if s >= 0 {
		return e.slot(s)
	}
	return e.plan.layout.roots[id].t.Storage
}

// place returns where t begins for the nodes of a split. A root of which the split has only parts, as
// copies, is nowhere, and so is what is inner in a group.
func (e *Exec) place(split int, t *tensor.Tensor) tensor.Storage {
	l := &e.plan.layout
	id, ok := l.ids[t.Root()]
	if !ok || t.Bytes() == 0 || l.roots[id].inner {
		return tensor.Storage{}
	}
	lo := int64(t.Offset)
	hi := lo + int64(t.Bytes())
	partly := false
	for _, at := range l.splits[split].local {
		if at.root != id {
			continue
		}
		if at.lo <= lo && hi <= at.hi {
			s := e.slot(at.slot)
			s.Offset += lo - at.lo
			return s
		}
		partly = true
	}
	if partly {
		return tensor.Storage{}
	}
	r := &l.roots[id]
	home := r.first
	for _, m := range l.moves[id] {
		if int(m.split) <= split {
			home = m.slot
		}
	}
	s := e.storage(id, home)
	s.Offset += lo
	return s
}

// Run computes the graph: copies and splits in order. Inputs have been written since the last run,
// unless the plan keeps them. It returns when the work is done on all devices, also on an error; then
// the results are undefined, caches that the graph writes included, and Run can be called again once
// the inputs are written. It does not allocate on the Go heap.
//
// Errors: ErrInput, what a device says, or the error of a cancelled ctx.
func (e *Exec) Run(ctx context.Context) error {
	if err := e.ready(); err != nil {
		return err
	}
	if e.mem.user != e {
		e.take()
	}
	for i, ok := range e.written {
		if !ok {
			return fmt.Errorf("sched: %w: %s", ErrInput, e.input(int32(i)))
		}
	}
	e.done = false
	if !e.plan.keepInputs {
		clear(e.written)
	}
	for i := range e.splits {
		if err := e.runSplit(ctx, i); err != nil {
			e.drain()
			return err
		}
	}
	for i := range e.splits {
		if err := e.wait(ctx, i); err != nil {
			e.drain()
			return err
		}
	}
	e.done = true
	return nil
}

// runSplit waits for what split i needs, copies each thing as soon as it can be, and submits the split.
func (e *Exec) runSplit(ctx context.Context, i int) error {
	s := &e.splits[i]
	if err := ctx.Err(); err != nil {
		return e.splitError(i, err)
	}
	done := 0
	for w, d := range s.waits {
		if err := e.copies(i, &done, int32(w)); err != nil {
			return err
		}
		if err := e.waitDevice(ctx, i, d); err != nil {
			return err
		}
	}
	if err := e.copies(i, &done, int32(len(s.waits))); err != nil {
		return err
	}
	s.pending = true
	if err := s.program.Submit(ctx); err != nil {
		return e.splitError(i, err)
	}
	return nil
}

// copies makes the copies before split i, from number done on, that come after no more than the given
// number of waits.
func (e *Exec) copies(i int, done *int, waits int32) error {
	s := &e.splits[i]
	for ; *done < len(s.copies) && s.copies[*done].after <= waits; *done++ {
		c := &s.copies[*done]
		if err := buffer.Copy(c.dst, c.dstOffset, c.src, c.srcAt, c.bytes, e.scratch); err != nil {
			at := &e.plan.Splits[i].Copies[*done]
			return e.splitError(i, fmt.Errorf("copy of %s from %s to %s: %w", at.Tensor, at.From, at.To, err))
		}
	}
	return nil
}

// waitDevice waits for the splits before i that are submitted to device d.
func (e *Exec) waitDevice(ctx context.Context, i int, d int32) error {
	for k := range i {
		if e.splits[k].dev != d {
			continue
		}
		if err := e.wait(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for split i if it is submitted.
func (e *Exec) wait(ctx context.Context, i int) error {
	s := &e.splits[i]
	if !s.pending {
		return nil
	}
	if err := s.program.Wait(ctx); err != nil {
		return e.splitError(i, err)
	}
	s.pending = false
	return nil
}

// drain waits for everything after an error, whatever the context says: the memory must be free of work
// before anybody uses it again. What the devices say is about the same mistake, and is left out.
func (e *Exec) drain() {
	for i := range e.splits {
		if s := &e.splits[i]; s.pending {
			_ = s.program.Wait(context.Background())
			s.pending = false
		}
	}
}

func (e *Exec) splitError(i int, err error) error {
	return fmt.Errorf("sched: split %d on %s: %w", i, e.plan.Splits[i].Device, err)
}
