package backends

import (
	"errors"
	"testing"
)

func TestReplace(t *testing.T) {
	emptyRegistry(t)
	cpu, _ := counted("CPU", 0, nil, "CPU")
	vulkan, probes := counted("Vulkan", 10, nil, "Vulkan0")
	Register(cpu)
	Register(vulkan)
	simulated, _ := counted("vulkan", 100, nil, "Vulkan7")
	other, _ := counted("Other", 1, nil, "Other0")
	undo, undoOther := Replace(simulated), Replace(other)
	if found := Probe(); len(found) != 3 || found[0].Backend != "vulkan" || found[1].Backend != "Other" || *probes != 0 {
		t.Errorf("%+v, %d probes of what was replaced", found, *probes)
	}
	if _, err := Open("Vulkan0"); !errors.Is(err, ErrNoDevice) {
		t.Errorf("the replaced device is found: %v", err)
	}
	for range 2 {
		undoOther()
		undo()
	}
	if found := Probe(); len(found) != 2 || found[0].Devices[0].Info().Owner.Device != "Vulkan0" || found[1].Backend != "CPU" {
		t.Errorf("afterwards: %+v", found)
	}
	defer func() {
		if recover() == nil {
			t.Error("a backend without a name was registered")
		}
	}()
	Replace(Backend{Probe: vulkan.Probe})
}
