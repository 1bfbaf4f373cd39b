package tenon_test

import (
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

// TestDraftInTargetsFile names the file of a model that has its draft inside as the draft's.
func TestDraftInTargetsFile(t *testing.T) {
	path := tinymodel.Path(t, tinymodel.Qwen35(tinymodel.Config{}))
	var memory []engine.DeviceMemory
	for _, options := range [][]tenon.Option{
		{tenon.WithSpec(tenon.SpecOptions{Types: []string{tenon.DraftMTP}})}, // which needs no file
		{tenon.WithDraft(path)},
	} {
		m, err := tenon.Open(path, append(options, tenon.WithContext(64))...)
		if err != nil {
			t.Fatal(err)
		}
		if memory == nil {
			memory = m.Memory()
		}
		if got := m.Memory(); len(got) != 1 || got[0] != memory[0] || got[0].Draft == 0 {
			t.Errorf("memory %+v, want %+v", got, memory)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
	// As a whole model it drafts too, if it is asked to.
	m, err := tenon.Open(path, tenon.WithDraft(path), tenon.WithContext(64), tenon.WithSpec(tenon.SpecOptions{Types: []string{tenon.DraftSimple}}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got := m.Memory(); len(got) != 1 || got[0].Draft <= memory[0].Draft {
		t.Errorf("memory %+v, of the block alone %+v", got, memory)
	}
}

// TestMemoryCountsTheDraft compares what is reported with what the devices have given.
func TestMemoryCountsTheDraft(t *testing.T) {
	machine, err := sim.NewMachine(sim.Config{Name: "Simc0"}, sim.Config{Name: "Simd0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := machine.Register(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := machine.Close(); err != nil {
			t.Error(err)
		}
	})
	target, mtp := sharedPair()
	path, mtpPath, simplePath := tinymodel.Path(t, target), tinymodel.Path(t, mtp), tinymodel.Path(t, tinymodel.Config{})
	plain := int64(-1)
	for _, tc := range []struct {
		name, draft string
		spec        tenon.SpecOptions
		near, far   bool // whether the draft holds anything on the target's device, and on the other
	}{
		{"without", "", tenon.SpecOptions{}, false, false},
		{"shared", mtpPath, tenon.SpecOptions{}, true, false},
		{"mirrored", mtpPath, tenon.SpecOptions{Devices: []string{"Simd0"}, Mirror: true}, false, true},
		{"a model of its own", simplePath, tenon.SpecOptions{Devices: []string{"Simd0"}}, false, true},
	} {
		options := []tenon.Option{tenon.WithDevices("Simc0")}
		if tc.draft != "" {
			options = append(options, tenon.WithDraft(tc.draft), tenon.WithSpec(tc.spec))
		}
		m, err := tenon.Open(path, options...)
		if err != nil {
			t.Fatal(err)
		}
		held := map[string]engine.DeviceMemory{}
		for _, d := range m.Memory() {
			if _, twice := held[d.Device]; twice {
				t.Errorf("%s: %s is there twice", tc.name, d.Device)
			}
			held[d.Device] = d
		}
		near, far := held["Simc0"], held["Simd0"]
		if plain < 0 {
			plain = near.Total()
		}
		if near.Total()-near.Draft != plain || far.Total() != far.Draft || (near.Draft > 0) != tc.near || (far.Draft > 0) != tc.far {
			t.Errorf("%s: %+v and %+v; the target alone holds %d bytes", tc.name, near, far, plain)
		}
		for name, d := range map[string]engine.DeviceMemory{"Simc0": near, "Simd0": far} {
			if live := machine.Device(name).Stats().Live; d.Total() != live {
				t.Errorf("%s: %d bytes reported on %s, %d allocated", tc.name, d.Total(), name, live)
			}
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		for _, d := range m.Memory() {
			if d.Total() != 0 || d.Draft != 0 {
				t.Errorf("%s: closed, %+v", tc.name, d)
			}
		}
	}
}
