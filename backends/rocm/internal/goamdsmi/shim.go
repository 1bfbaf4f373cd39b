//go:build linux && (amd64 || arm64) && (cgo || rocm)

package goamdsmi

// shimName is the library of AMD's Go module, which AMD's packages put into lib of ROCm's folder.
const shimName = "libgoamdsmi_shim64.so"

// shim is that library: its functions are called by the names of the module's.
type shim struct{ symbols }

// openShim returns nil where there is no library, or it finds no card.
func openShim() cards {
	s := &shim{symbols{handle: open(shimName)}}
	if s.handle == 0 {
		return nil
	}
	if r, ok := s.call("goamdsmi_gpu_init"); !ok || uint8(r) == 0 { // a C bool
		return nil
	}
	return s
}

func (s *shim) shutDown() bool {
	r, _ := s.call("goamdsmi_gpu_shutdown")
	return uint8(r) != 0
}

func (s *shim) count() uint {
	r, _ := s.call("goamdsmi_gpu_num_monitor_devices")
	return uint(uint32(r))
}

func (s *shim) name(i int) string {
	at, _ := s.call("goamdsmi_gpu_dev_name_get", uintptr(i))
	return text(at)
}

func (s *shim) ask(name string, args ...uintptr) uint64 {
	if r, ok := s.call(name, args...); ok {
		return uint64(r)
	}
	return Unknown
}

func (s *shim) pci(i int) uint64      { return s.ask("goamdsmi_gpu_dev_pci_id_get", uintptr(i)) }
func (s *shim) power(i int) uint64    { return s.ask("goamdsmi_gpu_dev_power_get", uintptr(i)) }
func (s *shim) powerCap(i int) uint64 { return s.ask("goamdsmi_gpu_dev_power_cap_get", uintptr(i)) }

func (s *shim) temperature(i, sensor, metric int) uint64 {
	return s.ask("goamdsmi_gpu_dev_temp_metric_get", uintptr(i), uintptr(sensor), uintptr(metric))
}

func (s *shim) clock(i int, which clock) uint64 {
	if which == clockMemory {
		return s.ask("goamdsmi_gpu_dev_gpu_clk_freq_get_mclk", uintptr(i))
	}
	return s.ask("goamdsmi_gpu_dev_gpu_clk_freq_get_sclk", uintptr(i))
}

func (s *shim) busy(i int) uint32 {
	if r, ok := s.call("goamdsmi_gpu_dev_gpu_busy_percent_get", uintptr(i)); ok {
		return uint32(r)
	}
	return Unknown32
}

func (s *shim) memoryBusy(i int) uint64 {
	return s.ask("goamdsmi_gpu_dev_gpu_memory_busy_percent_get", uintptr(i))
}

func (s *shim) memoryUsed(i int) uint64 {
	return s.ask("goamdsmi_gpu_dev_gpu_memory_usage_get", uintptr(i))
}

func (s *shim) memoryTotal(i int) uint64 {
	return s.ask("goamdsmi_gpu_dev_gpu_memory_total_get", uintptr(i))
}
