package cpu

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/testcorpus"
	"github.com/tenon-go/tenon/tensor"
)

// opCase is one entry of corpus.cases: an op of ggml, its inputs and its output.
type opCase struct {
	Name   string
	Op     string
	Note   string
	Params struct {
		Eps, Scale, Bias, Min, Max float32
		MaxBias                    float32 `json:"max_bias"`
		SoftCap                    float32 `json:"logit_softcap"`
		Alpha, Limit               float32
		Swapped, Split             bool
		Order                      string
		K                          int `json:"k"`
		Dim                        int
		States                     int `json:"K"` // the other name of a parameter of other ops
		Ne                         []int
		Groups                     int      `json:"n_groups"`
		Dims                       int32    `json:"n_dims"`
		Mode                       any      // a number for rope, text elsewhere
		OrigCtx                    int32    `json:"n_ctx_orig"`
		FreqBase                   float32  `json:"freq_base"`
		FreqScale                  float32  `json:"freq_scale"`
		ExtFactor                  float32  `json:"ext_factor"`
		AttnFactor                 float32  `json:"attn_factor"`
		BetaFast                   float32  `json:"beta_fast"`
		BetaSlow                   float32  `json:"beta_slow"`
		Sections                   [4]int32 `json:"sections"`
	}
	Inputs    []opTensor
	Output    opTensor
	Reference string
	NMSE      float64 `json:"nmse_out_vs_reference"`
}

// opTensor is a tensor of the file, or a view of one.
type opTensor struct {
	Role, Tensor, Type string
	Ne                 tensor.Shape
	Nb                 *tensor.Strides
	Offset             int
}

// TestCorpusOps runs the ops of the reference corpus and compares with what the peer made of them.
func TestCorpusOps(t *testing.T) {
	dir := filepath.Join(testcorpus.Dir(t), "ops")
	files, err := filepath.Glob(filepath.Join(dir, "*.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	dev := New(Options{Threads: 2})
	t.Cleanup(func() { dev.Close() })
	run := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".gguf"), func(t *testing.T) { run += corpusFile(t, dev, file) })
	}
	if run == 0 {
		t.Fatalf("%s has no case that was run", dir)
	}
	t.Logf("%d cases of %d files", run, len(files))
}

// corpusFile runs the cases of one file and returns how many.
func corpusFile(t *testing.T, dev *Device, file string) int {
	f, err := gguf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	texts, err := f.Strings("corpus.cases")
	if err != nil {
		t.Fatal(err)
	}
	if len(texts) == 0 {
		t.Fatal("no cases")
	}
	run, skipped, worst := 0, 0, map[string]float64{} // by what was compared
	for _, text := range texts {
		var c opCase
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		t.Run(c.Name+"_"+c.Op, func(t *testing.T) {
			defer func() {
				if t.Skipped() {
					skipped++
				}
			}()
			k := &corpusCase{rig: newRig(t, 1), dev: dev, file: f, c: &c, leaves: map[string]*tensor.Tensor{}}
			k.run(worst)
			run++
		})
	}
	var parts []string
	for what, err := range worst {
		parts = append(parts, fmt.Sprintf("%s %.2g", what, err))
	}
	slices.Sort(parts)
	t.Logf("%d cases run, %d skipped; worst NMSE: %s", run, skipped, cmp.Or(strings.Join(parts, ", "), "none"))
	return run
}

type corpusCase struct {
	*rig
	dev    *Device
	file   *gguf.File
	c      *opCase
	leaves map[string]*tensor.Tensor
}

// run computes the case and enters how far off it is.
func (k *corpusCase) run(worst map[string]float64) {
	k.Helper()
	for _, in := range k.c.Inputs {
		k.known(in.Type)
	}
	k.known(k.c.Output.Type)
	results := k.build()
	if k.Err() != nil {
		k.Fatal(k.Err())
	}
	if results == nil {
		k.Skipf("%s is no op here", k.c.Op)
	}
	for _, r := range results {
		b, err := k.bind(k.dev, false, r.t)
		if err != nil {
			k.Fatal(err)
		}
		if err := b.prog.Submit(context.Background()); err != nil {
			k.Fatal(err)
		}
		b.check()
		what, off := k.judge(r, b)
		worst[what] = max(worst[what], off)
	}
}

// known skips the case if a type belongs to what is not built yet.
func (k *corpusCase) known(name string) {
	k.Helper()
	t, ok := tensor.ParseDType(strings.ToUpper(name))
	if !ok {
		k.Fatalf("no type %s", name)
	}
	if !readable(t) {
		k.Skipf("no decoder for %s", t)
	}
}

// stored adds a leaf with the bytes of a tensor of the file.
func (k *corpusCase) stored(name string) *tensor.Tensor {
	k.Helper()
	if x := k.leaves[name]; x != nil {
		return x
	}
	info, ok := k.file.Tensor(name)
	if !ok {
		k.Fatalf("the file has no tensor %s", name)
	}
	x := k.leaf(info.Type, info.Shape, k.file.Data(info))
	k.leaves[name] = x
	return x
}

// in returns the input of the given role, or nil.
func (k *corpusCase) in(role string) *tensor.Tensor {
	k.Helper()
	for _, in := range k.c.Inputs {
		if in.Role != role {
			continue
		}
		x := k.stored(in.Tensor)
		if in.Nb != nil {
			return k.View(x, in.Ne, *in.Nb, in.Offset)
		}
		if x.Shape != in.Ne {
			k.Fatalf("%s is %v in the file, want %v", in.Tensor, x.Shape, in.Ne)
		}
		return x
	}
	return nil
}

// result is what a case computes, and how it is judged.
type result struct {
	t     *tensor.Tensor
	limit limit
	set   bool // rows are compared as sets
}

// judge compares a result with the corpus and returns by what, and how far off it is.
func (k *corpusCase) judge(r result, b *bound) (what string, off float64) {
	k.Helper()
	name := k.c.Output.Tensor
	if k.c.Reference != "" {
		name = k.c.Reference
	}
	info, ok := k.file.Tensor(name)
	if !ok {
		k.Fatalf("the file has no tensor %s", name)
	}
	if info.Shape != r.t.Shape || info.Type != r.t.Type {
		k.Fatalf("%v, want %s %v", r.t, info.Type, info.Shape)
	}
	want := elementsOf(&tensor.Tensor{Type: info.Type, Shape: info.Shape, Stride: info.Shape.Packed(info.Type)}, k.file.Data(info))
	have := b.read(r.t)
	switch {
	case r.set:
		for n := info.Shape[0]; len(have) > 0; have, want = have[n:], want[n:] {
			slices.Sort(have[:n])
			slices.Sort(want[:n])
			if !slices.Equal(have[:n], want[:n]) {
				k.Errorf("have the set %v, want %v", have[:n], want[:n])
			}
		}
		return r.limit.what, 0
	case r.limit.nmse == 0 && r.t.Type.Quantized():
		return "error beside the peer's", k.quantized(have, want)
	}
	off = nmse(have, want)
	if !(off <= r.limit.nmse) {
		k.Errorf("%s (%s): NMSE %.3g, want %.3g or less", k.c.Op, k.c.Note, off, r.limit.nmse)
	}
	return r.limit.what, off
}

// quantized compares the error of an encoded result with that of the peer's, both against what was
// encoded: where two codes are equally good, an encoder may take either.
func (k *corpusCase) quantized(have, want []float64) float64 {
	k.Helper()
	if slices.Equal(have, want) {
		return 0
	}
	src := k.in("a")
	if src == nil { // rows are set: outside of them nothing may differ
		return k.quantizedRows(have, want)
	}
	ours, theirs := nmse(have, k.input(src)), nmse(want, k.input(src))
	if ours > theirs*1.02 {
		k.Errorf("encoded with an error of %.3g, the peer's is %.3g", ours, theirs)
	}
	return ours/theirs - 1
}

func (k *corpusCase) quantizedRows(have, want []float64) float64 {
	k.Helper()
	src, ids := k.input(k.in("src")), k.input(k.in("ids"))
	n := k.in("src").Shape[0]
	worst := 0.0
	for j, id := range ids {
		at := int(id) * n
		ours, theirs := nmse(have[at:at+n], src[j*n:][:n]), nmse(want[at:at+n], src[j*n:][:n])
		if ours > theirs*1.02 {
			k.Errorf("row %g encoded with an error of %.3g, the peer's is %.3g", id, ours, theirs)
		}
		worst = max(worst, ours/theirs-1)
		copy(have[at:at+n], want[at:])
	}
	if !slices.Equal(have, want) {
		k.Error("a row that no index names has changed")
	}
	return worst
}

// nmse returns the squared error of x beside the squares of ref. Equal infinities and NaNs are no error.
func nmse(x, ref []float64) float64 {
	var d, s float64
	for i, r := range ref {
		switch {
		case x[i] == r || math.IsNaN(x[i]) && math.IsNaN(r):
			if !math.IsNaN(r) && !math.IsInf(r, 0) {
				s += r * r
			}
		default:
			d += (x[i] - r) * (x[i] - r)
			s += r * r
		}
	}
	if d == 0 {
		return 0
	}
	return d / s
}
