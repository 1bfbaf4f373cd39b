package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
)

// metered is a device whose card tells some of what it could.
type metered struct{ backends.Device }

func (metered) Measure() (backends.Reading, bool) {
	return backends.Reading{
		PowerMicrowatts: 35_400_000, TemperatureMillicelsius: 41_000, ProcessorHertz: 2_100_000_000, MemoryHertz: -1, BusyPercent: 0, MemoryUsedBytes: 5 << 30,
	}, true
}

// What a card measures of itself is told, and no column is there for it where no card does.
func TestDevicesNow(t *testing.T) {
	if _, out, _ := call("", "devices"); strings.Contains(out, "NOW") && !strings.Contains(out, "in use") {
		t.Errorf("an empty column: %s", out)
	}
	dev, err := sim.New(sim.Config{Name: "Metered0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dev.Close() }) // nothing of it is used
	t.Cleanup(backends.Replace(backends.Backend{Name: "Metered", Probe: func() ([]backends.Device, error) { return []backends.Device{metered{dev}}, nil }}))
	_, out, _ := call("", "devices")
	if !strings.Contains(out, "35 W, 41 °C, 2100 MHz, 0% busy, 5.0 GiB in use") {
		t.Errorf("got %s", out)
	}
	_, out, _ = call("", "devices", "--json")
	var facts []backendFacts
	if err := json.Unmarshal([]byte(out), &facts); err != nil {
		t.Fatal(err)
	}
	for _, b := range facts {
		for _, d := range b.Devices {
			if d.Name != "Metered0" {
				continue
			}
			if n := d.Now; n == nil || n.PowerWatts == nil || *n.PowerWatts != 35.4 || n.BusyPercent == nil || n.MemoryMHz != nil {
				t.Errorf("got %s", out)
			}
			return
		}
	}
	t.Errorf("no Metered0 in %s", out)
}
