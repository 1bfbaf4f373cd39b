package main

import (
	"fmt"
	"strings"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/recipe"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// findRecipe returns the recipe of a name in any case.
func findRecipe(flag, name string) (recipe.Recipe, error) {
	r, ok := recipe.Find(name)
	if !ok {
		return r, usagef("--%s: there is no type %q; there are %s", flag, name, strings.Join(recipeNames(), ", "))
	}
	return r, nil
}

// recipeNames returns the names of all recipes, the mixes last.
func recipeNames() []string { return append(recipe.Names(false), recipe.Names(true)...) }

// quantizePlan says how types are chosen.
type quantizePlan struct {
	recipe.Recipe
	output, embd *tensor.DType // nil: as the recipe says
}

// plan makes sense of the flags.
func (q *quantizeFlags) plan() (*quantizePlan, error) {
	if q.threads < 0 {
		return nil, usagef("--threads is %d, want 0 or more", q.threads)
	}
	if q.recipe == "" {
		return nil, usagef("no type is given: --type TYPE")
	}
	r, err := findRecipe("type", q.recipe)
	if err != nil {
		return nil, err
	}
	if q.pure {
		r = r.Pure()
	}
	p := &quantizePlan{Recipe: r}
	for _, one := range []struct {
		flag, name string
		to         **tensor.DType
	}{{"output-type", q.output, &p.output}, {"token-embedding-type", q.embd, &p.embd}} {
		if one.name == "" {
			continue
		}
		r, err := findRecipe(one.flag, one.name)
		if err != nil {
			return nil, err
		}
		if r.Mixed() {
			return nil, usagef("--%s: %s is a mix, and one tensor has one type", one.flag, r.Name)
		}
		*one.to = &r.Base
	}
	return p, nil
}

// choice is the type that one tensor gets.
type choice struct {
	info   gguf.TensorInfo
	typ    tensor.DType
	wanted tensor.DType // typ, unless the rows do not divide into its blocks
}

// choose returns the type of every tensor of f, in order. It fails for a type that cannot be read.
func (p *quantizePlan) choose(f *gguf.File) ([]choice, error) {
	model := newMixModel(f)
	var choices []choice
	for t := range f.Tensors() {
		c := choice{info: t, typ: t.Type, wanted: t.Type}
		if isMatrix(t) {
			c.wanted = p.typeOf(model, t.Name)
			c.typ = recipe.Fit(c.wanted, t.Shape[0])
		}
		if c.typ != t.Type {
			if _, err := quant.Of(t.Type); err != nil {
				return nil, fmt.Errorf("%s: tensor %s: %w", f.Path(t.Split), printable(t.Name), err)
			}
		}
		choices = append(choices, c)
	}
	return choices, nil
}

// typeOf returns the type that a matrix should have.
func (p *quantizePlan) typeOf(m *recipe.Model, name string) tensor.DType {
	switch {
	case name == recipe.Output && p.output != nil:
		return *p.output
	case name == recipe.Embeddings && p.embd != nil:
		return *p.embd
	case name == recipe.Embeddings && m.Tied && p.output != nil:
		return *p.output // the same matrix serves for both
	}
	return p.TypeOf(m, name)
}

// newMixModel reads what f says; what it does not say plays no part.
func newMixModel(f *gguf.File) *recipe.Model {
	arch, _ := f.StringOr("general.architecture", "")
	s := f.Section(arch)
	m := &recipe.Model{Layers: s.IntOr("block_count", 0), Experts: s.IntOr("expert_count", 0)}
	// Heads can be given layer by layer: the first layer stands for all.
	if m.Layers > 0 && s.Has("attention.head_count") {
		heads := s.IntPerLayer("attention.head_count", m.Layers)
		shared := s.IntPerLayerOr("attention.head_count_kv", m.Layers, 0)
		if s.Err() == nil && len(heads) > 0 && shared[0] > 0 {
			m.Shared = heads[0] / shared[0]
		}
	}
	_, hasOutput := f.Tensor(recipe.Output)
	m.Tied = !hasOutput
	return m
}

// isMatrix reports whether t is a matrix, or a stack of them, that products run over. What is read row by
// row as it is, or decides about everything after it, stays as it is.
func isMatrix(t gguf.TensorInfo) bool {
	if dims := t.Shape.Dims(); dims < 2 || dims > 3 {
		return false
	}
	if !strings.HasSuffix(t.Name, ".weight") || strings.HasSuffix(t.Name, "_norm.weight") {
		return false
	}
	switch t.Type {
	case tensor.I8, tensor.I16, tensor.I32, tensor.I64:
		return false
	}
	for _, part := range []string{
		"ffn_gate_inp",                // routers
		"rope_freqs", "rope_factors_", // factors of angles
		"position_embd", "token_types", // tables that are added to the embeddings
		"ssm_conv1d", "shortconv.conv", // convolutions of a few taps
		"attn_rel_b", // biases by distance
	} {
		if strings.Contains(t.Name, part) {
			return false
		}
	}
	return true
}
