//go:build !(cgo && linux && (amd64 || arm64))

package vulkan

import (
	"errors"
	"runtime"

	"github.com/tenon-go/tenon/backends"
)

func init() {
	backends.Register(backends.Backend{Name: "Vulkan", Priority: priority, Probe: func() ([]backends.Device, error) { return nil, absent() }})
}

// absent says why there is no device.
func absent() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return errors.New("vulkan: not built for " + runtime.GOOS + "/" + runtime.GOARCH)
	}
	return errors.New("vulkan: this program was built without cgo (CGO_ENABLED=1 and a C compiler are needed)")
}
