//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"fmt"
	"sync"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm/internal/goamdsmi"
)

// management starts the library once; without one there is no telemetry.
var management = sync.OnceValue(goamdsmi.GO_gpu_init)

// Measure asks the management library of ROCm about the card. It reports false where there is no library, or the library does not
// know the card's PCI address.
func (d *Device) Measure() (backends.Reading, bool) {
	if d.phys.PCI == "" || !management() {
		return backends.Reading{}, false
	}
	for i := range int(goamdsmi.GO_gpu_num_monitor_devices()) {
		if pciText(goamdsmi.GO_gpu_dev_pci_id_get(i)) != d.phys.PCI {
			continue
		}
		r := backends.Reading{
			PowerMicrowatts:         known(goamdsmi.GO_gpu_dev_power_get(i)),
			TemperatureMillicelsius: known(goamdsmi.GO_gpu_dev_temp_metric_get(i, 0, 0)),
			ProcessorHertz:          known(goamdsmi.GO_gpu_dev_gpu_clk_freq_get_sclk(i)),
			MemoryHertz:             known(goamdsmi.GO_gpu_dev_gpu_clk_freq_get_mclk(i)),
			MemoryUsedBytes:         known(goamdsmi.GO_gpu_dev_gpu_memory_usage_get(i)),
			BusyPercent:             -1,
		}
		if r.TemperatureMillicelsius < 0 { // server cards only know the junction's
			r.TemperatureMillicelsius = known(goamdsmi.GO_gpu_dev_temp_metric_get(i, 1, 0))
		}
		if b := goamdsmi.GO_gpu_dev_gpu_busy_percent_get(i); b != goamdsmi.Unknown32 {
			r.BusyPercent = int64(b)
		}
		return r, true
	}
	return backends.Reading{}, false
}

func known(v uint64) int64 { return int64(v) } // Unknown is -1

// pciText writes an address of the management library as HIP and Vulkan write it.
func pciText(id uint64) string {
	return fmt.Sprintf("%04x:%02x:%02x.%x", id>>32, id>>8&0xff, id>>3&0x1f, id&7)
}

var _ backends.Meter = (*Device)(nil)
