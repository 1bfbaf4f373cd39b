package model

import "github.com/tenon-go/tenon/tensor"

// Qwen2 and Qwen2.5 are Llama's decoder with NeoX pairs and biases on queries, keys and values, which
// the weights bring along. Source: arXiv:2407.10671.
func init() {
	families["qwen2"] = func(l *loader) family { return newDecoder(l, tensor.RoPENeoX, false) }
}
