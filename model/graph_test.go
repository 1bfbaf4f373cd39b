package model_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tensor"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// newCache returns a cache for m.
func newCache(m *model.Model, cells int) (*kv.Cache, error) {
	memory := buffer.NewHost(buffer.Owner{Backend: "CPU", Device: "CPU"}, 0)
	layers := append([]kv.LayerConfig(nil), m.Layer...)
	for i := range layers {
		if layers[i].Reuse < 0 {
			layers[i].Memory = memory
		}
	}
	return kv.New(kv.Config{Layers: layers, Cells: cells, MaxSeqs: 1, MaxBatch: cells})
}

// shape is a batch over a full cache.
func shape(c *kv.Cache, tokens, outputs int) model.Batch {
	b := model.Batch{Tokens: tokens, Outputs: outputs}
	for i := range c.Groups() {
		b.Cells[i] = c.Group(i).Cells
	}
	return b
}

var goldens = []struct {
	name   string
	config tinymodel.Config
	batch  func(c *kv.Cache) model.Batch
}{
	{"llama", tinymodel.Config{Biases: true, RoPEFrequencies: true}, func(c *kv.Cache) model.Batch { return shape(c, 3, 1) }},
	{"llama-decode", tinymodel.Config{}, func(c *kv.Cache) model.Batch { return shape(c, 1, 1) }},
	{"llama-no-outputs", tinymodel.Config{}, func(c *kv.Cache) model.Batch { return shape(c, 3, 0) }},
	{"llama-mixture", tinymodel.Config{Experts: 4, Layers: 1}, func(c *kv.Cache) model.Batch { return shape(c, 3, 3) }},
	{"qwen2-tied", tinymodel.Config{Arch: "qwen2", Layers: 1, TiedEmbedding: true}, func(c *kv.Cache) model.Batch { return shape(c, 3, 1) }},
	{"qwen3-hidden", tinymodel.Config{Arch: "qwen3", Layers: 1}, func(c *kv.Cache) model.Batch {
		b := shape(c, 2, 2)
		b.Hidden, b.Exact = true, true
		return b
	}},
}

// The graphs of whole models, as text: a change to model code shows here what it does.
func TestGraphs(t *testing.T) {
	for _, c := range goldens {
		t.Run(c.name, func(t *testing.T) {
			m, err := model.Open(parse(t, c.config))
			if err != nil {
				t.Fatal(err)
			}
			cache, err := newCache(m, 32)
			if err != nil {
				t.Fatal(err)
			}
			defer cache.Close()
			batch := c.batch(cache)
			g, err := m.Graph(batch, cache)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Graph.Verify(); err != nil {
				t.Error(err)
			}
			compare(t, filepath.Join("testdata", c.name+".txt"), describe(g))
			again, err := m.Graph(batch, cache)
			if err != nil || describe(again) != describe(g) {
				t.Error("the same batch gave another graph", err)
			}
		})
	}
}

// describe lists inputs, nodes and outputs.
func describe(g *model.Graph) string {
	s := "inputs\n"
	for _, in := range g.Graph.Inputs {
		s += fmt.Sprintf("     %v\n", in)
	}
	s += "nodes\n" + g.Graph.String() + "outputs\n"
	for _, out := range g.Graph.Outputs {
		s += fmt.Sprintf("     %v\n", out)
	}
	return s
}

func compare(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; -rewrite writes it anew. Now it is\n%s", path, got)
	}
}

// A graph has the inputs and outputs that its batch asks for, and no others.
func TestInputsAndOutputs(t *testing.T) {
	m, err := model.Open(parse(t, tinymodel.Config{}))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := newCache(m, 32)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	for _, c := range []struct {
		tokens, outputs int
		hidden          bool
	}{{1, 1, false}, {5, 5, false}, {5, 2, false}, {5, 0, false}, {5, 2, true}, {5, 0, true}, {1, 0, false}} {
		b := shape(cache, c.tokens, c.outputs)
		b.Hidden = c.hidden
		g, err := m.Graph(b, cache)
		if err != nil {
			t.Fatal(err)
		}
		if (g.OutRows != nil) != (c.outputs > 0 && c.outputs < c.tokens) {
			t.Errorf("%+v: output rows are %v", c, g.OutRows)
		}
		if logits := c.outputs > 0 && !c.hidden; (g.Logits != nil) != logits {
			t.Errorf("%+v: logits are %v", c, g.Logits)
		} else if logits && g.Logits.Shape != tensor.MakeShape(m.Vocab, c.outputs) {
			t.Errorf("%+v: logits are %v", c, g.Logits)
		}
		if c.outputs > 0 && g.Hidden.Shape != tensor.MakeShape(m.Embd, c.outputs) {
			t.Errorf("%+v: the hidden state is %v", c, g.Hidden)
		}
		if g.TokenIDs == nil || g.Pos == nil || g.Slots[0] == nil {
			t.Errorf("%+v: tokens, positions or cells are not read", c)
		}
		for _, n := range g.Graph.Nodes {
			if n.Layer < 0 && n.Op.Kind().String() != "GetRows" || n.Layer > m.Layers {
				t.Errorf("%+v: %v is of layer %d", c, n, n.Layer)
			}
		}
	}
}

func TestShiftGraph(t *testing.T) {
	m, err := model.Open(parse(t, tinymodel.Config{Layers: 3}))
	if err != nil {
		t.Fatal(err)
	}
	cache, err := newCache(m, 48)
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close()
	g, err := m.ShiftGraph(0, cache)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Graph.Verify(); err != nil {
		t.Error(err)
	}
	writes := map[*tensor.Tensor]int{}
	for _, n := range g.Graph.Nodes {
		if n.Base != nil {
			writes[n.Base]++
		}
	}
	for i := range 3 {
		l, _ := cache.Layer(i)
		if writes[l.K] != 1 || writes[l.V] != 0 {
			t.Errorf("layer %d: keys are written %d times, values %d times", i, writes[l.K], writes[l.V])
		}
	}
	if len(g.All) != 48 || g.All[0] != 0 || g.All[47] != 47 || g.Deltas.Shape != tensor.MakeShape(48) {
		t.Errorf("%v cells, distances %v", g.All, g.Deltas)
	}
}
