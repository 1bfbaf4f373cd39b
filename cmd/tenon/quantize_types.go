package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// A recipe is what --type names: one type, or a mix around one.
type recipe struct {
	name     string
	base     tensor.DType
	fileType uint32 // general.file_type
	mix      mix    // nil for one type
}

// recipes are the types that weights are stored in, with their numbers in general.file_type, and the
// mixes. Types of activations and integers are not among them. Source: llama.h, enum llama_ftype.
var recipes = []recipe{
	{name: "F32", base: tensor.F32, fileType: 0},
	{name: "F16", base: tensor.F16, fileType: 1},
	{name: "BF16", base: tensor.BF16, fileType: 32},
	{name: "Q4_0", base: tensor.Q4_0, fileType: 2},
	{name: "Q4_1", base: tensor.Q4_1, fileType: 3},
	{name: "Q5_0", base: tensor.Q5_0, fileType: 8},
	{name: "Q5_1", base: tensor.Q5_1, fileType: 9},
	{name: "Q8_0", base: tensor.Q8_0, fileType: 7},
	{name: "Q2_K", base: tensor.Q2_K, fileType: 10},
	{name: "Q3_K", base: tensor.Q3_K, fileType: 11},
	{name: "Q4_K", base: tensor.Q4_K, fileType: 14},
	{name: "Q5_K", base: tensor.Q5_K, fileType: 16},
	{name: "Q6_K", base: tensor.Q6_K, fileType: 18},
	{name: "IQ4_NL", base: tensor.IQ4_NL, fileType: 25},
	{name: "IQ4_XS", base: tensor.IQ4_XS, fileType: 30},
	{name: "MXFP4", base: tensor.MXFP4, fileType: 38},
	{name: "Q3_K_S", base: tensor.Q3_K, fileType: 11, mix: mixSmall},
	{name: "Q3_K_M", base: tensor.Q3_K, fileType: 12, mix: mixQ3KM},
	{name: "Q3_K_L", base: tensor.Q3_K, fileType: 13, mix: mixQ3KL},
	{name: "Q4_K_S", base: tensor.Q4_K, fileType: 14, mix: mixQ4KS},
	{name: "Q4_K_M", base: tensor.Q4_K, fileType: 15, mix: mixMedium},
	{name: "Q5_K_S", base: tensor.Q5_K, fileType: 16, mix: mixSmall},
	{name: "Q5_K_M", base: tensor.Q5_K, fileType: 17, mix: mixMedium},
}

// recipeNames returns the names of the mixes, or of the others.
func recipeNames(mixes bool) []string {
	var names []string
	for _, r := range recipes {
		if (r.mix != nil) == mixes {
			names = append(names, r.name)
		}
	}
	return names
}

// findRecipe returns the recipe of a name in any case.
func findRecipe(flag, name string) (recipe, error) {
	i := slices.IndexFunc(recipes, func(r recipe) bool { return strings.EqualFold(r.name, name) })
	if i < 0 {
		return recipe{}, usagef("--%s: there is no type %q; there are %s", flag, name,
			strings.Join(append(recipeNames(false), recipeNames(true)...), ", "))
	}
	return recipes[i], nil
}

// quantizePlan says how types are chosen.
type quantizePlan struct {
	recipe
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
		r.mix = nil
	}
	p := &quantizePlan{recipe: r}
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
		if r.mix != nil {
			return nil, usagef("--%s: %s is a mix, and one tensor has one type", one.flag, r.name)
		}
		*one.to = &r.base
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
			c.typ = fit(c.wanted, t.Shape[0])
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
func (p *quantizePlan) typeOf(m *mixModel, name string) tensor.DType {
	switch {
	case name == outputName && p.output != nil:
		return *p.output
	case name == embdName && p.embd != nil:
		return *p.embd
	case name == embdName && m.tied && p.output != nil:
		return *p.output // the same matrix serves for both
	case p.mix != nil:
		return m.typeOf(p, name)
	}
	return p.base
}

// The matrices before and after the layers.
const (
	embdName   = "token_embd.weight"
	outputName = "output.weight"
)

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

// fallbacks are the types for rows that do not divide into blocks: of smaller blocks, and not less exact.
var fallbacks = map[tensor.DType]tensor.DType{
	tensor.Q2_K:   tensor.IQ4_NL,
	tensor.Q3_K:   tensor.IQ4_NL,
	tensor.Q4_K:   tensor.Q5_0,
	tensor.Q5_K:   tensor.Q5_1,
	tensor.Q6_K:   tensor.Q8_0,
	tensor.IQ4_XS: tensor.IQ4_NL,
}

// fit returns want, or the type that stands in for it in rows of n elements.
func fit(want tensor.DType, n int) tensor.DType {
	for want.RowBytes(n) < 0 {
		next, ok := fallbacks[want]
		if !ok {
			return tensor.F16
		}
		want = next
	}
	return want
}
