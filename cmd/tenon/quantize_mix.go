package main

import (
	"fmt"
	"strings"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
)

// mix returns the type of a matrix in one of the layers, or base. The choices are those of llama.cpp, so
// that a name stands for the same file with both; they come from measurements of perplexity.
type mix func(m *mixModel, base tensor.DType, w layerWeight) tensor.DType

// layerWeight is a matrix of a layer.
type layerWeight struct {
	role  string // its name between the layer and ".weight", without what marks a stack of experts
	layer int
}

// mixModel is what the mixes ask about a model.
type mixModel struct {
	tied    bool // there is no output matrix: the token embeddings serve for it
	layers  int
	experts int
	shared  int // query heads for each head of keys and values
}

// newMixModel reads what f says; what it does not say plays no part.
func newMixModel(f *gguf.File) *mixModel {
	arch, _ := f.StringOr("general.architecture", "")
	s := f.Section(arch)
	m := &mixModel{layers: s.IntOr("block_count", 0), experts: s.IntOr("expert_count", 0)}
	// Heads can be given layer by layer: the first layer stands for all.
	if m.layers > 0 && s.Has("attention.head_count") {
		heads := s.IntPerLayer("attention.head_count", m.layers)
		shared := s.IntPerLayerOr("attention.head_count_kv", m.layers, 0)
		if s.Err() == nil && len(heads) > 0 && shared[0] > 0 {
			m.shared = heads[0] / shared[0]
		}
	}
	_, hasOutput := f.Tensor(outputName)
	m.tied = !hasOutput
	return m
}

// typeOf returns the type of the named matrix in a mix.
func (m *mixModel) typeOf(p *quantizePlan, name string) tensor.DType {
	if name == outputName || name == embdName && m.tied {
		return tensor.Q6_K // what every logit passes through
	}
	w, ok := parseLayerWeight(name)
	if !ok {
		return p.base
	}
	if m.experts == 8 {
		// Beside eight experts the attention is small, and it is worth its bytes.
		switch w.role {
		case "attn_v", "attn_k":
			return tensor.Q8_0
		case "attn_output":
			if p.base == tensor.Q3_K || p.base == tensor.Q4_K {
				return tensor.Q5_K
			}
		}
	}
	typ := p.mix(m, p.base, w)
	// Of a large model with eight queries to a head, the values are few and used often.
	if w.role == "attn_v" && m.layers == 80 && m.shared >= 8 && (typ == tensor.Q3_K || typ == tensor.Q4_K) {
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
func (m *mixModel) early(w layerWeight) bool { return w.layer < m.layers/8 }

// sensitive reports whether w is in a layer that gets more bits: the first and the last eighth, and every
// third in between.
func (m *mixModel) sensitive(w layerWeight) bool {
	eighth := m.layers / 8
	return w.layer < eighth || w.layer >= 7*m.layers/8 || (w.layer-eighth)%3 == 2
}

// mixSmall is Q3_K_S and Q5_K_S: one type in all layers.
func mixSmall(_ *mixModel, base tensor.DType, _ layerWeight) tensor.DType { return base }

// mixMedium is Q4_K_M and Q5_K_M.
func mixMedium(m *mixModel, base tensor.DType, w layerWeight) tensor.DType {
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

func mixQ4KS(m *mixModel, base tensor.DType, w layerWeight) tensor.DType {
	if w.role == "attn_v" && w.layer < 4 || w.role == "ffn_down" && m.early(w) {
		return tensor.Q5_K
	}
	return base
}

func mixQ3KM(m *mixModel, base tensor.DType, w layerWeight) tensor.DType {
	switch w.role {
	case "attn_v":
		if w.layer < 2 {
			return tensor.Q5_K
		}
		return tensor.Q4_K
	case "ffn_down":
		if w.layer < m.layers/16 {
			return tensor.Q5_K
		}
		return tensor.Q4_K
	case "attn_output", "attn_qkv":
		return tensor.Q4_K
	}
	return base
}

func mixQ3KL(_ *mixModel, base tensor.DType, w layerWeight) tensor.DType {
	switch w.role {
	case "attn_v", "ffn_down", "attn_output":
		return tensor.Q5_K
	case "attn_qkv":
		return tensor.Q4_K
	}
	return base
}
