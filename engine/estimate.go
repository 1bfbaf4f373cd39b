package engine

import (
	"fmt"
	"strings"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
)

// DeviceNeed is what an engine will hold on one device, and what there is.
type DeviceNeed struct {
	DeviceMemory
	// Need is what goes into the device's default memory, and Free what that has, in bytes; 0 if the
	// device does not say.
	Need int64 `json:"need"`
	Free int64 `json:"free"`
}

// Missing returns how many bytes there are too few, 0 if all fits or nobody knows.
func (n DeviceNeed) Missing() int64 {
	if n.Free == 0 {
		return 0
	}
	return max(0, n.Need-n.Free)
}

// FitError says how much memory is missing where. Nothing was allocated. It matches buffer.ErrNoMemory.
type FitError struct {
	Lacking []DeviceNeed // the devices that do not have what is needed
}

// Error returns one line with both sides for each device.
func (e *FitError) Error() string {
	var b strings.Builder
	b.WriteString("engine: the model does not fit: ")
	for i, n := range e.Lacking {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s has %d bytes free and needs %d (weights %d, cache %d, runs %d): %d are missing",
			n.Device, n.Free, n.Need, n.Weights, n.Cache, n.Compute, n.Missing())
	}
	return b.String()
}

// Unwrap returns buffer.ErrNoMemory.
func (e *FitError) Unwrap() error { return buffer.ErrNoMemory }

// Estimate is where a model would run, and with what memory. It is found without allocating memory of
// any device, so that it can be asked for about models and machines larger than this one.
type Estimate struct {
	Params  model.Params
	Options Options // in force
	Memory  []DeviceNeed
	Plan    *sched.Plan // of the run asked for, over a full cache
}

// NewEstimate returns what New would make of opt, and the plan of a run of the given number of tokens.
// A model that does not fit is no error here: Fits says it.
//
// Errors: those of New, but for a *FitError and what allocations say.
func NewEstimate(f *gguf.File, opt Options, tokens int) (*Estimate, error) {
	m, err := model.Open(f)
	if err != nil {
		return nil, err
	}
	b, err := draw(m, opt)
	if err != nil {
		return nil, err
	}
	if err := b.checkTokens(tokens); err != nil {
		return nil, err
	}
	_, plan, err := b.plan(b.shapeOver(b.cache, tokens, 1), b.cache)
	if err != nil {
		return nil, err
	}
	return &Estimate{Params: m.Params, Options: b.opt, Memory: b.needs(), Plan: plan}, nil
}

// Fits returns a *FitError if a device has less memory than is needed.
func (e *Estimate) Fits() error { return fits(e.Memory) }

func fits(needs []DeviceNeed) error {
	var lacking []DeviceNeed
	for _, n := range needs {
		if n.Missing() > 0 {
			lacking = append(lacking, n)
		}
	}
	if lacking != nil {
		return &FitError{lacking}
	}
	return nil
}

// blueprint is an engine drawn and not built: its weights and cache are bound to memory that has a size
// and no bytes, and its runs are planned.
type blueprint struct {
	layout
	weights *weights
	cache   *kv.Cache
	bytes   map[buffer.Type]int64 // that are needed
	compute map[string]int64      // of these for runs, by device
}

// draw does what New does, with the same code, but that nothing is allocated. It leaves m's weights
// bound to nothing of use.
func draw(m *model.Model, opt Options) (*blueprint, error) {
	l, err := newLayout(m, opt)
	if err != nil {
		return nil, err
	}
	b := &blueprint{layout: l, bytes: map[buffer.Type]int64{}, compute: map[string]int64{}}
	drawn := map[buffer.Type]buffer.Type{}
	as := func(t buffer.Type) buffer.Type {
		if drawn[t] == nil {
			drawn[t] = &drawnType{Type: t, bytes: b.bytes}
		}
		return drawn[t]
	}
	if b.weights, err = loadWeights(m, func(w model.Weight) buffer.Type { return as(b.weightMemory(w)) }, nil, nil); err != nil {
		return nil, err
	}
	if b.cache, err = kv.New(b.cacheConfig(as)); err != nil {
		return nil, err
	}
	return b, b.planRuns()
}

// planRuns adds what the largest runs need: of each of an arena's buffers the largest.
func (b *blueprint) planRuns() error {
	type key struct {
		device string
		buffer int
	}
	largest := map[key]int64{}
	for _, shape := range b.largest(b.cache) {
		_, plan, err := b.plan(shape, b.cache)
		if err != nil {
			return err
		}
		for _, a := range plan.Memory {
			for i, size := range a.Buffers {
				k := key{a.Device, i}
				largest[k] = max(largest[k], size)
			}
		}
	}
	for k, size := range largest {
		b.compute[k.device] += size
		b.bytes[b.opt.anyDevice(k.device).BufferTypes()[0]] += size
	}
	return nil
}

func (b *blueprint) needs() []DeviceNeed {
	var all []DeviceNeed
	for _, d := range b.devices {
		info := d.Info()
		owner := info.Owner
		all = append(all, DeviceNeed{
			DeviceMemory: DeviceMemory{
				Device: owner.Device, Mapped: b.weights.mapped[owner], Weights: b.weights.copied[owner],
				Cache: b.cache.Layout().BytesOn(owner), Compute: b.compute[owner.Device],
			},
			Need: b.bytes[d.BufferTypes()[0]], Free: info.MemoryFree,
		})
	}
	return all
}

func (b *blueprint) fits() error { return fits(b.needs()) }

// drawnType is memory of a device that is counted and not allocated.
type drawnType struct {
	buffer.Type
	bytes map[buffer.Type]int64
}

// Alloc counts size bytes.
func (t *drawnType) Alloc(size int64) (buffer.Buffer, error) {
	if most := t.MaxSize(); size > most {
		return nil, &buffer.AllocError{Type: t.Name(), Size: size, Available: -1, Err: fmt.Errorf("one buffer holds at most %d", most)}
	}
	t.bytes[t.Type] += size
	return drawnBuffer{t.Type, size}, nil
}

// Import asks the device whether it could use host where it lies, and takes nothing.
func (t *drawnType) Import(host []byte) (buffer.Buffer, error) {
	b, err := buffer.Import(t.Type, host)
	if b == nil || err != nil {
		return nil, err
	}
	return drawnBuffer{t.Type, b.Size()}, b.Close()
}

// drawnBuffer is a buffer without bytes. What is written to it is dropped.
type drawnBuffer struct {
	typ  buffer.Type
	size int64
}

func (b drawnBuffer) Type() buffer.Type { return b.typ }
func (b drawnBuffer) Size() int64       { return b.size }
func (drawnBuffer) Close() error        { return nil }

func (b drawnBuffer) WriteAt(p []byte, offset int64) (int, error) {
	return len(p), buffer.CheckRange(b.size, offset, int64(len(p)))
}

func (b drawnBuffer) ReadAt(p []byte, offset int64) (int, error) {
	clear(p)
	return len(p), buffer.CheckRange(b.size, offset, int64(len(p)))
}
