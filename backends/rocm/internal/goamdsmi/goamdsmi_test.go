//go:build linux && (amd64 || arm64) && (cgo || rocm)

package goamdsmi

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// fake builds a library with two cards where GO_gpu_init looks first.
func fake(t *testing.T) {
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
	if said, err := exec.Command(gcc, "-shared", "-fPIC", "-o", out, "testdata/fake.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	t.Setenv("ROCM_PATH", root)
}

func TestCards(t *testing.T) {
	fake(t)
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
