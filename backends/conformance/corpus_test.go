package conformance

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
)

// TestCorpusCases writes a corpus of one file whose cases are right, wrong, unknown and damaged.
func TestCorpusCases(t *testing.T) {
	t.Parallel()
	add := func(name, a, out, typ string) string {
		return strings.NewReplacer("NAME", name, "A", a, "OUT", out, "TYPE", typ).Replace(`{"name": "NAME", "op": "add",
			"inputs": [{"role": "a", "tensor": "A", "type": "TYPE", "ne": [3, 1, 1, 1]}, {"role": "b", "tensor": "y", "type": "F32", "ne": [3, 1, 1, 1]}],
			"output": {"tensor": "OUT", "type": "F32", "ne": [3, 1, 1, 1]}}`)
	}
	folder := t.TempDir()
	writeCorpus(t, folder, []string{
		add("right", "x", "sum", "F32"), add("wrong", "x", "x", "F32"), add("damaged", "z", "sum", "F32"), add("newer", "x", "sum", "F33"),
		strings.Replace(add("other", "x", "sum", "F32"), `"add"`, `"fold"`, 1),
	}, map[string][]float32{"x": {1, 2, 3}, "y": {10, 20, 30}, "sum": {11, 22, 33}})

	dev := cpu.New(cpu.Options{Threads: 1})
	defer dev.Close()
	report, err := Run(t.Context(), dev, Options{Corpus: folder, Chapters: []string{ChapterCorpus}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Status{"right_add": Pass, "wrong_add": Fail, "damaged_add": Fail, "newer_add": Fail, "other_fold": Skipped}
	for _, r := range report.Results {
		name := strings.TrimPrefix(r.ID, "corpus/tiny/")
		if r.Status != want[name] {
			t.Errorf("%s: %v (%s), want %v", r.ID, r.Status, r.Reason, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("these did not run: %v", want)
	}

	if err := os.WriteFile(filepath.Join(folder, "ops", "bad.gguf"), []byte("GGUF"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), dev, Options{Corpus: folder}); !errors.Is(err, ErrOptions) {
		t.Errorf("a damaged file: %v, want ErrOptions", err)
	}
}

func writeCorpus(t *testing.T, folder string, cases []string, tensors map[string][]float32) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(folder, "ops"), 0o700); err != nil {
		t.Fatal(err)
	}
	meta := &gguf.Metadata{}
	meta.Set("corpus.cases", gguf.ArrayOf(cases))
	var all []gguf.TensorSource
	for name, v := range tensors {
		all = append(all, gguf.TensorSource{Name: name, Type: tensor.F32, Shape: tensor.MakeShape(len(v)), Write: func(w io.Writer) error {
			_, err := w.Write(f32(v))
			return err
		}})
	}
	if err := gguf.WriteFile(filepath.Join(folder, "ops", "tiny.gguf"), meta, all); err != nil {
		t.Fatal(err)
	}
}
