package backends

import (
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
	if b.Name == "" || b.Probe == nil {
		panic("backends: a backend needs a name and a Probe")
	}
	registry.Lock()
	defer registry.Unlock()
	for _, e := range registry.entries {
		if strings.EqualFold(e.Name, b.Name) {
			panic("backends: " + b.Name + " is registered twice")
		}
	}
	registry.entries = append(registry.entries, entry{b, sync.OnceValues(b.Probe)})
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
// whose name the device's begins with. Errors: ErrNoDevice, with the names that there are.
func Open(name string) (Device, error) {
	var known []string
	var reasons []string
	for _, e := range entries() {
		known = append(known, e.Name)
		if len(name) < len(e.Name) || !strings.EqualFold(name[:len(e.Name)], e.Name) {
			continue
		}
		devices, err := e.probe()
		if err != nil {
			reasons = append(reasons, err.Error())
		}
		known = known[:len(known)-1]
		for _, d := range devices {
			if strings.EqualFold(d.Info().Owner.Device, name) {
				return d, nil
			}
			known = append(known, d.Info().Owner.Device)
		}
	}
	err := fmt.Errorf("backends: %w: %q; there are %s", ErrNoDevice, name, strings.Join(known, ", "))
	if len(reasons) > 0 {
		err = fmt.Errorf("%w (%s)", err, strings.Join(reasons, "; "))
	}
	return nil, err
}
