package cpu_test

import (
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/backends/cpu"
)

func TestConformance(t *testing.T) {
	conformance.Test(t, func() (backends.Device, error) { return cpu.New(cpu.Options{}), nil })
}
