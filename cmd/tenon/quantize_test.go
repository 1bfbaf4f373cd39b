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

func writeBytes(b []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}
}
