package engine_test

import (
	"context"
	"testing"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/tensor"
)

// alone returns the logits of a fresh run of each sequence by itself, one token after the other.
func alone(t *testing.T, f *gguf.File, opt engine.Options, sequences [][]int32) [][][]float32 {
	t.Helper()
	var all [][][]float32
	r := open(t, f, opt)
	for _, s := range sequences {
		var rows [][]float32
		for i, id := range s {
			rows = append(rows, r.decode(tokens(0, int32(i), []int32{id}))...)
		}
		all = append(all, rows)
		r.Cache().Clear()
	}
	return all
}

func TestSequencesDoNotSeeEachOther(t *testing.T) {
	for _, fam := range families {
		t.Run(fam.name, func(t *testing.T) {
			f := parse(t, fam.config)
			seqs := [][]int32{ids(1, 9), ids(2, 14), ids(3, 5)}
			want := alone(t, f, exact, seqs)

			opt := exact
			opt.Sequences, opt.Batch = 3, 7 // so that batches end in the middle of sequences
			r := open(t, f, opt)
			var batch []engine.Token
			for i := range 14 {
				for q, s := range seqs {
					if i < len(s) {
						batch = append(batch, engine.Token{ID: s[i], Pos: int32(i), Seq: int32(q), Output: true})
					}
				}
			}
			got := make([][][]float32, len(seqs))
			for i, row := range r.decode(batch) {
				q := batch[r.Outputs()[i]].Seq
				got[q] = append(got[q], row)
			}
			for q := range seqs {
				near(t, "sequence beside others", got[q], want[q], tolerance)
			}
		})
	}
}

func TestChunksEqualOneBatch(t *testing.T) {
	for _, fam := range families {
		t.Run(fam.name, func(t *testing.T) {
			f := parse(t, fam.config)
			text := ids(4, 60)
			want := alone(t, f, exact, [][]int32{text})[0]
			for _, size := range []int{60, 32, 7} {
				opt := exact
				opt.Batch = size
				near(t, "in chunks", open(t, f, opt).decode(tokens(0, 0, text)), want, tolerance)
			}
		})
	}
}

func TestOutputsAreThoseAskedFor(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	text := ids(5, 40)
	want := alone(t, f, exact, [][]int32{text})[0]
	for _, outputs := range [][]int{{39}, {0}, {17}, {3, 4, 20, 39}, {}} {
		opt := exact
		opt.Batch = 16 // some runs have no output at all
		r := open(t, f, opt)
		batch := tokens(0, 0, text)
		var rows [][]float32
		for i := range batch {
			batch[i].Output = false
		}
		for _, i := range outputs {
			batch[i].Output = true
			rows = append(rows, want[i])
		}
		got := r.decode(batch)
		if len(got) != len(outputs) {
			t.Fatalf("%d rows for outputs %v", len(got), outputs)
		}
		for i, at := range r.Outputs() {
			if at != outputs[i] {
				t.Errorf("row %d belongs to token %d, want %d", i, at, outputs[i])
			}
		}
		if len(outputs) > 0 {
			near(t, "chosen outputs", got, rows, tolerance)
		}
		// What was not an output is in the cache all the same.
		next := r.decode(tokens(0, 40, []int32{7}))
		near(t, "the token after", next, alone(t, f, exact, [][]int32{append(text[:40:40], 7)})[0][40:], tolerance)
	}
}

// A cache of fewer bits costs precision, and no more than its bits explain.
func TestCacheTypes(t *testing.T) {
	f := parse(t, tinymodel.Config{HeadDim: 32})
	text := ids(6, 50)
	want := alone(t, f, exact, [][]int32{text})[0]
	for _, c := range []struct {
		k, v tensor.DType
		most float64
	}{
		{tensor.F16, tensor.F16, 5e-3},
		{tensor.BF16, tensor.BF16, 5e-2},
		{tensor.Q8_0, tensor.Q8_0, 1e-1},
		{tensor.Q8_0, tensor.F32, 1e-1},
		{tensor.F32, tensor.F16, 5e-3},
	} {
		r := open(t, f, engine.Options{Exact: true, CacheK: c.k, CacheV: c.v})
		d := distance(t, r.decode(tokens(0, 0, text)), want)
		t.Logf("keys %s, values %s: off by %.2g", c.k, c.v, d)
		if !(d <= c.most) {
			t.Errorf("keys %s, values %s: off by %.3g, at most %.3g is allowed", c.k, c.v, d, c.most)
		}
		if d == 0 {
			t.Errorf("keys %s, values %s: no rounding at all: the cache has another type", c.k, c.v)
		}
	}
}

// The hidden state that Embed gives is what the logits are made of.
func TestEmbedGivesTheHiddenState(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	text := tokens(0, 0, ids(7, 20))
	want := open(t, f, exact).decode(text)
	opt := exact
	opt.Batch = 8
	r := open(t, f, opt)
	if err := r.Embed(context.Background(), text); err != nil {
		t.Fatal(err)
	}
	info, _ := f.Tensor("output.weight")
	output := cast.Slice[float32](f.Data(info))
	var got [][]float32
	for i := range r.Outputs() {
		h := r.Hidden(i)
		row := make([]float32, r.Params().Vocab)
		for v := range row {
			sum := 0.0
			for k, x := range h {
				sum += float64(x) * float64(output[v*len(h)+k])
			}
			row[v] = float32(sum)
		}
		got = append(got, row)
	}
	near(t, "logits from hidden states", got, want, tolerance)
}

func TestRowsOutOfRangePanic(t *testing.T) {
	r := open(t, parse(t, tinymodel.Config{}), exact)
	r.decode(tokens(0, 0, []int32{1, 2}))
	for name, f := range map[string]func(){
		"row 2 of 2":         func() { r.Logits(2) },
		"row -1":             func() { r.Logits(-1) },
		"hidden of a Decode": func() { r.Hidden(0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was there", name)
				}
			}()
			f()
		}()
	}
}
