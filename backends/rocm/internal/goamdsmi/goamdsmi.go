//go:build linux && (amd64 || arm64) && (cgo || rocm)

package goamdsmi

import (
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library is the name of the library, which AMD's packages put into lib of ROCm's folder.
const library = "libgoamdsmi_shim64.so"

// Unknown is what functions of 64 bits return of what is not known, and Unknown32 those of 32.
const (
	Unknown   = ^uint64(0)
	Unknown32 = ^uint32(0)
)

var lib struct {
	sync.Mutex
	handle uintptr
	ready  bool
}

// folders are where the library is looked for; "" is what the loader finds.
func folders() []string {
	dirs := []string{"", "/opt/rocm/lib", "/opt/rocm/lib64"}
	if root := os.Getenv("ROCM_PATH"); root != "" {
		dirs = append([]string{filepath.Join(root, "lib")}, dirs...)
	}
	return dirs
}

func symbol(name string) uintptr {
	addr, err := purego.Dlsym(lib.handle, name)
	if err != nil {
		return 0
	}
	return addr
}

// ask calls a function of the library, and reports whether there is one.
func ask(name string, args ...uintptr) (uintptr, bool) {
	lib.Lock()
	ready, fn := lib.ready, uintptr(0)
	if ready {
		fn = symbol(name)
	}
	lib.Unlock()
	if fn == 0 {
		return 0, false
	}
	r, _, _ := purego.SyscallN(fn, args...)
	return r, true
}

func ask64(name string, args ...uintptr) uint64 {
	if r, ok := ask(name, args...); ok {
		return uint64(r)
	}
	return Unknown
}

func askText(name string, i int) string {
	at, _ := ask(name, uintptr(i))
	if at == 0 {
		return ""
	}
	p := *(*unsafe.Pointer)(unsafe.Pointer(&at)) // memory of C's
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// GO_gpu_init opens the library and the driver, and reports whether there are cards.
func GO_gpu_init() bool { //nolint:revive // AMD's name, as all of them here
	lib.Lock()
	defer lib.Unlock()
	if lib.ready {
		return true
	}
	for _, dir := range folders() {
		if lib.handle != 0 {
			break
		}
		if h, err := purego.Dlopen(filepath.Join(dir, library), purego.RTLD_NOW|purego.RTLD_LOCAL); err == nil {
			lib.handle = h
		}
	}
	if lib.handle == 0 {
		return false
	}
	fn := symbol("goamdsmi_gpu_init")
	if fn == 0 {
		return false
	}
	r, _, _ := purego.SyscallN(fn)
	lib.ready = uint8(r) != 0 // a C bool
	return lib.ready
}

// GO_gpu_shutdown ends what GO_gpu_init began.
func GO_gpu_shutdown() bool {
	r, _ := ask("goamdsmi_gpu_shutdown")
	lib.Lock()
	defer lib.Unlock()
	lib.ready = false
	return uint8(r) != 0
}

// GO_gpu_num_monitor_devices returns how many cards there are.
func GO_gpu_num_monitor_devices() uint {
	r, _ := ask("goamdsmi_gpu_num_monitor_devices")
	return uint(uint32(r))
}

// GO_gpu_dev_name_get returns a card's name.
func GO_gpu_dev_name_get(i int) string { return askText("goamdsmi_gpu_dev_name_get", i) }

// GO_gpu_dev_pci_id_get returns where a card is: domain<<32 | bus<<8 | device<<3 | function.
func GO_gpu_dev_pci_id_get(i int) uint64 { return ask64("goamdsmi_gpu_dev_pci_id_get", uintptr(i)) }

// GO_gpu_dev_power_get returns what a card takes, in microwatts.
func GO_gpu_dev_power_get(i int) uint64 { return ask64("goamdsmi_gpu_dev_power_get", uintptr(i)) }

// GO_gpu_dev_power_cap_get returns what it may take, in microwatts.
func GO_gpu_dev_power_cap_get(i int) uint64 {
	return ask64("goamdsmi_gpu_dev_power_cap_get", uintptr(i))
}

// GO_gpu_dev_temp_metric_get returns a temperature: sensor 0 is the edge and 1 the junction, metric 0 the current one. In thousandths of a
// degree Celsius.
func GO_gpu_dev_temp_metric_get(i, sensor, metric int) uint64 {
	return ask64("goamdsmi_gpu_dev_temp_metric_get", uintptr(i), uintptr(sensor), uintptr(metric))
}

// GO_gpu_dev_gpu_clk_freq_get_sclk returns the clock of the processors, in Hz.
func GO_gpu_dev_gpu_clk_freq_get_sclk(i int) uint64 {
	return ask64("goamdsmi_gpu_dev_gpu_clk_freq_get_sclk", uintptr(i))
}

// GO_gpu_dev_gpu_clk_freq_get_mclk returns the clock of the memory, in Hz.
func GO_gpu_dev_gpu_clk_freq_get_mclk(i int) uint64 {
	return ask64("goamdsmi_gpu_dev_gpu_clk_freq_get_mclk", uintptr(i))
}

// GO_gpu_dev_gpu_busy_percent_get returns how busy a card is.
func GO_gpu_dev_gpu_busy_percent_get(i int) uint32 {
	if r, ok := ask("goamdsmi_gpu_dev_gpu_busy_percent_get", uintptr(i)); ok {
		return uint32(r)
	}
	return Unknown32
}

// GO_gpu_dev_gpu_memory_busy_percent_get returns how full its memory is.
func GO_gpu_dev_gpu_memory_busy_percent_get(i int) uint64 {
	return ask64("goamdsmi_gpu_dev_gpu_memory_busy_percent_get", uintptr(i))
}

// GO_gpu_dev_gpu_memory_usage_get returns how many bytes of its memory are in use.
func GO_gpu_dev_gpu_memory_usage_get(i int) uint64 {
	return ask64("goamdsmi_gpu_dev_gpu_memory_usage_get", uintptr(i))
}

// GO_gpu_dev_gpu_memory_total_get returns how many bytes it has.
func GO_gpu_dev_gpu_memory_total_get(i int) uint64 {
	return ask64("goamdsmi_gpu_dev_gpu_memory_total_get", uintptr(i))
}
