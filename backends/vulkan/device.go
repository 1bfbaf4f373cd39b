//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// Device is one Vulkan device. It is opened when memory or a program is first asked for, and opened again after it was
// lost or closed: what it made before stays lost.
type Device struct {
	phys  *vk.Physical
	owner buffer.Owner
	opt   Options
	types []buffer.Type // the device's own, and memory of the host
	local *memory
	host  *memory

	profile *backends.Profile // nil unless it is asked for
	broken  sync.Map          // kinds of op, and fusions, whose shader the driver does not compile: why

	mu   sync.Mutex
	open *session // nil until it is needed, and after it was lost
}

func newDevice(p *vk.Physical, n int, opt Options) *Device {
	d := &Device{phys: p, owner: buffer.Owner{Backend: "Vulkan", Device: fmt.Sprintf("Vulkan%d", n)}, opt: opt}
	types, heaps := p.Memory()
	d.local, d.host = chooseMemory(d, types, heaps)
	d.types = []buffer.Type{d.local, d.host}
	if opt.Profile || os.Getenv(profileFile) != "" {
		d.profile = backends.NewProfile(os.Getenv(profileFile))
	}
	return d
}

// Info describes the device. PhysicalID is the card's PCI address, or its UUID where the driver tells none.
func (d *Device) Info() backends.Info {
	total, free := d.local.left()
	info := backends.Info{
		Owner: d.owner, Description: d.phys.Name, Kind: d.kind(), MemoryTotal: total, MemoryFree: free,
		PhysicalID: d.phys.PCI, Driver: d.phys.Driver, Features: d.features(),
	}
	if info.PhysicalID == "" && d.phys.Kind != vk.Software {
		info.PhysicalID = fmt.Sprintf("uuid:%x", d.phys.UUID)
	}
	return info
}

func (d *Device) kind() backends.DeviceKind {
	switch d.phys.Kind {
	case vk.Software:
		return backends.CPU
	case vk.Integrated:
		return backends.IntegratedGPU
	}
	return backends.GPU
}

func (d *Device) features() []string {
	l, c := d.phys.Limits, d.phys.Can
	subgroup := fmt.Sprintf("subgroup %d", l.Subgroup)
	if l.SubgroupMin < l.SubgroupMax {
		subgroup = fmt.Sprintf("subgroup %d-%d", l.SubgroupMin, l.SubgroupMax)
	}
	f := []string{fmt.Sprintf("Vulkan 1.%d", d.phys.Version>>12&0x3ff), subgroup}
	for _, x := range []struct {
		on   bool
		name string
	}{
		{c.Float16, "float16"},
		{c.DotProduct, "int8 dot"},
		{c.CooperativeMatrix, "cooperative matrix"},
		{c.BFloat16, "bfloat16"},
		{c.Budget, "memory budget"},
		{c.Import, "host import"},
		{d.local.mapped, "mapped"},
	} {
		if x.on {
			f = append(f, x.name)
		}
	}
	return f
}

// UUID returns the device's own identity, which two drivers of one card may not agree upon.
func (d *Device) UUID() [16]byte { return d.phys.UUID }

// BufferTypes returns the device's memory, and memory of the host that it can address.
func (d *Device) BufferTypes() []buffer.Type { return slices.Clone(d.types) }

// CanUse reports whether t is memory of this device.
func (d *Device) CanUse(t buffer.Type) bool {
	m, ok := t.(*memory)
	return ok && m.dev == d
}

// Supports returns nil if there is a kernel for n.
func (d *Device) Supports(n *tensor.Tensor) error {
	k, ok := kernels[n.Op.Kind()]
	reason := ""
	switch {
	case !ok:
		reason = "there is no kernel for it"
	default:
		if why, ok := d.broken.Load(n.Op.Kind()); ok {
			reason = why.(string)
		} else if reason = card.Refuses(n); reason == "" && k.supports != nil {
			reason = k.supports(d, n)
		}
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
	s, err := d.newSession()
	if err != nil {
		return nil, fmt.Errorf("vulkan: opening %s: %w", d.owner, err)
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
	err := s.saveCache()
	s.lost.Store(true)
	s.release()
	return err
}

// session is an open device, from opening to loss. Buffers and programs belong to one.
type session struct {
	dev *Device
	vk  *vk.Device

	lost atomic.Bool
	refs atomic.Int64 // the Device's, and one for each buffer and program

	queue     sync.Mutex
	submitted atomic.Uint64 // the timeline's value when all is done; changed under queue
	reached   atomic.Uint64 // what is known to be done

	pipes  pipelines
	stage  staging
	faults faultTable
}

func (d *Device) newSession() (*session, error) {
	v, err := d.phys.Open(d.loadCache())
	if err != nil {
		return nil, err
	}
	s := &session{dev: d, vk: v}
	s.refs.Store(1)
	s.pipes.init()
	return s, nil
}

func (s *session) retain() { s.refs.Add(1) }

// release closes the device after its last user.
func (s *session) release() {
	if s.refs.Add(-1) > 0 {
		return
	}
	s.stage.free(s)
	s.pipes.free(s)
	if s.faults.mem != nil {
		s.vk.DestroyBuffer(s.faults.mem)
	}
	s.vk.Close()
}

// alive returns an error if the device is lost.
func (s *session) alive(call string) error {
	if s.lost.Load() {
		return s.lostError(call)
	}
	return nil
}

func (s *session) lostError(call string) error {
	return fmt.Errorf("vulkan: %s on %s: %w", call, s.dev.owner, backends.ErrDeviceLost)
}

// failed turns a Vulkan error into ours, and remembers a loss.
func (s *session) failed(call string, err error) error {
	var e *vk.Error
	if errors.As(err, &e) {
		switch {
		case e.Lost():
			s.lost.Store(true)
			return fmt.Errorf("vulkan: %s on %s: %w: %w", call, s.dev.owner, backends.ErrDeviceLost, err)
		case e.NoMemory():
			return fmt.Errorf("vulkan: %s on %s: %w: %w", call, s.dev.owner, buffer.ErrNoMemory, err)
		}
	}
	return fmt.Errorf("vulkan: %s on %s: %w", call, s.dev.owner, err)
}

var _ backends.Device = (*Device)(nil)
