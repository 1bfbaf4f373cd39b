//go:build linux && (amd64 || arm64) && (cgo || rocm)

package hip

import (
	"bytes"
	"regexp"
	"strings"
	"unsafe"
)

// Physical is what is known of a device.
type Physical struct {
	Index      int
	Name       string
	Arch       string // such as "gfx90a:sramecc+:xnack-"
	PCI        string // such as "0000:01:00.0", or empty
	Wave       int    // threads in a wave
	Integrated bool
	Memory     int64
}

// Numbers of hipDeviceAttribute_t, the same in versions 5 to 7.
const (
	attrIntegrated = 16
	attrWarpSize   = 87
)

// archPattern is how an architecture is written, with its features.
var archPattern = regexp.MustCompile(`\bgfx[0-9a-f]{3,5}(:[a-z]+[+-])*`)

// Devices returns the devices of the runtime.
func (r *Runtime) Devices() ([]Physical, error) {
	var n int32
	if err := r.call(&r.f.hipGetDeviceCount, uintptr(unsafe.Pointer(&n))); err != nil {
		return nil, err
	}
	var all []Physical
	for i := range int(n) {
		p, err := r.device(i)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

func (r *Runtime) device(i int) (Physical, error) {
	p := Physical{Index: i}
	name := make([]byte, 256)
	if err := r.call(&r.f.hipDeviceGetName, uintptr(unsafe.Pointer(&name[0])), uintptr(len(name)), uintptr(i)); err != nil {
		return p, err
	}
	p.Name = cString(name)
	var total uintptr
	if err := r.call(&r.f.hipDeviceTotalMem, uintptr(unsafe.Pointer(&total)), uintptr(i)); err != nil {
		return p, err
	}
	p.Memory = int64(total)
	pci := make([]byte, 64)
	if err := r.call(&r.f.hipDeviceGetPCIBusId, uintptr(unsafe.Pointer(&pci[0])), uintptr(len(pci)), uintptr(i)); err == nil {
		p.PCI = strings.ToLower(cString(pci))
	}
	arch, err := r.arch(i)
	if err != nil {
		return p, err
	}
	p.Arch = arch
	p.Integrated = r.attribute(i, attrIntegrated) == 1
	if p.Wave = r.attribute(i, attrWarpSize); p.Wave != 32 && p.Wave != 64 {
		p.Wave = WaveOf(arch)
	}
	return p, nil
}

// WaveOf returns the size of a wave for which the compiler compiles by default: 64 up to gfx9, and 32 after it.
func WaveOf(arch string) int {
	if name, _, _ := strings.Cut(arch, ":"); len(name) == 7 { // gfx1030 and its like
		return 32
	}
	return 64
}

// arch finds the name of the architecture in the properties: their layout changed between versions.
func (r *Runtime) arch(i int) (string, error) {
	f := &r.f.hipGetDevicePropertiesR0600
	if f.addr == 0 {
		f = &r.f.hipGetDeviceProperties
	}
	props := make([]byte, 8192)
	if err := r.call(f, uintptr(unsafe.Pointer(&props[0])), uintptr(i)); err != nil {
		return "", err
	}
	found := archPattern.FindAll(props, -1)
	if len(found) == 0 {
		return "", nil
	}
	return string(found[len(found)-1]), nil // the device's name may hold one too, and comes first
}

func (r *Runtime) attribute(i, attr int) int {
	var v int32
	if err := r.call(&r.f.hipDeviceGetAttribute, uintptr(unsafe.Pointer(&v)), uintptr(attr), uintptr(i)); err != nil {
		return 0
	}
	return int(v)
}

// Memory returns how many bytes of the entered device are free, and how many it has.
func (r *Runtime) Memory() (free, total int64, err error) {
	var f, t uintptr
	err = r.call(&r.f.hipMemGetInfo, uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&t)))
	return int64(f), int64(t), err
}

// Reset ends all that the process has on the entered device.
func (r *Runtime) Reset() error { return r.call(&r.f.hipDeviceReset) }

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
