package main

import (
	"bytes"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/perf/benchfmt"

	"github.com/tenon-go/tenon/bench"
)

func TestSpellOut(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"bench -m f -p 1 -ub 4 -ngl -1", "bench -m f -p 1 --ubatch-size 4 --n-gpu-layers -1"},
		{"bench sweep -ctk=f32 -ot=a=b -fa 1 -pg 1,2", "bench sweep --cache-type-k=f32 --override-tensor=a=b --flash-attn 1 --n-prompt-gen 1,2"},
		{"bench -dev CPU -oe md -- -ub", "bench --device CPU --output-err md -- -ub"},
		{"run -pg", "run -pg"},
		{"", ""},
	} {
		in := strings.Fields(c.in)
		if got := strings.Join(spellOut(in), " "); got != c.want {
			t.Errorf("%s becomes %s, want %s", c.in, got, c.want)
		}
		if strings.Join(in, " ") != c.in {
			t.Errorf("%s was changed to %s", c.in, in)
		}
	}
}

// benchRecords are what a run over depths and batches with a peer could give.
func benchRecords() []bench.Record {
	var all []bench.Record
	for _, depth := range []int{4096, 0, 1024} {
		for _, batch := range []int{128, 512} {
			for _, gen := range []int{0, 64} {
				speed := 1e6 / float64(2000+depth+batch+20*gen)
				r := bench.Record{
					ModelFile: "some/m.gguf", ModelType: "llama 1 B", Threads: 2, Batch: 2048, UBatch: batch, TypeK: "f16", TypeV: "f16", Devices: "auto",
					Depth: depth, Gen: gen, SamplesTS: []float64{speed, speed * 1.1, speed * 0.95}, SamplesNS: []int64{1, 2, 3},
				}
				if gen == 0 {
					r.Prompt = 512
				} else {
					r.VsSamplesTS = []float64{speed / 2}
				}
				all = append(all, r)
			}
		}
	}
	return all
}

func TestPlot(t *testing.T) {
	dir := t.TempDir()
	draw := func(name string, records []bench.Record) []byte {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := plotFile(path, records); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	svg := draw("a.svg", benchRecords())
	if !bytes.Equal(svg, draw("b.svg", benchRecords())) {
		t.Error("equal records give another file")
	}
	for _, want := range []string{"<svg", "prompt processing", "generation", "context depth (tokens)", "run (tokens)", "pp512, ub 128", "peer tg64, d 1024", "tokens a second"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("no %q in the drawing", want)
		}
	}
	if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("prompt (tokens)")) {
		t.Error("the drawing has what is no number, or an axis of what does not vary")
	}
	img, err := png.Decode(bytes.NewReader(draw("a.png", benchRecords())))
	if err != nil {
		t.Fatal(err)
	}
	colours := map[[3]uint32]int{}
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			r, g, b, _ := img.At(x, y).RGBA()
			colours[[3]uint32{r, g, b}]++
		}
	}
	if len(colours) < 10 || colours[[3]uint32{math.MaxUint16, math.MaxUint16, math.MaxUint16}] == 0 {
		t.Errorf("the drawing has %d colours", len(colours))
	}
	draw("one.svg", benchRecords()[:1])
	if err := plotFile(filepath.Join(dir, "none.svg"), nil); err == nil {
		t.Error("nothing was drawn")
	}
}

// Points are in the order of the axis, whatever order they were measured in.
func TestPlotSeries(t *testing.T) {
	all := benchRecords()
	series := seriesOf(plotAxes[0], all, all)
	var names []string
	for _, s := range series {
		names = append(names, s.name)
		var xs []float64
		for _, p := range s.points {
			xs = append(xs, p.x)
			if p.y.Min > p.y.Median || p.y.Median > p.y.Max {
				t.Errorf("%s: %v", s.name, p.y)
			}
		}
		if !slices.Equal(xs, []float64{0, 1024, 4096}) {
			t.Errorf("%s: at %v", s.name, xs)
		}
	}
	want := []string{"pp512, ub 128", "tg64, ub 128", "peer tg64, ub 128", "pp512, ub 512", "tg64, ub 512", "peer tg64, ub 512"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// benchstat's own reader takes the Go format, and finds names, units and labels in it.
func TestBenchfmt(t *testing.T) {
	var out bytes.Buffer
	w, err := bench.NewWriter(&out, "go", nil)
	if err != nil {
		t.Fatal(err)
	}
	records := benchRecords()
	for _, r := range records {
		r.BuildCommit = "abc"
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	in := benchfmt.NewReader(&out, "out.txt")
	n := 0
	for in.Scan() {
		res, ok := in.Result().(*benchfmt.Result)
		if !ok {
			t.Fatalf("%v", in.Result())
		}
		rec := records[n/3]
		if v, ok := res.Value("tok/s"); !ok || math.Abs(v-rec.SamplesTS[n%3]) > 1e-3 {
			t.Errorf("result %d: %g tok/s, want %g", n, v, rec.SamplesTS[n%3])
		}
		if v, ok := res.Value("sec/op"); !ok || math.Abs(v*1e9-float64(rec.SamplesNS[n%3])) > 1e-6 {
			t.Errorf("result %d: %g sec/op", n, v)
		}
		if got := res.GetConfig("commit"); got != "abc" {
			t.Errorf("commit %q", got)
		}
		if base := string(res.Name.Base()); base != "Model" {
			t.Errorf("name %q", base)
		}
		n++
	}
	if err := in.Err(); err != nil || n != 3*len(records) {
		t.Errorf("%d results, %v", n, err)
	}
}
