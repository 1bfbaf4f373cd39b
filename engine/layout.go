package engine

import (
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
)

// layout is a model with complete options: what decides where everything goes. It holds no memory.
type layout struct {
	opt     Options
	devices []backends.Device
	model   *model.Model
	places  []string // the device of each layer, and of what comes after them
	pins    []weightPin
}

func newLayout(m *model.Model, opt Options) (layout, error) {
	e := layout{model: m}
	var err error
	if e.opt, err = opt.complete(m.Context, m.Layers); err != nil {
		return e, err
	}
	e.devices = e.opt.all()
	e.places = append(slices.Clone(e.opt.LayerDevices), e.opt.LayerDevices[m.Layers-1])
	e.pins, err = e.opt.weightPins(m.Weights)
	return e, err
}

// weightMemory returns the memory that a weight lies in: that of its pin, or of its layer. What comes
// before the layers goes with the first, what comes after them with the last.
func (e *layout) weightMemory(w model.Weight) buffer.Type {
	if pin := pinned(e.pins, w.Name); pin != nil {
		return pin.typ
	}
	return e.layerMemory(w.Layer)
}

func (e *layout) layerMemory(layer int) buffer.Type {
	layer = min(max(layer, 0), e.model.Layers-1)
	return e.opt.anyDevice(e.opt.LayerDevices[layer]).BufferTypes()[0]
}

// cacheMemory returns the memory that a layer's cache lies in.
func (e *layout) cacheMemory(layer int) buffer.Type {
	if name := e.opt.CacheDevice; name != "" {
		return e.opt.anyDevice(name).BufferTypes()[0]
	}
	return e.layerMemory(layer)
}

// cacheConfig describes the cache, whose memory is what as makes of the layers'.
func (e *layout) cacheConfig(as func(buffer.Type) buffer.Type) kv.Config {
	layers := append([]kv.LayerConfig(nil), e.model.Layer...)
	for i := range layers {
		if layers[i].Reuse < 0 {
			layers[i].Memory = as(e.cacheMemory(layers[i].Layer))
		}
	}
	states := append([]kv.StateConfig(nil), e.model.State...)
	for i := range states {
		states[i].Memory = as(e.cacheMemory(states[i].Layer))
	}
	cfg := kv.Config{
		States: states, Snapshots: e.opt.Snapshots,
		Layers: layers, Cells: e.opt.Context, MaxSeqs: e.opt.Sequences, MaxBatch: e.opt.Batch,
		TypeK: e.opt.CacheK, TypeV: e.opt.CacheV, FullWindow: e.opt.FullWindow || e.opt.Reproducible,
	}
	if n := cfg.MaxSeqs; e.opt.Reproducible && n > 1 {
		cfg.Apart = ((cfg.Cells+n-1)/n + apartCells - 1) / apartCells * apartCells
		cfg.Cells = n * cfg.Apart
	}
	return cfg
}

// apartCells is a multiple of the cells that a device adds up for themselves in attention, before it adds
// these sums: a sequence that begins at such a cell is as one that begins at the first.
const apartCells = 512

// largest returns the shapes of the runs that memory is reserved for.
func (e *layout) largest(cache *kv.Cache) []model.Batch {
	seqs := min(e.opt.Sequences, e.opt.Batch)
	shapes := []model.Batch{e.shapeOver(cache, e.opt.Batch, seqs), e.shapeOver(cache, 1, 1)}
	if cache.Recurrent() { // the most states are read and written by a run of all sequences
		all := e.shapeOver(cache, e.opt.Batch/seqs*seqs, seqs)
		all.Sequences = seqs
		shapes = append(shapes, all)
	}
	return shapes
}

// shapeOver is a run of one sequence over a cache that is full.
func (e *layout) shapeOver(cache *kv.Cache, tokens, outputs int) model.Batch {
	shape := model.Batch{Tokens: tokens, Outputs: outputs, Exact: e.opt.Exact}
	if cache.Recurrent() {
		shape.Sequences = 1
	}
	for i := range cache.Groups() {
		shape.Cells[i] = cache.Group(i).Cells
	}
	return shape
}

// plan builds and plans the graph of a shape.
func (e *layout) plan(shape model.Batch, cache *kv.Cache) (*model.Graph, *sched.Plan, error) {
	g, err := e.model.Graph(shape, cache)
	if err != nil {
		return nil, nil, err
	}
	plan, err := sched.NewPlan(g.Graph, e.devices, sched.Options{
		Layers: e.places, WeightPins: schedPins(e.pins), NoFusion: e.opt.NoFusion, Reproducible: e.opt.Reproducible,
	})
	return g, plan, err
}

// checkTokens reports a run that is too small or too large.
func (e *layout) checkTokens(tokens int) error {
	if tokens < 1 || tokens > e.opt.Batch {
		return &OptionError{"tokens", tokens, fmt.Sprintf("1 to %d", e.opt.Batch)}
	}
	return nil
}
