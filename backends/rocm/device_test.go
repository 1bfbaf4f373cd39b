//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
	"github.com/tenon-go/tenon/buffer"
)

func TestSwitchedOff(t *testing.T) {
	t.Setenv(disabled, "1")
	if d, err := Devices(Options{}); len(d) > 0 || err == nil || !strings.Contains(err.Error(), disabled) {
		t.Errorf("got %v, %v", d, err)
	}
}

// Whatever is missing, the reason says so in a line of its own.
func TestReason(t *testing.T) {
	d, err := Devices(Options{})
	if len(d) > 0 {
		t.Skip("there is a device")
	}
	if err == nil || !strings.HasPrefix(err.Error(), "rocm: ") {
		t.Fatalf("got %v", err)
	}
	var e *hip.Error
	if errors.As(err, &e) != errors.Is(err, backends.ErrNoDevice) && !errors.Is(err, hip.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestExplain(t *testing.T) {
	rt := &hip.Runtime{Path: "libamdhip64.so.6", Version: 60241133}
	err := explain(rt, &hip.Error{Call: "hipInit", Code: 100, Name: "hipErrorNoDevice"})
	if !errors.Is(err, backends.ErrNoDevice) || !strings.Contains(err.Error(), "HIP 6.2.41133") {
		t.Errorf("no device: %v", err)
	}
	err = explain(rt, &hip.Error{Call: "hipInit", Code: 3})
	if errors.Is(err, backends.ErrNoDevice) || !strings.Contains(err.Error(), "hipInit: error 3") {
		t.Errorf("another error: %v", err)
	}
}

// Errors of HIP become ours, and a fault loses the device.
func TestFailed(t *testing.T) {
	for _, x := range []struct {
		code int32
		want error
		lost bool
	}{
		{2, buffer.ErrNoMemory, false},
		{209, ErrArch, false},
		{700, backends.ErrDeviceLost, true},
		{719, backends.ErrDeviceLost, true},
	} {
		s := &session{dev: &Device{phys: hip.Physical{Arch: "gfx1031"}}}
		err := s.failed("testing", &hip.Error{Call: "hipMalloc", Code: x.code})
		if !errors.Is(err, x.want) || s.lost.Load() != x.lost {
			t.Errorf("%d: %v, lost %v", x.code, err, s.lost.Load())
		}
	}
}

func TestPCIText(t *testing.T) {
	if got := pciText(1<<32 | 0xc3<<8 | 2<<3 | 1); got != "0001:c3:02.1" {
		t.Errorf("got %s", got)
	}
}

// A file of the cache that is damaged is none.
func TestCodeFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a", "x.hsaco")
	code := []byte("some code")
	writeCode(file, code)
	if got := readCode(file); !bytes.Equal(got, code) {
		t.Fatalf("got %q", got)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := readCode(file); got != nil {
		t.Errorf("damaged: got %q", got)
	}
}

// What code depends on is in the name of its file.
func TestCacheKey(t *testing.T) {
	rt := &hip.Runtime{Major: 6, Version: 1}
	name := func(arch, source string, options []string, h map[string]string, version int) string {
		rt.Version = version
		d := &Device{rt: rt, phys: hip.Physical{Arch: arch}, opt: Options{CacheDir: "dir"}}
		return d.cacheFile("k", source, h, options)
	}
	base := name("gfx90a", "s", []string{"-a"}, map[string]string{"h": "1"}, 1)
	for _, other := range []string{
		name("gfx1030", "s", []string{"-a"}, map[string]string{"h": "1"}, 1),
		name("gfx90a", "s2", []string{"-a"}, map[string]string{"h": "1"}, 1),
		name("gfx90a", "s", []string{"-b"}, map[string]string{"h": "1"}, 1),
		name("gfx90a", "s", []string{"-a"}, map[string]string{"h": "2"}, 1),
		name("gfx90a", "s", []string{"-a"}, map[string]string{"h": "1"}, 2),
	} {
		if other == base {
			t.Errorf("two of one name: %s", base)
		}
	}
}
