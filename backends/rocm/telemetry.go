//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"fmt"
	"sync"

	"github.com/tenon-go/tenon/backends/rocm/internal/goamdsmi"
)

// Telemetry is what the management library says of a card now. What it does not say is -1.
type Telemetry struct {
	Power       int64 // in microwatts
	Temperature int64 // of the edge, in thousandths of a degree Celsius
	Busy        int64 // in percent
	MemoryUsed  int64 // in bytes, by all processes
}

// management starts the library once; without one there is no telemetry.
var management = sync.OnceValue(goamdsmi.GO_gpu_init)

// Telemetry asks the management library of ROCm about the card. It reports false where there is no library, or the library does not
// know the card's PCI address.
func (d *Device) Telemetry() (Telemetry, bool) {
	if d.phys.PCI == "" || !management() {
		return Telemetry{}, false
	}
	for i := range int(goamdsmi.GO_gpu_num_monitor_devices()) {
		if pciText(goamdsmi.GO_gpu_dev_pci_id_get(i)) != d.phys.PCI {
			continue
		}
		t := Telemetry{
			Power: known(goamdsmi.GO_gpu_dev_power_get(i)), Temperature: known(goamdsmi.GO_gpu_dev_temp_metric_get(i, 0, 0)),
			Busy: -1, MemoryUsed: known(goamdsmi.GO_gpu_dev_gpu_memory_usage_get(i)),
		}
		if b := goamdsmi.GO_gpu_dev_gpu_busy_percent_get(i); b != goamdsmi.Unknown32 {
			t.Busy = int64(b)
		}
		return t, true
	}
	return Telemetry{}, false
}

func known(v uint64) int64 { return int64(v) } // Unknown is -1

// pciText writes an address of the management library as HIP and Vulkan write it.
func pciText(id uint64) string {
	return fmt.Sprintf("%04x:%02x:%02x.%x", id>>32, id>>8&0xff, id>>3&0x1f, id&7)
}
