//go:build linux && (amd64 || arm64) && (cgo || rocm)

package goamdsmi

import (
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Unknown is what functions of 64 bits return of what is not known, and Unknown32 those of 32.
const (
	Unknown   = ^uint64(0)
	Unknown32 = ^uint32(0)
)

// cards are what one of the two libraries knows. What it does not is Unknown, Unknown32 or "".
type cards interface {
	shutDown() bool
	count() uint
	name(i int) string
	pci(i int) uint64
	power(i int) uint64                       // in microwatts
	powerCap(i int) uint64                    // in microwatts
	temperature(i, sensor, metric int) uint64 // in thousandths of a degree Celsius
	clock(i int, which clock) uint64          // in Hz
	busy(i int) uint32                        // in percent
	memoryBusy(i int) uint64                  // in percent
	memoryUsed(i int) uint64                  // in bytes
	memoryTotal(i int) uint64                 // in bytes
}

// clock is one of a card's.
type clock int

const (
	clockProcessor clock = iota
	clockMemory
)

var current struct {
	sync.Mutex
	cards // nil before GO_gpu_init, and after GO_gpu_shutdown
}

func known() cards {
	current.Lock()
	defer current.Unlock()
	return current.cards
}

// ask64 asks the library that is open.
func ask64(f func(c cards) uint64) uint64 {
	if c := known(); c != nil {
		return f(c)
	}
	return Unknown
}

// folders are where libraries are looked for; "" is what the loader finds.
func folders() []string {
	dirs := []string{"", "/opt/rocm/lib", "/opt/rocm/lib64"}
	if root := os.Getenv("ROCM_PATH"); root != "" {
		dirs = append([]string{filepath.Join(root, "lib")}, dirs...)
	}
	return dirs
}

// open opens the first library of these names that there is, and returns 0 without one.
func open(names ...string) uintptr {
	for _, dir := range folders() {
		for _, name := range names {
			if h, err := purego.Dlopen(filepath.Join(dir, name), purego.RTLD_NOW|purego.RTLD_LOCAL); err == nil {
				return h
			}
		}
	}
	return 0
}

// symbols are the functions of a library that have been called, by name; 0 is one that it lacks.
type symbols struct {
	mu     sync.Mutex
	handle uintptr
	known  map[string]uintptr
}

func (s *symbols) find(name string) uintptr {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.known[name]
	if !ok {
		at, _ = purego.Dlsym(s.handle, name) // 0 with an error
		if s.known == nil {
			s.known = map[string]uintptr{}
		}
		s.known[name] = at
	}
	return at
}

// call calls a function, and reports whether there is one. What arguments point to stays where it is.
//
//go:uintptrescapes
func (s *symbols) call(name string, args ...uintptr) (uintptr, bool) {
	fn := s.find(name)
	if fn == 0 {
		return 0, false
	}
	r, _, _ := purego.SyscallN(fn, args...)
	return r, true
}

// text copies a C string that lies in C's memory.
func text(at uintptr) string {
	if at == 0 {
		return ""
	}
	p := *(*unsafe.Pointer)(unsafe.Pointer(&at))
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

// GO_gpu_init opens a library and the driver, and reports whether there are cards.
func GO_gpu_init() bool { //nolint:revive // AMD's name, as all of them here
	current.Lock()
	defer current.Unlock()
	if current.cards == nil {
		if c := openShim(); c != nil {
			current.cards = c
		} else if c := openSMI(); c != nil {
			current.cards = c
		}
	}
	return current.cards != nil
}

// GO_gpu_shutdown ends what GO_gpu_init began.
func GO_gpu_shutdown() bool {
	current.Lock()
	defer current.Unlock()
	c := current.cards
	current.cards = nil
	return c != nil && c.shutDown()
}

// GO_gpu_num_monitor_devices returns how many cards there are.
func GO_gpu_num_monitor_devices() uint {
	if c := known(); c != nil {
		return c.count()
	}
	return 0
}

// GO_gpu_dev_name_get returns a card's name.
func GO_gpu_dev_name_get(i int) string {
	if c := known(); c != nil {
		return c.name(i)
	}
	return ""
}

// GO_gpu_dev_pci_id_get returns where a card is: domain<<32 | bus<<8 | device<<3 | function.
func GO_gpu_dev_pci_id_get(i int) uint64 {
	return ask64(func(c cards) uint64 { return c.pci(i) })
}

// GO_gpu_dev_power_get returns what a card takes, in microwatts.
func GO_gpu_dev_power_get(i int) uint64 {
	return ask64(func(c cards) uint64 { return c.power(i) })
}

// GO_gpu_dev_power_cap_get returns what it may take, in microwatts.
func GO_gpu_dev_power_cap_get(i int) uint64 {
	return ask64(func(c cards) uint64 { return c.powerCap(i) })
}

// GO_gpu_dev_temp_metric_get returns a temperature: sensor 0 is the edge and 1 the junction, metric 0 the current one. In thousandths of a
// degree Celsius.
func GO_gpu_dev_temp_metric_get(i, sensor, metric int) uint64 {
	return ask64(func(c cards) uint64 { return c.temperature(i, sensor, metric) })
}

// GO_gpu_dev_gpu_clk_freq_get_sclk returns the clock of the processors, in Hz.
func GO_gpu_dev_gpu_clk_freq_get_sclk(i int) uint64 {
	return ask64(func(c cards) uint64 { return c.clock(i, clockProcessor) })
}

// GO_gpu_dev_gpu_clk_freq_get_mclk returns the clock of the memory, in Hz.
func GO_gpu_dev_gpu_clk_freq_get_mclk(i int) uint64 {
	return ask64(func(c cards) uint64 { return c.clock(i, clockMemory) })
}

// GO_gpu_dev_gpu_busy_percent_get returns how busy a card is.
func GO_gpu_dev_gpu_busy_percent_get(i int) uint32 {
	if c := known(); c != nil {
		return c.busy(i)
	}
	return Unknown32
}

// GO_gpu_dev_gpu_memory_busy_percent_get returns how busy its memory is.
func GO_gpu_dev_gpu_memory_busy_percent_get(i int) uint64 {
	return ask64(func(c cards) uint64 { return c.memoryBusy(i) })
}

// GO_gpu_dev_gpu_memory_usage_get returns how many bytes of its memory are in use.
func GO_gpu_dev_gpu_memory_usage_get(i int) uint64 {
	return ask64(func(c cards) uint64 { return c.memoryUsed(i) })
}

// GO_gpu_dev_gpu_memory_total_get returns how many bytes it has.
func GO_gpu_dev_gpu_memory_total_get(i int) uint64 {
	return ask64(func(c cards) uint64 { return c.memoryTotal(i) })
}
