//go:build linux && (amd64 || arm64) && (cgo || rocm)

package goamdsmi

import (
	"bytes"
	"unsafe"
)

// smiNames are the names of AMD's management library itself, which comes with the driver's tools: those of ROCm 7, 6 and 5, and what
// links are made to.
var smiNames = []string{"libamd_smi.so.26", "libamd_smi.so.25", "libamd_smi.so.24", "libamd_smi.so.23", "libamd_smi.so"}

// smi is that library. Where its functions have flat arguments these are used, because its structs changed between versions. Of
// structs only the first members are read, out of more room than any version's takes.
//
// Source: the documentation of AMD SMI for ROCm 5.7, 6.2, 6.4 and 7.1.
type smi struct {
	symbols
	version uint32 // its first number: 23 to 26
	handles []uintptr
}

const (
	smiInitGPUs    = 1 << 1
	smiMemoryVRAM  = 0
	smiClockGFX    = 0
	smiClockMemory = 4
)

// room is for a struct of the library's.
type room [512]uint64

func (r *room) u32(i int) uint32 {
	return *(*uint32)(unsafe.Add(unsafe.Pointer(r), 4*i))
}

// do calls a function that returns a status, of which 0 is good.
//
//go:uintptrescapes
func (s *smi) do(name string, args ...uintptr) bool {
	r, ok := s.call(name, args...)
	return ok && uint32(r) == 0
}

// openSMI returns nil where there is no library, or it finds no card.
func openSMI() cards {
	s := &smi{symbols: symbols{handle: open(smiNames...)}}
	if s.handle == 0 || !s.do("amdsmi_init", smiInitGPUs) {
		return nil
	}
	var version room
	if s.do("amdsmi_get_lib_version", uintptr(unsafe.Pointer(&version))) {
		s.version = version.u32(0) // the year until 24, and then the major number
	}
	for _, socket := range s.list("amdsmi_get_socket_handles") {
		s.handles = append(s.handles, s.list("amdsmi_get_processor_handles", socket)...)
	}
	if len(s.handles) == 0 {
		s.shutDown()
		return nil
	}
	return s
}

// list calls a function that fills an array of handles, and before tells their number.
func (s *smi) list(name string, of ...uintptr) []uintptr {
	args := func(count *uint32, into *uintptr) bool {
		if len(of) > 0 {
			return s.do(name, of[0], uintptr(unsafe.Pointer(count)), uintptr(unsafe.Pointer(into)))
		}
		return s.do(name, uintptr(unsafe.Pointer(count)), uintptr(unsafe.Pointer(into)))
	}
	var n uint32
	if !args(&n, nil) || n == 0 || n > 1024 {
		return nil
	}
	all := make([]uintptr, n)
	if !args(&n, &all[0]) {
		return nil
	}
	return all[:min(int(n), len(all))]
}

func (s *smi) shutDown() bool { return s.do("amdsmi_shut_down") }

func (s *smi) count() uint { return uint(len(s.handles)) }

// fill has a function fill a struct of card i.
func (s *smi) fill(name string, i int, r *room) bool {
	return i >= 0 && i < len(s.handles) && s.do(name, s.handles[i], uintptr(unsafe.Pointer(r)))
}

func (s *smi) name(i int) string {
	var r room // begins with the name
	if !s.fill("amdsmi_get_gpu_asic_info", i, &r) {
		return ""
	}
	b := unsafe.Slice((*byte)(unsafe.Pointer(&r)), 256)
	n := bytes.IndexByte(b, 0)
	return string(b[:max(n, 0)])
}

func (s *smi) pci(i int) uint64 {
	var r room
	if !s.fill("amdsmi_get_gpu_bdf_id", i, &r) {
		return Unknown
	}
	return r[0] &^ (0xf << 28) // where a partition's number may be
}

// power is the current power of the socket or, on cards that do not tell it, an average over a short time. Where in the struct it
// is depends on the version. What is not known is the greatest number of 16 or 32 bits.
func (s *smi) power(i int) uint64 {
	var r room
	if !s.fill("amdsmi_get_power_info", i, &r) {
		return Unknown
	}
	watts := []uint32{r.u32(2), r.u32(3)} // current and average, behind one of 64 bits
	switch {
	case s.version < 24:
		watts = []uint32{r.u32(0)}
	case s.version == 24:
		watts = []uint32{r.u32(0), r.u32(1)}
	}
	for _, w := range watts {
		if w != 0 && w != 0xffff && w != Unknown32 {
			return uint64(w) * 1e6
		}
	}
	return Unknown
}

func (s *smi) powerCap(int) uint64 { return Unknown }

func (s *smi) temperature(i, sensor, metric int) uint64 {
	var degrees int64
	if i < 0 || i >= len(s.handles) ||
		!s.do("amdsmi_get_temp_metric", s.handles[i], uintptr(sensor), uintptr(metric), uintptr(unsafe.Pointer(&degrees))) || degrees < 0 || degrees >= 0xffff {
		return Unknown
	}
	return uint64(degrees) * 1000
}

func (s *smi) clock(i int, which clock) uint64 {
	kind := uintptr(smiClockGFX)
	if which == clockMemory {
		kind = smiClockMemory
	}
	var r room // begins with the clock in MHz
	if i < 0 || i >= len(s.handles) || !s.do("amdsmi_get_clock_info", s.handles[i], kind, uintptr(unsafe.Pointer(&r))) {
		return Unknown
	}
	if mhz := r.u32(0); mhz != 0xffff && mhz != Unknown32 {
		return uint64(mhz) * 1e6
	}
	return Unknown
}

func (s *smi) busy(i int) uint32 {
	var r room // begins with the share of the graphics engine
	if !s.fill("amdsmi_get_gpu_activity", i, &r) || r.u32(0) > 100 {
		return Unknown32
	}
	return r.u32(0)
}

func (s *smi) memoryBusy(i int) uint64 {
	var r room // has the share of the memory's controller next
	if !s.fill("amdsmi_get_gpu_activity", i, &r) || r.u32(1) > 100 {
		return Unknown
	}
	return uint64(r.u32(1))
}

func (s *smi) memoryUsed(i int) uint64  { return s.memory("amdsmi_get_gpu_memory_usage", i) }
func (s *smi) memoryTotal(i int) uint64 { return s.memory("amdsmi_get_gpu_memory_total", i) }

func (s *smi) memory(name string, i int) uint64 {
	var n uint64
	if i < 0 || i >= len(s.handles) || !s.do(name, s.handles[i], smiMemoryVRAM, uintptr(unsafe.Pointer(&n))) {
		return Unknown
	}
	return n
}
