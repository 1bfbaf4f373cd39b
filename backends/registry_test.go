package backends

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// fake is a device that has a name and nothing else.
type fake struct {
	Device
	name string
}

func (f fake) Info() Info {
	return Info{Owner: buffer.Owner{Backend: strings.TrimRight(f.name, "0123456789"), Device: f.name}}
}

func devices(names ...string) []Device {
	var ds []Device
	for _, n := range names {
		ds = append(ds, fake{name: n})
	}
	return ds
}

// emptyRegistry gives the test a registry of its own and puts the process's back afterwards. Tests that
// use it are not parallel.
func emptyRegistry(t *testing.T) {
	t.Helper()
	registry.Lock()
	saved := registry.entries
	registry.entries = nil
	registry.Unlock()
	t.Cleanup(func() {
		registry.Lock()
		registry.entries = saved
		registry.Unlock()
	})
}

// counted is a backend that counts how often it is probed.
func counted(name string, priority int, err error, names ...string) (Backend, *int) {
	n := new(int)
	return Backend{Name: name, Priority: priority, Probe: func() ([]Device, error) {
		*n++
		return devices(names...), err
	}}, n
}

var errDriver = errors.New("libvulkan.so.1: no such file")

func TestProbeOrderAndOnce(t *testing.T) {
	emptyRegistry(t)
	cpu, cpuProbes := counted("CPU", 0, nil, "CPU")
	vulkan, vulkanProbes := counted("Vulkan", 10, errDriver)
	rocm, rocmProbes := counted("ROCm", 20, nil, "ROCm0", "ROCm1")
	also, _ := counted("Also", 10, nil)
	for _, b := range []Backend{cpu, vulkan, rocm, also} {
		Register(b)
	}
	if *cpuProbes+*vulkanProbes+*rocmProbes != 0 {
		t.Error("registering has probed")
	}
	for range 2 {
		var order []string
		for _, f := range Probe() {
			order = append(order, f.Backend)
			switch f.Backend {
			case "ROCm":
				if len(f.Devices) != 2 || f.Err != nil {
					t.Errorf("%+v", f)
				}
			case "Vulkan":
				if len(f.Devices) != 0 || !errors.Is(f.Err, errDriver) {
					t.Errorf("%+v", f)
				}
			}
		}
		if got, want := strings.Join(order, " "), "ROCm Also Vulkan CPU"; got != want {
			t.Errorf("order %s, want %s", got, want)
		}
	}
	if *cpuProbes != 1 || *vulkanProbes != 1 || *rocmProbes != 1 {
		t.Errorf("probed %d, %d, %d times, want once each", *cpuProbes, *vulkanProbes, *rocmProbes)
	}
}

func TestProbeExcept(t *testing.T) {
	emptyRegistry(t)
	cpu, _ := counted("CPU", 0, nil, "CPU")
	vulkan, probes := counted("Vulkan", 10, nil, "Vulkan0")
	Register(cpu)
	Register(vulkan)
	if found := Probe("vulkan"); len(found) != 1 || found[0].Backend != "CPU" || *probes != 0 {
		t.Errorf("%+v, %d probes of Vulkan", found, *probes)
	}
	if found := Probe("CPU", "Vulkan"); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

func TestProbeConcurrently(t *testing.T) {
	emptyRegistry(t)
	vulkan, probes := counted("Vulkan", 10, nil, "Vulkan0")
	Register(vulkan)
	var wg sync.WaitGroup
	got := make([]Device, 8)
	for i := range got {
		wg.Go(func() {
			if i%2 == 0 {
				got[i] = Probe()[0].Devices[0]
			} else {
				got[i], _ = Open("Vulkan0")
			}
		})
	}
	wg.Wait()
	for _, d := range got {
		if d != got[0] {
			t.Errorf("two callers have different devices: %v and %v", d, got[0])
		}
	}
	if *probes != 1 {
		t.Errorf("%d probes", *probes)
	}
}

func TestOpenProbesOnlyWhatIsNamed(t *testing.T) {
	emptyRegistry(t)
	cpu, cpuProbes := counted("CPU", 0, nil, "CPU")
	vulkan, vulkanProbes := counted("Vulkan", 10, nil, "Vulkan0", "Vulkan1")
	Register(cpu)
	Register(vulkan)
	for name, want := range map[string]string{"CPU": "CPU", "cpu": "CPU"} {
		d, err := Open(name)
		if err != nil || d.Info().Owner.Device != want {
			t.Errorf("%s: %v, %v", name, d, err)
		}
	}
	if *cpuProbes != 1 || *vulkanProbes != 0 {
		t.Errorf("CPU was probed %d times, Vulkan %d", *cpuProbes, *vulkanProbes)
	}
	if d, err := Open("vulkan1"); err != nil || d.Info().Owner.Device != "Vulkan1" {
		t.Errorf("vulkan1: %v, %v", d, err)
	}
}

func TestOpenSaysWhatThereIs(t *testing.T) {
	emptyRegistry(t)
	cpu, _ := counted("CPU", 0, nil, "CPU")
	vulkan, _ := counted("Vulkan", 10, nil, "Vulkan0", "Vulkan1")
	rocm, _ := counted("ROCm", 20, errDriver)
	for _, b := range []Backend{cpu, vulkan, rocm} {
		Register(b)
	}
	for _, c := range []struct {
		name  string
		says  []string
		cause bool
	}{
		{"Vulkan7", []string{`"Vulkan7"`, "Vulkan0", "Vulkan1", "CPU"}, false},
		{"Metal0", []string{`"Metal0"`, "Vulkan", "CPU", "ROCm"}, false},
		{"ROCm0", []string{`"ROCm0"`, "CPU", errDriver.Error()}, true},
		{"", []string{`""`, "CPU"}, false},
		{"CP", []string{`"CP"`, "CPU"}, false},
	} {
		d, err := Open(c.name)
		if d != nil || !errors.Is(err, ErrNoDevice) {
			t.Errorf("%s: %v, %v", c.name, d, err)
			continue
		}
		for _, s := range c.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%q does not say %q", err, s)
			}
		}
		if errors.Is(err, errDriver) != c.cause {
			t.Errorf("%q matches the driver's error: %v, want %v", err, !c.cause, c.cause)
		}
	}
}

func TestOpenWithNothingLinkedIn(t *testing.T) {
	emptyRegistry(t)
	_, err := Open("CPU")
	if !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "no backend") {
		t.Errorf("%v, want one that says that no backend is linked in", err)
	}
}

func TestRegisterPanics(t *testing.T) {
	emptyRegistry(t)
	good, _ := counted("CPU", 0, nil)
	Register(good)
	for what, b := range map[string]Backend{
		"a second CPU":             good,
		"a second CPU, lower case": {Name: "cpu", Probe: good.Probe},
		"no name":                  {Probe: good.Probe},
		"no Probe":                 {Name: "Vulkan"},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was registered", what)
				}
			}()
			Register(b)
		}()
	}
	if n := len(entries()); n != 1 {
		t.Errorf("%d backends after the refusals", n)
	}
}

func TestErrorsCarryBothSides(t *testing.T) {
	kind := tensor.MatMul{}.Kind()
	unsupported := &UnsupportedError{Device: "Vulkan0", Node: "blk.3.q", Op: kind, Reason: "a is IQ1_S"}
	if got, want := unsupported.Error(), "Vulkan0 cannot run MatMul (blk.3.q): a is IQ1_S"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	index := &IndexError{Node: "blk.3.k", Op: kind, Index: 99, Rows: 64}
	if got, want := index.Error(), "backends: MatMul (blk.3.k): index 99 of 64 rows"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !errors.Is(unsupported, ErrUnsupported) || !errors.Is(index, ErrIndex) || errors.Is(index, ErrUnsupported) {
		t.Error("an error matches the wrong sentinel")
	}
}

func TestDeviceKinds(t *testing.T) {
	for k, want := range map[DeviceKind]string{CPU: "cpu", GPU: "gpu", IntegratedGPU: "integrated gpu", 9: "DeviceKind(9)"} {
		if k.String() != want {
			t.Errorf("%q, want %q", k.String(), want)
		}
	}
}

// card is a fake with a physical identity.
type card struct {
	fake
	id string
}

func (c card) Info() Info {
	i := c.fake.Info()
	i.PhysicalID = c.id
	return i
}

func TestOpenByCard(t *testing.T) {
	emptyRegistry(t)
	add := func(name string, priority int, ds ...Device) {
		Register(Backend{Name: name, Priority: priority, Probe: func() ([]Device, error) { return ds, nil }})
	}
	add("Vulkan", 10, card{fake{name: "Vulkan0"}, "0000:01:00.0"}, card{fake{name: "Vulkan1"}, "0000:0A:00.0"})
	add("ROCm", 20, card{fake{name: "ROCm0"}, "0000:01:00.0"})
	add("CPU", 0, card{fake{name: "CPU"}, ""})
	for id, want := range map[string]string{"0000:01:00.0": "ROCm0", "0000:0a:00.0": "Vulkan1"} {
		if d, err := Open(id); err != nil || d.Info().Owner.Device != want {
			t.Errorf("%s: %v, %v, want %s", id, d, err, want)
		}
	}
	if _, err := Open("0000:02:00.0"); !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "Vulkan1 at 0000:0A:00.0") {
		t.Errorf("a card that is not there: %v", err)
	}
	infos := map[string]Info{}
	for _, f := range Probe() {
		for _, d := range f.Devices {
			infos[d.Info().Owner.Device] = d.Info()
		}
	}
	if !SameCard(infos["ROCm0"], infos["Vulkan0"]) || SameCard(infos["ROCm0"], infos["Vulkan1"]) ||
		SameCard(infos["ROCm0"], infos["ROCm0"]) || SameCard(infos["CPU"], Info{}) {
		t.Error("SameCard is wrong")
	}
}
