//go:build linux && (amd64 || arm64) && (cgo || rocm)

package opsdoc

import (
	"testing"

	"github.com/tenon-go/tenon/internal/hipemu"
)

// What ROCm supports does not depend on the card, so that an emulated one may say it.
func init() {
	emulate = func(t *testing.T) {
		if hipemu.Available() {
			hipemu.Use(t, hipemu.Options{Devices: "gfx1030"})
		}
	}
}
