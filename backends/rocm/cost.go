//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"time"
)

// pieceCost returns what a piece costs at least: some milliseconds on a slow card.
func (d *Device) pieceCost() float64 {
	if d.phys.Integrated {
		return 5e8
	}
	return 1e10
}

// slice returns how long work that is submitted at once may run: a cancelled run ends after two slices.
func (d *Device) slice() time.Duration {
	if d.opt.Slice > 0 {
		return time.Duration(d.opt.Slice) * time.Millisecond
	}
	return 15 * time.Millisecond
}
