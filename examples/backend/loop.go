// Package loop is a complete tenon backend in plain Go, small enough to begin one's own from: a device
// "Loop0" that runs a handful of ops on F32, one row at a time. It is written against the public packages
// alone, and its test is the conformance suite.
//
// Importing it is enough to use it: `tenon devices` would list Loop0, and `--device Loop0` run on it what it
// supports and on the CPU the rest.
package loop

import (
	"context"
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

func init() {
	backends.Register(backends.Backend{Name: "Loop", Probe: func() ([]backends.Device, error) {
		return []backends.Device{Open()}, nil // a driver that is absent would be no device and an error
	}})
}

// Device computes on the goroutine that submits. It may be used by several at once.
type Device struct{ memory *buffer.Host }

// Open returns the device. All devices of one name are the same owner, and yet each has its own memory.
func Open() *Device {
	return &Device{buffer.NewHost(buffer.Owner{Backend: "Loop", Device: "Loop0"}, 0)}
}

// Info describes the device.
func (d *Device) Info() backends.Info {
	return backends.Info{Owner: d.memory.Owner(), Description: "plain loops", Kind: backends.CPU, Driver: "loop 1.0"}
}

// BufferTypes returns the memory that the device owns. A device with memory of its own would bring a
// buffer.Type for it.
func (d *Device) BufferTypes() []buffer.Type { return []buffer.Type{d.memory} }

// CanUse reports whether t is the device's memory.
func (d *Device) CanUse(t buffer.Type) bool { return t == buffer.Type(d.memory) }

// Close has nothing to free: buffers and programs are closed before.
func (d *Device) Close() error { return nil }

// Supports says no to every op without a kernel, and to every type but F32. People read the reason when they ask
// why an op runs elsewhere.
func (d *Device) Supports(n *tensor.Tensor) error {
	if kernels[n.Op.Kind()] == nil {
		return d.refuse(n, "there is no kernel for it")
	}
	for i, t := range append([]*tensor.Tensor{n}, n.Src...) {
		_, sets := n.Op.(tensor.SetRows)
		if index := sets && i == 3; t != nil && !index && t.Type != tensor.F32 {
			return d.refuse(n, fmt.Sprintf("%s is %s, only F32 is supported", t.Name, t.Type))
		}
	}
	if u, ok := n.Op.(tensor.Unary); ok && functions[u.Func] == nil {
		return d.refuse(n, fmt.Sprintf("function %s is not supported", u.Func))
	}
	return nil
}

func (d *Device) refuse(n *tensor.Tensor, why string) error {
	return &backends.UnsupportedError{Device: d.memory.Owner().Device, Node: n.Name, Op: n.Op.Kind(), Reason: why}
}

// Compile finds the memory of each operand once. What Submit does then allocates nothing.
func (d *Device) Compile(g *backends.Subgraph) (backends.Program, error) {
	p := &program{}
	for _, n := range g.Nodes {
		if err := d.Supports(n); err != nil {
			return nil, err
		}
		dst, err := d.operand(n, g.Place)
		if err != nil {
			return nil, err
		}
		src := make([]operand, len(n.Src))
		for i, s := range n.Src {
			if src[i], err = d.operand(s, g.Place); err != nil {
				return nil, err
			}
		}
		p.steps = append(p.steps, kernels[n.Op.Kind()](n, dst, src))
	}
	return p, nil
}

// operand finds t by its place and nothing else: t may be a view, or lie over another tensor.
func (d *Device) operand(t *tensor.Tensor, place func(*tensor.Tensor) tensor.Storage) (operand, error) {
	o := operand{shape: t.Shape, stride: t.Stride, wide: t.Type == tensor.I64}
	size := int64(t.Bytes()) // from its first byte to its last, with the gaps between rows
	if size == 0 {
		return o, nil
	}
	at := place(t)
	if !at.Bound() || !d.CanUse(at.Buffer.Type()) {
		return o, fmt.Errorf("loop: %v does not lie in memory of %s", t, d.memory.Owner())
	}
	mem := buffer.HostBytes(at.Buffer)
	if err := buffer.CheckRange(int64(len(mem)), at.Offset, size); err != nil {
		return o, fmt.Errorf("loop: %v: %w", t, err)
	}
	o.mem = mem[at.Offset : at.Offset+size]
	return o, nil
}

// program is a list of steps.
type program struct{ steps []step }

// step computes a node, row by row.
type step struct {
	rows tensor.Shape // whose rows are counted
	row  func(i1, i2, i3 int) error
}

// Submit is done when it returns. It looks at ctx before every row, so that a cancelled run ends soon.
func (p *program) Submit(ctx context.Context) error {
	for _, s := range p.steps {
		for i := range s.rows.Rows() {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := s.row(i%s.rows[1], i/s.rows[1]%s.rows[2], i/s.rows[1]/s.rows[2]); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// Wait has nothing to wait for.
func (p *program) Wait(ctx context.Context) error { return ctx.Err() }

// Close has nothing to free.
func (p *program) Close() error { return nil }
