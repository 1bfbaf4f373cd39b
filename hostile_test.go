package tenon_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/sample"
	"github.com/tenon-go/tenon/tensor"
)

// small is a model whose header is a good part of the file.
var small = tinymodel.Config{Embd: 32, Heads: 2, KVHeads: 1, FeedForward: 32, Layers: 1, Vocab: 260, Type: tensor.Q8_0, Experts: 2}

// try opens the file at path and generates two tokens. It reports what came of it, and fails t if that
// takes long.
func try(t *testing.T, path, what string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		m, err := tenon.Open(path, tenon.WithContext(64))
		if err != nil {
			done <- err
			return
		}
		_, _, err = generate(ctx, m, "ab", tenon.GenerateOptions{MaxTokens: 2, IgnoreEOS: true})
		done <- errors.Join(err, m.Close())
	}()
	select {
	case err := <-done:
		if errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
		return err
	case <-time.After(40 * time.Second):
		t.Fatalf("%s: it does not end", what)
		return nil
	}
}

func TestTruncatedFiles(t *testing.T) {
	data := tinymodel.Bytes(t, small)
	path := filepath.Join(t.TempDir(), "cut.gguf")
	lengths := []int{0, 1, 3, 4, 8, 16, 24, 25, len(data) - 1, len(data) - 33}
	for i := range 80 {
		lengths = append(lengths, i*len(data)/80)
	}
	for _, n := range lengths {
		if err := os.WriteFile(path, data[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if err := try(t, path, "truncated"); !errors.Is(err, gguf.ErrFormat) || !strings.Contains(err.Error(), path) {
			t.Errorf("%d of %d bytes: %v", n, len(data), err)
		}
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := try(t, path, "whole"); err != nil {
		t.Error(err)
	}
}

// Whatever bits are turned over, opening and generating end, with an error or a text.
func TestFlippedBits(t *testing.T) {
	data := tinymodel.Bytes(t, small)
	f, err := gguf.Parse(data, "small")
	if err != nil {
		t.Fatal(err)
	}
	header := len(data)
	for info := range f.Tensors() {
		header = min(header, int(info.Offset))
	}
	path := filepath.Join(t.TempDir(), "bent.gguf")
	r := rand.New(rand.NewPCG(2, 3))
	opened := 0
	const files = 320
	for i := range files {
		bent := append([]byte(nil), data...)
		end := header
		switch i % 8 {
		case 0:
			end = len(data) // weights too
		case 1, 2, 3:
			end = 2500 // the hyper-parameters stand first
		}
		for range 1 + r.IntN(3) {
			bent[r.IntN(end)] ^= 1 << r.IntN(8)
		}
		if err := os.WriteFile(path, bent, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := try(t, path, "bent"); err == nil {
			opened++
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("an error of several lines: %v", err)
		}
	}
	t.Logf("%d of %d files gave a text all the same", opened, files)
	if opened == 0 || opened == files {
		t.Errorf("%d of %d files gave a text", opened, files)
	}
}

// A model whose numbers are none says so when it is asked for a token.
func TestWeightsThatAreNoNumbers(t *testing.T) {
	path := tinymodel.Path(t, tinymodel.Config{Tensors: func(ts []gguf.TensorSource) []gguf.TensorSource {
		for i := range ts {
			if ts[i].Name == "output_norm.weight" {
				ts[i].Write = func(w io.Writer) error {
					b := make([]byte, 4*64)
					for i := range b {
						b[i] = 0xff
					}
					_, err := w.Write(b)
					return err
				}
			}
		}
		return ts
	}})
	if err := try(t, path, "NaN"); !errors.Is(err, sample.ErrLogits) {
		t.Error(err)
	}
}
