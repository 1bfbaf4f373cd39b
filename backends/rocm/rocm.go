//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"errors"
	"fmt"
	"os"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
)

func init() {
	backends.Register(backends.Backend{Name: "ROCm", Priority: priority, Probe: probe})
}

// ErrArch says that the compiler or the runtime does not know a card's architecture.
var ErrArch = errors.New("the architecture is not supported")

// disabled is the environment variable that switches the backend off: no library is loaded then.
const disabled = "TENON_NO_ROCM"

func probe() ([]backends.Device, error) {
	devices, err := Devices(Options{})
	all := make([]backends.Device, len(devices))
	for i, d := range devices {
		all[i] = d
	}
	return all, err
}

// Options choose how devices are used; the zero Options is for everybody but tests.
type Options struct {
	CacheDir string // of compiled kernels; "" is the user's cache folder, "-" keeps none
	NoGraphs bool   // launches are submitted one by one
	// Slice is how long a piece of work that is submitted at once may run, in milliseconds; 0 is 15. A cancelled run ends between two
	// pieces.
	Slice int
	// Profile counts the time of each kernel, one after the other: see Device.Profile. It makes programs slower.
	Profile bool
}

// Devices returns the machine's devices, none of them opened: that happens when memory is first asked for. An error says why
// there are none, or fewer than the runtime has.
func Devices(opt Options) ([]*Device, error) {
	if os.Getenv(disabled) != "" {
		return nil, fmt.Errorf("rocm: switched off by %s", disabled)
	}
	rt, err := hip.Open()
	if err != nil {
		return nil, explain(rt, err)
	}
	all, err := rt.Devices()
	if err != nil {
		return nil, explain(rt, err)
	}
	var devices []*Device
	var errs []error
	for _, p := range all {
		if p.Arch == "" {
			errs = append(errs, fmt.Errorf("rocm: %s: %w: the runtime does not name it", p.Name, ErrArch))
			continue
		}
		devices = append(devices, newDevice(rt, p, len(devices), opt))
	}
	if len(devices) == 0 && len(errs) == 0 {
		errs = append(errs, explain(rt, &hip.Error{Call: "hipGetDeviceCount", Code: 100}))
	}
	return devices, errors.Join(errs...)
}

// kfd is the file by which a process reaches AMD's kernel driver.
const kfd = "/dev/kfd"

// explain adds to an error of opening what is likely behind it.
func explain(rt *hip.Runtime, err error) error {
	var e *hip.Error
	if !errors.As(err, &e) || rt == nil {
		return fmt.Errorf("rocm: %w", err)
	}
	version := versionText(rt.Version)
	if !e.NoDevice() {
		return fmt.Errorf("rocm: HIP %s (%s): %w", version, rt.Path, err)
	}
	why := "no AMD GPU is known to the driver"
	switch f, open := os.OpenFile(kfd, os.O_RDWR, 0); {
	case errors.Is(open, os.ErrNotExist):
		why = "the kernel driver amdgpu is not loaded (there is no " + kfd + ")"
	case open != nil:
		why = "this user may not open " + kfd + " (is in group render?): " + open.Error()
	default:
		_ = f.Close() // only opened to see whether it may be
		if v := os.Getenv("HIP_VISIBLE_DEVICES") + os.Getenv("ROCR_VISIBLE_DEVICES"); v != "" {
			why = "HIP_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES hides it, or " + why
		}
	}
	return fmt.Errorf("rocm: HIP %s (%s) finds no device: %s: %w: %w", version, rt.Path, why, backends.ErrNoDevice, err)
}

// versionText writes a version as people do. The runtime has it as major*10^7 + minor*10^5 + patch.
func versionText(v int) string {
	if v <= 0 {
		return "of unknown version"
	}
	return fmt.Sprintf("%d.%d.%d", v/10_000_000, v/100_000%100, v%100_000)
}
