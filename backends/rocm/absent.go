//go:build !(linux && (amd64 || arm64) && (cgo || rocm))

package rocm

import (
	"errors"
	"io"
	"io/fs"
	"runtime"

	"github.com/tenon-go/tenon/backends"
)

func init() {
	backends.Register(backends.Backend{Name: "ROCm", Priority: priority, Probe: func() ([]backends.Device, error) { return nil, absent() }})
}

// absent says why there is no device.
func absent() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return errors.New("rocm: not built for " + runtime.GOOS + "/" + runtime.GOARCH)
	}
	return errors.New("rocm: this program was built without it, to be static (-tags rocm, or CGO_ENABLED=1)")
}

// UseCompilers is for builds that have the backend.
func UseCompilers(...string) {}

// ServeCompiler says why there is nothing to compile.
func ServeCompiler(io.Reader, io.Writer) error { return absent() }

// AddKernels is for builds that have the backend.
func AddKernels(fs.FS) (remove func()) { return func() {} }
