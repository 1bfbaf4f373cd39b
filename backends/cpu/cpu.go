// Package cpu is the backend that is always there: it runs every op, on a team of worker goroutines,
// over host memory outside the Go heap.
//
// A kernel stands in the file of its ops. It says at compile time what each worker will do, so that a
// run resolves nothing and allocates nothing. A Device may be used by several goroutines; their
// submits, and those of other devices with as many threads, take turns.
package cpu

import (
	"context"
	"fmt"
	"runtime"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// Backend is this backend's name, and the name of its usual device.
const Backend = "CPU"

func init() {
	backends.Register(backends.Backend{
		Name: Backend,
		Probe: func() ([]backends.Device, error) {
			if _, err := chosen(); err != nil {
				return nil, err
			}
			return []backends.Device{New(Options{})}, nil
		},
	})
}

// Options sets up a Device.
type Options struct {
	Name        string // of the device; "CPU" if empty
	Threads     int    // workers; if 0 as many as there are cores for this process
	MemoryLimit int64  // bytes that may be allocated at a time; 0 is no limit
}

// Device is the host's processor, or a part of it.
type Device struct {
	owner buffer.Owner
	host  *buffer.Host
	team  *team
	// closed is guarded by the team's turn.
	closed bool
	units  *units
	limit  int64
}

// New returns a device with the best level that there is, or the one that TENON_CPU names. Its workers
// start with the first run and sleep between runs.
func New(o Options) *Device {
	l, _ := chosen() // Probe has told its error
	return newAt(l, o)
}

// NewAt is New for a level. Its error says why this processor or build has not got it.
func NewAt(l Level, o Options) (*Device, error) {
	if why := Missing(l); why != "" {
		return nil, fmt.Errorf("cpu: level %s: %s", l, why)
	}
	return newAt(l, o), nil
}

func newAt(l Level, o Options) *Device {
	if o.Name == "" {
		o.Name = Backend
	}
	if o.Threads <= 0 {
		o.Threads = defaultThreads()
	}
	owner := buffer.Owner{Backend: Backend, Device: o.Name}
	return &Device{
		owner: owner,
		host:  buffer.NewHost(owner, o.MemoryLimit),
		team:  joinTeam(o.Threads),
		units: unitsOf(l),
		limit: o.MemoryLimit,
	}
}

// Level returns the level of the device's kernels.
func (d *Device) Level() Level { return d.units.level }

// Info describes the processor.
func (d *Device) Info() backends.Info {
	total, free := machineMemory()
	if d.limit > 0 {
		total, free = d.limit, d.limit-d.host.Used()
	}
	return backends.Info{
		Owner:       d.owner,
		Description: processorName(),
		Kind:        backends.CPU,
		MemoryTotal: total,
		MemoryFree:  free,
		PhysicalID:  "cpu",
		Driver:      fmt.Sprintf("go %s %s/%s", runtime.Version(), runtime.GOOS, runtime.GOARCH),
		Features:    []string{fmt.Sprintf("%d threads", d.team.size), "level " + d.units.level.String()},
	}
}

// BufferTypes returns the host's memory.
func (d *Device) BufferTypes() []buffer.Type { return []buffer.Type{d.host} }

// CanUse reports whether t is this device's own memory. Another CPU device's memory could be read as
// well, but not be freed or counted by this one: whoever wants it names one device.
func (d *Device) CanUse(t buffer.Type) bool { return t != nil && t.Owner() == d.owner }

// Memory returns the device's host memory type.
func (d *Device) Memory() *buffer.Host { return d.host }

// Supports reports why n cannot run here: a kind without a kernel, or a type without a decoder.
func (d *Device) Supports(n *tensor.Tensor) error {
	k, ok := kernels[n.Op.Kind()]
	if !ok {
		return d.unsupported(n, "there is no kernel for it")
	}
	for _, s := range n.Src {
		if s != nil && !readable(s.Type) {
			return d.unsupported(n, fmt.Sprintf("no decoder for %s (%s)", s.Type, s.Name))
		}
	}
	if !readable(n.Type) {
		return d.unsupported(n, fmt.Sprintf("no encoder for %s", n.Type))
	}
	if k.refuses != nil {
		if why := k.refuses(n); why != "" {
			return d.unsupported(n, why)
		}
	}
	return nil
}

func (d *Device) unsupported(n *tensor.Tensor, why string) error {
	return &backends.UnsupportedError{Device: d.owner.Device, Node: n.Name, Op: n.Op.Kind(), Reason: why}
}

// Reproduces reports that results can have the same bits in any batch: row units take each token by itself.
func (d *Device) Reproduces() bool { return true }

// Close waits for the run in progress and ends the workers, unless another device has them too.
func (d *Device) Close() error {
	_ = d.team.take(context.Background()) // which is never cancelled
	wasClosed := d.closed
	d.closed = true
	d.team.give()
	if !wasClosed {
		d.team.leave()
	}
	return nil
}

var _ backends.Fuser = (*Device)(nil)
