// Package model knows architectures: which hyper-parameters and weights a file of a family must hold,
// and the graph that a batch of tokens takes through them. It builds graphs and never runs them.
//
// A family is one file: a function that reads the hyper-parameters and names the weights, and a method
// that is the model's forward pass, written as mathematics over a Graph. What families share (attention
// with a cache, feed-forward blocks, mixtures of experts) stands in blocks.go.
//
// A Model holds descriptions; its weights' bytes stay in the file, or wherever the engine binds them.
// After Open a Model is not changed, and may be read by any number of goroutines; binding its weights
// comes first.
package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/tensor"
)

// What can be wrong with a model file beyond its format. Errors of this package match one of these, or
// one of package gguf's.
var (
	ErrArch   = errors.New("unknown architecture")
	ErrTensor = errors.New("missing or misshapen tensor")
	ErrParam  = errors.New("impossible hyper-parameter")
	ErrDraft  = errors.New("target and draft do not fit")
)

// ArchError names an architecture that no file of this package builds. It matches ErrArch.
type ArchError struct {
	File, Arch string
	Known      []string
}

// Error returns one line that lists what there is.
func (e *ArchError) Error() string {
	return fmt.Sprintf("model: %s: unknown architecture %q; known are %s", e.File, e.Arch, strings.Join(e.Known, ", "))
}

// Unwrap returns ErrArch.
func (e *ArchError) Unwrap() error { return ErrArch }

// TensorError says which weight of a file is missing or has another shape than the hyper-parameters
// ask for. It matches ErrTensor.
type TensorError struct {
	File, Name string
	Have, Want string // shapes; Have is "nothing" for a missing tensor
}

// Error returns one line.
func (e *TensorError) Error() string {
	return fmt.Sprintf("model: %s: tensor %q is %s, want %s", e.File, e.Name, e.Have, e.Want)
}

// Unwrap returns ErrTensor.
func (e *TensorError) Unwrap() error { return ErrTensor }

// ParamError says which hyper-parameter cannot be. It matches ErrParam.
type ParamError struct {
	File, Key, Reason string
}

// Error returns one line.
func (e *ParamError) Error() string { return fmt.Sprintf("model: %s: %s: %s", e.File, e.Key, e.Reason) }

// Unwrap returns ErrParam.
func (e *ParamError) Unwrap() error { return ErrParam }

// DraftError says why a model cannot draft for a target, or cannot be opened without one. It matches
// ErrDraft.
type DraftError struct {
	File   string // of the draft
	Arch   string // of the draft
	Target string // architecture of the target, or empty if there is none
	Want   string // architecture that the draft is made for
}

// Error returns one line.
func (e *DraftError) Error() string {
	if e.Target == "" {
		return fmt.Sprintf("model: %s is a %s, which drafts for a %s and is no model by itself", e.File, e.Arch, e.Want)
	}
	return fmt.Sprintf("model: %s is a %s, which drafts for a %s, not for a %s", e.File, e.Arch, e.Want, e.Target)
}

// Unwrap returns ErrDraft.
func (e *DraftError) Unwrap() error { return ErrDraft }

// Params are what the engine and people want to know of a model.
type Params struct {
	Arch       string  // general.architecture
	Name       string  // general.name
	Vocab      int     // number of tokens
	Embd       int     // width of the hidden state: {arch}.embedding_length
	Layers     int     // {arch}.block_count
	Context    int     // trained context, in tokens: {arch}.context_length
	Pooling    Pooling // {arch}.pooling_type
	Parameters int64   // number of weights
	Bytes      int64   // size of the weights in the file
}

// Pooling says how the hidden states of a text become one embedding.
type Pooling int

// The kinds of pooling, numbered as in GGUF.
const (
	PoolNone Pooling = iota
	PoolMean
	PoolCLS
	PoolLast
)

// Weight is one weight of a model: its description, a leaf that is bound before a graph is planned, and
// where its bytes lie.
type Weight struct {
	*tensor.Tensor
	Info gguf.TensorInfo
	File *gguf.File
	// Target is the target's leaf of the same bytes, for a draft that borrows it; nil usually. Where the
	// draft's device can use the memory of that, the weight need not be loaded again.
	Target *tensor.Tensor
}

// Model is an open model.
type Model struct {
	Params
	Weights []Weight
	// Layer says what each layer keeps, or, if ReadsTarget is set, what it expects of the target's cache.
	// Memory is the engine's to choose.
	Layer       []kv.LayerConfig
	ReadsTarget bool
	// State says what each recurrent layer keeps.
	State []kv.StateConfig
	// HiddenIn is the width of the target's hidden states that a draft takes, and of those that it gives
	// for its next step; 0 for a model that is none.
	HiddenIn int
	family   family
}

// family is a model's forward pass. It returns the hidden state after the last norm, for the rows that
// g outputs, and the weight that turns it into logits.
type family interface {
	forward(g *Graph) (hidden *tensor.Tensor)
	logits(g *Graph, hidden *tensor.Tensor) *tensor.Tensor
	// keyRoPE returns how layer i's keys are turned by their position, or false if they are not.
	keyRoPE(i int) (ropeParams, bool)
}

// families are the architectures by their name in GGUF. Each file of a family adds its own.
var families = map[string]func(l *loader) family{}

// Known returns the names of the architectures, sorted.
func Known() []string {
	var names []string
	for n := range families {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// Open reads the hyper-parameters and weights of f, which must stay open as long as the model is used.
// Errors: *ArchError, *TensorError, *ParamError, a *DraftError for a draft, or those of package gguf's
// getters.
func Open(f *gguf.File) (*Model, error) { return open(f, nil) }

// OpenDraft is Open for a model that drafts for target. Errors: a *DraftError for a target of another
// kind, too.
func OpenDraft(f *gguf.File, target *Model) (*Model, error) { return open(f, target) }

func open(f *gguf.File, target *Model) (*Model, error) {
	general := f.Section("general")
	arch := general.String("architecture")
	name := general.StringOr("name", "")
	if err := general.Err(); err != nil {
		return nil, err
	}
	newFamily, ok := families[arch]
	if !ok {
		return nil, &ArchError{File: f.Path(0), Arch: arch, Known: Known()}
	}
	l := newLoader(f, arch, target)
	l.m.Name = name
	if l.err == nil {
		l.m.family = newFamily(l)
	}
	if err := l.finish(); err != nil {
		return nil, err
	}
	for i := range l.m.Layer {
		if rope, turns := l.m.family.keyRoPE(l.m.Layer[i].Layer); turns {
			l.m.Layer[i].Rotation = rope.String()
		}
	}
	return l.m, nil
}
