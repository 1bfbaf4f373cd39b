package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
)

// ownCache is the cache of a draft that does not read its target's, as the parts of a Draft that do not
// care see it.
type ownCache struct {
	*kv.Cache
	slots *kv.Slots // of the run that is under way
}

// FillMask fills the mask of the run that is under way.
func (c *ownCache) FillMask(i int, dst []float32, _, _ []int32, n int) error {
	return c.Cache.FillMask(i, dst, c.slots, n)
}

// Sync has nothing to do.
func (c *ownCache) Sync() (int64, error) { return 0, nil }

// BorrowedError says that an engine cannot be closed while drafts use its weights. It matches
// kv.ErrBorrowed.
type BorrowedError struct{ Drafts []string }

// Error returns one line.
func (e *BorrowedError) Error() string {
	return fmt.Sprintf("engine: it cannot be closed while its weights are used by %s: close that first", strings.Join(e.Drafts, ", "))
}

// Unwrap returns kv.ErrBorrowed.
func (e *BorrowedError) Unwrap() error { return kv.ErrBorrowed }

// borrowed names the drafts with caches of their own, which the cache does not know of.
func (e *Engine) borrowed() error {
	var names []string
	for _, d := range e.drafts {
		if d.own != nil {
			names = append(names, d.name)
		}
	}
	if names == nil {
		return nil
	}
	return &BorrowedError{names}
}

// openOwn places the draft and makes its cache.
func (d *Draft) openOwn(opt DraftOptions) error {
	if opt.Mirror {
		return &OptionError{"Mirror", true, "false: the draft has a cache of its own, and reads nothing of the target's"}
	}
	t := &d.target.opt
	o := Options{Devices: opt.Devices, LayerDevices: opt.LayerDevices, Placement: opt.Placement, Fallback: t.Fallback}
	if len(o.Devices) == 0 {
		// Beside the target's output matrix, which it uses too. Others of the target's devices only do what
		// they alone have the weights for: to look up an embedding takes less than another copy of it.
		last := d.target.places[len(d.target.places)-1]
		if o.LayerDevices == nil && !o.Placement.spreads() {
			o.LayerDevices = slices.Repeat([]string{last}, d.model.Layers)
		}
		o.Devices = slices.Clone(t.Devices)
		slices.SortStableFunc(o.Devices, func(a, b backends.Device) int { return isNamed(b, last) - isNamed(a, last) })
	}
	if err := d.placeOn(&o); err != nil {
		return err
	}
	cache, err := d.newCache(opt)
	if err != nil {
		return err
	}
	if err := d.target.reserveHidden(); err != nil {
		return errors.Join(err, cache.Close())
	}
	d.own = &ownCache{Cache: cache}
	d.reader = d.own
	d.batch.last = make([]int32, cache.MaxSeqs())
	return nil
}

// isNamed returns 1 for a device of the given name, and 0 for others.
func isNamed(d backends.Device, name string) int {
	if d.Info().Owner.Device == name {
		return 1
	}
	return 0
}

// newCache makes a cache like the target's, but for what opt says.
func (d *Draft) newCache(opt DraftOptions) (*kv.Cache, error) {
	t := &d.target.opt
	cfg := kv.Config{
		Layers: slices.Clone(d.model.Layer), Cells: t.Context, MaxSeqs: t.Sequences,
		TypeK: t.CacheK, TypeV: t.CacheV, FullWindow: true, // guesses are taken back
	}
	for i := range cfg.Layers {
		if cfg.Layers[i].Reuse < 0 {
			cfg.Layers[i].Memory = d.layerMemory(cfg.Layers[i].Layer)
		}
	}
	if opt.Context != 0 {
		cfg.Cells = opt.Context
	}
	if opt.Sequences != 0 {
		cfg.MaxSeqs = opt.Sequences
	}
	if opt.TypeK != nil {
		cfg.TypeK = *opt.TypeK
	}
	if opt.TypeV != nil {
		cfg.TypeV = *opt.TypeV
	}
	cfg.MaxBatch = min(t.Batch, max(cfg.Cells, 1))
	cache, err := kv.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("engine: the draft's cache: %w", err)
	}
	return cache, nil
}

// reserveHidden makes room for runs that give the hidden states of all their tokens.
func (e *Engine) reserveHidden() error {
	shape := e.fullShape(e.opt.Batch, min(e.opt.Sequences, e.opt.Batch))
	shape.AllHidden = shape.Outputs < shape.Tokens
	_, plan, err := e.plan(shape)
	if err != nil {
		return err
	}
	if err := e.memory.Reserve(plan); err != nil {
		return fmt.Errorf("engine: runs of %d tokens with their hidden states: %w", shape.Tokens, err)
	}
	return nil
}

// OwnsCache reports whether the draft has a cache of its own. It must be given every token that the
// target keeps then, at the same position, with the target's hidden state before it: zeros at position 0.
func (d *Draft) OwnsCache() bool { return d.own != nil }

// HiddenWidth returns the width of the hidden states that the draft takes and gives.
func (d *Draft) HiddenWidth() int { return d.model.HiddenIn }

// Sequences returns how many sequences the draft can keep apart: they are numbered as the target's.
func (d *Draft) Sequences() int {
	if d.own != nil {
		return d.own.MaxSeqs()
	}
	return d.target.opt.Sequences
}

// Batch returns the most tokens of a run: more are taken in several.
func (d *Draft) Batch() int {
	if d.own != nil {
		return d.own.MaxBatch()
	}
	return d.target.opt.Batch
}

// Fits reports why the draft's own cache has no room for n more tokens: nil or a *kv.FullError.
func (d *Draft) Fits(n int) error {
	if d.own == nil || n <= d.own.Free() {
		return nil
	}
	return &kv.FullError{Need: n, Free: d.own.Free(), Cells: d.own.Group(0).Cells}
}

// Truncate takes the tokens of a sequence from position n on out of the draft's own cache. Errors:
// *kv.SeqError, ErrClosed.
func (d *Draft) Truncate(seq, n int32) error {
	switch {
	case d.closed:
		return ErrClosed
	case d.own == nil:
		return nil
	}
	return d.own.Remove(int(seq), int(max(n, 0)), -1)
}

// Memory reports what the draft holds, device by device, a mirror as its cache; what it borrows of the
// target is the target's.
func (d *Draft) Memory() []DeviceMemory {
	var all []DeviceMemory
	for _, dev := range d.devices {
		owner := dev.Info().Owner
		m := DeviceMemory{Device: owner.Device}
		if !d.closed {
			m.Mapped, m.Weights = d.weights.mapped[owner], d.weights.copied[owner]
			m.Compute = d.memory.Bytes(owner.Device)
			switch r := d.reader.(type) {
			case *ownCache:
				m.Cache = r.Layout().BytesOn(owner)
			case *kv.Mirror:
				m.Cache = r.BytesOn(owner)
			}
		}
		all = append(all, m)
	}
	return all
}

// beginPositions reads where the sequences of the draft's own cache end.
func (d *Draft) beginPositions() {
	for seq := range d.batch.last {
		d.batch.last[seq] = int32(d.own.MaxPos(seq))
	}
}

// checkPosition reports why t, whose sequence there is, cannot be where it is; or an empty string.
func (d *Draft) checkPosition(t *DraftToken) string {
	if d.own == nil {
		switch {
		case t.Feed:
			return "the draft reads the target's cache, and has none to feed"
		case d.target.cache.MaxPos(int(t.Seq)) < 0:
			return "the target has nothing of the sequence"
		}
		return ""
	}
	last := &d.batch.last[t.Seq]
	if t.Pos <= *last {
		return fmt.Sprintf("the draft's sequence has reached position %d", *last)
	}
	*last = t.Pos
	return ""
}

// runOwn takes tokens, in as many runs as it takes, into the draft's own cache: all of them or none.
func (d *Draft) runOwn(ctx context.Context, tokens []DraftToken) error {
	if err := d.Fits(len(tokens)); err != nil {
		return err
	}
	for from := 0; from < len(tokens); {
		to := min(from+d.own.MaxBatch(), len(tokens))
		d.batch.take(tokens[from:to])
		if err := d.runPart(ctx); err != nil {
			return errors.Join(err, d.forget(tokens[:from]))
		}
		from = to
	}
	return nil
}

// runPart is one run of the staged tokens.
func (d *Draft) runPart(ctx context.Context) error {
	s := &d.batch
	slots, err := d.own.Find(kv.Batch{Pos: s.pos, Seq: s.seqs})
	if err != nil {
		return err
	}
	if err := d.own.Apply(slots); err != nil {
		return err
	}
	d.own.slots = slots
	if err := d.compute(ctx); err != nil {
		return errors.Join(err, d.own.Undo(slots))
	}
	return nil
}

// forget takes the tokens of runs that are done out of the draft's own cache again.
func (d *Draft) forget(tokens []DraftToken) error {
	for i := range tokens {
		t := &tokens[i]
		if d.own.MaxPos(int(t.Seq)) < int(t.Pos) {
			continue // it has gone with one before it
		}
		if err := d.own.Remove(int(t.Seq), int(t.Pos), -1); err != nil {
			return err
		}
	}
	return nil
}

var (
	_ kv.Reader   = (*ownCache)(nil)
	_ model.Cache = (*ownCache)(nil)
)
