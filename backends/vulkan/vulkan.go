//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
)

func init() {
	backends.Register(backends.Backend{Name: "Vulkan", Priority: priority, Probe: probe})
}

// ErrFeature says that a driver lacks what every kernel needs.
var ErrFeature = errors.New("the driver lacks features")

// disabled is the environment variable that switches the backend off: no driver is loaded then.
const disabled = "TENON_NO_VULKAN"

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
	NoMapping bool   // copies pass through staging memory even if the host can address the device's
	CacheDir  string // of compiled pipelines; "" is the user's cache folder, "-" keeps none
	// Slice is how long a piece of work that is submitted at once may run, in milliseconds; 0 is as long as the kind of device
	// allows. A cancelled run ends between two pieces.
	Slice int
	// Profile counts the time of each kernel, one after the other: see Device.Profile. It makes programs slower.
	Profile bool
}

// Devices returns the machine's devices, dedicated cards first and software last, none of them opened: that happens when
// memory is first asked for. An error says why there are none, or fewer than the driver has; it matches ErrFeature
// where a driver is too old.
func Devices(opt Options) ([]*Device, error) {
	if os.Getenv(disabled) != "" {
		return nil, fmt.Errorf("vulkan: switched off by %s", disabled)
	}
	inst, err := vk.Open()
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	all, err := inst.Devices()
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	rank := map[int]int{vk.Discrete: 0, vk.Integrated: 1, vk.Virtual: 2, vk.Other: 3, vk.Software: 4}
	slices.SortStableFunc(all, func(a, b *vk.Physical) int { return cmp.Compare(rank[a.Kind], rank[b.Kind]) })
	var devices []*Device
	var errs []error
	for _, p := range all {
		if lacks := missing(p); len(lacks) > 0 {
			errs = append(errs, fmt.Errorf("vulkan: %s (%s): %w: %s", p.Name, p.Driver, ErrFeature, strings.Join(lacks, ", ")))
			continue
		}
		devices = append(devices, newDevice(p, len(devices), opt))
	}
	if len(devices) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("vulkan: no driver has a device"))
	}
	return devices, errors.Join(errs...)
}

// missing returns what every kernel needs and p does not have.
func missing(p *vk.Physical) []string {
	if p.Version>>22 == 1 && p.Version>>12&0x3ff < 2 {
		return []string{fmt.Sprintf("Vulkan 1.2 (it has 1.%d)", p.Version>>12&0x3ff)}
	}
	var lacks []string
	for _, f := range []struct {
		has  bool
		name string
	}{
		{p.Can.Addresses, "bufferDeviceAddress"},
		{p.Can.Timeline, "timelineSemaphore"},
		{p.Can.ScalarLayout, "scalarBlockLayout"},
		{p.Can.Int64, "shaderInt64"},
		{p.Can.Int16, "shaderInt16"},
		{p.Can.Int8, "shaderInt8"},
		{p.Can.Storage8, "storageBuffer8BitAccess"},
		{p.Can.Storage16, "storageBuffer16BitAccess"},
		{p.Limits.SubgroupInKernel && p.Limits.SubgroupOps&5 == 5, "subgroup arithmetic in compute shaders"},
	} {
		if !f.has {
			lacks = append(lacks, f.name)
		}
	}
	return lacks
}
