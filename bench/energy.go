package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// powercap is where Linux shows the energy counters of processors (RAPL).
const powercap = "/sys/class/powercap"

// energyMeter adds up what the processors' packages use between start and stop.
// Source: Documentation/power/powercap/powercap.rst of Linux.
type energyMeter struct {
	root   fs.FS
	zones  []energyZone
	joules float64
	absent string // why there is nothing to read
}

// energyZone is one counter in microjoules, which begins again at 0 after its range.
type energyZone struct {
	dir, name  string
	full, last uint64
}

// newEnergyMeter looks for counters below root, which is powercap but in tests.
func newEnergyMeter(root fs.FS) *energyMeter {
	m := &energyMeter{root: root}
	entries, err := fs.ReadDir(root, ".")
	if err != nil {
		m.absent = powercap + ": " + pathReason(err)
		return m
	}
	for _, e := range entries {
		// intel-rapl:0 is a package and intel-rapl:0:0 a part of it; psys would count packages again.
		if strings.Count(e.Name(), ":") != 1 || strings.HasPrefix(e.Name(), "intel-rapl-mmio") {
			continue
		}
		z := energyZone{dir: e.Name()}
		if z.name, err = m.text(z.dir, "name"); err != nil || z.name == "psys" {
			continue
		}
		if z.full, err = m.number(z.dir, "max_energy_range_uj"); err == nil {
			_, err = m.number(z.dir, "energy_uj")
		}
		if err != nil {
			m.absent = fmt.Sprintf("%s/%s: %s", powercap, z.dir, pathReason(err))
			m.zones = nil
			return m
		}
		m.zones = append(m.zones, z)
	}
	if m.zones == nil {
		m.absent = powercap + ": no counter of a package"
	}
	return m
}

func (m *energyMeter) text(dir, file string) (string, error) {
	b, err := fs.ReadFile(m.root, path.Join(dir, file))
	return strings.TrimSpace(string(b)), err
}

func (m *energyMeter) number(dir, file string) (uint64, error) {
	s, err := m.text(dir, file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(s, 10, 64)
}

// names returns what the counters count.
func (m *energyMeter) names() []string {
	var all []string
	for _, z := range m.zones {
		all = append(all, z.name)
	}
	slices.Sort(all)
	return all
}

func (m *energyMeter) start() {
	m.each(func(z *energyZone, now uint64) { z.last = now })
}

func (m *energyMeter) stop() {
	m.each(func(z *energyZone, now uint64) {
		used := now - z.last
		if now < z.last {
			used += z.full
		}
		m.joules += float64(used) / 1e6
	})
}

// each reads every counter; one that can be read no more ends the measurement.
func (m *energyMeter) each(do func(z *energyZone, now uint64)) {
	for i := range m.zones {
		now, err := m.number(m.zones[i].dir, "energy_uj")
		if err != nil {
			m.zones, m.joules, m.absent = nil, 0, fmt.Sprintf("%s/%s: %s", powercap, m.zones[i].dir, pathReason(err))
			return
		}
		do(&m.zones[i], now)
	}
}

// pathReason returns the reason alone of an error about a path.
func pathReason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
