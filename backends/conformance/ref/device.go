package ref

import (
	"context"
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// Device computes by Eval, over host memory of its own: the second device in the suite's scheduler
// chapter. It is slow and, unlike a real backend, allocates in each Submit. It may be used by several
// goroutines.
type Device struct{ host *buffer.Host }

// NewDevice returns a device of the given name.
func NewDevice(name string) *Device {
	return &Device{buffer.NewHost(buffer.Owner{Backend: "Reference", Device: name}, 0)}
}

// Info describes the device.
func (d *Device) Info() backends.Info {
	return backends.Info{Owner: d.host.Owner(), Description: "plain loops in float64", Kind: backends.CPU}
}

// BufferTypes returns the device's host memory.
func (d *Device) BufferTypes() []buffer.Type { return []buffer.Type{d.host} }

// CanUse reports whether t is this device's memory.
func (d *Device) CanUse(t buffer.Type) bool { return t == buffer.Type(d.host) }

// Supports returns nil for every op that Eval knows, over types that package quant can decode.
func (d *Device) Supports(n *tensor.Tensor) error {
	for _, t := range append([]*tensor.Tensor{n}, n.Src...) {
		if t == nil {
			continue
		}
		if _, err := quant.Of(t.Type); err != nil {
			return d.unsupported(n, err.Error())
		}
	}
	if n.Op.Kind() >= tensor.Kind(tensor.NumKinds()) {
		return d.unsupported(n, "it is newer than the reference")
	}
	if op, ok := n.Op.(tensor.RoPE); ok && op.Mode.Axes() > 1 && op.Sections == ([4]int32{}) {
		return d.unsupported(n, "mode "+op.Mode.String()+" needs sections")
	}
	return nil
}

func (d *Device) unsupported(n *tensor.Tensor, why string) error {
	return &backends.UnsupportedError{Device: d.host.Owner().Device, Node: n.Name, Op: n.Op.Kind(), Reason: why}
}

// Close does nothing.
func (d *Device) Close() error { return nil }

// Compile looks every place up.
func (d *Device) Compile(g *backends.Subgraph) (backends.Program, error) {
	p := &program{}
	for _, n := range g.Nodes {
		if err := d.Supports(n); err != nil {
			return nil, err
		}
		s := step{node: n, src: make([][]byte, len(n.Src))}
		var err error
		if s.dst, err = d.memory(n, g.Place); err != nil {
			return nil, err
		}
		for i, t := range n.Src {
			if t == nil {
				continue
			}
			if s.src[i], err = d.memory(t, g.Place); err != nil {
				return nil, err
			}
		}
		p.steps = append(p.steps, s)
	}
	return p, nil
}

// memory returns the bytes of t.
func (d *Device) memory(t *tensor.Tensor, place func(*tensor.Tensor) tensor.Storage) ([]byte, error) {
	n := int64(t.Bytes())
	if n == 0 {
		return nil, nil
	}
	at := place(t)
	if !at.Bound() || !d.CanUse(at.Buffer.Type()) {
		return nil, fmt.Errorf("ref: %v does not lie in memory of %s", t, d.host.Owner())
	}
	mem := buffer.HostBytes(at.Buffer)
	if err := buffer.CheckRange(int64(len(mem)), at.Offset, n); err != nil {
		return nil, fmt.Errorf("ref: %v: %w", t, err)
	}
	return mem[at.Offset : at.Offset+n], nil
}

type program struct{ steps []step }

type step struct {
	node *tensor.Tensor
	dst  []byte
	src  [][]byte
}

// Submit computes node after node.
func (p *program) Submit(ctx context.Context) error {
	for _, s := range p.steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.run(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (s *step) run() error {
	src := make([]Value, len(s.src))
	for i, t := range s.node.Src {
		if t == nil {
			continue
		}
		var err error
		if src[i], err = Read(t.Type, t.Shape, t.Stride, s.src[i]); err != nil {
			return err
		}
	}
	v, err := Eval(s.node, src)
	if err != nil {
		return err
	}
	raw, err := v.Bytes()
	if err != nil {
		return err
	}
	t := s.node
	elems, size := t.Type.Block()
	each(t.Shape, func(row, i1, i2, i3 int) {
		for i0 := 0; i0 < t.Shape[0]; i0 += elems {
			off := i0/elems*t.Stride[0] + i1*t.Stride[1] + i2*t.Stride[2] + i3*t.Stride[3]
			copy(s.dst[off:off+size], raw[(row*t.Shape[0]+i0)/elems*size:])
		}
	})
	return nil
}

// Wait has nothing to wait for.
func (p *program) Wait(context.Context) error { return nil }

// Close does nothing.
func (p *program) Close() error { return nil }

var _ backends.Device = (*Device)(nil)
