package backends

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Backend finds the devices of one kind. Probe opens drivers and libraries; it is called at most once,
// and only when a device of this backend may be wanted.
type Backend struct {
	Name     string // such as "Vulkan"; device names begin with it
	Priority int    // greater is preferred; the CPU has 0
	// Probe returns the devices. An absent driver is no device and an error that says so.
	Probe func() ([]Device, error)
}

type entry struct {
	Backend
	probe func() ([]Device, error)
}

var registry struct {
	sync.Mutex
	entries []entry
}

// Register adds a backend; its package calls it from init. It panics on a second backend of the same
// name, and on one without a name or a Probe.
func Register(b Backend) {
	registry.Lock()
	defer registry.Unlock()
	if b.Name == "" || b.Probe == nil {
		panic("backends: a backend without a name or a Probe")
	}
	for _, e := range registry.entries {
		if strings.EqualFold(e.Name, b.Name) {
			panic("backends: " + b.Name + " is registered twice")
		}
	}
	add(entry{b, sync.OnceValues(b.Probe)})
}

// Replace registers b in the place of the backend of its name, if there is one, until undo is called:
// simulated devices take a name over in this way. What was opened before stays open. It panics on a
// backend without a name or a Probe. Several Replaces of one name are undone in reverse order; undo does
// nothing the second time.
func Replace(b Backend) (undo func()) {
	remove := func() (old []entry) {
		registry.entries = slices.DeleteFunc(slices.Clone(registry.entries), func(e entry) bool {
			if !strings.EqualFold(e.Name, b.Name) {
				return false
			}
			old = append(old, e)
			return true
		})
		return old
	}
	if b.Name == "" || b.Probe == nil {
		panic("backends: a backend needs a name and a Probe")
	}
	registry.Lock()
	defer registry.Unlock()
	old := remove()
	add(entry{b, sync.OnceValues(b.Probe)})
	return sync.OnceFunc(func() {
		registry.Lock()
		defer registry.Unlock()
		remove()
		add(old...)
	})
}

// add sorts es into the registry, which is locked.
func add(es ...entry) {
	registry.entries = append(registry.entries, es...)
	slices.SortStableFunc(registry.entries, func(a, b entry) int {
		if a.Priority != b.Priority {
			return b.Priority - a.Priority
		}
		return strings.Compare(a.Name, b.Name)
	})
}

// Found is the result of probing one backend.
type Found struct {
	Backend string
	Devices []Device
	Err     error // why there are none, or fewer than there could be
}

// Probe probes every registered backend but those in except, the preferred first.
func Probe(except ...string) []Found {
	var all []Found
	for _, e := range entries() {
		if slices.ContainsFunc(except, func(x string) bool { return strings.EqualFold(x, e.Name) }) {
			continue
		}
		devices, err := e.probe()
		all = append(all, Found{e.Name, devices, err})
	}
	return all
}

func entries() []entry {
	registry.Lock()
	defer registry.Unlock()
	return slices.Clone(registry.entries)
}

// Open returns the device of the given name, such as "Vulkan0" or "CPU". It probes only the backends
// whose name the device's begins with. A physical identity, such as "0000:01:00.0", is a name too: that of
// the card's device of the preferred backend, for which all are probed. Errors: ErrNoDevice, with the names that there are.
func Open(name string) (Device, error) {
	if strings.Contains(name, ":") {
		return openCard(name)
	}
	var known []string
	var reasons []error
	for _, e := range entries() {
		known = append(known, e.Name)
		if len(name) < len(e.Name) || !strings.EqualFold(name[:len(e.Name)], e.Name) {
			continue
		}
		devices, err := e.probe()
		if err != nil {
			reasons = append(reasons, err)
		}
		known = known[:len(known)-1]
		for _, d := range devices {
			if strings.EqualFold(d.Info().Owner.Device, name) {
				return d, nil
			}
			known = append(known, d.Info().Owner.Device)
		}
	}
	there := "there are " + strings.Join(known, ", ")
	if len(known) == 0 {
		there = "no backend is linked in that has one"
	}
	err := fmt.Errorf("backends: %w: %q; %s", ErrNoDevice, name, there)
	if len(reasons) > 0 {
		err = fmt.Errorf("%w (%w)", err, errors.Join(reasons...))
	}
	return nil, err
}

// openCard returns the device of the preferred backend that a card has.
func openCard(id string) (Device, error) {
	var known []string
	for _, f := range Probe() {
		for _, d := range f.Devices {
			info := d.Info()
			if strings.EqualFold(info.PhysicalID, id) {
				return d, nil
			}
			if info.PhysicalID != "" {
				known = append(known, info.Owner.Device+" at "+info.PhysicalID)
			}
		}
	}
	if len(known) == 0 {
		known = append(known, "no card that tells its identity")
	}
	return nil, fmt.Errorf("backends: %w: %q; there are %s", ErrNoDevice, id, strings.Join(known, ", "))
}

// SameCard reports whether two devices are one piece of hardware behind two APIs or drivers. They are
// two owners all the same: neither can use the other's memory, and both take from one.
func SameCard(a, b Info) bool {
	return a.Owner != b.Owner && a.PhysicalID != "" && strings.EqualFold(a.PhysicalID, b.PhysicalID)
}
