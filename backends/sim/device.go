package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/buffer"
)

// Device is a simulated device.
type Device struct {
	cfg      Config
	owner    buffer.Owner
	types    []buffer.Type
	pool     *pool // of the default memory
	inner    *cpu.Device
	innerOwn bool
	faults   faults
	stats    stats
	line     timeline
	queue    queue

	generation atomic.Uint64 // raised by Reopen: what is older belongs to a lost device
	lost       atomic.Bool

	mu   sync.Mutex
	rand *rand.Rand
}

// New returns the device that c describes. Errors: ErrConfig.
func New(c Config) (*Device, error) { return newDevice(c, nil) }

// newDevice returns a device whose default memory takes from p, or from a pool of its own.
func newDevice(c Config, p *pool) (*Device, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Types, c.Reads = slices.Clone(c.Types), slices.Clone(c.Reads)
	c.Rules, c.Faults = slices.Clone(c.Rules), slices.Clone(c.Faults)
	if p == nil {
		p = &pool{limit: c.Memory}
	}
	d := &Device{
		cfg: c, owner: buffer.Owner{Backend: c.Backend, Device: c.Name},
		pool: p, inner: c.CPU, rand: rand.New(rand.NewPCG(c.Seed, 0)),
	}
	if err := d.Inject(c.Faults...); err != nil {
		return nil, err
	}
	if d.inner == nil {
		d.inner, d.innerOwn = cpu.New(cpu.Options{Name: c.Name, Threads: max(1, c.Threads)}), true
	}
	d.line.clock = c.Clock
	if d.line.clock == nil {
		d.line.clock = NewClock()
	}
	d.types = append(d.types, d.newMemory(MemoryType{MaxBuffer: c.MaxBuffer, Alignment: c.Alignment, Mapped: c.Mapped}, p))
	for _, t := range c.Types {
		d.types = append(d.types, d.newMemory(t, &pool{limit: t.Memory}))
	}
	d.queue.init(c.Submit)
	return d, nil
}

// Config returns what the device was made from, with what New has filled in.
func (d *Device) Config() Config { return d.cfg }

// Clock returns where the device's time is counted.
func (d *Device) Clock() *Clock { return d.line.clock }

// Info describes the device as its Config does.
func (d *Device) Info() backends.Info {
	total, free := d.pool.free()
	info := backends.Info{
		Owner: d.owner, Description: d.cfg.Description, Kind: d.cfg.Kind,
		MemoryTotal: total, MemoryFree: free,
		PhysicalID: d.cfg.PhysicalID, Driver: d.cfg.Driver,
		Features: []string{"simulated", d.cfg.Submit.String()},
	}
	if info.Description == "" {
		info.Description = "simulated device"
	}
	if info.Driver == "" {
		info.Driver = "sim"
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{d.cfg.Mapped, "mapped"}, {d.cfg.Import, "import"}, {d.cfg.PlanOnly, "plan only"}} {
		if f.on {
			info.Features = append(info.Features, f.name)
		}
	}
	return info
}

// BufferTypes returns the default memory, and then Config.Types.
func (d *Device) BufferTypes() []buffer.Type { return slices.Clone(d.types) }

// CanUse reports whether t is the device's own, or is simulated or CPU memory of a device that
// Config.Reads names.
func (d *Device) CanUse(t buffer.Type) bool {
	switch t := t.(type) {
	case *memory:
		return t.dev == d || slices.Contains(d.cfg.Reads, t.owner.Device)
	case *buffer.Host:
		return slices.Contains(d.cfg.Reads, t.Owner().Device)
	}
	return false
}

// Lose makes the device lost now: see LoseAtSubmit.
func (d *Device) Lose() { d.lose() }

func (d *Device) lose() { d.lost.Store(true) }

// Lost reports whether the device is lost.
func (d *Device) Lost() bool { return d.lost.Load() }

// Reopen brings a lost device back. Buffers and programs from before stay lost; they still have to be
// closed, and their memory counts until then. A closed device stays closed.
func (d *Device) Reopen() {
	if d.lost.Load() && !d.queue.ended() {
		d.generation.Add(1)
		d.lost.Store(false)
	}
}

// alive returns an error if the device, or what it made in the given generation, is lost.
func (d *Device) alive(call string, generation uint64) error {
	if d.lost.Load() || generation != d.generation.Load() {
		return &LostError{Device: d.cfg.Name, Call: call}
	}
	return nil
}

func (d *Device) planOnly(call string) error {
	return fmt.Errorf("sim: %s of %s: %w", call, d.cfg.Name, ErrPlanOnly)
}

// random returns the next number of the device's own sequence.
func (d *Device) random() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Uint64()
}

// settle waits for everything that was submitted, before a copy.
func (d *Device) settle(read bool) {
	if read && d.faults.find(breakReads, "").kind != noFault {
		return
	}
	d.queue.settle()
}

// Close ends what hangs, waits for the rest, and ends the device's goroutines. It is lost then for
// whoever still uses it. A second call does nothing.
func (d *Device) Close() error {
	d.queue.close()
	d.lose()
	if d.innerOwn {
		return d.inner.Close()
	}
	return nil
}

var _ backends.Fuser = (*Device)(nil)
