//go:build cgo && linux && (amd64 || arm64)

package vk

import "fmt"

// Error is what a Vulkan call returned.
type Error struct {
	Call   string // such as "vkAllocateMemory"
	Result int32
}

// The results that callers tell apart.
const (
	Timeout             = 2
	outOfHostMemory     = -1
	outOfDeviceMemory   = -2
	deviceLost          = -4
	tooManyObjects      = -10
	invalidExternal     = -1000072003
	invalidAddress      = -1000257000
	incompatibleDriver  = -9
	extensionNotPresent = -7
	featureNotPresent   = -8
)

var resultNames = map[int32]string{
	Timeout: "timeout", outOfHostMemory: "out of host memory", outOfDeviceMemory: "out of device memory", deviceLost: "device lost",
	tooManyObjects: "too many objects", invalidExternal: "memory cannot be used", invalidAddress: "no address left",
	incompatibleDriver: "incompatible driver", extensionNotPresent: "extension not present", featureNotPresent: "feature not present",
	-3: "initialization failed", -5: "memory map failed", -6: "layer not present", -1000012000: "invalid shader",
}

// Error returns one line.
func (e *Error) Error() string {
	name, ok := resultNames[e.Result]
	if !ok {
		name = fmt.Sprintf("error %d", e.Result)
	}
	return e.Call + ": " + name
}

// Lost reports whether the device is lost.
func (e *Error) Lost() bool { return e.Result == deviceLost }

// NoMemory reports whether there was no memory, or too many pieces of it.
func (e *Error) NoMemory() bool {
	switch e.Result {
	case outOfHostMemory, outOfDeviceMemory, tooManyObjects, invalidAddress:
		return true
	}
	return false
}

// check returns an *Error for a negative result. It allocates nothing if there is none.
func check(call string, r int32) error {
	if r >= 0 {
		return nil
	}
	return &Error{call, r}
}
