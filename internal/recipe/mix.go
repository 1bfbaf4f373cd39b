package recipe

import (
	"fmt"
	"strings"

	"github.com/tenon-go/tenon/tensor"
)

// mix returns the type of a matrix in one of the layers, or base. The choices are those of llama.cpp, so
// that a name stands for the same file with both; they come from measurements of perplexity.
type mix func(m *Model, base tensor.DType, w layerWeight) tensor.DType

// layerWeight is a matrix of a layer.
type layerWeight struct {
	role  string // its name between the layer and ".weight", without what marks a stack of experts
	layer int
}

// Model is what the mixes ask about a model. What is 0 plays no part.
type Model struct {
	Tied    bool // there is no output matrix: the token embeddings serve for it
	Layers  int
	Experts int
	Shared  int // query heads for each head of keys and values
}

// TypeOf returns the type that the named matrix of m should have: Fit says whether its rows can.
func (r Recipe) TypeOf(m *Model, name string) tensor.DType {
	if r.mix == nil {
		return r.Base
	}
	if name == Output || name == Embeddings && m.Tied {
		return tensor.Q6_K // what every logit passes through
	}
	w, ok := parseLayerWeight(name)
	if !ok {
		return r.Base
	}
	if m.Experts == 8 {
		// Beside eight experts the attention is small, and it is worth its bytes.
		switch w.role {
		case "attn_v", "attn_k":
			return tensor.Q8_0
		case "attn_output":
			if r.Base == tensor.Q3_K || r.Base == tensor.Q4_K {
				return tensor.Q5_K
			}
		}
	}
	typ := r.mix(m, r.Base, w)
	// Of a large model with eight queries to a head, the values are few and used often.
	if w.role == "attn_v" && m.Layers == 80 && m.Shared >= 8 && (typ == tensor.Q3_K || typ == tensor.Q4_K) {
		return tensor.Q5_K
	}
	return typ
}

// parseLayerWeight takes "blk.3.ffn_down_exps.weight" apart.
func parseLayerWeight(name string) (layerWeight, bool) {
	var w layerWeight
	n, err := fmt.Sscanf(name, "blk.%d.%s", &w.layer, &w.role)
	if n != 2 || err != nil {
		return w, false
	}
	w.role = strings.TrimSuffix(w.role, ".weight")
	w.role = strings.TrimSuffix(strings.TrimSuffix(w.role, "_exps"), "_shexp")
	return w, true
}

// early reports whether w is in the first one-eighth of the layers.
func (m *Model) early(w layerWeight) bool { return w.layer < m.Layers/8 }

// sensitive reports whether w is in a layer that gets more bits: the first and the last eighth, and every
// third in between.
func (m *Model) sensitive(w layerWeight) bool {
	eighth := m.Layers / 8
	return w.layer < eighth || w.layer >= 7*m.Layers/8 || (w.layer-eighth)%3 == 2
}

// mixSmall is Q3_K_S and Q5_K_S: one type in all layers.
func mixSmall(_ *Model, base tensor.DType, _ layerWeight) tensor.DType { return base }

// mixMedium is Q4_K_M and Q5_K_M.
func mixMedium(m *Model, base tensor.DType, w layerWeight) tensor.DType {
	switch {
	case (w.role == "attn_v" || w.role == "ffn_down") && m.sensitive(w):
		return tensor.Q6_K
	case w.role == "attn_qkv" && base == tensor.Q4_K:
		return tensor.Q5_K
	case w.role == "attn_qkv":
		return tensor.Q6_K
	}
	return base
}

func mixQ4KS(m *Model, base tensor.DType, w layerWeight) tensor.DType {
	if w.role == "attn_v" && w.layer < 4 || w.role == "ffn_down" && m.early(w) {
		return tensor.Q5_K
	}
	return base
}

func mixQ3KM(m *Model, base tensor.DType, w layerWeight) tensor.DType {
	switch w.role {
	case "attn_v":
		if w.layer < 2 {
			return tensor.Q5_K
		}
		return tensor.Q4_K
	case "ffn_down":
		if w.layer < m.Layers/16 {
			return tensor.Q5_K
		}
		return tensor.Q4_K
	case "attn_output", "attn_qkv":
		return tensor.Q4_K
	}
	return base
}

func mixQ3KL(_ *Model, base tensor.DType, w layerWeight) tensor.DType {
	switch w.role {
	case "attn_v", "ffn_down", "attn_output":
		return tensor.Q5_K
	case "attn_qkv":
		return tensor.Q4_K
	}
	return base
}
