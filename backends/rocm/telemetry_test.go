//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm/internal/goamdsmi"
	"github.com/tenon-go/tenon/internal/hipemu"
)

// A card is found in the management library by its PCI address, and what it says of its memory counts before the device is open.
func TestEmulatedMeasure(t *testing.T) {
	d, e := emulated(t, hipemu.Options{Devices: "gfx1030@0001:44:02.1/65536,gfx1030@0000:01:00.0"})
	lib := filepath.Join(filepath.Dir(e.Path), "libamd_smi.so.26")
	if said, err := exec.Command("gcc", "-shared", "-fPIC", "-DVERSION=26", "-o", lib, "internal/goamdsmi/testdata/fake_smi.c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	once := management
	management = goamdsmi.GO_gpu_init
	t.Cleanup(func() {
		management = once
		goamdsmi.GO_gpu_shutdown()
	})
	want := backends.Reading{
		PowerMicrowatts: 250e6, TemperatureMillicelsius: 50_000, ProcessorHertz: 2100e6, MemoryHertz: 1300e6, BusyPercent: 51, MemoryUsedBytes: 5<<32 + 1,
	}
	if got, ok := d.Measure(); !ok || got != want {
		t.Errorf("got %+v, %v, want %+v", got, ok, want)
	}
	if info := d.Info(); info.MemoryFree != info.MemoryTotal-want.MemoryUsedBytes {
		t.Errorf("%d of %d bytes are free", info.MemoryFree, info.MemoryTotal)
	}
	devices, err := Devices(d.opt)
	if err != nil || len(devices) != 2 {
		t.Fatal(devices, err)
	}
	if got, ok := devices[1].Measure(); ok {
		t.Errorf("a card that the library does not know says %+v", got)
	}
}
