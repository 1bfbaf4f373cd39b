// Package opcorpus reads the ops of the reference corpus: files of inputs and outputs that another
// implementation has computed. It says what a case is in terms of package tensor, and how near a result has to come.
//
// A File belongs to who opens it; a Graph and its tensors to one goroutine.
package opcorpus

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
)

// Case is one entry of corpus.cases: an op of ggml, its inputs and its output.
type Case struct {
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
	Inputs    []Tensor
	Output    Tensor
	Reference string
	NMSE      float64 `json:"nmse_out_vs_reference"`
}

// Tensor is a tensor of the file, or a view of one.
type Tensor struct {
	Role, Tensor, Type string
	Ne                 tensor.Shape
	Nb                 *tensor.Strides
	Offset             int
}

// ID names the case among those of its file.
func (c *Case) ID() string { return c.Name + "_" + c.Op }

// File is a file of the corpus.
type File struct {
	Name  string // without folder and extension
	Cases []Case
	*gguf.File
}

// Files returns the paths of the files in a corpus folder, sorted. There may be none.
func Files(folder string) []string {
	// The only error of Glob is a bad pattern, which a folder's name can make: then nothing matches.
	paths, _ := filepath.Glob(filepath.Join(folder, "ops", "*.gguf"))
	slices.Sort(paths)
	return paths
}

// Open opens a file of the corpus. Errors: those of gguf.Open, and a file without cases.
func Open(path string) (*File, error) {
	g, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{Name: strings.TrimSuffix(filepath.Base(path), ".gguf"), File: g}
	if err := f.parse(); err != nil {
		g.Close()
		return nil, fmt.Errorf("opcorpus: %s: %w", path, err)
	}
	return f, nil
}

func (f *File) parse() error {
	texts, err := f.Strings("corpus.cases")
	if err != nil {
		return err
	}
	if len(texts) == 0 {
		return fmt.Errorf("corpus.cases is empty")
	}
	f.Cases = make([]Case, len(texts))
	for i, text := range texts {
		if err := json.Unmarshal([]byte(text), &f.Cases[i]); err != nil {
			return fmt.Errorf("case %d: %w", i, err)
		}
	}
	return nil
}
