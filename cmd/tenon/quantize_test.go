package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// TestRecipes checks that every type on offer can be written and read, and that its names are taken in
// any case.
func TestRecipes(t *testing.T) {
	for _, r := range recipes {
		if _, err := quant.Of(r.base); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
		if r.mix == nil && r.name != r.base.String() {
			t.Errorf("%s names %v", r.name, r.base)
		}
	}
	if r, err := findRecipe("type", "q4_k_m"); err != nil || r.name != "Q4_K_M" {
		t.Errorf("q4_k_m is %v, %v", r.name, err)
	}
}

// TestFit checks that each fallback ends with rows that divide, and loses no bits on the way.
func TestFit(t *testing.T) {
	for _, r := range recipes {
		for _, n := range []int{1, 32, 48, 64, 96, 256, 288, 512} {
			got := fit(r.base, n)
			if got.RowBytes(n) < 0 {
				t.Errorf("%v in rows of %d becomes %v, which does not fit", r.base, n, got)
			}
			if r.base.RowBytes(n) >= 0 && got != r.base {
				t.Errorf("%v in rows of %d becomes %v, though it fits", r.base, n, got)
			}
			if bits(got) < bits(r.base) {
				t.Errorf("%v in rows of %d becomes %v of fewer bits", r.base, n, got)
			}
		}
	}
}

// bits returns the bits of an element; F16 stands in for anything.
func bits(t tensor.DType) float64 {
	elems, bytes := t.Block()
	return min(8*float64(bytes)/float64(elems), 16)
}

// TestConvert compares a tensor that went through waves of chunks with one encoded at once.
func TestConvert(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	const rows, row = 3001, 64 // chunks of 1024 rows, the last not full
	values := make([]float32, rows*row)
	for i := range values {
		values[i] = float32(math.Sin(float64(i) * 0.7))
	}
	raw := make([]byte, 4*len(values))
	if err := quant.Encode(tensor.F32, raw, values, nil); err != nil {
		t.Fatal(err)
	}
	meta := new(gguf.Metadata)
	if err := gguf.WriteFile(path, meta, []gguf.TensorSource{{
		Name: "a.weight", Type: tensor.F32, Shape: tensor.MakeShape(row, rows), Write: writeBytes(raw),
	}}); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Tensor("a.weight")
	want := make([]byte, tensor.Q4_0.RowBytes(row)*rows)
	if err := quant.Encode(tensor.Q4_0, want, values, nil); err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{1, 2, 7} {
		last := int64(0)
		q := &quantizer{ctx: t.Context(), file: f, threads: threads, total: info.Size, progress: func(done, total int64) {
			if done <= last || done > total {
				t.Errorf("progress from %d to %d of %d", last, done, total)
			}
			last = done
		}}
		var out bytes.Buffer
		if err := q.source(choice{info: info, typ: tensor.Q4_0}).Write(&out); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Errorf("%d threads: other bytes than at once", threads)
		}
		if last != info.Size {
			t.Errorf("progress ends at %d of %d", last, info.Size)
		}
	}
}

// TestQuantizeNotes checks that numbers which no type keeps are counted.
func TestQuantizeNotes(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.gguf"), filepath.Join(dir, "out.gguf")
	values := make([]float32, 64)
	values[3], values[40], values[50] = float32(math.NaN()), float32(math.Inf(-1)), 1
	raw := make([]byte, 4*len(values))
	if err := quant.Encode(tensor.F32, raw, values, nil); err != nil {
		t.Fatal(err)
	}
	err := gguf.WriteFile(in, new(gguf.Metadata), []gguf.TensorSource{{
		Name: "a.weight", Type: tensor.F32, Shape: tensor.MakeShape(32, 2), Write: writeBytes(raw),
	}})
	if err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call("", "quantize", "--type", "Q8_0", in, out)
	if want := "note: a.weight: 2 values that no type keeps: NaN or infinite\n"; code != 0 || stderr != want {
		t.Errorf("exit code %d, stderr %q, want %q", code, stderr, want)
	}
}

// TestQuantizeCancelled checks that nothing is left of a work that was cancelled.
func TestQuantizeCancelled(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in.gguf"), filepath.Join(dir, "out.gguf")
	if err := tinymodel.WriteFile(in, tinymodel.Config{}); err != nil {
		t.Fatal(err)
	}
	reason := errors.New("no more")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	a := &app{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}
	if err := a.quantize(ctx, &quantizeFlags{recipe: "Q8_0"}, in, out); !errors.Is(err, reason) {
		t.Errorf("%v, want %v", err, reason)
	}
	for _, name := range []string{out, out + ".partial"} {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want no such file", name, err)
		}
	}
}

// TestMixes spells out which matrices of a model of 16 layers get other types than the main one.
func TestMixes(t *testing.T) {
	m := &mixModel{layers: 16}
	for _, c := range []struct {
		recipe, name string
		want         tensor.DType
	}{
		{"Q4_K_M", "output.weight", tensor.Q6_K},
		{"Q4_K_M", "token_embd.weight", tensor.Q4_K},
		{"Q4_K_M", "blk.1.ffn_down.weight", tensor.Q6_K},
		{"Q4_K_M", "blk.2.ffn_down.weight", tensor.Q4_K},
		{"Q4_K_M", "blk.4.ffn_down_exps.weight", tensor.Q6_K},
		{"Q4_K_M", "blk.14.attn_v.weight", tensor.Q6_K},
		{"Q4_K_M", "blk.14.attn_k.weight", tensor.Q4_K},
		{"Q4_K_M", "blk.3.attn_qkv.weight", tensor.Q5_K},
		{"Q5_K_M", "blk.3.attn_qkv.weight", tensor.Q6_K},
		{"Q5_K_M", "blk.15.ffn_down.weight", tensor.Q6_K},
		{"Q5_K_S", "blk.15.ffn_down.weight", tensor.Q5_K},
		{"Q4_K_S", "blk.3.attn_v.weight", tensor.Q5_K},
		{"Q4_K_S", "blk.4.attn_v.weight", tensor.Q4_K},
		{"Q4_K_S", "blk.1.ffn_down.weight", tensor.Q5_K},
		{"Q4_K_S", "blk.2.ffn_down.weight", tensor.Q4_K},
		{"Q3_K_S", "blk.2.attn_v.weight", tensor.Q3_K},
		{"Q3_K_M", "blk.1.attn_v.weight", tensor.Q5_K},
		{"Q3_K_M", "blk.2.attn_v.weight", tensor.Q4_K},
		{"Q3_K_M", "blk.0.ffn_down.weight", tensor.Q5_K},
		{"Q3_K_M", "blk.1.ffn_down.weight", tensor.Q4_K},
		{"Q3_K_M", "blk.1.attn_output.weight", tensor.Q4_K},
		{"Q3_K_M", "blk.1.ffn_up.weight", tensor.Q3_K},
		{"Q3_K_L", "blk.9.attn_output.weight", tensor.Q5_K},
		{"Q4_K", "output.weight", tensor.Q4_K},
		{"Q4_K", "blk.0.ffn_down.weight", tensor.Q4_K},
	} {
		r, err := findRecipe("type", c.recipe)
		if err != nil {
			t.Fatal(err)
		}
		p := &quantizePlan{recipe: r}
		if got := p.typeOf(m, c.name); got != c.want {
			t.Errorf("%s: %s is %v, want %v", c.recipe, c.name, got, c.want)
		}
	}
	p := &quantizePlan{recipe: recipe{base: tensor.Q4_K, mix: mixMedium}}
	if got := p.typeOf(&mixModel{layers: 16, tied: true}, "token_embd.weight"); got != tensor.Q6_K {
		t.Errorf("tied embeddings are %v, want Q6_K", got)
	}
	if got := p.typeOf(&mixModel{layers: 16, experts: 8}, "blk.5.attn_k.weight"); got != tensor.Q8_0 {
		t.Errorf("keys beside eight experts are %v, want Q8_0", got)
	}
}

func writeBytes(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}
