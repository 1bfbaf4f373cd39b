package cpu

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/internal/opcorpus"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/tensor"
)

// TestCorpusOps runs the ops of the reference corpus and compares with what the peer made of them.
func TestCorpusOps(t *testing.T) {
	files := opcorpus.Files(testcorpus.Dir(t))
	dev := New(Options{Threads: 2})
	t.Cleanup(func() { dev.Close() })
	run := 0
	for _, path := range files {
		f, err := opcorpus.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(f.Name, func(t *testing.T) { run += corpusFile(t, dev, f) })
		f.Close()
	}
	if run == 0 {
		t.Fatal("no case was run")
	}
	t.Logf("%d cases of %d files", run, len(files))
}

// corpusFile runs the cases of one file and returns how many.
func corpusFile(t *testing.T, dev *Device, f *opcorpus.File) int {
	run, worst := 0, map[string]float64{} // by what was compared
	for i := range f.Cases {
		c := &f.Cases[i]
		t.Run(c.ID(), func(t *testing.T) {
			corpusCase(t, dev, f, c, worst)
			run++
		})
	}
	var parts []string
	for what, err := range worst {
		parts = append(parts, fmt.Sprintf("%s %.2g", what, err))
	}
	slices.Sort(parts)
	t.Logf("%d cases run, %d skipped; worst NMSE: %s", run, len(f.Cases)-run, cmp.Or(strings.Join(parts, ", "), "none"))
	return run
}

// corpusCase computes a case in each way and enters how far off it is.
func corpusCase(t *testing.T, dev *Device, f *opcorpus.File, c *opcorpus.Case, worst map[string]float64) {
	r := newRig(t, 1)
	g, err := f.Build(c, r.Builder, func(typ tensor.DType, s tensor.Shape, data []byte) *tensor.Tensor { return r.leaf(typ, s, data) })
	if errors.Is(err, opcorpus.ErrNotHere) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range g.Results {
		b, err := r.bind(dev, false, way.T)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.prog.Submit(context.Background()); err != nil {
			t.Fatal(err)
		}
		b.check()
		what, off, err := g.Judge(way, b.read(way.T))
		if err != nil {
			t.Error(err)
		}
		worst[what] = max(worst[what], off)
	}
}
