package conformance

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// planted is a fault, the cases that are to find it, and what they are to say.
type planted struct {
	name   string
	filter string
	says   string
	plant  func(m *mutant)
}

// TestPlantedFaults shows that each fault is found, by the cases that are made for it and in their words,
// and that these cases pass without it.
func TestPlantedFaults(t *testing.T) {
	for _, set := range [][]planted{kernelFaults, fusionFaults, programFaults, memoryFaults} {
		for _, f := range set {
			t.Run(f.name, func(t *testing.T) {
				f.find(t)
			})
		}
	}
}

func (f planted) find(t *testing.T) {
	m := newMutant()
	defer m.Close()
	opt := Options{Filter: regexp.MustCompile(f.filter), Timeout: 30 * time.Second}
	sound, err := Run(t.Context(), m, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !sound.OK() || sound.Count(Pass) == 0 {
		t.Fatalf("without the fault: %s: %+v", sound.Summary(), sound.Failures())
	}
	f.plant(m)
	report, err := Run(t.Context(), m, opt)
	if err != nil {
		t.Fatal(err)
	}
	bad := report.Failures()
	if len(bad) == 0 {
		t.Fatalf("the fault is not found: %s", report.Summary())
	}
	for _, r := range bad {
		if strings.Contains(r.Reason, f.says) {
			t.Logf("%d of %d cases fail, such as %s: %s", len(bad), len(report.Results), r.ID, r.Reason)
			return
		}
	}
	t.Errorf("no reason says %q, such as %s: %s", f.says, bad[0].ID, bad[0].Reason)
}
