//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"os"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/internal/hipemu"
)

// A profile counts every launch of every run, by kernel, and is written when a program is closed; its events are freed then.
func TestEmulatedProfile(t *testing.T) {
	d, e := emulated(t, hipemu.Options{})
	file := t.TempDir() + "/profile.txt"
	d.profile = backends.NewProfile(file)
	r := newRig(t, d, 40)
	if len(d.Profile()) != 0 {
		t.Error("there is a profile before anything ran")
	}
	for range 3 {
		r.run(t)
	}
	runs := 0
	for _, k := range d.Profile() {
		runs += k.Runs
		if k.Total <= 0 {
			t.Errorf("%s took %v", k.Kernel, k.Total)
		}
	}
	if runs != 3*40 {
		t.Errorf("%d launches of 3 runs of 40 nodes: %v", runs, d.Profile())
	}
	if n := e.Count("graphs"); n != 0 {
		t.Errorf("%d graphs: their launches have no times", n)
	}
	r.close(t)
	text, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(text), d.Profile()[0].Kernel) {
		t.Errorf("the file says %q, %v", text, err)
	}
}
