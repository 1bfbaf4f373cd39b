package tenon_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

// compiling is a device that says that it compiles a kernel for each program.
type compiling struct {
	*sim.Device
	progress func(done, total int)
}

func (c *compiling) OnCompile(progress func(done, total int)) { c.progress = progress }

func (c *compiling) Compile(g *backends.Subgraph) (backends.Program, error) {
	if c.progress != nil {
		c.progress(0, 1)
		c.progress(1, 1)
	}
	return c.Device.Compile(g)
}

// Whoever opens a model is told of kernels that its devices compile, also those of later runs.
func TestCompileProgress(t *testing.T) {
	dev, err := sim.New(sim.Config{Name: "Slow0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &compiling{Device: dev}
	t.Cleanup(backends.Replace(backends.Backend{Name: "Slow", Probe: func() ([]backends.Device, error) { return []backends.Device{c}, nil }}))
	var told []string
	m := open(t, tinymodel.Config{}, tenon.WithDevices("Slow0"), tenon.WithCompileProgress(func(device string, done, total int) {
		told = append(told, fmt.Sprint(device, done, total))
	}))
	if _, _, err := generate(t.Context(), m, "Once", tenon.GenerateOptions{MaxTokens: 2}); err != nil {
		t.Fatal(err)
	}
	if len(told) == 0 || len(told)%2 != 0 || !slices.Equal(told[:2], []string{"Slow00 1", "Slow01 1"}) {
		t.Errorf("told %q", told)
	}
}
