package engine_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

// exact are the options for comparisons: what is left is the order of sums.
var exact = engine.Options{Exact: true, ExactCache: true}

// tolerance is how far two exact runs of the same tokens may be apart: the largest difference over the
// root mean square of the logits. Sums of a different order differ by some units of the last place.
const tolerance = 2e-5

// rig is an engine over a tiny model.
type rig struct {
	*engine.Engine
	t testing.TB
}

// parse returns the tiny model that c describes.
func parse(t testing.TB, c tinymodel.Config) *gguf.File {
	t.Helper()
	f, err := gguf.Parse(tinymodel.Bytes(t, c), "tiny.gguf")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// newCPU returns a CPU device of two threads, which must be without memory when t ends.
func newCPU(t testing.TB, name string, limit int64) *cpu.Device {
	d := cpu.New(cpu.Options{Name: name, Threads: 2, MemoryLimit: limit})
	t.Cleanup(func() {
		if n := d.Memory().Used(); n != 0 {
			t.Errorf("%s: %d bytes are still allocated", d.Info().Owner, n)
		}
		d.Close()
	})
	return d
}

// open returns an engine over f; on a CPU device of its own unless opt names devices.
func open(t testing.TB, f *gguf.File, opt engine.Options) *rig {
	t.Helper()
	if opt.Devices == nil {
		opt.Devices = []backends.Device{newCPU(t, "CPU", 0)}
	}
	e, err := engine.New(f, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{e, t}
}

// decode takes tokens through the model and returns a copy of the logits asked for.
func (r *rig) decode(tokens []engine.Token) [][]float32 {
	r.t.Helper()
	if err := r.Decode(context.Background(), tokens); err != nil {
		r.t.Fatal(err)
	}
	return r.rows()
}

func (r *rig) rows() [][]float32 {
	var rows [][]float32
	for i := range r.Outputs() {
		rows = append(rows, slices.Clone(r.Logits(i)))
	}
	return rows
}

// ids returns n random ids of the tiny vocabulary.
func ids(seed uint64, n int) []int32 {
	r := rand.New(rand.NewPCG(seed, 5))
	out := make([]int32, n)
	for i := range out {
		out[i] = r.Int32N(int32(tinymodel.Default.Vocab))
	}
	return out
}

// tokens returns ids as tokens of a sequence from a position on, all of them outputs.
func tokens(seq, pos int32, ids []int32) []engine.Token {
	out := make([]engine.Token, len(ids))
	for i, id := range ids {
		out[i] = engine.Token{ID: id, Pos: pos + int32(i), Seq: seq, Output: true}
	}
	return out
}

// distance returns the largest difference of two sets of rows over the root mean square of the second.
func distance(t testing.TB, got, want [][]float32) float64 {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	var worst, sum, n float64
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("row %d has %d numbers, want %d", i, len(got[i]), len(want[i]))
		}
		for j, w := range want[i] {
			d := math.Abs(float64(got[i][j]) - float64(w))
			if !(d <= worst) {
				worst = d
			}
			sum += float64(w) * float64(w)
			n++
		}
	}
	if worst == 0 {
		return 0
	}
	return worst / math.Sqrt(sum/n)
}

// near fails t if got is further from want than most.
func near(t testing.TB, what string, got, want [][]float32, most float64) {
	t.Helper()
	if d := distance(t, got, want); !(d <= most) {
		t.Errorf("%s: off by %.3g, at most %.3g is allowed", what, d, most)
	}
}

// families are models that differ in what matters to an engine.
var families = []struct {
	name   string
	config tinymodel.Config
}{
	{"llama", tinymodel.Config{RoPEFrequencies: true}},
	{"mixture", tinymodel.Config{Experts: 4}},
	{"qwen2", tinymodel.Config{Arch: "qwen2", TiedEmbedding: true}},
	{"qwen3", tinymodel.Config{Arch: "qwen3"}},
	{"qwen35", tinymodel.Qwen35(tinymodel.Config{})},
}

// withMeta returns c with some keys set, strings, float32 or uint32.
func withMeta(c tinymodel.Config, keys map[string]any) tinymodel.Config {
	c.Meta = func(m *gguf.Metadata) {
		for k, v := range keys {
			switch v := v.(type) {
			case string:
				m.Set(k, gguf.ValueOf(v))
			case float32:
				m.Set(k, gguf.ValueOf(v))
			case uint32:
				m.Set(k, gguf.ValueOf(v))
			default:
				panic(k)
			}
		}
	}
	return c
}
