// Package testcard is for tests that want a real card.
package testcard

import (
	"os"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
)

// Demanded reports whether there must be a device of that name, such as "ROCm0": TENON_DEMAND_ROCM is set.
func Demanded(name string) bool {
	return os.Getenv("TENON_DEMAND_"+strings.ToUpper(strings.TrimRight(name, "0123456789"))) != ""
}

// Need skips the test where one of the devices is absent, or fails it where that one is demanded. They are closed when the test ends.
func Need(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		dev, err := backends.Open(name)
		if err != nil {
			if Demanded(name) {
				t.Fatal(err)
			}
			t.Skip(err)
		}
		t.Cleanup(func() {
			if err := dev.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
