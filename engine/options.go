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
	// LayerDevices names the device of each layer; the part after the last layer belongs with it.
	LayerDevices []string
	// Fallback runs what none of Devices can run. It may be one of them.
	Fallback backends.Device

	Context   int // tokens that the cache holds, over all sequences; the trained context, at most 4096, if 0
	Batch     int // tokens of a run; 512 if 0
	Sequences int // that can be kept apart; 1 if 0

	CacheK, CacheV tensor.DType // F16 if both are 0, which is F32: say ExactCache for that
	ExactCache     bool         // keys and values are kept in F32

	// Exact forbids rounding activations in products: slower, and within 1e-9 of double precision.
	Exact bool

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
	if len(o.Devices) == 0 {
		return o, &OptionError{"Devices", 0, "at least one"}
	}
	for i, d := range o.Devices {
		if name := d.Info().Owner.Device; o.device(name) != o.Devices[i] {
			return o, &OptionError{"Devices", name + " twice", "each device once"}
		}
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
	if o.ExactCache && (o.CacheK != tensor.F32 || o.CacheV != tensor.F32) {
		return o, &OptionError{"CacheK and CacheV", fmt.Sprintf("%v and %v", o.CacheK, o.CacheV), "nothing beside ExactCache"}
	}
	if o.LayerDevices == nil {
		o.LayerDevices = spread(o.Devices, layers)
	}
	if len(o.LayerDevices) != layers {
		return o, &OptionError{"LayerDevices", len(o.LayerDevices), fmt.Sprintf("one for each of %d layers", layers)}
	}
	for _, name := range o.LayerDevices {
		if o.device(name) == nil {
			return o, &OptionError{"LayerDevices", name, "the name of one of Devices"}
		}
	}
	return o, nil
}

// spread gives each device an equal run of layers.
func spread(devices []backends.Device, layers int) []string {
	names := make([]string, layers)
	for i := range names {
		names[i] = devices[i*len(devices)/layers].Info().Owner.Device
	}
	return names
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

// all returns the devices that a plan may use: the fallback comes last.
func (o *Options) all() []backends.Device {
	devices := append([]backends.Device(nil), o.Devices...)
	if o.Fallback != nil && o.device(o.Fallback.Info().Owner.Device) == nil {
		devices = append(devices, o.Fallback)
	}
	return devices
}
