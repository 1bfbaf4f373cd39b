package sim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
)

// Machine is a set of devices with one clock.
type Machine struct {
	devices []*Device
	clock   *Clock

	mu   sync.Mutex
	undo []func() // of Register, the last first
}

// NewMachine returns the devices that configs describe, in their order. Those without a Clock share one.
// Errors: ErrConfig, also for two devices of one name, and for devices that share a card's memory and do
// not agree how much it is.
func NewMachine(configs ...Config) (*Machine, error) {
	m := &Machine{clock: NewClock()}
	cards := map[string]*pool{}
	for _, c := range configs {
		if c.Clock == nil {
			c.Clock = m.clock
		}
		d, err := m.add(c, cards)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		m.devices = append(m.devices, d)
	}
	return m, nil
}

func (m *Machine) add(c Config, cards map[string]*pool) (*Device, error) {
	if m.Device(c.Name) != nil {
		return nil, fmt.Errorf("sim: device %q %w: there are two of the name", c.Name, ErrConfig)
	}
	if !c.Shared || c.PhysicalID == "" {
		return newDevice(c, nil)
	}
	p := cards[c.PhysicalID]
	if p == nil {
		p = &pool{limit: c.Memory}
		cards[c.PhysicalID] = p
	}
	if p.limit != c.Memory {
		return nil, fmt.Errorf("sim: device %q %w: card %s has %s of memory, and another device says %s",
			c.Name, ErrConfig, c.PhysicalID, formatSize(c.Memory), formatSize(p.limit))
	}
	return newDevice(c, p)
}

// Devices returns the devices in the order of their configs.
func (m *Machine) Devices() []*Device { return slices.Clone(m.devices) }

// Backends returns Devices as the scheduler takes them.
func (m *Machine) Backends() []backends.Device {
	var all []backends.Device
	for _, d := range m.devices {
		all = append(all, d)
	}
	return all
}

// Device returns the device of the given name, whatever its case, or nil.
func (m *Machine) Device(name string) *Device {
	for _, d := range m.devices {
		if strings.EqualFold(d.cfg.Name, name) {
			return d
		}
	}
	return nil
}

// Clock returns the clock of the devices that were configured without one.
func (m *Machine) Clock() *Clock { return m.clock }

// Register makes the devices what backends.Open and backends.Probe find in this process, until Close:
// in place of a backend of the same name, whose driver is not asked then. They are preferred to all that
// are not simulated, in the order of the configs; a backend called CPU has the CPU's priority.
//
// Errors: ErrConfig for a device whose name does not begin with its backend's, because backends.Open
// would never find it.
func (m *Machine) Register() error {
	var order []string
	byBackend := map[string][]backends.Device{}
	for _, d := range m.devices {
		b := d.cfg.Backend
		if len(d.cfg.Name) < len(b) || !strings.EqualFold(d.cfg.Name[:len(b)], b) {
			return fmt.Errorf("sim: device %q %w: its name does not begin with its backend's, %q", d.cfg.Name, ErrConfig, b)
		}
		key := strings.ToLower(b)
		if byBackend[key] == nil {
			order = append(order, b)
		}
		byBackend[key] = append(byBackend[key], d)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, name := range order {
		devices := byBackend[strings.ToLower(name)]
		priority := firstPriority - i
		if strings.EqualFold(name, cpu.Backend) {
			priority = 0
		}
		undo := backends.Replace(backends.Backend{
			Name: name, Priority: priority,
			Probe: func() ([]backends.Device, error) { return slices.Clone(devices), nil },
		})
		m.undo = append(m.undo, undo)
	}
	return nil
}

// firstPriority is that of the first simulated backend: above any real one.
const firstPriority = 1 << 20

// Close takes the devices out of the registry and closes them.
func (m *Machine) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, undo := range slices.Backward(m.undo) {
		undo()
	}
	m.undo = nil
	var errs []error
	for _, d := range m.devices {
		errs = append(errs, d.Close())
	}
	return errors.Join(errs...)
}

// Register makes the devices that configs describe findable by backends.Open and backends.Probe in this
// process, until the Machine is closed; see Machine.Register.
func Register(configs []Config) (*Machine, error) {
	m, err := NewMachine(configs...)
	if err != nil {
		return nil, err
	}
	if err := m.Register(); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}
