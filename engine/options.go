package engine

import (
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// What can be wrong with a call. Errors of this package match one of these, or one of the packages
// below it: kv.ErrFull for a cache without room, a context's error, a device's.
var (
	ErrOption = errors.New("impossible option")
	ErrBatch  = errors.New("impossible batch")
	ErrClosed = errors.New("engine is closed")
)

// Options sets up an Engine. The zero value of each field but Devices means the default.
type Options struct {
	// Devices run the model, in the order of preference; layers are spread evenly over them unless
	// LayerDevices says otherwise.
	Devices []backends.Device
	// LayerDevices names the device of each layer, one of Devices or Fallback; the part after the last layer belongs with it.
	LayerDevices []string
	// Placement spreads the layers, and moves single weights, in place of LayerDevices.
	Placement Placement
	// Fallback runs what none of Devices can run. It may be one of them.
	Fallback backends.Device
	// CacheDevice names the device, one of Devices or Fallback, whose memory holds the whole cache. Empty
	// means that each layer's lies where its weights do.
	CacheDevice string

	Context   int // tokens that the cache holds, over all sequences; the trained context, at most 4096, if 0
	Batch     int // tokens of a run; 512 if 0
	Sequences int // that can be kept apart; 1 if 0

	// Snapshots is how many tokens can be taken from the end of a sequence again that recurrent layers
	// have seen, as after a draft that was not accepted. Each costs a state of every sequence. Models
	// without such layers need none and ignore it.
	Snapshots int

	// FullWindow keeps what has left the window of layers with one, so that a sequence can be taken back
	// to any position: for the engine of a draft, which runs ahead. It costs the cells of a full layer.
	FullWindow bool

	CacheK, CacheV tensor.DType // F16 if both are 0, which is F32: say ExactCache for that
	ExactCache     bool         // keys and values are kept in F32

	// Exact forbids rounding activations in products: slower, and within 1e-9 of double precision.
	Exact bool

	// Reproducible makes a token's logits have the same bits alone, in any batch and in any chunking of a
	// prompt. It costs prompts some of their speed, and memory: windowed layers keep all tokens, and each
	// sequence has its part of Context for itself, rounded up to 512 tokens. Devices that cannot do so are an
	// *OptionError. A Draft is as its target.
	Reproducible bool

	// NoFusion are the fusions that are turned off: devices run node by node what they would run as one
	// kernel. Those of a Draft are its target's.
	NoFusion []backends.Fusion

	// Progress is told how many bytes of the weights are in place. It is called by New.
	Progress func(done, total int64)
}

// OptionError says which option cannot be. It matches ErrOption.
type OptionError struct {
	Name         string
	Value, Wants any
}

// Error returns one line.
func (e *OptionError) Error() string {
	return fmt.Sprintf("engine: %s is %v, want %v", e.Name, e.Value, e.Wants)
}

// Unwrap returns ErrOption.
func (e *OptionError) Unwrap() error { return ErrOption }

// DefaultContext bounds the context that an engine makes room for unless it is asked for more, in
// tokens: a model trained on a million would otherwise fill the memory of most machines.
const DefaultContext = 4096

// defaultBatch is the number of tokens of a run.
const defaultBatch = 512

// complete checks o and fills in what it leaves open for a model trained on context tokens, of the
// given number of layers.
func (o Options) complete(context, layers int) (Options, error) {
	if err := o.checkDevices(); err != nil {
		return o, err
	}
	if o.Context == 0 {
		o.Context = min(context, DefaultContext)
	}
	if o.Batch == 0 {
		o.Batch = defaultBatch
	}
	o.Batch = min(o.Batch, max(o.Context, 1))
	if o.Sequences == 0 {
		o.Sequences = 1
	}
	if o.CacheK == 0 && o.CacheV == 0 && !o.ExactCache {
		o.CacheK, o.CacheV = tensor.F16, tensor.F16
	}
	for _, x := range []struct {
		name  string
		value int
	}{{"Context", o.Context}, {"Batch", o.Batch}, {"Sequences", o.Sequences}} {
		if x.value < 1 {
			return o, &OptionError{x.name, x.value, "1 or more"}
		}
	}
	if o.Snapshots < 0 {
		return o, &OptionError{"Snapshots", o.Snapshots, "0 or more"}
	}
	if o.ExactCache && (o.CacheK != tensor.F32 || o.CacheV != tensor.F32) {
		return o, &OptionError{"CacheK and CacheV", fmt.Sprintf("%v and %v", o.CacheK, o.CacheV), "nothing beside ExactCache"}
	}
	return o, o.placeLayers(layers)
}

// checkDevices reports a list of devices that is empty or names one twice, or a home of the cache that is
// none of them.
func (o *Options) checkDevices() error {
	if len(o.Devices) == 0 {
		return &OptionError{"Devices", 0, "at least one"}
	}
	seen := map[string]bool{}
	for _, d := range o.Devices {
		name := d.Info().Owner.Device
		if seen[name] {
			return &OptionError{"Devices", name + " twice", "each device once"}
		}
		seen[name] = true
		if r, ok := d.(backends.Reproducer); o.Reproducible && !(ok && r.Reproduces()) {
			return &OptionError{"Reproducible", "asked of " + name, "devices whose results do not depend on what is beside them, such as the CPU"}
		}
	}
	if o.CacheDevice != "" && o.anyDevice(o.CacheDevice) == nil {
		return &OptionError{"CacheDevice", o.CacheDevice, "the name of one of Devices, or of Fallback"}
	}
	return nil
}

// placeLayers fills in or checks LayerDevices.
func (o *Options) placeLayers(layers int) error {
	if o.LayerDevices == nil {
		fallback := ""
		if o.Fallback != nil {
			fallback = o.Fallback.Info().Owner.Device
		}
		var err error
		o.LayerDevices, err = o.Placement.LayerDevices(deviceNames(o.Devices), fallback, layers)
		return err
	}
	if o.Placement.spreads() {
		return &OptionError{"LayerDevices", o.LayerDevices, "nothing in Placement beside them that spreads layers"}
	}
	if len(o.LayerDevices) != layers {
		return &OptionError{"LayerDevices", len(o.LayerDevices), fmt.Sprintf("one for each of %d layers", layers)}
	}
	for _, name := range o.LayerDevices {
		if o.anyDevice(name) == nil {
			return &OptionError{"LayerDevices", name, "the name of one of Devices, or of Fallback"}
		}
	}
	return nil
}

// device returns the device of the given name, or nil.
func (o *Options) device(name string) backends.Device {
	for _, d := range o.Devices {
		if d.Info().Owner.Device == name {
			return d
		}
	}
	return nil
}

// anyDevice is device, or the fallback of the name.
func (o *Options) anyDevice(name string) backends.Device {
	if d := o.device(name); d != nil || o.Fallback == nil || o.Fallback.Info().Owner.Device != name {
		return d
	}
	return o.Fallback
}

// all returns the devices that a plan may use: the fallback comes last.
func (o *Options) all() []backends.Device {
	devices := append([]backends.Device(nil), o.Devices...)
	if o.Fallback != nil && o.device(o.Fallback.Info().Owner.Device) == nil {
		devices = append(devices, o.Fallback)
	}
	return devices
}
