package synthetic

import (
	"fmt"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/recipe"
)

// metadata returns what the file says of the model. Source of the keys: the GGUF specification.
func (m Model) metadata() *gguf.Metadata {
	const arch = "llama"
	r, _ := recipe.Find(m.Type)
	meta := new(gguf.Metadata)
	meta.Set("general.architecture", gguf.ValueOf(arch))
	meta.Set("general.name", gguf.ValueOf("synthetic "+m.String()))
	meta.Set("general.file_type", gguf.ValueOf(r.FileType))
	meta.Set("general.quantization_version", gguf.ValueOf(uint32(2)))
	key := func(k string, v int) { meta.Set(arch+"."+k, gguf.ValueOf(uint32(v))) }
	key("context_length", m.Context)
	key("embedding_length", m.Embd)
	key("block_count", m.Layers)
	key("feed_forward_length", m.FeedForward)
	key("attention.head_count", m.Heads)
	key("attention.head_count_kv", m.KVHeads)
	key("attention.key_length", m.HeadDim)
	key("attention.value_length", m.HeadDim)
	key("rope.dimension_count", m.HeadDim)
	key("vocab_size", m.Vocab)
	if m.Experts > 0 {
		key("expert_count", m.Experts)
		key("expert_used_count", m.Used)
	}
	meta.Set(arch+".attention.layer_norm_rms_epsilon", gguf.ValueOf(float32(1e-5)))
	meta.Set(arch+".rope.freq_base", gguf.ValueOf(float32(500000)))
	m.vocabulary(meta)
	return meta
}

// vocabulary gives the model an SPM vocabulary: control tokens, a token for each byte, so that any text can
// be spelled, the printable characters, and words that fill it up.
func (m Model) vocabulary(meta *gguf.Metadata) {
	const normal, unknown, control, byteToken = 1, 2, 3, 6 // tokenizer.ggml.token_type
	tokens := []string{"<unk>", "<s>", "</s>"}
	types := []int32{unknown, control, control}
	add := func(text string, typ int32) {
		if len(tokens) < m.Vocab {
			tokens, types = append(tokens, text), append(types, typ)
		}
	}
	for b := range 256 {
		add(fmt.Sprintf("<0x%02X>", b), byteToken)
	}
	add("▁", normal)
	for c := '!'; c <= '~'; c++ {
		add(string(c), normal)
	}
	for i := 0; len(tokens) < m.Vocab; i++ {
		add(fmt.Sprintf("▁word%d", i), normal)
	}
	scores := make([]float32, len(tokens))
	for i := range scores {
		scores[i] = float32(-i)
	}
	meta.Set("tokenizer.ggml.model", gguf.ValueOf("llama"))
	meta.Set("tokenizer.ggml.pre", gguf.ValueOf("default"))
	meta.Set("tokenizer.ggml.tokens", gguf.ArrayOf(tokens))
	meta.Set("tokenizer.ggml.scores", gguf.ArrayOf(scores))
	meta.Set("tokenizer.ggml.token_type", gguf.ArrayOf(types))
	meta.Set("tokenizer.ggml.bos_token_id", gguf.ValueOf(uint32(1)))
	meta.Set("tokenizer.ggml.eos_token_id", gguf.ValueOf(uint32(2)))
	meta.Set("tokenizer.ggml.unknown_token_id", gguf.ValueOf(uint32(0)))
	meta.Set("tokenizer.ggml.add_bos_token", gguf.ValueOf(true))
}
