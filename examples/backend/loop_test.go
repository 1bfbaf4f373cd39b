package loop_test

import (
	"testing"

	"example.com/loop"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
)

// TestConformance is all that a backend needs. One case runs again by its id:
//
//	go test -run 'TestConformance/RMSNorm/x=F32,ne=1x1x1x1,eps=1e-06$'
func TestConformance(t *testing.T) {
	conformance.Test(t, func() (backends.Device, error) { return loop.Open(), nil })
}

// TestSupport says what has to be supported: the suite alone takes a device that refuses everything.
func TestSupport(t *testing.T) {
	dev, err := backends.Open("Loop0")
	if err != nil {
		t.Fatal(err)
	}
	support, err := conformance.Survey(dev, conformance.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{
		"Add": true, "Mul": true, "Scale": true, "Unary/Neg": true, "Unary/SiLU": true, "Unary/Sin": true,
		"Copy": true, "RMSNorm": true, "MatMul": true, "SetRows": true,
	}
	for _, e := range support.Ops {
		if e.Type != "F32" || !want[e.Op] {
			continue
		}
		delete(want, e.Op)
		if e.Yes == 0 {
			t.Errorf("%s is not supported: %s", e.Op, e.Reason)
		}
	}
	for op := range want {
		t.Errorf("there is no case of %s", op)
	}
}
