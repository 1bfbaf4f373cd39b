package kv

import (
	"fmt"
	"strconv"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// Group is a set of layers that share cells, because they see as far.
type Group struct {
	Window int // tokens that a token sees, itself included; 0 means all
	Cells  int
}

// BufferPlan is one buffer that a cache allocates.
type BufferPlan struct {
	Memory buffer.Type
	Bytes  int64
}

// Layout is what New allocates for a Config.
type Layout struct {
	Groups  []Group
	Buffers []BufferPlan // in the order in which they are allocated

	tensors []placed
}

// placed is one K or V tensor in the plan.
type placed struct {
	leaf   *tensor.Tensor
	buffer int // index in Layout.Buffers
	offset int64
}

// Bytes returns the sum over all buffers.
func (l *Layout) Bytes() int64 {
	var n int64
	for _, b := range l.Buffers {
		n += b.Bytes
	}
	return n
}

// BytesOn returns the bytes that o owns.
func (l *Layout) BytesOn(o buffer.Owner) int64 {
	var n int64
	for _, b := range l.Buffers {
		if b.Memory.Owner() == o {
			n += b.Bytes
		}
	}
	return n
}

// Plan returns what New(cfg) allocates, and allocates nothing. The layers of one memory lie in one
// buffer, or in as many as its largest size demands. Errors: *ConfigError.
func Plan(cfg Config) (*Layout, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	p := &Layout{Groups: cfg.groups()}
	open := map[buffer.Type]int{} // the buffer that is being filled
	for _, l := range cfg.Layers {
		if l.Reuse >= 0 {
			continue
		}
		cells := cfg.groupCells(l.Window)
		for _, t := range []struct {
			name  string
			dtype tensor.DType
			dim   int
		}{{"cache_k", cfg.TypeK, l.KeyDim}, {"cache_v", cfg.TypeV, l.ValueDim}} {
			leaf, err := tensor.NewLeaf(tensor.Cache, fmt.Sprintf("blk.%d.%s", l.Layer, t.name), t.dtype, tensor.MakeShape(t.dim*l.HeadsKV, cells))
			if err != nil {
				return nil, fmt.Errorf("kv: layer %d: %w: %w", l.Layer, ErrConfig, err)
			}
			leaf.Layer = l.Layer
			if err := p.place(leaf, l.Memory, open); err != nil {
				return nil, err
			}
		}
	}
	return p, p.placeStates(&cfg, open)
}

// place gives leaf its place at the end of the open buffer of memory, or of a new one.
func (p *Layout) place(leaf *tensor.Tensor, memory buffer.Type, open map[buffer.Type]int) error {
	size, most := int64(leaf.Bytes()), memory.MaxSize()
	if size > most {
		return &ConfigError{
			leaf.Layer, "Cells", fmt.Sprintf("too many: %s of %d bytes", leaf.Name, size),
			"at most " + strconv.FormatInt(most, 10) + " bytes in one buffer of " + memory.Name(),
		}
	}
	align := int64(max(memory.Alignment(), 1))
	i, ok := open[memory]
	var offset int64
	if ok {
		offset = (p.Buffers[i].Bytes + align - 1) / align * align
	}
	if !ok || offset > most-size {
		i, offset = len(p.Buffers), 0
		p.Buffers = append(p.Buffers, BufferPlan{Memory: memory})
		open[memory] = i
	}
	p.Buffers[i].Bytes = offset + size
	p.tensors = append(p.tensors, placed{leaf, i, offset})
	return nil
}
