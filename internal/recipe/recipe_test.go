package recipe

import (
	"testing"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// TestRecipes checks that every type on offer can be written and read, and that its names are taken in
// any case.
func TestRecipes(t *testing.T) {
	for _, r := range recipes {
		if _, err := quant.Of(r.Base); err != nil {
			t.Errorf("%s: %v", r.Name, err)
		}
		if !r.Mixed() && r.Name != r.Base.String() {
			t.Errorf("%s names %v", r.Name, r.Base)
		}
	}
	if r, ok := Find("q4_k_m"); !ok || r.Name != "Q4_K_M" {
		t.Errorf("q4_k_m is %v, %v", r.Name, ok)
	}
}

// TestFit checks that each fallback ends with rows that divide, and loses no bits on the way.
func TestFit(t *testing.T) {
	for _, r := range recipes {
		for _, n := range []int{1, 32, 48, 64, 96, 256, 288, 512} {
			got := Fit(r.Base, n)
			if got.RowBytes(n) < 0 {
				t.Errorf("%v in rows of %d becomes %v, which does not fit", r.Base, n, got)
			}
			if r.Base.RowBytes(n) >= 0 && got != r.Base {
				t.Errorf("%v in rows of %d becomes %v, though it fits", r.Base, n, got)
			}
			if bits(got) < bits(r.Base) {
				t.Errorf("%v in rows of %d becomes %v of fewer bits", r.Base, n, got)
			}
		}
	}
}

// bits returns the bits of an element; F16 stands in for anything.
func bits(t tensor.DType) float64 {
	elems, bytes := t.Block()
	return min(8*float64(bytes)/float64(elems), 16)
}

// TestMixes spells out which matrices of a model of 16 layers get other types than the main one.
func TestMixes(t *testing.T) {
	m := &Model{Layers: 16}
	for _, c := range []struct {
		recipe, name string
		want         tensor.DType
	}{
		{"Q4_K_M", "output.weight", tensor.Q6_K},
		{"Q4_K_M", "token_embd.weight", tensor.Q4_K},
		{"Q4_K_M", "blk.1.ffn_down.weight", tensor.Q6_K},
		{"Q4_K_M", "blk.2.ffn_down.weight", tensor.Q4_K},
		{"Q4_K_M", "blk.4.ffn_down_exps.weight", tensor.Q6_K},
		{"Q4_K_M", "blk.14.attn_v.weight", tensor.Q6_K},
		{"Q4_K_M", "blk.14.attn_k.weight", tensor.Q4_K},
		{"Q4_K_M", "blk.3.attn_qkv.weight", tensor.Q5_K},
		{"Q5_K_M", "blk.3.attn_qkv.weight", tensor.Q6_K},
		{"Q5_K_M", "blk.15.ffn_down.weight", tensor.Q6_K},
		{"Q5_K_S", "blk.15.ffn_down.weight", tensor.Q5_K},
		{"Q4_K_S", "blk.3.attn_v.weight", tensor.Q5_K},
		{"Q4_K_S", "blk.4.attn_v.weight", tensor.Q4_K},
		{"Q4_K_S", "blk.1.ffn_down.weight", tensor.Q5_K},
		{"Q4_K_S", "blk.2.ffn_down.weight", tensor.Q4_K},
		{"Q3_K_S", "blk.2.attn_v.weight", tensor.Q3_K},
		{"Q3_K_M", "blk.1.attn_v.weight", tensor.Q5_K},
		{"Q3_K_M", "blk.2.attn_v.weight", tensor.Q4_K},
		{"Q3_K_M", "blk.0.ffn_down.weight", tensor.Q5_K},
		{"Q3_K_M", "blk.1.ffn_down.weight", tensor.Q4_K},
		{"Q3_K_M", "blk.1.attn_output.weight", tensor.Q4_K},
		{"Q3_K_M", "blk.1.ffn_up.weight", tensor.Q3_K},
		{"Q3_K_L", "blk.9.attn_output.weight", tensor.Q5_K},
		{"Q4_K", "output.weight", tensor.Q4_K},
		{"Q4_K", "blk.0.ffn_down.weight", tensor.Q4_K},
	} {
		r, ok := Find(c.recipe)
		if !ok {
			t.Fatalf("no recipe %s", c.recipe)
		}
		if got := r.TypeOf(m, c.name); got != c.want {
			t.Errorf("%s: %s is %v, want %v", c.recipe, c.name, got, c.want)
		}
	}
	r, _ := Find("Q4_K_M")
	if got := r.TypeOf(&Model{Layers: 16, Tied: true}, "token_embd.weight"); got != tensor.Q6_K {
		t.Errorf("tied embeddings are %v, want Q6_K", got)
	}
	if got := r.TypeOf(&Model{Layers: 16, Experts: 8}, "blk.5.attn_k.weight"); got != tensor.Q8_0 {
		t.Errorf("keys beside eight experts are %v, want Q8_0", got)
	}
	if got := r.Pure().TypeOf(m, "output.weight"); got != tensor.Q4_K {
		t.Errorf("without its mix the output is %v, want Q4_K", got)
	}
}
