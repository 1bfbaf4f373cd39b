//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// Device is one AMD GPU. It is opened when memory or a program is first asked for, and opened again after it was lost
// or closed: what it made before stays lost.
type Device struct {
	rt    *hip.Runtime
	phys  hip.Physical
	owner buffer.Owner
	opt   Options
	local *memory
	host  *memory

	noImport atomic.Value // a string: why the driver has refused memory of the host

	profile *backends.Profile // nil unless it is asked for
	broken  sync.Map          // ops and fusions, by kind, whose kernel does not compile: why

	progress atomic.Pointer[func(done, total int)] // see OnCompile
	loaded   loadedCodes                           // see WriteKernels

	mu   sync.Mutex
	open *session // nil until it is needed, and after it was lost
}

func newDevice(rt *hip.Runtime, p hip.Physical, n int, opt Options) *Device {
	d := &Device{rt: rt, phys: p, owner: buffer.Owner{Backend: "ROCm", Device: fmt.Sprintf("ROCm%d", n)}, opt: opt}
	d.local = &memory{dev: d, name: d.owner.Device, max: p.Memory}
	d.host = &memory{dev: d, name: d.owner.Device + ".host", max: 1 << 40, shared: true}
	if opt.Profile || os.Getenv(profileFile) != "" {
		d.profile = backends.NewProfile(os.Getenv(profileFile))
	}
	return d
}

// Info describes the device. PhysicalID is the card's PCI address, as Vulkan's devices have it.
func (d *Device) Info() backends.Info {
	kind := backends.GPU
	if d.phys.Integrated {
		kind = backends.IntegratedGPU
	}
	total, free := d.local.left()
	features := []string{d.phys.Arch, fmt.Sprintf("wave %d", d.phys.Wave)}
	if why, ok := d.noImport.Load().(string); ok {
		features = append(features, why)
	}
	return backends.Info{
		Owner: d.owner, Description: d.phys.Name, Kind: kind, MemoryTotal: total, MemoryFree: free, PhysicalID: d.phys.PCI,
		Driver: "HIP " + versionText(d.rt.Version), Features: features,
	}
}

// BufferTypes returns the device's memory, and pinned memory of the host.
func (d *Device) BufferTypes() []buffer.Type { return []buffer.Type{d.local, d.host} }

// CanUse reports whether t is memory of this device.
func (d *Device) CanUse(t buffer.Type) bool {
	m, ok := t.(*memory)
	return ok && m.dev == d
}

// Supports returns nil if there is a kernel for n.
func (d *Device) Supports(n *tensor.Tensor) error {
	k, ok := kernels[n.Op.Kind()]
	reason := ""
	if !ok {
		reason = "there is no kernel for it"
	} else if why, ok := d.broken.Load(n.Op.Kind()); ok {
		reason = why.(string)
	} else if reason = card.Refuses(n); reason == "" && k.supports != nil {
		reason = k.supports(d, n)
	}
	if reason == "" {
		return nil
	}
	return &backends.UnsupportedError{Device: d.owner.Device, Node: n.Name, Op: n.Op.Kind(), Reason: reason}
}

// session returns the open device, and opens it if need be.
func (d *Device) session() (*session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.open; s != nil && !s.lost.Load() {
		return s, nil
	}
	s, err := d.newSession(d.open != nil)
	if err != nil {
		return nil, fmt.Errorf("rocm: opening %s: %w", d.owner, err)
	}
	if d.open != nil {
		d.open.release()
	}
	d.open = s
	return s, nil
}

// Close closes the device. What it made is closed before; what is not ends with it.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.open
	if s == nil {
		return nil
	}
	d.open = nil
	err := s.settle("closing")
	if s.lost.Load() {
		err = nil
	}
	s.closed.Store(true)
	s.release()
	return err
}

// session is an open device, from opening to loss. Buffers and programs belong to one.
type session struct {
	dev *Device
	rt  *hip.Runtime

	lost   atomic.Bool
	closed atomic.Bool
	refs   atomic.Int64 // the Device's, and one for each buffer and program

	queue     sync.Mutex // guards what follows: one goroutine at a time gives work to the stream
	args      hip.Args
	stream    hip.Stream
	events    [eventRing]hip.Event
	submitted atomic.Uint64 // how many pieces of work with an event the stream has got
	unmarked  bool          // and whether it has got more
	reached   atomic.Uint64 // how many are known to be done

	modules modules
	stage   staging
	faults  faultTable
}

func (d *Device) newSession(again bool) (*session, error) {
	s := &session{dev: d, rt: d.rt}
	s.refs.Store(1)
	s.modules.init()
	if err := d.rt.Enter(d.phys.Index); err != nil {
		d.rt.Leave()
		return nil, s.failed("opening", err)
	}
	defer d.rt.Leave()
	if again { // after a loss nothing works until all is given up
		if err := d.rt.Reset(); err != nil {
			return nil, s.failed("resetting", err)
		}
	}
	var err error
	if s.stream, err = d.rt.NewStream(); err != nil {
		return nil, s.failed("making a stream", err)
	}
	for i := range s.events {
		if s.events[i], err = d.rt.NewEvent(); err != nil {
			return nil, s.failed("making an event", err)
		}
	}
	return s, nil
}

func (s *session) retain() { s.refs.Add(1) }

// release closes the device after its last user. Of a lost device nothing is left to free.
func (s *session) release() {
	if s.refs.Add(-1) > 0 || s.lost.Load() {
		return
	}
	_ = s.with("closing", func() error {
		s.stage.free(s)
		s.modules.free(s)
		s.faults.free(s)
		var errs []error
		for _, e := range s.events {
			errs = append(errs, s.rt.DestroyEvent(e))
		}
		return errors.Join(append(errs, s.rt.DestroyStream(s.stream))...)
	}) // there is nobody left who could do anything about it
}

// with runs f on a thread that has entered the device, and turns its error into ours.
func (s *session) with(call string, f func() error) error {
	defer s.rt.Leave()
	if err := s.rt.Enter(s.dev.phys.Index); err != nil {
		return s.failed(call, err)
	}
	if err := f(); err != nil {
		return s.failed(call, err)
	}
	return nil
}

// alive returns an error if the device is lost, or closed.
func (s *session) alive(call string) error {
	if s.lost.Load() || s.closed.Load() {
		return s.lostError(call)
	}
	return nil
}

func (s *session) lostError(call string) error {
	return fmt.Errorf("rocm: %s on %s: %w", call, s.dev.owner, backends.ErrDeviceLost)
}

// failed turns an error of HIP into ours, and remembers a loss.
func (s *session) failed(call string, err error) error {
	var e *hip.Error
	if errors.As(err, &e) {
		switch {
		case e.Lost():
			s.lost.Store(true)
			return fmt.Errorf("rocm: %s on %s: %w: %w", call, s.dev.owner, backends.ErrDeviceLost, err)
		case e.NoMemory():
			return fmt.Errorf("rocm: %s on %s: %w: %w", call, s.dev.owner, buffer.ErrNoMemory, err)
		case e.NoBinary():
			return fmt.Errorf("rocm: %s on %s: %w: %s: %w; HSA_OVERRIDE_GFX_VERSION=10.3.0 (or 11.0.0) makes the runtime take a card for a near one that it knows",
				call, s.dev.owner, ErrArch, s.dev.phys.Arch, err)
		}
	}
	return fmt.Errorf("rocm: %s on %s: %w", call, s.dev.owner, err)
}

var _ backends.Device = (*Device)(nil)
