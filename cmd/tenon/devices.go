package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon/backends"
)

// backendFacts is what `tenon devices --json` prints of one backend.
type backendFacts struct {
	Backend string        `json:"backend"`
	Devices []deviceFacts `json:"devices"`
	Reason  string        `json:"reason,omitempty"` // why there are none, or fewer than there could be
}

type deviceFacts struct {
	Name        string   `json:"name"`
	Kind        string   `json:"kind"`
	Description string   `json:"description"`
	MemoryTotal int64    `json:"memoryTotalBytes"` // 0 if unknown
	MemoryFree  int64    `json:"memoryFreeBytes"`  // 0 if unknown
	PhysicalID  string   `json:"physicalID,omitempty"`
	Driver      string   `json:"driver"`
	Features    []string `json:"features"`

	Now *readingFacts `json:"now,omitempty"` // nil where the card's management library is missing
}

// readingFacts is what a card measures of itself; what it does not tell is left out.
type readingFacts struct {
	PowerWatts         *float64 `json:"powerWatts,omitempty"`
	TemperatureCelsius *float64 `json:"temperatureCelsius,omitempty"`
	ProcessorMHz       *float64 `json:"processorMHz,omitempty"`
	MemoryMHz          *float64 `json:"memoryMHz,omitempty"`
	BusyPercent        *float64 `json:"busyPercent,omitempty"`
	MemoryUsed         *float64 `json:"memoryUsedBytes,omitempty"` // by all processes
}

// readingOf asks a device's card.
func readingOf(d backends.Device) *readingFacts {
	m, ok := d.(backends.Meter)
	if !ok {
		return nil
	}
	r, ok := m.Measure()
	if !ok {
		return nil
	}
	known := func(v int64, per float64) *float64 {
		if v < 0 {
			return nil
		}
		x := float64(v) / per
		return &x
	}
	return &readingFacts{
		PowerWatts: known(r.PowerMicrowatts, 1e6), TemperatureCelsius: known(r.TemperatureMillicelsius, 1e3),
		ProcessorMHz: known(r.ProcessorHertz, 1e6), MemoryMHz: known(r.MemoryHertz, 1e6),
		BusyPercent: known(r.BusyPercent, 1), MemoryUsed: known(r.MemoryUsedBytes, 1),
	}
}

// text writes a reading in a few words.
func (r *readingFacts) text() string {
	if r == nil {
		return "unknown"
	}
	var all []string
	for _, x := range []struct {
		v      *float64
		format string
	}{
		{r.PowerWatts, "%.0f W"},
		{r.TemperatureCelsius, "%.0f °C"},
		{r.ProcessorMHz, "%.0f MHz"},
		{r.MemoryMHz, "memory %.0f MHz"},
		{r.BusyPercent, "%.0f%% busy"},
	} {
		if x.v != nil {
			all = append(all, fmt.Sprintf(x.format, *x.v))
		}
	}
	if r.MemoryUsed != nil {
		all = append(all, sizeText(int64(*r.MemoryUsed))+" in use")
	}
	return strings.Join(all, ", ")
}

func (a *app) devicesCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the devices that can run models",
		Long: `List the devices that can run models, the preferred first, and why a backend has none.

The names are what --device takes.`,
		Args: wantArgs(),
		RunE: func(*cobra.Command, []string) error {
			facts := probeBackends()
			if asJSON {
				return writeJSON(a.stdout, facts)
			}
			return a.printDevices(facts)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return cmd
}

func probeBackends() []backendFacts {
	facts := []backendFacts{}
	for _, found := range backends.Probe() {
		b := backendFacts{Backend: found.Backend, Devices: []deviceFacts{}}
		if found.Err != nil {
			b.Reason = oneLine(found.Err)
		}
		for _, d := range found.Devices {
			info := d.Info()
			b.Devices = append(b.Devices, deviceFacts{
				Name: info.Owner.Device, Kind: info.Kind.String(), Description: info.Description,
				MemoryTotal: info.MemoryTotal, MemoryFree: info.MemoryFree, PhysicalID: info.PhysicalID,
				Driver: info.Driver, Features: append([]string{}, info.Features...), Now: readingOf(d),
			})
		}
		facts = append(facts, b)
	}
	return facts
}

func (a *app) printDevices(facts []backendFacts) error {
	t := newTable(a.stdout)
	told := false // a column of its own where a card tells
	for _, b := range facts {
		for _, d := range b.Devices {
			told = told || d.Now != nil
		}
	}
	row := func(now string, cells ...any) {
		if told {
			cells = slices.Insert(cells, len(cells)-1, any(now))
		}
		t.row(cells...)
	}
	row("NOW", "NAME", "KIND", "MEMORY", "FREE", "DRIVER", "FEATURES", "DESCRIPTION")
	cards := map[string]string{} // the first device of each
	for _, b := range facts {
		for _, d := range b.Devices {
			description := d.Description
			switch first, twice := cards[d.PhysicalID]; {
			case d.PhysicalID == "":
			case twice:
				description += " (" + d.PhysicalID + ", the same card as " + first + ")"
			default:
				description += " (" + d.PhysicalID + ")"
				cards[d.PhysicalID] = d.Name
			}
			row(d.Now.text(), d.Name, d.Kind, memoryText(d.MemoryTotal), memoryText(d.MemoryFree), d.Driver,
				strings.Join(d.Features, ", "), description)
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	for _, b := range facts {
		if len(b.Devices) > 0 && b.Reason == "" {
			continue
		}
		reason := b.Reason
		if reason == "" {
			reason = "none found"
		}
		if _, err := fmt.Fprintf(a.stdout, "%s: %s: %s\n", b.Backend, plural(len(b.Devices), "device"), reason); err != nil {
			return err
		}
	}
	return nil
}

func memoryText(bytes int64) string {
	if bytes == 0 {
		return "unknown"
	}
	return sizeText(bytes)
}
