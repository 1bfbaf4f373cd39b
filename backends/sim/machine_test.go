package sim_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
)

func TestMachine(t *testing.T) {
	clock := sim.NewClock()
	m, err := sim.NewMachine(sim.Config{Name: "A0"}, sim.Config{Name: "B0", Clock: clock}, sim.Config{Name: "A1"})
	if err != nil {
		t.Fatal(err)
	}
	ds := m.Devices()
	if len(ds) != 3 || m.Device("b0") != ds[1] || m.Device("C0") != nil || len(m.Backends()) != 3 || m.Backends()[2] != ds[2] {
		t.Errorf("%v", ds)
	}
	if ds[0].Clock() != m.Clock() || ds[2].Clock() != m.Clock() || ds[1].Clock() != clock {
		t.Error("wrong clocks")
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	for what, cs := range map[string][]sim.Config{
		"two of a name": {{Name: "A0"}, {Name: "a0"}},
		"no name":       {{Name: "A0"}, {}},
		"one card of two sizes": {
			{Name: "A0", PhysicalID: "x", Memory: 1, Shared: true}, {Name: "B0", PhysicalID: "x", Memory: 2, Shared: true},
		},
	} {
		if m, err := sim.NewMachine(cs...); m != nil || !errors.Is(err, sim.ErrConfig) {
			t.Errorf("%s: %v, %v", what, m, err)
		}
	}
}

// TestCard checks that devices of one card take from the same bytes, if they are told to.
func TestCard(t *testing.T) {
	for _, shared := range []bool{false, true} {
		card := sim.Config{PhysicalID: "0000:03:00.0", Memory: 100, Shared: shared}
		a, b, c := card, card, card
		a.Name, b.Name, c.Name, c.PhysicalID = "Vulkan0", "ROCm0", "ROCm1", "0000:04:00.0"
		m, err := sim.NewMachine(a, b, c)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		first := alloc(t, m.Device("Vulkan0").BufferTypes()[0], 70)
		typ := m.Device("ROCm0").BufferTypes()[0]
		got, err := typ.Alloc(40)
		if (err != nil) != shared || shared && !errors.Is(err, buffer.ErrNoMemory) {
			t.Errorf("shared %v: %v", shared, err)
		}
		if err == nil {
			got.Close()
		}
		if free, want := m.Device("ROCm0").Info().MemoryFree, map[bool]int64{false: 100, true: 30}[shared]; free != want {
			t.Errorf("shared %v: %d bytes free, want %d", shared, free, want)
		}
		if free := m.Device("ROCm1").Info().MemoryFree; free != 100 {
			t.Errorf("another card has %d bytes free", free)
		}
		first.Close()
		alloc(t, typ, 100)
	}
}

func TestRegister(t *testing.T) {
	names := func() (all []string) {
		for _, f := range backends.Probe() {
			for _, d := range f.Devices {
				all = append(all, d.Info().Owner.Device)
			}
		}
		return all
	}
	before := names()
	configs, err := sim.Parse("device Vulkan0; device ROCm1; device Vulkan1")
	if err != nil {
		t.Fatal(err)
	}
	m, err := sim.Register(configs)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got, want := names(), append([]string{"Vulkan0", "Vulkan1", "ROCm1"}, before...); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if d, err := backends.Open("rocm1"); err != nil || d != m.Device("ROCm1") {
		t.Errorf("%v, %v", d, err)
	}
	if d, err := backends.Open("CPU"); err != nil || d.Info().Features[0] == "simulated" {
		t.Errorf("%v, %v", d, err)
	}
	over, err := sim.Register([]sim.Config{{Name: "Vulkan0"}, {Name: "CPU", Mapped: true}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := names(), []string{"Vulkan0", "ROCm1", "CPU"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if d, err := backends.Open("CPU"); err != nil || d != over.Device("CPU") {
		t.Errorf("the real processor is not replaced: %v, %v", d, err)
	}
	if err := errors.Join(over.Close(), m.Close()); err != nil {
		t.Error(err)
	}
	if got := names(); !slices.Equal(got, before) {
		t.Errorf("after Close: %v, want %v", got, before)
	}
	if _, err := backends.Open("Vulkan0"); !errors.Is(err, backends.ErrNoDevice) {
		t.Error(err)
	}
	for _, c := range [][]sim.Config{{{Name: "Card", Backend: "Vulkan"}}, {{}}} {
		if m, err := sim.Register(c); m != nil || !errors.Is(err, sim.ErrConfig) {
			t.Errorf("%v, %v", m, err)
		}
	}
	if got := names(); !slices.Equal(got, before) {
		t.Errorf("after a Register that failed: %v, want %v", got, before)
	}
}
