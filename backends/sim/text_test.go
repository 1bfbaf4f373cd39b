package sim_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/tensor"
)

// everything sets each field that the text form has.
var everything = sim.Config{
	Name: "Odd name;0", Backend: "Odd", Description: "a \"card\"\nof #1", Kind: backends.IntegratedGPU, PhysicalID: "#0000:03:00.0",
	Driver: "hip 7\x00\xff", Memory: 16 << 30, Shared: true, MaxBuffer: 1e9, Alignment: 256, Mapped: true,
	Types: []sim.MemoryType{{Name: "host", Memory: 3, MaxBuffer: 2 << 40, Alignment: 8, Mapped: true}, {Name: "memory"}},
	Reads: []string{"CPU", "reads"}, Import: true, Heap: true, PlanOnly: true,
	Rules: []sim.Rule{
		{Allow: true, Ops: []string{"MatMul", "Add"}, Types: []tensor.DType{tensor.F32}},
		{Types: []tensor.DType{tensor.Q4_K, tensor.IQ1_S}, Reason: "F32"},
		{Ops: []string{"RoPE"}},
		{Allow: true},
	},
	Submit: sim.Deferred, Threads: 3, CopyLatency: 1500 * time.Nanosecond, CopyBandwidth: 25e9,
	SubmitLatency: time.Minute, MemoryBandwidth: 1001, Seed: 1<<64 - 1,
	Faults: []sim.Fault{sim.LoseAtSubmit(3), sim.EndMemory(5), sim.Break("", sim.Overrun)},
}

func TestText(t *testing.T) {
	text := everything.String() + sim.Config{Name: "CPU"}.String()
	got, err := sim.Parse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if want := []sim.Config{everything, {Name: "CPU"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v\n%s", got, want, text)
	}
	// A field that this test forgets would stay zero in everything.
	v := reflect.ValueOf(everything)
	for i := range v.NumField() {
		switch name := v.Type().Field(i).Name; name {
		case "Support", "CPU", "Clock":
		default:
			if v.Field(i).IsZero() {
				t.Errorf("%s is not part of the test", name)
			}
		}
	}
}

func TestParse(t *testing.T) {
	got, err := sim.Parse("# one card\r\n\n device Vulkan0 # of two\n\tmemory 16GiB; card 0000:03:00.0\ndevice ROCm1;memory 16384MiB;" +
		"card \"0000:03:00.0\";; submit deferred\ndevice CPU; reads Vulkan0; kind integrated\ndevice cpu1\ndevice A#b\n")
	want := []sim.Config{
		{Name: "Vulkan0", Kind: backends.GPU, Memory: 16 << 30, PhysicalID: "0000:03:00.0"},
		{Name: "ROCm1", Kind: backends.GPU, Memory: 16 << 30, PhysicalID: "0000:03:00.0", Submit: sim.Deferred},
		{Name: "CPU", Kind: backends.IntegratedGPU, Reads: []string{"Vulkan0"}},
		{Name: "cpu1", Kind: backends.CPU},
		{Name: "A#b", Kind: backends.GPU},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	if got, err := sim.Parse(" \n# nothing\n;;"); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := sim.ParseFrom(strings.NewReader("device A0\n")); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := sim.ParseFrom(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if _, err := sim.ParseFrom(strings.NewReader(strings.Repeat("#", 2<<20))); !errors.Is(err, sim.ErrSyntax) {
		t.Error(err)
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		text, bad string
		line      int
	}{
		{"memory 1GiB", "memory", 1},
		{"device", "", 1},
		{"device \"\"", "", 1},
		{"device A0 B0", "B0", 1},
		{"device A0\n\ndevice a0", "a0", 3},
		{"device A0\n speed 3", "speed", 2},
		{"device A0\n \"memory\" 3", "memory", 2},
		{"device A0\n memory", "", 2},
		{"device A0\n memory 1XB", "1XB", 2},
		{"device A0\n memory -1", "-1", 2},
		{"device A0\n memory +1", "+1", 2},
		{"device A0\n memory GiB", "GiB", 2},
		{"device A0\n memory 8388608TiB", "8388608TiB", 2},
		{"device A0\n memory 1 common", "common", 2},
		{"device A0\n memory 1\n memory 1", "memory", 3},
		{"device A0; kind tpu", "tpu", 1},
		{"device A0; kind", "", 1},
		{"device A0; card \"x", "\"x", 1},
		{"device A0; alignment 2147483648", "2147483648", 1},
		{"device A0; alignment 12", "device A0", 1},
		{"device A0\nmemory 1 shared\n\n", "device A0", 1},
		{"device B0\ndevice A0\nalignment 3\ndevice C0", "device A0", 2},
		{"device A0; threads 100000", "100000", 1},
		{"device A0; seed -1", "-1", 1},
		{"device A0; mapped yes", "yes", 1},
		{"device A0; copy-latency 5", "5", 1},
		{"device A0; copy-latency -5s", "-5s", 1},
		{"device A0; copy-bandwidth 5GB", "5GB", 1},
		{"device A0; copy-bandwidth /s", "/s", 1},
		{"device A0; submit later", "later", 1},
		{"device A0; reads", "", 1},
		{"device A0; type", "", 1},
		{"device A0; type host pinned", "pinned", 1},
		{"device A0; type host memory", "", 1},
		{"device A0; type host; type host", "device A0", 1},
		{"device A0; refuse", "", 1},
		{"device A0; refuse MatMul,matmul", "matmul", 1},
		{"device A0; refuse MatMul Q4_K,Q9", "Q9", 1},
		{"device A0; refuse MatMul Q4_K \"a\" b", "b", 1},
		{"device A0; allow MatMul F32 \"why\"", "why", 1},
		{"device A0; fault lose-at-submit 0", "lose-at-submit", 1},
		{"device A0; fault sleep 1", "sleep", 1},
	} {
		got, err := sim.Parse(c.text)
		var e *sim.SyntaxError
		if !errors.As(err, &e) || e.Line != c.line || e.Text != c.bad || e.Reason == "" || !errors.Is(err, sim.ErrSyntax) {
			t.Errorf("%q: %v (%v)", c.text, err, got)
		}
		if strings.HasPrefix(c.bad, "device ") != errors.Is(err, sim.ErrConfig) {
			t.Errorf("%q: %v is of the wrong kind", c.text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(everything.String())
	f.Add("device Vulkan0; memory 16GiB; card x\ndevice ROCm1; memory 16GiB shared; card x; fault hang-at-submit 2")
	f.Add("device A; refuse * * \"no\"; allow Add; type host mapped; reads B; copy-bandwidth 3kB/s; copy-latency 1h3ns")
	f.Add("device \"\\x80\"; backend \"\"; alignment 0; seed 007; kind cpu #")
	f.Fuzz(func(t *testing.T, text string) {
		configs, err := sim.Parse(text)
		if err != nil {
			if !errors.Is(err, sim.ErrSyntax) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := sim.Parse(sim.Format(configs))
		if err != nil || !reflect.DeepEqual(configs, again) {
			t.Fatalf("%v\n%+v\n%+v\n%s", err, configs, again, sim.Format(configs))
		}
		for _, c := range configs {
			c.Threads = min(c.Threads, 1)
			d, err := sim.New(c)
			if err != nil {
				t.Fatalf("what Parse accepts, New refuses: %v", err)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
