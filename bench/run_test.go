package bench

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/models/gopher"
)

func tinyModel(t *testing.T) string {
	t.Helper()
	return tinymodel.Path(t, tinymodel.Config{Context: 4096})
}

func matrix(path string) Matrix {
	return Matrix{
		Models: []Source{{Path: path}}, Prompts: []int{8}, Gens: []int{4}, PromptGens: [][2]int{{6, 3}}, Depths: []int{0, 40},
		UBatches: []int{4}, Threads: []int{1},
	}
}

func TestRun(t *testing.T) {
	path := tinyModel(t)
	var told []string
	var seen int
	records, err := Run(t.Context(), Options{
		Tests: matrix(path).Params(), Repetitions: 3, NoRoofline: true, Commit: "abc", Busy: 2,
		Progress: func(e Event) { told = append(told, e.Doing) },
		Record:   func(Record) error { seen++; return nil },
	})
	if err != nil || len(records) != 6 || seen != 6 {
		t.Fatalf("%d records, %d seen, %v", len(records), seen, err)
	}
	var names []string
	for _, r := range records {
		names = append(names, r.Test())
		if len(r.SamplesNS) != 3 || len(r.SamplesTS) != 3 || r.AvgNS <= 0 || r.AvgTS <= 0 {
			t.Errorf("%s: samples %v", r.Test(), r.SamplesNS)
		}
		if want := float64(r.Prompt+r.Gen) / (float64(r.SamplesNS[0]) / 1e9); r.SamplesTS[0] != want {
			t.Errorf("%s: %g tokens a second, want %g", r.Test(), r.SamplesTS[0], want)
		}
		if (r.TTFT > 0) != (r.Prompt > 0) {
			t.Errorf("%s: time to first token %d", r.Test(), r.TTFT)
		}
		if r.MemoryPlanned == 0 || r.MemoryPlanned != r.MemoryUsed {
			t.Errorf("%s: %d bytes planned, %d used", r.Test(), r.MemoryPlanned, r.MemoryUsed)
		}
		if r.BuildCommit != "abc" || r.Busy != 2 || r.ModelFile != path || r.ModelType != "llama 102.72 K" || r.Threads != 1 || r.UBatch != 4 || r.TypeK != "f16" {
			t.Errorf("%s: %+v", r.Test(), r)
		}
		if len(r.PlanHash) != 12 || r.CopiedBytes != 0 || r.ReadBytes == 0 || r.Operations == 0 {
			t.Errorf("%s: plan %q, %d copied, %g read, %g operations", r.Test(), r.PlanHash, r.CopiedBytes, r.ReadBytes, r.Operations)
		}
	}
	if want := []string{"pp8", "tg4", "pp6+tg3", "pp8 @ d40", "tg4 @ d40", "pp6+tg3 @ d40"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	for _, want := range []string{"opening", "warming up", "measuring", "filling the cache"} {
		if !slices.Contains(told, want) {
			t.Errorf("progress never says %q", want)
		}
	}
}

// What a test must read is weights once a run and the cache as far as it is filled.
func TestWork(t *testing.T) {
	path := tinyModel(t)
	records, err := Run(t.Context(), Options{Tests: matrix(path).Params(), Repetitions: 1, NoRoofline: true})
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]Record{}
	for _, r := range records {
		by[r.Test()] = r
	}
	// F32 weights of the tiny model but for the table of embeddings, of which a token reads a row.
	c := tinymodel.Default
	layer := c.Embd*c.Heads*c.HeadDim*2 + c.Embd*c.KVHeads*c.HeadDim*2 + 3*c.Embd*c.FeedForward
	weights := 4 * float64(c.Layers*(layer+2*c.Embd)+c.Embd+c.Embd*c.Vocab)
	row := float64(4 * c.Embd)
	cell := float64(c.Layers * 2 * c.KVHeads * c.HeadDim * 2) // F16
	tg := 4*(weights+row) + (1+2+3+4)*cell
	if got := by["tg4"].ReadBytes; got != tg {
		t.Errorf("tg4 reads %g bytes, want %g", got, tg)
	}
	if got, want := by["tg4 @ d40"].ReadBytes, tg+4*40*cell; got != want {
		t.Errorf("tg4 @ d40 reads %g bytes, want %g", got, want)
	}
	// Two runs of four.
	if got, want := by["pp8"].ReadBytes, 2*(weights+4*row)+(4+8)*cell; got != want {
		t.Errorf("pp8 reads %g bytes, want %g", got, want)
	}
	products := 2 * float64(c.Layers*layer)
	attention := 4 * float64(c.Layers*c.Heads*c.HeadDim) // of each token that is seen
	logits := 2 * float64(c.Embd*c.Vocab)
	if got, want := by["tg4"].Operations, 4*(products+logits)+(1+2+3+4)*attention; got != want {
		t.Errorf("tg4 takes %g operations, want %g", got, want)
	}
	// The last layer's feed-forward block is for the tokens that give logits: one of each run.
	saved := 6 * 2 * float64(3*c.Embd*c.FeedForward)
	if got, want := by["pp8"].Operations, 8*products-saved+2*logits+(1+2+3+4+5+6+7+8)*attention; got != want {
		t.Errorf("pp8 takes %g operations, want %g", got, want)
	}
}

// A run that is stopped keeps what it has, and says that it was stopped.
func TestStop(t *testing.T) {
	path := tinyModel(t)
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	tests := matrix(path).Params()
	written := 0
	records, err := Run(ctx, Options{
		Tests: tests, Repetitions: 4, NoRoofline: true,
		Progress: func(e Event) {
			if e.Index == 1 && e.Doing == "measuring" && e.Repetition == 2 {
				cancel(reason)
			}
		},
		Record: func(Record) error { written++; return nil },
	})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, reason) {
		t.Errorf("%v, want that it was cancelled", err)
	}
	if len(records) != 2 || written != 2 || len(records[0].SamplesNS) != 4 || len(records[1].SamplesNS) != 2 || records[1].AvgTS <= 0 {
		t.Errorf("%d records, %d written: %+v", len(records), written, records)
	}
}

// A short test runs as often as fills a repetition, and the repetition is the mean; a long one runs once.
func TestMinTime(t *testing.T) {
	records, err := Run(t.Context(), Options{Tests: matrix(tinyModel(t)).Params(), Repetitions: 2, NoRoofline: true, MinTime: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if len(r.Runs) != 2 || len(r.SamplesNS) != 2 || len(r.SamplesTS) != 2 {
			t.Errorf("%s: runs %v, samples %v", r.Test(), r.Runs, r.SamplesNS)
		}
	}
	for _, c := range []struct {
		atLeast, once time.Duration
		want          int
	}{{0, 5, 1}, {10, 10, 1}, {11, 10, 2}, {100, 10, 10}, {5, 0, 5}, {time.Hour, 1, maxRuns}} {
		if got := runsToFill(c.atLeast, c.once); got != c.want {
			t.Errorf("%v of %v: %d runs, want %d", c.atLeast, c.once, got, c.want)
		}
	}
}

func TestRunErrors(t *testing.T) {
	path := tinyModel(t)
	ok := Params{Model: Source{Path: path}, Gen: 2}
	for name, opt := range map[string]Options{
		"no tests":       {},
		"no repetitions": {Tests: []Params{ok}, Repetitions: -1},
		"no time":        {Tests: []Params{ok}, MinTime: -1},
		"no speculation": {Tests: []Params{{Model: ok.Model, Gen: 2, Spec: true}}},
		"an override":    {Tests: []Params{{Model: ok.Model, Gen: 2, Overrides: []string{"x"}}}},
	} {
		if records, err := Run(t.Context(), opt); !errors.Is(err, ErrOption) || records != nil {
			t.Errorf("%s: %v, %v", name, records, err)
		}
	}
	missing := Params{Model: Source{Path: filepath.Join(t.TempDir(), "no.gguf")}, Gen: 2}
	records, err := Run(t.Context(), Options{Tests: []Params{ok, missing}, Repetitions: 1, NoRoofline: true})
	if !errors.Is(err, os.ErrNotExist) || len(records) != 1 {
		t.Errorf("a file that is not there: %d records, %v", len(records), err)
	}
	full := errors.New("disk full")
	records, err = Run(t.Context(), Options{Tests: []Params{ok, ok}, Repetitions: 1, NoRoofline: true, Record: func(Record) error { return full }})
	if !errors.Is(err, full) || len(records) != 1 {
		t.Errorf("a record that cannot be written: %d records, %v", len(records), err)
	}
}

// Speculation at equal output, with the model and the draft that come with the command.
func TestSpeculation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	m := Matrix{Models: []Source{{Name: "gopher", Data: gopher.Target}}, Gens: []int{12}, Spec: true}
	records, err := Run(t.Context(), Options{
		Tests: m.Params(), Repetitions: 2, NoRoofline: true,
		Speculation: &Speculation{Options: []tenon.Option{tenon.WithDraftData("draft", gopher.Draft)}, Drafters: []string{tenon.DraftMTP}},
	})
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	r := records[1]
	if r.Test() != "spec12" || !r.Spec || !r.SpecEqual || len(r.SamplesNS) != 2 || len(r.SpecPlainTS) != 2 || r.SpecSpeedUp <= 0 {
		t.Errorf("%+v", r)
	}
	if r.SpecTokensPerStep <= 1 || len(r.SpecAcceptance) == 0 || r.SpecAcceptance[0] <= 0 || r.SpecDrafters[0] != tenon.DraftMTP {
		t.Errorf("%g tokens a step, accepted %v", r.SpecTokensPerStep, r.SpecAcceptance)
	}
	if plain := records[0]; plain.Spec || plain.SpecPlainTS != nil {
		t.Errorf("%+v", plain)
	}
	long := &Speculation{Options: []tenon.Option{tenon.WithDraftData("draft", gopher.Draft)}, Prompt: strings.Repeat("func x y z ", 600)}
	if _, err := Run(t.Context(), Options{Tests: m.Params()[1:], NoRoofline: true, Speculation: long}); !errors.Is(err, ErrPrompt) {
		t.Errorf("a long prompt: %v", err)
	}
}

// Copies between devices are counted, and the devices named.
func TestDevices(t *testing.T) {
	configs, err := sim.Parse("device Vulkan0; memory 1GiB\ndevice ROCm0; memory 1GiB")
	if err != nil {
		t.Fatal(err)
	}
	machine, err := sim.Register(configs)
	if err != nil {
		t.Fatal(err)
	}
	defer machine.Close()
	p := Params{Model: Source{Path: tinyModel(t)}, Gen: 2, Devices: []string{"Vulkan0", "ROCm0"}, DeviceLayers: -1}
	records, err := Run(t.Context(), Options{Tests: []Params{p}, Repetitions: 1, NoRoofline: true})
	if err != nil {
		t.Fatal(err)
	}
	if r := records[0]; r.CopiedBytes <= 0 || r.Devices != "Vulkan0/ROCm0" || r.MemoryUsed != r.MemoryPlanned || r.GPUInfo == "" || len(r.Memory) < 2 {
		t.Errorf("%+v", r)
	}
}

func TestManifest(t *testing.T) {
	dev, err := cpu.NewAt(cpu.Scalar, cpu.Options{Threads: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	m := NewManifest("", []backends.Device{dev})
	if m.GoVersion != runtime.Version() || m.CPUs < 1 || m.CPUInfo == "" || m.Backends != "CPU" || m.CPULevel != "scalar" || m.Driver == "" || !slices.Contains(m.Features, "3 threads") {
		t.Errorf("%+v", m)
	}
	for _, x := range []struct {
		name, value string
	}{{"commit", m.BuildCommit}, {"os_kernel", m.Kernel}, {"governor", m.Governor}} {
		absent := slices.ContainsFunc(m.Absent, func(s string) bool { return strings.HasPrefix(s, x.name+": ") })
		if absent != (x.value == "") {
			t.Errorf("%s is %q, and absent %v", x.name, x.value, m.Absent)
		}
	}
}

func TestEnergy(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s + "\n")} }
	zones := fstest.MapFS{
		"intel-rapl:0/name": file("package-0"), "intel-rapl:0/max_energy_range_uj": file("1000000000"), "intel-rapl:0/energy_uj": file("999000000"),
		"intel-rapl:1/name": file("package-1"), "intel-rapl:1/max_energy_range_uj": file("1000000000"), "intel-rapl:1/energy_uj": file("5000000"),
		"intel-rapl:0:0/name": file("core"), "intel-rapl:0:0/energy_uj": file("1"),
		"intel-rapl:2/name": file("psys"), "intel-rapl:2/energy_uj": file("1"), "intel-rapl:2/max_energy_range_uj": file("9"),
	}
	m := newEnergyMeter(zones)
	m.start()
	zones["intel-rapl:0/energy_uj"], zones["intel-rapl:1/energy_uj"] = file("1000000"), file("8000000") // the first has begun again
	m.stop()
	if m.absent != "" || m.joules != 5 || !slices.Equal(m.names(), []string{"package-0", "package-1"}) {
		t.Errorf("%g J of %q, absent %q; want 5 of both packages", m.joules, m.names(), m.absent)
	}
	delete(zones, "intel-rapl:1/energy_uj")
	m.start()
	if m.stop(); m.absent == "" || m.joules != 0 || m.names() != nil {
		t.Errorf("a counter that went away: %g J, absent %q", m.joules, m.absent)
	}
	if m := newEnergyMeter(fstest.MapFS{}); m.absent == "" {
		t.Error("nothing is there, and not named as absent")
	}
	if m := newEnergyMeter(os.DirFS(filepath.Join(t.TempDir(), "none"))); !strings.Contains(m.absent, powercap) {
		t.Errorf("no folder: absent %q", m.absent)
	}
}

func TestRoofline(t *testing.T) {
	dev := cpu.New(cpu.Options{Threads: 1})
	defer dev.Close()
	measure := func(ctx context.Context, dev backends.Device) (Roofline, error) {
		return measureRoofline(ctx, dev, 8<<20, regexp.MustCompile(`^MatMul/a=Q8_0,.*n=1,`))
	}
	lines := rooflines{}
	line, err := lines.of(t.Context(), dev, measure)
	if err != nil || line.Bandwidth < 1e7 || line.Peak < 1e6 {
		t.Errorf("%+v, %v", line, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if again, err := lines.of(ctx, dev, measure); err != nil || again != line { // known by now
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := MeasureRoofline(ctx, dev); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	r := Record{Prompt: 4, Bandwidth: 100, Peak: 50, ReadBytes: 20, Operations: 5}
	r.add(1e9, 1)
	r.finish()
	if r.BandwidthShare != 0.2 || r.PeakShare != 0.1 {
		t.Errorf("shares %g and %g, want 0.2 and 0.1", r.BandwidthShare, r.PeakShare)
	}
}
