package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

// DraftOptions sets up a Draft. The zero value puts it where the layers lie that it reads, or, if it has a
// cache of its own, where the target's last layer is.
type DraftOptions struct {
	// Devices run the draft, layers spread evenly over them unless LayerDevices says otherwise. Nil means
	// the devices that own the cache layers that it reads, or the target's.
	Devices []backends.Device
	// LayerDevices names the device of each layer, one of Devices or the target's fallback.
	LayerDevices []string
	// Placement spreads the layers in place of LayerDevices. Weights stay with their layers.
	Placement Placement
	// Mirror keeps a copy of the layers that the draft reads on its own devices. It is never done unasked.
	Mirror bool
	// TypeK, TypeV, Context and Sequences are what was asked for the draft's cache, and nil or 0 where
	// nothing was: it is like the target's then. A draft that reads the target's has none of its own, so
	// that asking for others than the target's is refused.
	TypeK, TypeV       *tensor.DType
	Context, Sequences int
	// Depth is how many guesses are made at a time at most, 1 if 0. A recurrent target must have as many
	// Options.Snapshots, to go back to before guesses that were wrong.
	Depth int
}

// Draft runs a model that guesses what its target comes to, of the target's hidden states. It reads the
// target's cache, or has one of its own, which must be given what the target is given: see OwnsCache. It
// writes nothing of the target's, and belongs to its target's goroutine.
type Draft struct {
	target  *Engine
	name    string
	devices []backends.Device
	places  []string
	model   *model.Model
	reader  kv.Reader // of the target's cache, or own
	own     *ownCache // nil if it reads the target's
	weights *weights
	memory  sched.Memory
	runs    runs
	batch   draftStaging
	stats   DraftStats
	closed  bool
}

// DraftStats counts what a Draft has done.
type DraftStats struct {
	Runs   int   // of the model
	Syncs  int   // of the mirror, if there is one
	Copied int64 // bytes that these have copied
}

// NewDraft opens the draft in f for target: f is a file of a draft, or the target's own if a part of that
// drafts. What it reads of target's cache is compared here, before anything of the draft is planned,
// allocated or uploaded. Weights that are the target's too are not loaded again where they can be read.
// Close it before target. f must stay open until then.
//
// Errors: *kv.ShareError, *model.DraftError and the others of model.OpenDraft, *OptionError,
// *buffer.AllocError, *sched.PlacementError.
func NewDraft(f *gguf.File, target *Engine, opt DraftOptions) (_ *Draft, err error) {
	if target.closed {
		return nil, ErrClosed
	}
	m, err := model.OpenDraft(f, target.model)
	if err != nil {
		return nil, err
	}
	if m.HiddenIn == 0 {
		return nil, &model.DraftError{File: f.Path(0), Arch: m.Arch, Target: target.model.Arch, Want: "draft of its own"}
	}
	if o := target.opt; target.cache.Recurrent() && o.Snapshots < max(opt.Depth, 1) {
		return nil, &OptionError{"Snapshots", o.Snapshots, fmt.Sprintf("%d or more: the target has recurrent layers, which go back by snapshots where guesses were wrong", max(opt.Depth, 1))}
	}
	d := &Draft{target: target, model: m, name: fmt.Sprintf("the draft %s", f.Path(0))}
	if m.ReadsTarget {
		err = d.openReader(opt)
	} else {
		err = d.openOwn(opt)
	}
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	target.drafts = append(target.drafts, d)
	if d.weights, err = loadWeights(m, func(w model.Weight) buffer.Type { return d.layerMemory(w.Layer) }, d.readable, nil); err != nil {
		return nil, err
	}
	return d, d.reserve()
}

// DraftedBy reports whether f has a draft for the engine's model that guesses of its hidden states, as
// NewDraft takes it.
func (e *Engine) DraftedBy(f *gguf.File) bool {
	m, err := model.OpenDraft(f, e.model)
	return err == nil && m.HiddenIn > 0
}

// openReader borrows the target's cache.
func (d *Draft) openReader(opt DraftOptions) (err error) {
	sources := draftSources(d.target.model, d.model)
	if err := d.place(opt, sources); err != nil {
		return err
	}
	d.reader, err = d.share(opt, sources)
	return err
}

// draftSources returns for each layer of the draft the target's layer that it reads: the last of the
// same kind of attention that has a cache of its own, or -1 if there is none.
func draftSources(target, draft *model.Model) []int {
	sources := make([]int, len(draft.Layer))
	for i, l := range draft.Layer {
		sources[i] = -1
		for _, t := range target.Layer {
			if t.Reuse < 0 && (t.Window > 0) == (l.Window > 0) {
				sources[i] = t.Layer
			}
		}
	}
	return sources
}

// place finds the draft's devices, and that of each layer.
func (d *Draft) place(opt DraftOptions, sources []int) error {
	o := Options{Devices: opt.Devices, LayerDevices: opt.LayerDevices, Placement: opt.Placement, Fallback: d.target.opt.Fallback}
	if len(o.Devices) == 0 {
		if o.LayerDevices != nil {
			return &OptionError{"LayerDevices", o.LayerDevices, "Devices beside them"}
		}
		devices, places := d.owners(sources)
		o.Devices = devices
		if !o.Placement.spreads() {
			o.LayerDevices = places
		}
	}
	return d.placeOn(&o)
}

// placeOn takes the devices and places of o.
func (d *Draft) placeOn(o *Options) error {
	if o.Placement.pins() {
		return &OptionError{"Placement", "for single weights", "for the layers of a draft alone"}
	}
	if err := o.checkDevices(); err != nil {
		return err
	}
	if err := o.placeLayers(d.model.Layers); err != nil {
		return err
	}
	d.devices, d.places = o.all(), o.LayerDevices
	return nil
}

// owners returns the devices that own what the layers of the draft read, and the one of each layer.
func (d *Draft) owners(sources []int) (devices []backends.Device, places []string) {
	for _, source := range sources {
		dev := d.target.devices[0] // for a layer without a source, which the share refuses
		if l, ok := d.target.cache.Layer(source); ok {
			dev = d.target.owner(l.K.Storage.Buffer.Type())
		}
		places = append(places, dev.Info().Owner.Device)
		if !slices.Contains(devices, dev) {
			devices = append(devices, dev)
		}
	}
	return devices, places
}

// owner returns the engine's device that owns memory of type t.
func (e *Engine) owner(t buffer.Type) backends.Device {
	for _, d := range e.devices {
		if d.Info().Owner == t.Owner() {
			return d
		}
	}
	panic("engine: its cache lies on a device that it does not have")
}

// readable reports whether a device of the draft's can use memory of type t.
func (d *Draft) readable(t buffer.Type) bool {
	return slices.ContainsFunc(d.devices, func(dev backends.Device) bool { return dev.CanUse(t) })
}

// layerMemory returns the memory of the device that a layer is assigned to.
func (d *Draft) layerMemory(layer int) buffer.Type {
	name := d.places[min(max(layer, 0), len(d.places)-1)]
	i := slices.IndexFunc(d.devices, func(dev backends.Device) bool { return dev.Info().Owner.Device == name })
	return d.devices[i].BufferTypes()[0]
}

// share borrows the target's cache.
func (d *Draft) share(opt DraftOptions, sources []int) (kv.Reader, error) {
	cfg := kv.ShareConfig{
		Borrower: d.name, TypeK: opt.TypeK, TypeV: opt.TypeV, Cells: opt.Context, MaxSeqs: opt.Sequences, Readable: d.readable,
	}
	for i, l := range d.model.Layer {
		cfg.Layers = append(cfg.Layers, kv.ShareLayer{
			Layer: l.Layer, Source: sources[i], HeadsKV: l.HeadsKV, KeyDim: l.KeyDim, ValueDim: l.ValueDim,
			Window: l.Window, Rotation: l.Rotation, Memory: d.layerMemory(l.Layer),
		})
	}
	if opt.Mirror {
		return kv.NewMirror(d.target.cache, cfg)
	}
	return kv.Share(d.target.cache, cfg)
}

// reserve plans the largest run and allocates its memory.
func (d *Draft) reserve() error {
	n := d.target.opt.Sequences
	if d.own != nil {
		n = d.own.MaxBatch()
	}
	_, plan, err := d.plan(d.fullShape(n))
	if err != nil {
		return err
	}
	if err := d.memory.Reserve(plan); err != nil {
		return fmt.Errorf("engine: the draft's runs of %d tokens: %w", n, err)
	}
	return nil
}

// fullShape is a run over a full cache, of which as much is wanted as can be.
func (d *Draft) fullShape(tokens int) model.Batch {
	shape := model.Batch{Tokens: tokens, Outputs: tokens, Exact: d.target.opt.Exact}
	for i := range d.reader.Groups() {
		shape.Cells[i] = d.reader.Group(i).Cells
	}
	if d.own != nil {
		shape.Outputs = min(tokens, d.own.MaxSeqs())
	}
	return shape
}

func (d *Draft) plan(shape model.Batch) (*model.Graph, *sched.Plan, error) {
	g, err := d.model.Graph(shape, d.reader)
	if err != nil {
		return nil, nil, err
	}
	plan, err := sched.NewPlan(g.Graph, d.devices, sched.Options{
		Layers: append(slices.Clone(d.places), d.places[len(d.places)-1]), NoFusion: d.target.opt.NoFusion, Reproducible: d.target.opt.Reproducible,
	})
	return g, plan, err
}

// Plan returns the plan of a run of the given number of tokens over a full cache.
func (d *Draft) Plan(tokens int) (*sched.Plan, error) {
	_, plan, err := d.plan(d.fullShape(tokens))
	return plan, err
}

// Params describes the draft's model.
func (d *Draft) Params() model.Params { return d.model.Params }

// Stats returns what the draft has done so far.
func (d *Draft) Stats() DraftStats { return d.stats }

// Logits returns the logits [vocabulary] of token i of the last Run, of those without Feed, valid until
// the next.
func (d *Draft) Logits(i int) []float32 { return d.batch.logits.row(i) }

// Hidden returns what the next step after token i of the last Run takes as its hidden state, valid
// until the next Run.
func (d *Draft) Hidden(i int) []float32 { return d.batch.hidden.row(i) }

// Close frees everything and gives the target free. A second call does nothing.
func (d *Draft) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	d.target.drafts = slices.DeleteFunc(d.target.drafts, func(x *Draft) bool { return x == d })
	errs := []error{d.runs.close(), d.memory.Close()}
	if d.weights != nil {
		errs = append(errs, d.weights.close())
	}
	return errors.Join(append(errs, d.reader.Close())...)
}
