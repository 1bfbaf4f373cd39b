package kv

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// Cache holds keys and values of the tokens of several sequences; see the package for its use.
type Cache struct {
	layout   *Layout
	buffers  []buffer.Buffer
	layers   map[int]Layer
	groups   []*group
	states   *states // nil without recurrent layers
	cells    int     // Config.Cells: windowed groups may have fewer
	maxSeqs  int
	maxBatch int
	apart    int // Config.Apart

	// last holds the highest position of each sequence, or -1. Every group agrees on it.
	last []int32
	// changes counts what was done to the cells, so that old slots are noticed.
	changes   uint64
	slots     Slots
	borrowers []string  // names of those who read the cache
	mirrors   []*Mirror // of them those who copy it
	closed    bool
}

// Layer is what the cache keeps for one layer of a model.
type Layer struct {
	// K and V are leaves of role tensor.Cache, of shape [KeyDim*HeadsKV, cells] and
	// [ValueDim*HeadsKV, cells], bound to memory. Row i is the token in cell i of the group.
	K, V *tensor.Tensor

	HeadsKV  int
	KeyDim   int // per head
	ValueDim int // per head
	Window   int // tokens that a token sees, itself included; 0 means all
	Rotation string
	Group    int // index for Cache.Group, ReadCells, FillMask and Slots.Indices
	Source   int // the layer that writes K and V: this one, or the one that it reuses
}

// New returns an empty cache. Errors: *ConfigError, or the *buffer.AllocError of a memory that has no
// room, wrapped; nothing stays allocated then.
func New(cfg Config) (*Cache, error) {
	layout, err := Plan(cfg)
	if err != nil {
		return nil, err
	}
	c := &Cache{
		layout: layout, layers: make(map[int]Layer, len(cfg.Layers)),
		cells: cfg.Cells, maxSeqs: cfg.MaxSeqs, maxBatch: cfg.MaxBatch, apart: cfg.Apart, last: make([]int32, cfg.MaxSeqs),
	}
	for _, b := range layout.Buffers {
		mem, err := b.Memory.Alloc(b.Bytes)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("kv: a cache of %d cells: %w", cfg.Cells, err), c.free())
		}
		c.buffers = append(c.buffers, mem)
	}
	for _, p := range layout.tensors {
		if err := p.leaf.Bind(c.buffers[p.buffer], p.offset); err != nil {
			return nil, errors.Join(fmt.Errorf("kv: %w", err), c.free())
		}
	}
	for _, g := range layout.Groups {
		c.groups = append(c.groups, newGroup(g, cfg.MaxSeqs, cfg.pad(), cfg.FullWindow))
	}
	if err := c.addStates(&cfg, c.addLayers(cfg.Layers)); err != nil {
		return nil, errors.Join(err, c.free())
	}
	c.slots = Slots{cache: c, cells: make([][]int64, len(c.groups)), sweep: make([]bool, len(c.groups))}
	c.reset()
	return c, nil
}

// addLayers fills c.layers. The plan lists K and V of each layer that is written, in order; addLayers
// returns how many tensors that are.
func (c *Cache) addLayers(configs []LayerConfig) (next int) {
	for _, l := range configs {
		if l.Reuse >= 0 {
			continue
		}
		c.layers[l.Layer] = Layer{
			K: c.layout.tensors[next].leaf, V: c.layout.tensors[next+1].leaf,
			HeadsKV: l.HeadsKV, KeyDim: l.KeyDim, ValueDim: l.ValueDim,
			Window: l.Window, Rotation: l.Rotation, Group: c.groupOf(l.Window), Source: l.Layer,
		}
		next += 2
	}
	for _, l := range configs {
		if l.Reuse >= 0 {
			c.layers[l.Layer] = c.layers[l.Reuse]
		}
	}
	return next
}

func (c *Cache) groupOf(window int) int {
	for i, g := range c.layout.Groups {
		if g.Window == window {
			return i
		}
	}
	panic("kv: a layer without group")
}

// Layer returns what the cache keeps for layer i of the model, and whether it keeps anything.
func (c *Cache) Layer(i int) (Layer, bool) {
	l, ok := c.layers[i]
	return l, ok
}

// Groups returns the number of groups. Groups are numbered from 0; the one without a window is first,
// if there is one.
func (c *Cache) Groups() int { return len(c.groups) }

// Group returns window and cells of group i.
func (c *Cache) Group(i int) Group { return c.layout.Groups[i] }

// Layout returns what the cache has allocated. It must not be changed.
func (c *Cache) Layout() *Layout { return c.layout }

// MaxSeqs returns the number of sequences.
func (c *Cache) MaxSeqs() int { return c.maxSeqs }

// MaxBatch returns the largest number of tokens of a Batch.
func (c *Cache) MaxBatch() int { return c.maxBatch }

// Used returns how many cells of group i hold a token, expired ones included.
func (c *Cache) Used(i int) int { return c.groups[i].used }

// Free returns how many tokens the cache can take at once, as far as cells go. A windowed group can
// take more over several batches, as its tokens expire.
func (c *Cache) Free() int {
	n := c.groups[0].cells
	for _, g := range c.groups {
		free := g.cells - g.used
		if g.expires {
			free += g.survey(c.last)
		}
		n = min(n, free)
	}
	return n
}

// ReadCells returns how many leading cells of group i attention has to read now: up to the highest one
// that holds a token, rounded up to Config.Pad, at most all of the group and never 0.
func (c *Cache) ReadCells(i int) int { return c.groups[i].readCells() }

// Close frees the memory. A second call does nothing. Errors: *BorrowedError while others read the
// cache, which then stays open, or what the memory's owner says.
func (c *Cache) Close() error {
	if c.closed {
		return nil
	}
	if len(c.borrowers) > 0 {
		return &BorrowedError{slices.Clone(c.borrowers)}
	}
	c.closed = true
	c.changes++
	return c.free()
}

func (c *Cache) free() error {
	var errs []error
	for _, b := range c.buffers {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}
