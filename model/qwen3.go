package model

import "github.com/tenon-go/tenon/tensor"

// Qwen3 is Llama's decoder with NeoX pairs and queries and keys that are normed per head; qwen3moe has
// mixtures of experts in place of feed-forward blocks. Source: arXiv:2505.09388.
func init() {
	newQwen3 := func(l *loader) family { return newDecoder(l, tensor.RoPENeoX, true) }
	families["qwen3"] = newQwen3
	families["qwen3moe"] = newQwen3
}
