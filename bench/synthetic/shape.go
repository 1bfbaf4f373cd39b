package synthetic

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tenon-go/tenon/internal/recipe"
)

// ErrModel is a model that cannot be. *ModelError matches it.
var ErrModel = errors.New("impossible synthetic model")

// ModelError says which part of a model's name, or of its shape, cannot be. It matches ErrModel.
type ModelError struct {
	Part string // such as "heads=7"
	Want string
}

// Error returns one line.
func (e *ModelError) Error() string { return fmt.Sprintf("synthetic: %s: want %s", e.Part, e.Want) }

// Unwrap returns ErrModel.
func (e *ModelError) Unwrap() error { return ErrModel }

// Model is a model to write: the shape of a llama, a mixture of experts if Experts is not 0, and the type
// of its weights.
type Model struct {
	Name        string // of a shape with a name, such as "llama-1b"; empty otherwise
	Embd        int    // width of the hidden state
	Layers      int
	Heads       int // of queries
	KVHeads     int // of keys and values
	HeadDim     int // elements of a head
	FeedForward int
	Vocab       int
	Context     int // that the file says it was trained on
	Experts     int
	Used        int // experts for each token

	Type string // of the weights, such as "Q4_K_M": see Types
	Seed uint64
}

// shapes are those with a name.
var shapes = []Model{
	{Name: "llama-tiny", Embd: 256, Layers: 4, Heads: 8, KVHeads: 4, HeadDim: 32, FeedForward: 768, Vocab: 2048, Context: 4096},
	{Name: "llama-1b", Embd: 2048, Layers: 16, Heads: 32, KVHeads: 8, HeadDim: 64, FeedForward: 8192, Vocab: 32000, Context: 131072},
	{Name: "llama-7b", Embd: 4096, Layers: 32, Heads: 32, KVHeads: 8, HeadDim: 128, FeedForward: 14336, Vocab: 32000, Context: 131072},
}

// Shapes returns the names of the shapes that have one.
func Shapes() []string {
	var names []string
	for _, s := range shapes {
		names = append(names, s.Name)
	}
	return names
}

// Types returns what weights can be: single types, and mixes.
func Types() []string { return append(recipe.Names(false), recipe.Names(true)...) }

// DefaultType is the type of a model whose name says none.
const DefaultType = "Q4_K_M"

// Usage says how a model is spelled.
const Usage = "SHAPE[:TYPE], where SHAPE is a name such as llama-1b, or llama:embd=2048,layers=16,heads=32,kv=8,head=64,ff=8192,vocab=32000,context=131072,experts=0,used=0 as far as it differs from llama-1b"

// Parse reads the name of a model: "llama-1b:Q4_K_M", "llama-7b", "llama:embd=1024,layers=4:Q8_0". A shape
// with settings begins as llama-1b, or as the shape of the name; heads of 64 are fitted to another width.
//
// Errors: *ModelError.
func Parse(name string) (Model, error) {
	parts := strings.Split(name, ":")
	shape := parts[0]
	if shape == "llama" {
		shape = "llama-1b"
	}
	i := slices.IndexFunc(shapes, func(m Model) bool { return strings.EqualFold(m.Name, shape) })
	if i < 0 || len(parts) > 3 {
		return Model{}, &ModelError{strconv.Quote(name), Usage + "; shapes are " + strings.Join(Shapes(), ", ")}
	}
	m := shapes[i]
	m.Type = DefaultType
	for _, part := range parts[1:] {
		if !strings.Contains(part, "=") {
			m.Type = part
			continue
		}
		m.Name = ""
		if err := m.settings(part); err != nil {
			return Model{}, err
		}
	}
	return m, m.Check()
}

// settings reads "embd=2048,layers=16".
func (m *Model) settings(list string) error {
	fields := map[string]*int{
		"embd": &m.Embd, "layers": &m.Layers, "heads": &m.Heads, "kv": &m.KVHeads, "head": &m.HeadDim, "ff": &m.FeedForward,
		"vocab": &m.Vocab, "context": &m.Context, "experts": &m.Experts, "used": &m.Used,
	}
	given := map[string]bool{}
	for part := range strings.SplitSeq(list, ",") {
		key, value, _ := strings.Cut(part, "=")
		field, ok := fields[key]
		n, err := strconv.Atoi(value)
		if !ok || err != nil {
			return &ModelError{strconv.Quote(part), Usage}
		}
		*field, given[key] = n, true
	}
	if given["embd"] && !given["heads"] && m.HeadDim > 0 {
		m.Heads = max(1, m.Embd/m.HeadDim)
	}
	if (given["embd"] || given["heads"]) && !given["kv"] {
		m.KVHeads = max(1, m.Heads/4)
	}
	if m.Experts > 0 && !given["used"] {
		m.Used = min(2, m.Experts)
	}
	return nil
}

// leastVocab is what any text can be spelled with: three control tokens, the bytes, and a space.
const leastVocab = 3 + 256 + 1

// The limits keep a slip of the pen from filling a disk.
const (
	maxSize   = 1 << 20
	maxLayers = 1024
)

// Check reports what cannot be. Errors: *ModelError.
func (m *Model) Check() error {
	for _, f := range []struct {
		key                string
		value, least, most int
	}{
		{"embd", m.Embd, 32, maxSize},
		{"layers", m.Layers, 1, maxLayers},
		{"heads", m.Heads, 1, maxSize},
		{"kv", m.KVHeads, 1, maxSize},
		{"head", m.HeadDim, 2, 4096},
		{"ff", m.FeedForward, 32, maxSize},
		{"vocab", m.Vocab, leastVocab, 1 << 21},
		{"context", m.Context, 1, 1 << 30},
		{"experts", m.Experts, 0, 1024},
		{"used", m.Used, 0, m.Experts},
	} {
		if f.value < f.least || f.value > f.most {
			return &ModelError{fmt.Sprintf("%s=%d", f.key, f.value), fmt.Sprintf("%d to %d", f.least, f.most)}
		}
	}
	switch {
	case m.Heads%m.KVHeads != 0:
		return &ModelError{fmt.Sprintf("heads=%d,kv=%d", m.Heads, m.KVHeads), "whole groups of heads"}
	case m.HeadDim%2 != 0:
		return &ModelError{fmt.Sprintf("head=%d", m.HeadDim), "an even number: pairs of it are rotated"}
	case m.Experts > 0 && m.Used == 0:
		return &ModelError{"used=0", "1 or more of the experts"}
	}
	if _, ok := recipe.Find(m.Type); !ok {
		return &ModelError{strconv.Quote(m.Type), "one of " + strings.Join(Types(), ", ")}
	}
	return nil
}

// String returns the model as Parse reads it.
func (m Model) String() string {
	if m.Name != "" {
		return m.Name + ":" + m.Type
	}
	s := fmt.Sprintf("llama:embd=%d,layers=%d,heads=%d,kv=%d,head=%d,ff=%d,vocab=%d,context=%d",
		m.Embd, m.Layers, m.Heads, m.KVHeads, m.HeadDim, m.FeedForward, m.Vocab, m.Context)
	if m.Experts > 0 {
		s += fmt.Sprintf(",experts=%d,used=%d", m.Experts, m.Used)
	}
	return s + ":" + m.Type
}

// FileName returns a name for the model's file.
func (m Model) FileName() string {
	return strings.NewReplacer(":", "-", "=", "", ",", "-").Replace(m.String()) + ".gguf"
}
