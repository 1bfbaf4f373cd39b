package ref

import (
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

// Memory is the content of the tensors that have memory of their own, for running a graph node by node.
type Memory struct {
	stored map[*tensor.Tensor]Value // by root, rounded to what its type can hold
	exact  map[*tensor.Tensor]Value // of nodes, as Eval gave them
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{map[*tensor.Tensor]Value{}, map[*tensor.Tensor]Value{}}
}

// Set sets the content of a leaf to packed bytes.
func (m *Memory) Set(leaf *tensor.Tensor, data []byte) error {
	v, err := Read(leaf.Type, leaf.Shape, leaf.Shape.Packed(leaf.Type), data)
	m.stored[leaf] = v
	return err
}

// Get returns the present content of t, which may be a view, as its type holds it.
func (m *Memory) Get(t *tensor.Tensor) (Value, error) {
	root := t.Root()
	v, ok := m.stored[root]
	if !ok {
		return Value{}, fmt.Errorf("ref: %v has no content", root)
	}
	if t == root {
		return v, nil
	}
	elems, size := t.Type.Block()
	return v.pick(t.Shape, func(i0, i1, i2, i3 int) int {
		off := t.Offset + i0/elems*t.Stride[0] + i1*t.Stride[1] + i2*t.Stride[2] + i3*t.Stride[3]
		return off / size * elems
	}), nil
}

// Result returns what Eval gave for node n, before it was stored.
func (m *Memory) Result(n *tensor.Tensor) (Value, bool) {
	v, ok := m.exact[n]
	return v, ok
}

// Run evaluates nodes in order.
func (m *Memory) Run(nodes []*tensor.Tensor) error {
	for _, n := range nodes {
		src := make([]Value, len(n.Src))
		for i, s := range n.Src {
			if s == nil {
				continue
			}
			var err error
			if src[i], err = m.Get(s); err != nil {
				return err
			}
		}
		v, err := Eval(n, src)
		if err != nil {
			return err
		}
		m.exact[n] = v
		stored, err := v.Stored()
		if err != nil {
			return fmt.Errorf("ref: %v: %w", n, err)
		}
		if n.Base == nil {
			m.stored[n] = stored
		} else if err := m.put(n, stored); err != nil {
			return err
		}
	}
	return nil
}

// put writes v into the root that n lies in.
func (m *Memory) put(n *tensor.Tensor, v Value) error {
	old, ok := m.stored[n.Base]
	if !ok {
		return fmt.Errorf("ref: %v has no content", n.Base)
	}
	raw := append([]byte(nil), old.Raw...)
	elems, size := n.Type.Block()
	each(n.Shape, func(row, i1, i2, i3 int) {
		for i0 := 0; i0 < n.Shape[0]; i0 += elems {
			off := n.Offset + i0/elems*n.Stride[0] + i1*n.Stride[1] + i2*n.Stride[2] + i3*n.Stride[3]
			from := (row*n.Shape[0] + i0) / elems * size
			copy(raw[off:off+size], v.Raw[from:])
		}
	})
	now, err := Value{Type: old.Type, Shape: old.Shape, Raw: raw}.decoded()
	m.stored[n.Base] = now
	return err
}
