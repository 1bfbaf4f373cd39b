package sched

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// fakeType is memory of a fake device. It lies on the Go heap, so that the race detector sees it. If
// mapped is unset the host cannot address it, and reads and writes wait for the device.
type fakeType struct {
	dev    *fakeDevice
	align  int
	max    int64
	mapped bool
	used   atomic.Int64
	fail   error // of the next Alloc
}

func (t *fakeType) Name() string        { return t.dev.name }
func (t *fakeType) Owner() buffer.Owner { return buffer.Owner{Backend: "Fake", Device: t.dev.name} }
func (t *fakeType) Alignment() int      { return t.align }
func (t *fakeType) MaxSize() int64      { return t.max }

func (t *fakeType) Alloc(size int64) (buffer.Buffer, error) {
	if err := t.fail; err != nil {
		t.fail = nil
		return nil, err
	}
	if size > t.max {
		return nil, &buffer.AllocError{Type: t.Name(), Size: size, Available: t.max}
	}
	t.used.Add(size)
	b := &fakeBuffer{typ: t, mem: make([]byte, size)}
	if t.mapped {
		return mappedBuffer{b}, nil
	}
	return b, nil
}

type fakeBuffer struct {
	typ    *fakeType
	mem    []byte
	closed bool
}

func (b *fakeBuffer) Type() buffer.Type { return b.typ }
func (b *fakeBuffer) Size() int64       { return int64(len(b.mem)) }

func (b *fakeBuffer) ReadAt(p []byte, off int64) (int, error) {
	if err := buffer.CheckRange(b.Size(), off, int64(len(p))); err != nil {
		return 0, err
	}
	b.typ.dev.busy.Wait()
	return copy(p, b.mem[off:]), nil
}

func (b *fakeBuffer) WriteAt(p []byte, off int64) (int, error) {
	if err := buffer.CheckRange(b.Size(), off, int64(len(p))); err != nil {
		return 0, err
	}
	b.typ.dev.busy.Wait()
	return copy(b.mem[off:], p), nil
}

func (b *fakeBuffer) Close() error {
	if !b.closed {
		b.closed = true
		b.typ.used.Add(-b.Size())
	}
	return nil
}

type mappedBuffer struct{ *fakeBuffer }

func (b mappedBuffer) HostBytes() []byte { return b.mem }

// fakeDevice runs a handful of ops as plain loops. With async set it runs them on a goroutine of its
// own, so that missing waits show.
type fakeDevice struct {
	name    string
	typ     *fakeType
	others  []*fakeDevice     // whose memory it can use
	refuses map[string]string // op kind to reason
	fuses   map[string]string // fusion to "", or to the reason why not; the others have no kernel
	submit  error             // returned by the next Submit
	queue   chan *fakeProgram // nil unless async
	busy    sync.WaitGroup
	open    atomic.Int64 // programs
	submits int
}

func newFake(name string) *fakeDevice {
	d := &fakeDevice{name: name, refuses: map[string]string{}}
	d.typ = &fakeType{dev: d, align: 64, max: 1 << 40, mapped: true}
	return d
}

// async gives d a queue, and memory that the host cannot address.
func (d *fakeDevice) async() *fakeDevice {
	d.typ.mapped = false
	d.queue = make(chan *fakeProgram, 256)
	go func() {
		for p := range d.queue {
			p.run()
			d.busy.Done()
		}
	}()
	return d
}

func (d *fakeDevice) Info() backends.Info        { return backends.Info{Owner: d.typ.Owner()} }
func (d *fakeDevice) BufferTypes() []buffer.Type { return []buffer.Type{d.typ} }
func (d *fakeDevice) CanUse(t buffer.Type) bool {
	return t == d.typ || slices.ContainsFunc(d.others, func(o *fakeDevice) bool { return t == o.typ })
}

func (d *fakeDevice) Supports(n *tensor.Tensor) error {
	kind := n.Op.Kind()
	reason, no := d.refuses[kind.String()]
	if _, known := kernels[kind]; !known && !no {
		reason, no = "no kernel", true
	}
	if no {
		return &backends.UnsupportedError{Device: d.name, Node: n.Name, Op: kind, Reason: reason}
	}
	return nil
}

func (d *fakeDevice) Close() error {
	if d.queue != nil {
		close(d.queue)
	}
	return nil
}

// fusing is a fakeDevice that fuses.
type fusing struct{ *fakeDevice }

func (d fusing) Fuses(f backends.Fusion, nodes []*tensor.Tensor) error {
	if why, ok := d.fuses[f.String()]; !ok || why != "" {
		if !ok {
			why = "no kernel for it"
		}
		return &backends.UnsupportedError{Device: d.name, Fusion: f.String(), Reason: why}
	}
	return nil
}

func (d *fakeDevice) Compile(g *backends.Subgraph) (backends.Program, error) {
	if err := g.CheckGroups(); err != nil {
		return nil, err
	}
	p := &fakeProgram{dev: d}
	inner := map[*tensor.Tensor][]byte{}
	for _, x := range g.Groups {
		for i, n := range g.Nodes[x.From:x.To] {
			if x.Fusion.Inner(i) {
				inner[n] = make([]byte, n.Bytes())
			}
		}
	}
	groups := g.Groups
	for i, n := range g.Nodes {
		if len(groups) > 0 && groups[0].From == i {
			if err := d.spoil(p, g, groups[0]); err != nil {
				return nil, err
			}
			groups = groups[1:]
		}
		if err := d.Supports(n); err != nil {
			return nil, err
		}
		c := call{op: n.Op}
		for _, t := range append([]*tensor.Tensor{n}, n.Src...) {
			if t != nil && inner[t.Root()] != nil {
				if g.Place(t) != (tensor.Storage{}) {
					return nil, fmt.Errorf("%s: %v is inner and has a place", d.name, t)
				}
				c.args = append(c.args, operand{t, inner[t.Root()][t.Offset:]})
				continue
			}
			o, err := d.operand(g, t)
			if err != nil {
				return nil, err
			}
			c.args = append(c.args, o)
		}
		p.calls = append(p.calls, c)
	}
	d.open.Add(1)
	return p, nil
}

// spoil adds to p that the stored results of a group are overwritten before anything is read, unless they
// may lie over a source and do: a kernel is free to write one result before it reads what another is made of.
func (d *fakeDevice) spoil(p *fakeProgram, g *backends.Subgraph, x backends.Group) error {
	nodes := g.Nodes[x.From:x.To]
	over := map[tensor.Storage]bool{}
	for _, at := range x.Fusion.Over() {
		over[g.Place(nodes[at[0]].Src[at[1]])] = true
	}
	for i, n := range nodes {
		if x.Fusion.Inner(i) || n.Base != nil || over[g.Place(n)] {
			continue
		}
		o, err := d.operand(g, n)
		if err != nil {
			return err
		}
		p.calls = append(p.calls, call{args: []operand{o}})
	}
	return nil
}

// operand resolves t and checks that the device can use its place.
func (d *fakeDevice) operand(g *backends.Subgraph, t *tensor.Tensor) (operand, error) {
	if t == nil || t.Bytes() == 0 {
		return operand{t: t}, nil
	}
	at := g.Place(t)
	if !at.Bound() {
		return operand{}, fmt.Errorf("%s: %v has no place", d.name, t)
	}
	if !d.CanUse(at.Buffer.Type()) {
		return operand{}, fmt.Errorf("%s: %v lies on %s", d.name, t, at.Buffer.Type().Owner())
	}
	if err := buffer.CheckRange(at.Buffer.Size(), at.Offset, int64(t.Bytes())); err != nil {
		return operand{}, err
	}
	var mem []byte
	switch b := at.Buffer.(type) {
	case *fakeBuffer:
		mem = b.mem
	case mappedBuffer:
		mem = b.mem
	}
	return operand{t, mem[at.Offset : at.Offset+int64(t.Bytes())]}, nil
}

type fakeProgram struct {
	dev   *fakeDevice
	calls []call
}

func (p *fakeProgram) run() {
	for i := range p.calls {
		if p.dev.queue != nil {
			runtime.Gosched()
		}
		p.calls[i].run()
	}
}

func (p *fakeProgram) Submit(ctx context.Context) error {
	p.dev.submits++
	if err := p.dev.submit; err != nil {
		p.dev.submit = nil
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.dev.queue == nil {
		p.run()
		return nil
	}
	p.dev.busy.Add(1)
	p.dev.queue <- p
	return nil
}

func (p *fakeProgram) Wait(context.Context) error {
	p.dev.busy.Wait()
	return nil
}

func (p *fakeProgram) Close() error {
	p.dev.open.Add(-1)
	return nil
}
