// Package recipe knows which types the matrices of a model get when it is stored as Q4_K_M or by any
// other of the names that people know: what tenon quantize and the synthetic models of package bench share.
package recipe

import (
	"slices"
	"strings"

	"github.com/tenon-go/tenon/tensor"
)

// A Recipe is what a name such as Q4_K_M stands for: one type, or a mix around one.
type Recipe struct {
	Name     string
	Base     tensor.DType
	FileType uint32 // general.file_type
	mix      mix    // nil for one type
}

// Mixed reports whether r gives some matrices another type than Base.
func (r Recipe) Mixed() bool { return r.mix != nil }

// Pure returns r without its mix: Base for all matrices.
func (r Recipe) Pure() Recipe {
	r.mix = nil
	return r
}

// recipes are the types that weights are stored in, with their numbers in general.file_type, and the
// mixes. Types of activations and integers are not among them. Source: llama.h, enum llama_ftype.
var recipes = []Recipe{
	{Name: "F32", Base: tensor.F32, FileType: 0},
	{Name: "F16", Base: tensor.F16, FileType: 1},
	{Name: "BF16", Base: tensor.BF16, FileType: 32},
	{Name: "Q4_0", Base: tensor.Q4_0, FileType: 2},
	{Name: "Q4_1", Base: tensor.Q4_1, FileType: 3},
	{Name: "Q5_0", Base: tensor.Q5_0, FileType: 8},
	{Name: "Q5_1", Base: tensor.Q5_1, FileType: 9},
	{Name: "Q8_0", Base: tensor.Q8_0, FileType: 7},
	{Name: "Q2_K", Base: tensor.Q2_K, FileType: 10},
	{Name: "Q3_K", Base: tensor.Q3_K, FileType: 11},
	{Name: "Q4_K", Base: tensor.Q4_K, FileType: 14},
	{Name: "Q5_K", Base: tensor.Q5_K, FileType: 16},
	{Name: "Q6_K", Base: tensor.Q6_K, FileType: 18},
	{Name: "IQ4_NL", Base: tensor.IQ4_NL, FileType: 25},
	{Name: "IQ4_XS", Base: tensor.IQ4_XS, FileType: 30},
	{Name: "MXFP4", Base: tensor.MXFP4, FileType: 38},
	{Name: "Q3_K_S", Base: tensor.Q3_K, FileType: 11, mix: mixSmall},
	{Name: "Q3_K_M", Base: tensor.Q3_K, FileType: 12, mix: mixQ3KM},
	{Name: "Q3_K_L", Base: tensor.Q3_K, FileType: 13, mix: mixQ3KL},
	{Name: "Q4_K_S", Base: tensor.Q4_K, FileType: 14, mix: mixQ4KS},
	{Name: "Q4_K_M", Base: tensor.Q4_K, FileType: 15, mix: mixMedium},
	{Name: "Q5_K_S", Base: tensor.Q5_K, FileType: 16, mix: mixSmall},
	{Name: "Q5_K_M", Base: tensor.Q5_K, FileType: 17, mix: mixMedium},
}

// All returns the recipes, the single types first.
func All() []Recipe { return slices.Clone(recipes) }

// Names returns the names of the mixes, or of the others.
func Names(mixes bool) []string {
	var names []string
	for _, r := range recipes {
		if r.Mixed() == mixes {
			names = append(names, r.Name)
		}
	}
	return names
}

// Find returns the recipe of a name in any case.
func Find(name string) (Recipe, bool) {
	i := slices.IndexFunc(recipes, func(r Recipe) bool { return strings.EqualFold(r.Name, name) })
	if i < 0 {
		return Recipe{}, false
	}
	return recipes[i], true
}

// The matrices before and after the layers.
const (
	Embeddings = "token_embd.weight"
	Output     = "output.weight"
)

// fallbacks are the types for rows that do not divide into blocks: of smaller blocks, and not less exact.
var fallbacks = map[tensor.DType]tensor.DType{
	tensor.Q2_K:   tensor.IQ4_NL,
	tensor.Q3_K:   tensor.IQ4_NL,
	tensor.Q4_K:   tensor.Q5_0,
	tensor.Q5_K:   tensor.Q5_1,
	tensor.Q6_K:   tensor.Q8_0,
	tensor.IQ4_XS: tensor.IQ4_NL,
}

// Fit returns want, or the type that stands in for it in rows of n elements.
func Fit(want tensor.DType, n int) tensor.DType {
	for want.RowBytes(n) < 0 {
		next, ok := fallbacks[want]
		if !ok {
			return tensor.F16
		}
		want = next
	}
	return want
}
