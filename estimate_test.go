package tenon_test

import (
	"errors"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

// TestEstimateAndFit asks about a machine that is not there, takes a proposal, and opens the model with it.
func TestEstimateAndFit(t *testing.T) {
	path := tinymodel.Path(t, tinymodel.Config{Layers: 6})
	configs, err := sim.Parse("device Estimated0; memory 512KiB")
	if err != nil {
		t.Fatal(err)
	}
	machine, err := sim.Register(configs)
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	device := machine.Device("Estimated0")
	on := tenon.WithDevices("Estimated0")
	e, err := tenon.Estimate(path, 1, on)
	if err != nil {
		t.Fatal(err)
	}
	var lack *engine.FitError
	if !errors.As(e.Fits(), &lack) || lack.Lacking[0].Device != "Estimated0" || !errors.Is(lack, buffer.ErrNoMemory) {
		t.Errorf("it fits: %+v", e.Memory)
	}
	if m, err := tenon.Open(path, on); m != nil || !errors.As(err, &lack) {
		t.Errorf("open: %v", err)
	}
	if s := device.Stats(); s.Allocs != 0 || s.Compiles != 0 {
		t.Errorf("the device was used: %+v", s)
	}
	proposals, err := tenon.Fit(path, on)
	if err != nil || len(proposals) == 0 || proposals[0].DeviceLayers == nil {
		t.Fatalf("%+v, %v", proposals, err)
	}
	m, err := tenon.Open(path, on, tenon.WithPlacement(engine.Placement{DeviceLayers: proposals[0].DeviceLayers}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i, want := range proposals[0].Memory {
		if got := m.Memory()[i]; got != want.DeviceMemory {
			t.Errorf("%+v, proposed was %+v", got, want)
		}
	}
	if _, err := tenon.Estimate(path, 0, on); !errors.Is(err, engine.ErrOption) {
		t.Errorf("a run of no tokens: %v", err)
	}
	if _, err := tenon.Fit(path, tenon.WithDevices("NoSuch0")); err == nil {
		t.Error("an unknown device")
	}
}
