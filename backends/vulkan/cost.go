//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"time"

	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
)

// pieceCost returns what a piece costs at least: about a slice on a slow device of the kind.
func (d *Device) pieceCost() float64 {
	switch d.phys.Kind {
	case vk.Software:
		return 4e6
	case vk.Integrated:
		return 5e8
	}
	return 1e10
}

// slice returns how long work that is submitted at once may run. Drivers give up on work of seconds; a
// cancelled run ends after two slices.
func (d *Device) slice() time.Duration {
	if d.opt.Slice > 0 {
		return time.Duration(d.opt.Slice) * time.Millisecond
	}
	return 15 * time.Millisecond
}
