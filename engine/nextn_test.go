package engine

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
)

// nextNCase is a recorded run of a target that is a draft of itself.
type nextNCase struct {
	Prompt    []int32 `json:"prompt_ids"`
	Greedy    []int32 `json:"target_only_greedy_ids"`
	Tolerance float64 `json:"tolerance_nmse_all_F32"`
	Steps     []struct {
		Round, Step int
		Token, Pos  int32
	} `json:"draft_steps"`
}

// TestCorpusNextN takes each recorded draft step of a block after the layers through it, over a cache
// that was filled with the tokens so far and the target's hidden states before them, and compares logits
// and hidden states with the peer's.
func TestCorpusNextN(t *testing.T) {
	done := 0
	for _, path := range testcorpus.Glob(t, "mtp/*/mtp.json") {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var c nextNCase
			readCorpusJSON(t, path, &c)
			f, err := gguf.Open(filepath.Join(testcorpus.Dir(t), "models", filepath.Base(dir)+".gguf"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			dev := cpu.New(cpu.Options{})
			t.Cleanup(func() { dev.Close() })
			e, err := New(f, Options{Devices: []backends.Device{dev}, Context: 256, ExactCache: true, Exact: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			draft, err := model.OpenDraft(f, e.model)
			if err != nil || draft.HiddenIn == 0 {
				t.Skip("has no block that drafts for it: its draft is a model of its own")
			}
			compareNextN(t, e, draft, dir, &c)
			done++
		})
	}
	if done == 0 {
		t.Error("no block was compared")
	}
}

func compareNextN(t *testing.T, e *Engine, m *model.Model, dir string, c *nextNCase) {
	tokens := append(append([]int32(nil), c.Prompt...), c.Greedy...)
	hidden := targetHidden(t, e, tokens)
	width := m.HiddenIn
	var prompt []float32
	for p := range c.Prompt {
		prompt = append(prompt, hidden[p]...)
	}
	recorded := func(name string) []float32 { return rowsOfFile(t, filepath.Join(dir, name)) }
	targetOff := errorOf(prompt, recorded("target_prompt_hidden.f32"))

	d := newNextN(t, m, e.opt.Devices[0])
	d.feed(t, tokens[:len(c.Prompt)], 0, append([][]float32{make([]float32, width)}, hidden...)[:len(c.Prompt)])
	past := len(c.Prompt) // true tokens in the draft's cache
	in := recorded("draft_hidden_in.f32")
	var logits, out []float32
	for i, s := range c.Steps {
		if s.Step == 0 {
			if err := d.cache.Remove(0, past, -1); err != nil { // what was drafted before
				t.Fatal(err)
			}
			if n := int(s.Pos); n > past {
				d.feed(t, tokens[past:n], past, hidden[past-1:n-1])
				past = n
			}
		}
		g := d.feed(t, []int32{s.Token}, int(s.Pos), [][]float32{in[i*width : (i+1)*width]})
		logits, out = append(logits, g.logits...), append(out, g.hidden...)
	}
	logitsOff, outOff := errorOf(logits, recorded("draft_logits.f32")), errorOf(out, recorded("draft_hidden_out.f32"))
	t.Logf("%d steps: NMSE %.2g of logits, %.2g of hidden states, %.2g of the target's (tolerance %.2g)",
		len(c.Steps), logitsOff, outOff, targetOff, c.Tolerance)
	for _, off := range []float64{logitsOff, outOff, targetOff} {
		if !(off <= c.Tolerance) {
			t.Errorf("NMSE %.3g, tolerance %.3g", off, c.Tolerance)
		}
	}
}

// targetHidden returns the target's hidden states after each token.
func targetHidden(t *testing.T, e *Engine, tokens []int32) [][]float32 {
	batch := make([]Token, len(tokens))
	for i, id := range tokens {
		batch[i] = Token{ID: id, Pos: int32(i), Output: true}
	}
	if err := e.Embed(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	var rows [][]float32
	for i := range tokens {
		rows = append(rows, append([]float32(nil), e.Hidden(i)...))
	}
	return rows
}

// nextN runs a draft that has a cache of its own.
type nextN struct {
	m     *model.Model
	dev   backends.Device
	cache *kv.Cache
}

func newNextN(t *testing.T, m *model.Model, dev backends.Device) *nextN {
	memory := dev.BufferTypes()[0]
	w, err := loadWeights(m, func(model.Weight) buffer.Type { return memory }, dev.CanUse, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := kv.Config{Layers: m.Layer, Cells: 256, MaxSeqs: 1, MaxBatch: 256}
	for i := range cfg.Layers {
		cfg.Layers[i].Memory = memory
	}
	cache, err := kv.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(cache.Close(), w.close()); err != nil {
			t.Error(err)
		}
	})
	return &nextN{m, dev, cache}
}

type nextNResult struct{ logits, hidden []float32 }

// feed takes tokens from position pos on, with the hidden states before them, through the block and
// returns what the last one gives.
func (d *nextN) feed(t *testing.T, tokens []int32, pos int, hidden [][]float32) nextNResult {
	t.Helper()
	n := len(tokens)
	positions, seqs := make([]int32, n), make([]int32, n)
	for i := range positions {
		positions[i] = int32(pos + i)
	}
	slots, err := d.cache.Find(kv.Batch{Pos: positions, Seq: seqs})
	if err == nil {
		err = d.cache.Apply(slots)
	}
	if err != nil {
		t.Fatal(err)
	}
	shape := model.Batch{Tokens: n, Outputs: 1, Exact: true}
	shape.Cells[0] = d.cache.ReadCells(0)
	g, err := d.m.Graph(shape, d.cache)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := sched.NewPlan(g.Graph, []backends.Device{d.dev}, sched.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var memory sched.Memory
	exec, err := sched.NewExec(plan, &memory)
	if err != nil {
		t.Fatal(err)
	}
	mask := make([]float32, n*shape.Cells[0])
	if err := d.cache.FillMask(0, mask, slots, shape.Cells[0]); err != nil {
		t.Fatal(err)
	}
	var in []float32
	for _, h := range hidden {
		in = append(in, h...)
	}
	r := nextNResult{make([]float32, d.m.Vocab), make([]float32, d.m.HiddenIn)}
	if err := errors.Join(
		writeInput(exec, g.TokenIDs, tokens), writeInput(exec, g.Pos, positions), writeInput(exec, g.HiddenIn, in),
		writeInput(exec, g.OutRows, []int32{int32(n - 1)}), writeInput(exec, g.Slots[0], slots.Indices(0)),
		writeInput(exec, g.Masks[0], mask), exec.Run(context.Background()),
		exec.Read(g.Logits, cast.Bytes(r.logits)), exec.Read(g.Hidden, cast.Bytes(r.hidden)),
		exec.Close(), memory.Close(),
	); err != nil {
		t.Fatal(err)
	}
	return r
}

func rowsOfFile(t *testing.T, path string) []float32 {
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return cast.Slice[float32](raw)
}

// errorOf returns the normalized squared error of got.
func errorOf(got, want []float32) float64 {
	if len(got) != len(want) {
		return 1
	}
	var diff, size float64
	for i, w := range want {
		d := float64(got[i]) - float64(w)
		diff, size = diff+d*d, size+float64(w)*float64(w)
	}
	return diff / size
}

// TestCorpusNextNRefused checks what a block is refused for.
func TestCorpusNextNRefused(t *testing.T) {
	done := 0
	for _, path := range testcorpus.Glob(t, "mtp/*/mtp.json") {
		name := filepath.Base(filepath.Dir(path))
		open := func(name string) (*gguf.File, *model.Model) {
			f, err := gguf.Open(filepath.Join(testcorpus.Dir(t), "models", name+".gguf"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			m, err := model.Open(f)
			if err != nil {
				t.Fatal(err)
			}
			return f, m
		}
		f, target := open(name)
		if draft, err := model.OpenDraft(f, target); err != nil || draft.HiddenIn == 0 {
			continue
		}
		done++
		_, other := open("llama")
		var wrong *model.DraftError
		if _, err := model.OpenDraft(f, other); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "llama") {
			t.Errorf("%s for a llama: %v", name, err)
		}
		narrow := *target
		narrow.Embd++
		if _, err := model.OpenDraft(f, &narrow); !errors.Is(err, model.ErrParam) {
			t.Errorf("%s for wider states: %v", name, err)
		}
	}
	if done == 0 {
		t.Error("no block was opened")
	}
}

// TestCorpusHidden compares the hidden states that a target hands to its draft with the peer's.
func TestCorpusHidden(t *testing.T) {
	done := 0
	for _, path := range testcorpus.Glob(t, "models/*/hidden_exact.f32") {
		dir := filepath.Dir(path)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			f, err := gguf.Open(dir + ".gguf")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			var meta struct {
				Tolerance struct {
					F32 float64 `json:"nmse_vs_logits_exact_if_all_F32"`
				}
			}
			var text struct{ IDs []int32 }
			readCorpusJSON(t, filepath.Join(dir, "meta.json"), &meta)
			readCorpusJSON(t, filepath.Join(dir, "tokens.json"), &text)
			dev := cpu.New(cpu.Options{})
			t.Cleanup(func() { dev.Close() })
			e, err := New(f, Options{Devices: []backends.Device{dev}, Context: 256, ExactCache: true, Exact: true})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			var got []float32
			for _, row := range targetHidden(t, e, text.IDs) {
				got = append(got, row...)
			}
			off := errorOf(got, rowsOfFile(t, path))
			t.Logf("%d tokens: NMSE %.2g (tolerance %.2g)", len(text.IDs), off, meta.Tolerance.F32)
			if !(off <= meta.Tolerance.F32) {
				t.Errorf("NMSE %.3g, tolerance %.3g", off, meta.Tolerance.F32)
			}
			done++
		})
	}
	if done == 0 {
		t.Error("no hidden states were compared")
	}
}

func readCorpusJSON(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}
