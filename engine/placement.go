package engine

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
)

// Placement says where layers and weights go, in the terms in which people think of it. The zero
// Placement spreads the layers evenly over Options.Devices. What it asks for and cannot be had is an
// error of New, and never a plan that does something else.
type Placement struct {
	// DeviceLayers is how many layers, counted from the last, run on Options.Devices; the others run on
	// Options.Fallback. Nil means all, and so does any number above that of the layers. What comes after
	// the last layer goes with it, and what comes before the first with that.
	DeviceLayers *int
	// Split are the shares of those layers that each of Options.Devices gets, in any unit; even if nil.
	Split []float64
	// Ranges name the device of some layers. The last that holds a layer counts.
	Ranges []LayerRange
	// HostExperts is how many layers, counted from the first, keep their experts on Options.Fallback;
	// negative means all.
	HostExperts int
	// Overrides say where weights lie whose name matches, before anything else. The first that matches
	// counts. The ops that read a weight follow it.
	Overrides []Override
}

// IsZero reports whether p asks for nothing.
func (p *Placement) IsZero() bool { return !p.spreads() && !p.pins() }

// spreads reports whether p asks for anything about layers.
func (p *Placement) spreads() bool { return p.DeviceLayers != nil || p.Split != nil || p.Ranges != nil }

// pins reports whether p asks for anything about single weights.
func (p *Placement) pins() bool { return p.HostExperts != 0 || p.Overrides != nil }

// LayerRange are layers From to To, both included, and the device that they run on.
type LayerRange struct {
	From, To int
	Device   string
}

// Override says where weights lie whose name matches Pattern, such as "blk.3.ffn_up_exps.weight". Memory
// is the name of a device, or that of one of its kinds of memory, such as "Vulkan0.host".
type Override struct {
	Pattern *regexp.Regexp
	Memory  string
}

// ParseOverride reads "REGEX=MEMORY". The last = is the one that counts.
func ParseOverride(s string) (Override, error) {
	at := strings.LastIndex(s, "=")
	if at <= 0 || at == len(s)-1 {
		return Override{}, &OptionError{"override", strconv.Quote(s), "REGEX=DEVICE"}
	}
	re, err := regexp.Compile(s[:at])
	if err != nil {
		return Override{}, fmt.Errorf("%w: %w", &OptionError{"override", strconv.Quote(s), "a regular expression before the ="}, err)
	}
	return Override{re, s[at+1:]}, nil
}

// ParseLayerRange reads "3=DEVICE", "0-11=DEVICE" or "12-=DEVICE", the last of which is up to any layer.
func ParseLayerRange(s string) (LayerRange, error) {
	bad := &OptionError{"layer range", strconv.Quote(s), "FIRST-LAST=DEVICE"}
	layers, device, ok := strings.Cut(s, "=")
	if !ok || device == "" {
		return LayerRange{}, bad
	}
	first, last, ranged := strings.Cut(layers, "-")
	from, err := strconv.ParseUint(first, 10, 31)
	if err != nil {
		return LayerRange{}, bad
	}
	to := from
	switch {
	case ranged && last == "":
		to = math.MaxInt32
	case ranged:
		if to, err = strconv.ParseUint(last, 10, 31); err != nil || to < from {
			return LayerRange{}, bad
		}
	}
	return LayerRange{int(from), int(to), device}, nil
}

// expertPattern matches the weights of a mixture's experts, those of layers below n; of all if n < 0.
func expertPattern(n int) string {
	const experts = `ffn_(gate|up|down|gate_up)_(ch)?exps\.`
	if n < 0 {
		return `\.` + experts
	}
	layers := make([]string, n)
	for i := range layers {
		layers[i] = strconv.Itoa(i)
	}
	return `^blk\.(` + strings.Join(layers, "|") + `)\.` + experts
}

// LayerDevices returns the name of the device of each of the given number of layers. names are those of
// Options.Devices, and fallback that of Options.Fallback, empty without one.
//
// Errors: *OptionError.
func (p *Placement) LayerDevices(names []string, fallback string, layers int) ([]string, error) {
	n := layers
	if p.DeviceLayers != nil {
		n = min(*p.DeviceLayers, layers)
	}
	switch {
	case n < 0:
		return nil, &OptionError{"DeviceLayers", n, "0 or more"}
	case n < layers && fallback == "":
		return nil, &OptionError{"DeviceLayers", n, fmt.Sprintf("all %d layers, because there is no fallback for the others", layers)}
	}
	shares, err := p.shares(len(names))
	if err != nil {
		return nil, err
	}
	out := make([]string, layers)
	for i := range out {
		if k := i - (layers - n); k >= 0 {
			out[i] = names[shareOf(shares, float64(k)/float64(n))]
		} else {
			out[i] = fallback
		}
	}
	for _, r := range p.Ranges {
		if r.From < 0 || r.From >= layers || r.To < r.From || r.To >= layers && r.To != math.MaxInt32 {
			return nil, &OptionError{"Ranges", fmt.Sprintf("%d to %d", r.From, r.To), fmt.Sprintf("layers of 0 to %d", layers-1)}
		}
		at := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, r.Device) })
		name := fallback
		switch {
		case at >= 0:
			name = names[at]
		case r.Device == "" || !strings.EqualFold(r.Device, fallback):
			return nil, &OptionError{"Ranges", strconv.Quote(r.Device), "the name of a device in use: " + known(names, fallback)}
		}
		for i := r.From; i <= min(r.To, layers-1); i++ {
			out[i] = name
		}
	}
	return out, nil
}

// shares returns where the share of each device ends, as parts of 1.
func (p *Placement) shares(devices int) ([]float64, error) {
	ends := make([]float64, devices)
	if p.Split == nil {
		for i := range ends {
			ends[i] = float64(i+1) / float64(devices)
		}
		return ends, nil
	}
	if len(p.Split) != devices {
		return nil, &OptionError{"Split", fmt.Sprintf("%d shares", len(p.Split)), fmt.Sprintf("one for each of %d devices", devices)}
	}
	sum := 0.0
	for i, s := range p.Split {
		if !(s >= 0) || math.IsInf(s, 1) {
			return nil, &OptionError{"Split", s, "0 or more"}
		}
		sum += s
		ends[i] = sum
	}
	if sum == 0 || math.IsInf(sum, 1) {
		return nil, &OptionError{"Split", p.Split, "shares of which one is above 0"}
	}
	for i := range ends {
		ends[i] /= sum
	}
	return ends, nil
}

// shareOf returns the share that the given part of 1 lies in. What is as good as at the end of one share
// belongs to the next: the quotients of whole numbers are off by a unit of the last place now and then.
func shareOf(ends []float64, part float64) int {
	for i, end := range ends {
		if part+1e-9 < end {
			return i
		}
	}
	return len(ends) - 1
}

func known(names []string, fallback string) string {
	if fallback != "" && !slices.Contains(names, fallback) {
		names = append(slices.Clone(names), fallback)
	}
	return strings.Join(names, ", ")
}

// weightPin is an override with the memory that it names.
type weightPin struct {
	sched.Pin
	typ buffer.Type
}

// weightPins resolves HostExperts and Overrides against the devices and the names of the weights.
func (o *Options) weightPins(weights []model.Weight) ([]weightPin, error) {
	overrides := slices.Clone(o.Placement.Overrides)
	if n := o.Placement.HostExperts; n != 0 {
		if o.Fallback == nil {
			return nil, &OptionError{"HostExperts", n, "0, because there is no fallback"}
		}
		overrides = append(overrides, Override{regexp.MustCompile(expertPattern(n)), o.Fallback.Info().Owner.Device})
	}
	var pins []weightPin
	for _, v := range overrides {
		if v.Pattern == nil {
			return nil, &OptionError{"Overrides", "no pattern on " + v.Memory, "a pattern"}
		}
		pin, err := o.weightPin(v)
		if err != nil {
			return nil, err
		}
		matches := func(w model.Weight) bool { return v.Pattern.MatchString(w.Name) }
		if !slices.ContainsFunc(weights, matches) {
			return nil, &OptionError{"Overrides", "/" + v.Pattern.String() + "/", "a pattern that matches the name of a weight"}
		}
		pins = append(pins, pin)
	}
	return pins, nil
}

// weightPin finds the memory that v names.
func (o *Options) weightPin(v Override) (weightPin, error) {
	var names []string
	for _, d := range o.all() {
		owner := d.Info().Owner.Device
		types := d.BufferTypes()
		if strings.EqualFold(v.Memory, owner) {
			return weightPin{sched.Pin{Pattern: v.Pattern, Device: owner}, types[0]}, nil
		}
		names = append(names, owner)
		for _, t := range types {
			if strings.EqualFold(v.Memory, t.Name()) {
				return weightPin{sched.Pin{Pattern: v.Pattern, Device: owner}, t}, nil
			}
			if t.Name() != owner {
				names = append(names, t.Name())
			}
		}
	}
	return weightPin{}, &OptionError{"Overrides", strconv.Quote(v.Memory), "a device in use or its memory: " + strings.Join(names, ", ")}
}

// pinned returns the first of pins that matches name, or nil.
func pinned(pins []weightPin, name string) *weightPin {
	for i := range pins {
		if pins[i].Pattern.MatchString(name) {
			return &pins[i]
		}
	}
	return nil
}

// schedPins returns pins as the scheduler takes them.
func schedPins(pins []weightPin) []sched.Pin {
	var out []sched.Pin
	for _, p := range pins {
		out = append(out, p.Pin)
	}
	return out
}

// deviceNames returns the names of devices.
func deviceNames(devices []backends.Device) []string {
	var names []string
	for _, d := range devices {
		names = append(names, d.Info().Owner.Device)
	}
	return names
}
