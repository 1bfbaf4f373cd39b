// A test aid: AMD's management library with two cards that are made up.
#include <stdbool.h>
#include <stdint.h>

static bool up;
bool goamdsmi_gpu_init(void) { return up = true; }
bool goamdsmi_gpu_shutdown(void) { up = false; return true; }
uint32_t goamdsmi_gpu_num_monitor_devices(void) { return up ? 2 : 0; }
char *goamdsmi_gpu_dev_name_get(uint32_t i) { return i < 2 ? (i ? "Second" : "First") : 0; }
uint64_t goamdsmi_gpu_dev_pci_id_get(uint32_t i) { return ((uint64_t)1 << 32) | (0x43 + i) << 8 | 2 << 3 | 1; }
uint64_t goamdsmi_gpu_dev_power_get(uint32_t i) { return i < 2 ? 17000000 + i : UINT64_MAX; }
uint64_t goamdsmi_gpu_dev_temp_metric_get(uint32_t i, uint32_t sensor, uint32_t metric) { return 40000 + 100 * i + 10 * sensor + metric; }
uint32_t goamdsmi_gpu_dev_gpu_busy_percent_get(uint32_t i) { return 50 + i; }
uint64_t goamdsmi_gpu_dev_gpu_memory_usage_get(uint32_t i) { return ((uint64_t)5 << 32) + i; }
uint64_t goamdsmi_gpu_dev_gpu_memory_total_get(uint32_t i) { return ((uint64_t)16 << 30) + i; }
