package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

// DraftOptions sets up a Draft. The zero value puts it where the layers lie that it reads.
type DraftOptions struct {
	// Devices run the draft, layers spread evenly over them unless LayerDevices says otherwise. Nil means
	// the devices that own the cache layers that it reads.
	Devices []backends.Device
	// LayerDevices names the device of each layer, one of Devices or the target's fallback.
	LayerDevices []string
	// Mirror keeps a copy of the layers that the draft reads on its own devices. It is never done unasked.
	Mirror bool
	// TypeK, TypeV, Context and Sequences are what was asked for the draft's cache, and nil or 0 where
	// nothing was. It has none of its own, so that asking for others than the target's is refused.
	TypeK, TypeV       *tensor.DType
	Context, Sequences int
}

// Draft runs a model that guesses what its target comes to: it reads the target's cache and hidden
// states and writes neither. It belongs to its target's goroutine.
type Draft struct {
	target  *Engine
	name    string
	devices []backends.Device
	places  []string
	model   *model.Model
	reader  kv.Reader
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

type draftStaging struct {
	ids, pos, seqs []int32
	hiddenIn, mask []float32
	logits, hidden rows
}

// DraftToken is one token of a draft's run.
type DraftToken struct {
	ID, Pos, Seq int32
	Hidden       []float32 // [target's width], the state before the token
}

// NewDraft opens the draft in f for target. What it reads of target's cache is compared here, before
// anything of the draft is planned, allocated or uploaded. Close it before target. f must stay open
// until then.
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
	if !m.ReadsTarget {
		return nil, &model.DraftError{File: f.Path(0), Arch: m.Arch, Target: target.model.Arch, Want: "draft of its own"}
	}
	d := &Draft{target: target, model: m, name: fmt.Sprintf("the draft %s", f.Path(0))}
	sources := draftSources(target.model, m)
	if err := d.place(opt, sources); err != nil {
		return nil, err
	}
	if d.reader, err = d.share(opt, sources); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	target.drafts++
	if d.weights, err = loadWeights(m, d.layerMemory, d.readable, nil); err != nil {
		return nil, err
	}
	d.batch.hidden.width = m.HiddenIn
	return d, d.reserve()
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
	o := Options{Devices: opt.Devices, LayerDevices: opt.LayerDevices, Fallback: d.target.opt.Fallback}
	if len(o.Devices) == 0 {
		if o.LayerDevices != nil {
			return &OptionError{"LayerDevices", o.LayerDevices, "Devices beside them"}
		}
		o.Devices, o.LayerDevices = d.owners(sources)
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
			Window: l.Window, Memory: d.layerMemory(l.Layer),
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
	shape := model.Batch{Tokens: n, Outputs: n, Exact: d.target.opt.Exact}
	for i := range d.reader.Groups() {
		shape.Cells[i] = d.reader.Group(i).Cells
	}
	_, plan, err := d.plan(shape)
	if err != nil {
		return err
	}
	if err := d.memory.Reserve(plan); err != nil {
		return fmt.Errorf("engine: the draft's runs of %d tokens: %w", n, err)
	}
	return nil
}

func (d *Draft) plan(shape model.Batch) (*model.Graph, *sched.Plan, error) {
	g, err := d.model.Graph(shape, d.reader)
	if err != nil {
		return nil, nil, err
	}
	plan, err := sched.NewPlan(g.Graph, d.devices, sched.Options{Layers: append(slices.Clone(d.places), d.places[len(d.places)-1])})
	return g, plan, err
}

// Plan returns the plan of a run of the given number of tokens over a full cache.
func (d *Draft) Plan(tokens int) (*sched.Plan, error) {
	shape := model.Batch{Tokens: tokens, Outputs: tokens, Exact: d.target.opt.Exact}
	for i := range d.reader.Groups() {
		shape.Cells[i] = d.reader.Group(i).Cells
	}
	_, plan, err := d.plan(shape)
	return plan, err
}

// Params describes the draft's model.
func (d *Draft) Params() model.Params { return d.model.Params }

// Stats returns what the draft has done so far.
func (d *Draft) Stats() DraftStats { return d.stats }

// Run takes tokens, of sequences that the target has in its cache, through the draft. Logits and Hidden
// are then those of each. It does not change the target.
//
// Errors: *TokenError, a cancelled ctx's, or a device's.
func (d *Draft) Run(ctx context.Context, tokens []DraftToken) error {
	if d.closed || d.target.closed {
		return ErrClosed
	}
	if err := d.stage(tokens); err != nil {
		return err
	}
	if err := cancelled(ctx); err != nil {
		return err
	}
	if err := d.target.shift(ctx); err != nil { // keys must stand where their positions say
		return err
	}
	copied, err := d.reader.Sync()
	if err != nil {
		return err
	}
	if copied > 0 {
		d.stats.Syncs++
		d.stats.Copied += copied
	}
	shape := model.Batch{Tokens: len(tokens), Outputs: len(tokens), Exact: d.target.opt.Exact}
	for i := range d.reader.Groups() {
		shape.Cells[i] = d.reader.ReadCells(i)
	}
	r := d.runs.find(shape)
	if r == nil {
		if r, err = d.build(shape); err != nil {
			return err
		}
	}
	if err := d.write(r); err != nil {
		return err
	}
	if err := r.exec.Run(ctx); err != nil {
		return fmt.Errorf("engine: draft: %w", err)
	}
	d.stats.Runs++
	if err := r.exec.Read(r.graph.Logits, cast.Bytes(d.batch.logits.grow(len(tokens)))); err != nil {
		return err
	}
	return r.exec.Read(r.graph.Hidden, cast.Bytes(d.batch.hidden.grow(len(tokens))))
}

func (d *Draft) build(shape model.Batch) (*run, error) {
	g, plan, err := d.plan(shape)
	if err != nil {
		return nil, err
	}
	exec, err := sched.NewExec(plan, &d.memory)
	if err != nil {
		return nil, err
	}
	r := &run{shape: shape, graph: g, exec: exec}
	return r, d.runs.add(r)
}

// stage checks tokens and takes them apart.
func (d *Draft) stage(tokens []DraftToken) error {
	s := &d.batch
	s.ids, s.pos, s.seqs, s.hiddenIn = s.ids[:0], s.pos[:0], s.seqs[:0], s.hiddenIn[:0]
	s.logits.begin(true, d.model.Vocab)
	s.hidden.begin(true, s.hidden.width)
	if len(tokens) == 0 {
		return fmt.Errorf("engine: %w: it is empty", ErrBatch)
	}
	for i, t := range tokens {
		why := ""
		switch {
		case t.ID < 0 || int(t.ID) >= d.model.Vocab:
			why = fmt.Sprintf("ids are 0 to %d", d.model.Vocab-1)
		case t.Seq < 0 || int(t.Seq) >= d.target.opt.Sequences:
			why = fmt.Sprintf("sequences are 0 to %d", d.target.opt.Sequences-1)
		case t.Pos < 0 || t.Pos == math.MaxInt32:
			why = fmt.Sprintf("positions are 0 to %d", math.MaxInt32-1)
		case d.target.cache.MaxPos(int(t.Seq)) < 0:
			why = "the target has nothing of the sequence"
		case len(t.Hidden) != s.hidden.width:
			why = fmt.Sprintf("a hidden state of %d, want %d", len(t.Hidden), s.hidden.width)
		}
		if why != "" {
			return &TokenError{i, Token{ID: t.ID, Pos: t.Pos, Seq: t.Seq}, why}
		}
		s.ids, s.pos, s.seqs = append(s.ids, t.ID), append(s.pos, t.Pos), append(s.seqs, t.Seq)
		s.hiddenIn = append(s.hiddenIn, t.Hidden...)
	}
	return nil
}

// write fills the inputs of a run.
func (d *Draft) write(r *run) error {
	s, g := &d.batch, r.graph
	if err := writeInput(r.exec, g.TokenIDs, s.ids); err != nil {
		return err
	}
	if err := writeInput(r.exec, g.Pos, s.pos); err != nil {
		return err
	}
	if err := writeInput(r.exec, g.HiddenIn, s.hiddenIn); err != nil {
		return err
	}
	for i, mask := range g.Masks {
		if mask == nil {
			continue
		}
		n := mask.Shape.Elems()
		if len(s.mask) < n {
			s.mask = make([]float32, n)
		}
		if err := d.reader.FillMask(i, s.mask[:n], s.pos, s.seqs, r.shape.Cells[i]); err != nil {
			return err
		}
		if err := writeInput(r.exec, mask, s.mask[:n]); err != nil {
			return err
		}
	}
	return nil
}

// Logits returns the logits [vocabulary] of token i of the last Run, valid until the next.
func (d *Draft) Logits(i int) []float32 { return d.batch.logits.row(i) }

// Hidden returns what the next step after token i of the last Run takes as its hidden state, valid
// until the next Run.
func (d *Draft) Hidden(i int) []float32 { return d.batch.hidden.row(i) }

// Close frees everything and gives the target's cache free. A second call does nothing.
func (d *Draft) Close() error {
	if d.closed {
		return nil
	}
	d.closed = true
	d.target.drafts--
	errs := []error{d.runs.close(), d.memory.Close()}
	if d.weights != nil {
		errs = append(errs, d.weights.close())
	}
	return errors.Join(append(errs, d.reader.Close())...)
}
