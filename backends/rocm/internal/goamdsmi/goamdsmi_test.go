//go:build linux && (amd64 || arm64) && (cgo || rocm)

package goamdsmi

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// fake builds a library with two cards, by a name, where GO_gpu_init looks first.
func fake(t *testing.T, library, source string, flags ...string) {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skipf("no C compiler for the made-up library: %v", err)
	}
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(root, "lib", library)
	args := append([]string{"-Wall", "-Werror", "-shared", "-fPIC", "-o", out, filepath.Join("testdata", source)}, flags...)
	if said, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	t.Setenv("ROCM_PATH", root)
}

func TestCards(t *testing.T) {
	fake(t, shimName, "fake.c")
	if got := GO_gpu_dev_power_get(0); got != Unknown {
		t.Errorf("power before init: %d", got)
	}
	if !GO_gpu_init() {
		t.Fatal("init says no")
	}
	if got := GO_gpu_num_monitor_devices(); got != 2 {
		t.Fatalf("%d cards, want 2", got)
	}
	if a, b, c := GO_gpu_dev_name_get(0), GO_gpu_dev_name_get(1), GO_gpu_dev_name_get(2); a != "First" || b != "Second" || c != "" {
		t.Errorf("names %q, %q, %q", a, b, c)
	}
	for _, x := range []struct {
		what      string
		got, want uint64
	}{
		{"PCI", GO_gpu_dev_pci_id_get(1), 1<<32 | 0x44<<8 | 2<<3 | 1},
		{"power", GO_gpu_dev_power_get(1), 17000001},
		{"power of no card", GO_gpu_dev_power_get(7), Unknown},
		{"temperature", GO_gpu_dev_temp_metric_get(1, 1, 0), 40110},
		{"busy", uint64(GO_gpu_dev_gpu_busy_percent_get(1)), 51},
		{"memory used", GO_gpu_dev_gpu_memory_usage_get(1), 5<<32 + 1},
		{"memory", GO_gpu_dev_gpu_memory_total_get(0), 16 << 30},
		{"what this library does not have", GO_gpu_dev_gpu_clk_freq_get_sclk(0), Unknown},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d, want %d", x.what, x.got, x.want)
		}
	}
	if !GO_gpu_shutdown() {
		t.Error("shutdown says no")
	}
	if got := GO_gpu_num_monitor_devices(); got != 0 {
		t.Errorf("%d cards after shutdown", got)
	}
}

// The management library itself is asked where the other is not there. Its structs differ between versions.
func TestSMI(t *testing.T) {
	if open(shimName) != 0 {
		t.Skip("there is the library that is preferred")
	}
	for version, name := range map[int]string{23: "libamd_smi.so.23", 24: "libamd_smi.so.24", 25: "libamd_smi.so", 26: "libamd_smi.so.26"} {
		t.Run(name, func(t *testing.T) {
			fake(t, name, "fake_smi.c", fmt.Sprintf("-DVERSION=%d", version))
			if !GO_gpu_init() || GO_gpu_num_monitor_devices() != 2 {
				t.Fatalf("%d cards", GO_gpu_num_monitor_devices())
			}
			if a, b, c := GO_gpu_dev_name_get(0), GO_gpu_dev_name_get(1), GO_gpu_dev_name_get(2); a != "First" || b != "Second" || c != "" {
				t.Errorf("names %q, %q, %q", a, b, c)
			}
			power := uint64(310e6)
			if version == 23 { // knows no current power
				power = 250e6
			}
			for _, x := range []struct {
				what      string
				got, want uint64
			}{
				{"PCI", GO_gpu_dev_pci_id_get(1), 1<<32 | 0x44<<8 | 2<<3 | 1},
				{"power", GO_gpu_dev_power_get(0), power},
				{"average power", GO_gpu_dev_power_get(1), 250e6},
				{"power of no card", GO_gpu_dev_power_get(2), Unknown},
				{"power cap", GO_gpu_dev_power_cap_get(0), Unknown},
				{"temperature", GO_gpu_dev_temp_metric_get(1, 1, 0), 51000},
				{"what has no temperature", GO_gpu_dev_temp_metric_get(1, 1, 3), Unknown},
				{"processor clock", GO_gpu_dev_gpu_clk_freq_get_sclk(0), 2100e6},
				{"memory clock", GO_gpu_dev_gpu_clk_freq_get_mclk(0), 1300e6},
				{"busy", uint64(GO_gpu_dev_gpu_busy_percent_get(1)), 51},
				{"memory busy", GO_gpu_dev_gpu_memory_busy_percent_get(1), 20},
				{"memory used", GO_gpu_dev_gpu_memory_usage_get(1), 5<<32 + 1},
				{"memory", GO_gpu_dev_gpu_memory_total_get(-1), Unknown},
			} {
				if x.got != x.want {
					t.Errorf("%s: %d, want %d", x.what, x.got, x.want)
				}
			}
			if !GO_gpu_shutdown() || GO_gpu_shutdown() {
				t.Error("shutdown does not say yes once")
			}
		})
	}
}
