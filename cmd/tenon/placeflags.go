package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
)

// placeFlags are the flags that say where a model runs.
type placeFlags struct {
	devices   []string
	layers    string // --gpu-layers
	split     []float64
	ranges    []string
	cpuMoE    bool
	nCPUMoE   int
	overrides []string
	hostCache bool
	sim       string
}

func (p *placeFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&p.devices, "device", nil, "`LIST` of devices to spread the layers over, such as CPU (see tenon devices)")
	_ = cmd.RegisterFlagCompletionFunc("device", completeDevices)
	f.StringVar(&p.layers, "gpu-layers", "", "`N` layers, counted from the last, on the devices and the others on the CPU; or all (also -ngl)")
	f.Float64SliceVar(&p.split, "tensor-split", nil, "`SHARES` of these layers for each device, such as 3,1 (default: even)")
	f.StringArrayVar(&p.ranges, "layer-device", nil, "`RANGE=DEVICE` for some layers, such as 0-11=CPU (can be repeated)")
	f.BoolVar(&p.cpuMoE, "cpu-moe", false, "keep the experts of all layers on the CPU")
	f.IntVar(&p.nCPUMoE, "n-cpu-moe", 0, "keep the experts of the first `N` layers on the CPU")
	f.StringArrayVar(&p.overrides, "override-tensor", nil,
		"`REGEX=DEVICE` for weights whose name matches, such as ffn_.*_exps=CPU (can be repeated; the first that matches counts)")
	f.BoolVar(&p.hostCache, "no-kv-offload", false, "keep the whole cache in the memory of the CPU")
	f.StringVar(&p.sim, "sim", "", "run on the simulated devices that `FILE` describes (-: stdin)")
	_ = cmd.MarkFlagFilename("sim")
}

// options returns what the flags ask for. Simulated devices are registered until the command ends.
func (p *placeFlags) options(a *app, threads int) ([]tenon.Option, error) {
	place, err := p.placement()
	if err != nil {
		return nil, err
	}
	devices := p.devices
	if p.sim != "" {
		names, err := p.simulate(a, threads)
		if err != nil {
			return nil, err
		}
		if devices == nil {
			devices = names
		}
	}
	if devices == nil && (p.layers != "" || p.split != nil) {
		if devices = otherDevices(); devices == nil {
			return nil, usagef("--gpu-layers and --tensor-split need a device beside the CPU, and there is none")
		}
	}
	options := []tenon.Option{tenon.WithPlacement(place)}
	if len(devices) > 0 {
		options = append(options, tenon.WithDevices(devices...))
	}
	if p.hostCache {
		options = append(options, tenon.WithCacheDevice(cpu.Backend))
	}
	return options, nil
}

// placement parses the flags.
func (p *placeFlags) placement() (engine.Placement, error) {
	place, err := layerPlacement("--", p.layers, p.ranges)
	if err != nil {
		return place, err
	}
	place.Split, place.HostExperts = p.split, p.nCPUMoE
	switch {
	case p.nCPUMoE < 0:
		return place, usagef("--n-cpu-moe is %d, want 0 or more", p.nCPUMoE)
	case p.cpuMoE && p.nCPUMoE > 0:
		return place, usagef("--cpu-moe and --n-cpu-moe exclude each other")
	case p.cpuMoE:
		place.HostExperts = -1
	}
	for _, s := range p.overrides {
		for _, one := range splitOverrides(s) {
			o, err := engine.ParseOverride(one)
			if err != nil {
				return place, usagef("--override-tensor: %w", err)
			}
			place.Overrides = append(place.Overrides, o)
		}
	}
	return place, nil
}

// layerPlacement parses the flags gpu-layers and layer-device, whose names begin with prefix.
func layerPlacement(prefix, layers string, ranges []string) (place engine.Placement, err error) {
	if layers != "" && layers != "all" {
		n, err := strconv.Atoi(layers)
		if err != nil || n < 0 {
			return place, usagef("%sgpu-layers is %q, want a number of layers or all", prefix, layers)
		}
		place.DeviceLayers = &n
	}
	for _, s := range ranges {
		r, err := engine.ParseLayerRange(s)
		if err != nil {
			return place, usagef("%slayer-device: %w", prefix, err)
		}
		place.Ranges = append(place.Ranges, r)
	}
	return place, nil
}

// splitOverrides splits a list at its commas, but for those inside a regular expression, such as of
// {1,2}: each part has a = in it.
func splitOverrides(list string) []string {
	var parts []string
	begun := ""
	for _, s := range strings.Split(list, ",") {
		if begun += s; strings.Contains(s, "=") {
			parts = append(parts, begun)
			begun = ""
		} else {
			begun += ","
		}
	}
	if begun != "" {
		parts = append(parts, strings.TrimSuffix(begun, ","))
	}
	return parts
}

// simulate makes the devices of --sim the ones that are found, until the command ends. It returns the
// names of those that are no CPU.
func (p *placeFlags) simulate(a *app, threads int) (names []string, err error) {
	in := a.stdin
	if p.sim != "-" {
		f, err := os.Open(p.sim)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	configs, err := sim.ParseFrom(in)
	if err != nil {
		return nil, fmt.Errorf("--sim %s: %w", printable(p.sim), err)
	}
	for _, c := range configs {
		if strings.EqualFold(c.Name, "CPU") && threads > 0 {
			return nil, usagef("--threads is for the real CPU, and --sim %s describes one", printable(p.sim))
		}
		if c.Kind != backends.CPU {
			names = append(names, c.Name)
		}
	}
	m, err := sim.Register(configs)
	if err != nil {
		return nil, fmt.Errorf("--sim %s: %w", printable(p.sim), err)
	}
	a.atEnd = append(a.atEnd, m.Close)
	return names, nil
}

// otherDevices returns the names of all devices that are no CPU, the preferred first, and of two that are
// one card only that.
func otherDevices() (names []string) {
	var cards []backends.Info
	for _, found := range backends.Probe() {
		for _, d := range found.Devices {
			info := d.Info()
			twice := slices.ContainsFunc(cards, func(c backends.Info) bool { return backends.SameCard(c, info) })
			if info.Kind != backends.CPU && !twice {
				names, cards = append(names, info.Owner.Device), append(cards, info)
			}
		}
	}
	return names
}

// finish undoes what the command has set up.
func (a *app) finish() error {
	var errs []error
	for _, f := range a.atEnd {
		errs = append(errs, f())
	}
	a.atEnd = nil
	return errors.Join(errs...)
}
