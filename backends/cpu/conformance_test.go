package cpu_test

import (
	"runtime"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/internal/testcorpus"
)

func open() (backends.Device, error) { return cpu.New(cpu.Options{}), nil }

func TestConformance(t *testing.T) { conformance.Test(t, open) }

// TestCorpusConformance adds what another implementation computed to the cases.
func TestCorpusConformance(t *testing.T) {
	conformance.Test(t, open, conformance.Options{Corpus: testcorpus.Dir(t), Chapters: []string{conformance.ChapterCorpus}})
}

// TestConformanceLimited runs what concerns memory on a device whose memory ends.
func TestConformanceLimited(t *testing.T) {
	limited := func() (backends.Device, error) {
		return cpu.New(cpu.Options{Name: "CPU1", Threads: 3, MemoryLimit: 8 << 20}), nil
	}
	conformance.Test(t, limited, conformance.Options{Chapters: []string{conformance.ChapterBuffers, conformance.ChapterPrograms}})
}

// TestSupportsEverything holds the promise that there is always a device for an op: the one that has no
// other place to go to.
func TestSupportsEverything(t *testing.T) {
	dev, err := open()
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	s, err := conformance.Survey(dev, conformance.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Ops {
		if _, fused := backends.ParseFusion(e.Op); fused {
			continue // there its nodes run one by one
		}
		if e.Yes != e.Cases {
			t.Errorf("%s %s: %d of %d cases are supported; %s: %s", e.Op, e.Type, e.Yes, e.Cases, e.ID, e.Reason)
		}
	}
}

// TestConformanceLevels runs every op on the levels below the one that TestConformance has, and says
// which are not there.
func TestConformanceLevels(t *testing.T) {
	if testing.Short() && runtime.GOARCH == "amd64" { // where there are many
		t.Skip("what differs between levels are units, which have tests of their own")
	}
	have := cpu.Levels()
	for _, l := range []cpu.Level{cpu.Scalar, cpu.NEON, cpu.AVX2, cpu.AVXVNNI, cpu.AVX512, cpu.AMX} {
		t.Run(l.String(), func(t *testing.T) {
			if why := cpu.Missing(l); why != "" {
				t.Skip(why)
			}
			if l == have[len(have)-1] {
				t.Skip("it is the level of TestConformance")
			}
			conformance.Test(t, func() (backends.Device, error) { return cpu.NewAt(l, cpu.Options{}) },
				conformance.Options{Chapters: []string{conformance.ChapterOps}})
		})
	}
}
