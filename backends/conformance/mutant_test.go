package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"sync"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// mutant is a CPU device with one planted fault. Nil hooks change nothing.
type mutant struct {
	*cpu.Device
	types []buffer.Type // in place of the device's

	supports func(n *tensor.Tensor) error
	fuses    func(f backends.Fusion) error                            // in place of the device's, which fuses everything
	rewrite  func(n *tensor.Tensor) *tensor.Tensor                    // what is computed in place of n
	place    func(t *tensor.Tensor, at tensor.Storage) tensor.Storage // where it is looked for
	nodes    func(nodes []*tensor.Tensor) []*tensor.Tensor            // in which order
	compile  func(g *backends.Subgraph) error                         // may refuse
	compiled func(p *mutantProgram)
	before   func(p *mutantProgram) // each run
	after    func(p *mutantProgram) // and behind it
	submit   func(p *mutantProgram, ctx context.Context, real func(context.Context) error) error
	wait     func(p *mutantProgram, ctx context.Context) error
}

func newMutant() *mutant { return &mutant{Device: cpu.New(cpu.Options{Threads: 2})} }

func (m *mutant) BufferTypes() []buffer.Type {
	if m.types != nil {
		return m.types
	}
	return m.Device.BufferTypes()
}

func (m *mutant) Supports(n *tensor.Tensor) error {
	if m.supports != nil {
		return m.supports(n)
	}
	return m.Device.Supports(n)
}

func (m *mutant) Compile(g *backends.Subgraph) (backends.Program, error) {
	if m.compile != nil {
		if err := m.compile(g); err != nil {
			return nil, err
		}
	}
	real, free, err := m.split(g)
	if err != nil {
		return nil, err
	}
	same := map[*tensor.Tensor]*tensor.Tensor{}
	if m.rewrite != nil {
		real.Nodes = nil
		for _, n := range g.Nodes {
			if err := m.Supports(n); err != nil {
				return nil, err
			}
			c := m.rewrite(n)
			same[c] = n
			for i, s := range c.Src {
				if s != nil && s != n.Src[i] {
					same[s] = n.Src[i]
				}
			}
			real.Nodes = append(real.Nodes, c)
		}
		rewire(g, real.Nodes, same)
	}
	if m.nodes != nil {
		real.Nodes = m.nodes(real.Nodes)
	}
	between := real.Place
	real.Place = func(t *tensor.Tensor) tensor.Storage {
		at := t
		if orig, ok := same[t]; ok {
			at = orig
		}
		p := between(at)
		if m.place != nil && p.Bound() {
			p = m.place(t, p)
		}
		return p
	}
	p, err := m.Device.Compile(&real)
	if err != nil {
		return nil, errors.Join(err, free())
	}
	mp := &mutantProgram{Program: p, m: m, g: g, free: free}
	if m.compiled != nil {
		m.compiled(mp)
	}
	return mp, nil
}

// Fuses says yes: what the CPU has no kernel for runs node by node.
func (m *mutant) Fuses(f backends.Fusion, _ []*tensor.Tensor) error {
	if m.fuses != nil {
		return m.fuses(f)
	}
	return nil
}

// split returns g without the groups that the CPU has no kernel for: their inner results get memory, which free
// frees.
func (m *mutant) split(g *backends.Subgraph) (real backends.Subgraph, free func() error, err error) {
	real = *g
	real.Groups = nil
	places := map[*tensor.Tensor]buffer.Buffer{}
	free = func() error {
		var errs []error
		for _, b := range places {
			errs = append(errs, b.Close())
		}
		return errors.Join(errs...)
	}
	for _, x := range g.Groups {
		nodes := g.Nodes[x.From:x.To]
		if m.Device.Fuses(x.Fusion, nodes) == nil {
			real.Groups = append(real.Groups, x)
			continue
		}
		for i, n := range nodes {
			if !x.Fusion.Inner(i) {
				continue
			}
			if places[n], err = m.Memory().Alloc(int64(n.Bytes())); err != nil {
				return real, free, errors.Join(err, free())
			}
		}
	}
	real.Place = func(t *tensor.Tensor) tensor.Storage {
		if b, ok := places[t.Root()]; ok {
			return tensor.Storage{Buffer: b, Offset: int64(t.Offset)}
		}
		return g.Place(t)
	}
	return real, free, nil
}

// rewire makes the copies of nodes in a group read each other where the nodes do.
func rewire(g *backends.Subgraph, nodes []*tensor.Tensor, same map[*tensor.Tensor]*tensor.Tensor) {
	for _, x := range g.Groups {
		for k := x.From; k < x.To; k++ {
			c := nodes[k]
			if c == g.Nodes[k] {
				one := *c
				c = &one
				nodes[k], same[c] = c, g.Nodes[k]
			}
			c.Src = append([]*tensor.Tensor(nil), c.Src...)
			for i, s := range c.Src {
				for j := x.From; j < k && s != nil; j++ {
					switch old := g.Nodes[j]; {
					case s == old:
						c.Src[i] = nodes[j]
					case s.Base == old: // a view
						v := *s
						v.Base, v.Src = nodes[j], []*tensor.Tensor{nodes[j]}
						c.Src[i], same[&v] = &v, s
					}
				}
			}
		}
	}
}

type mutantProgram struct {
	backends.Program
	free func() error
	m    *mutant
	g    *backends.Subgraph
	runs int
	busy sync.WaitGroup
	kept []byte
}

func (p *mutantProgram) Submit(ctx context.Context) error {
	if p.m.submit != nil {
		return p.m.submit(p, ctx, p.run)
	}
	return p.run(ctx)
}

func (p *mutantProgram) run(ctx context.Context) error {
	if p.m.before != nil {
		p.m.before(p)
	}
	err := p.Program.Submit(ctx)
	if err == nil && p.m.after != nil {
		p.m.after(p)
	}
	p.runs++
	return err
}

func (p *mutantProgram) Wait(ctx context.Context) error {
	if p.m.wait != nil {
		return p.m.wait(p, ctx)
	}
	return p.Program.Wait(ctx)
}

func (p *mutantProgram) Close() error { return errors.Join(p.Program.Close(), p.free()) }

// bytes returns the memory of t and some bytes behind it.
func (p *mutantProgram) bytes(t *tensor.Tensor, more int) []byte {
	at := p.g.Place(t)
	if !at.Bound() {
		return nil
	}
	mem := buffer.HostBytes(at.Buffer)
	end := at.Offset + int64(t.Bytes()+more)
	if end > int64(len(mem)) {
		return nil
	}
	return mem[at.Offset:end]
}

// eachResult calls f with the memory of each node that has elements.
func (p *mutantProgram) eachResult(more int, f func(n *tensor.Tensor, mem []byte)) {
	for _, n := range p.g.Nodes {
		if mem := p.bytes(n, more); mem != nil && n.Bytes() > 0 {
			f(n, mem)
		}
	}
}

// eachF32 changes each number of each F32 result.
func (p *mutantProgram) eachF32(f func(n *tensor.Tensor, i int, v float32) float32) {
	p.eachResult(0, func(n *tensor.Tensor, mem []byte) {
		if n.Type != tensor.F32 {
			return
		}
		for i := 0; i < len(mem); i += 4 {
			v := math.Float32frombits(binary.LittleEndian.Uint32(mem[i:]))
			binary.LittleEndian.PutUint32(mem[i:], math.Float32bits(f(n, i/4, v)))
		}
	})
}

// replaced returns n with another op.
func replaced(n *tensor.Tensor, op tensor.Op) *tensor.Tensor {
	c := *n
	c.Op = op
	return &c
}

// faultyMemory is host memory with hooks.
type faultyMemory struct {
	*buffer.Host
	alloc   func(real func(int64) (buffer.Buffer, error), size int64) (buffer.Buffer, error)
	readAt  func(b buffer.Buffer, p []byte, off int64) (int, error)
	writeAt func(b buffer.Buffer, p []byte, off int64) (int, error)
	closing func(b buffer.Buffer) error
	fill    func(b buffer.Buffer, off, n int64, v byte) error
}

func (f *faultyMemory) Alloc(size int64) (buffer.Buffer, error) {
	real := func(size int64) (buffer.Buffer, error) {
		b, err := f.Host.Alloc(size)
		if err != nil {
			return nil, err
		}
		return &faultyBuffer{b, f}, nil
	}
	if f.alloc != nil {
		return f.alloc(real, size)
	}
	return real(size)
}

type faultyBuffer struct {
	buffer.Buffer
	f *faultyMemory
}

func (b *faultyBuffer) Type() buffer.Type { return b.f }
func (b *faultyBuffer) HostBytes() []byte { return buffer.HostBytes(b.Buffer) }

func (b *faultyBuffer) ReadAt(p []byte, off int64) (int, error) {
	if b.f.readAt != nil {
		return b.f.readAt(b.Buffer, p, off)
	}
	return b.Buffer.ReadAt(p, off)
}

func (b *faultyBuffer) WriteAt(p []byte, off int64) (int, error) {
	if b.f.writeAt != nil {
		return b.f.writeAt(b.Buffer, p, off)
	}
	return b.Buffer.WriteAt(p, off)
}

func (b *faultyBuffer) Fill(off, n int64, v byte) error {
	if b.f.fill != nil {
		return b.f.fill(b.Buffer, off, n, v)
	}
	return buffer.Fill(b.Buffer, off, n, v)
}

func (b *faultyBuffer) Close() error {
	if b.f.closing != nil {
		return b.f.closing(b.Buffer)
	}
	return b.Buffer.Close()
}

// withMemory gives m memory with hooks.
func (m *mutant) withMemory(f *faultyMemory) {
	f.Host = m.Memory()
	m.types = []buffer.Type{f}
}
