package tinymodel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/tensor"
)

// The sizes of a recurrent layer of a tiny qwen35: heads of keys and of values, elements of a head.
const (
	deltaKeyHeads, deltaHeads, deltaDim = 2, 4, 16
	deltaChannels                       = (2*deltaKeyHeads + deltaHeads) * deltaDim
	deltaWindow                         = 4
	qwen35Interval                      = 2 // of so many layers the last has attention
)

// Qwen35 returns c as a qwen35: every second layer has attention, the others are recurrent, and after
// the layers comes a NextN block that drafts.
func Qwen35(c Config) Config {
	c.Arch = "qwen35"
	meta, tensors := c.Meta, c.Tensors
	c.Meta = func(m *gguf.Metadata) {
		for k, v := range map[string]int{
			"full_attention_interval": qwen35Interval, "nextn_predict_layers": 1,
			"ssm.conv_kernel": deltaWindow, "ssm.state_size": deltaDim, "ssm.group_count": deltaKeyHeads,
			"ssm.time_step_rank": deltaHeads, "ssm.inner_size": deltaHeads * deltaDim,
		} {
			m.Set("qwen35."+k, gguf.ValueOf(uint32(v)))
		}
		if layers, err := m.Int("qwen35.block_count"); err == nil {
			m.Set("qwen35.block_count", gguf.ValueOf(uint32(layers+1)))
		}
		if meta != nil {
			meta(m)
		}
	}
	whole := c.withDefaults()
	c.Tensors = func(t []gguf.TensorSource) []gguf.TensorSource {
		t = whole.qwen35Tensors(t)
		if tensors != nil {
			t = tensors(t)
		}
		return t
	}
	return c
}

// qwen35Tensors makes the layers of a plain decoder those of a qwen35.
func (c *Config) qwen35Tensors(all []gguf.TensorSource) []gguf.TensorSource {
	r := rand.New(rand.NewPCG(c.Seed, 35))
	matrix := func(name string, sizes ...int) {
		all = append(all, random(name, c.Type, tensor.MakeShape(sizes...), 0, 1/math.Sqrt(float64(sizes[0])), r.Uint64()))
	}
	vector := func(name string, mean, deviation float64, sizes ...int) {
		all = append(all, random(name, tensor.F32, tensor.MakeShape(sizes...), mean, deviation, r.Uint64()))
	}
	layer := 0
	name := func(s string) string { return fmt.Sprintf("blk.%d.%s", layer, s) }
	remove := func(names ...string) {
		all = slices.DeleteFunc(all, func(t gguf.TensorSource) bool {
			return slices.ContainsFunc(names, func(s string) bool { return t.Name == name(s) })
		})
	}
	attention := func() {
		vector(name("post_attention_norm.weight"), 1, 0.1, c.Embd)
		matrix(name("attn_q.weight"), c.Embd, 2*c.Heads*c.HeadDim)
		vector(name("attn_q_norm.weight"), 1, 0.1, c.HeadDim)
		vector(name("attn_k_norm.weight"), 1, 0.1, c.HeadDim)
	}
	recurrent := func() {
		const values = deltaHeads * deltaDim
		vector(name("post_attention_norm.weight"), 1, 0.1, c.Embd)
		matrix(name("attn_qkv.weight"), c.Embd, deltaChannels)
		matrix(name("attn_gate.weight"), c.Embd, values)
		matrix(name("ssm_out.weight"), values, c.Embd)
		matrix(name("ssm_beta.weight"), c.Embd, deltaHeads)
		matrix(name("ssm_alpha.weight"), c.Embd, deltaHeads)
		vector(name("ssm_conv1d.weight"), 0, 0.5, deltaWindow, deltaChannels)
		vector(name("ssm_a"), -0.3, 0.05, deltaHeads)
		vector(name("ssm_dt.bias"), 0, 0.1, deltaHeads)
		vector(name("ssm_norm.weight"), 1, 0.1, deltaDim)
	}
	for has := func(t gguf.TensorSource) bool { return t.Name == name("ffn_norm.weight") }; slices.ContainsFunc(all, has); layer++ {
		remove("ffn_norm.weight", "attn_q.weight")
		if (layer+1)%qwen35Interval == 0 {
			attention()
			continue
		}
		remove("attn_k.weight", "attn_v.weight", "attn_output.weight")
		recurrent()
	}
	vector(name("attn_norm.weight"), 1, 0.1, c.Embd)
	attention()
	matrix(name("attn_k.weight"), c.Embd, c.KVHeads*c.HeadDim)
	matrix(name("attn_v.weight"), c.Embd, c.KVHeads*c.HeadDim)
	matrix(name("attn_output.weight"), c.Heads*c.HeadDim, c.Embd)
	matrix(name("ffn_gate.weight"), c.Embd, c.FeedForward)
	matrix(name("ffn_up.weight"), c.Embd, c.FeedForward)
	matrix(name("ffn_down.weight"), c.FeedForward, c.Embd)
	matrix(name("nextn.eh_proj.weight"), 2*c.Embd, c.Embd)
	vector(name("nextn.enorm.weight"), 1, 0.1, c.Embd)
	vector(name("nextn.hnorm.weight"), 1, 0.1, c.Embd)
	vector(name("nextn.shared_head_norm.weight"), 1, 0.1, c.Embd)
	return all
}
