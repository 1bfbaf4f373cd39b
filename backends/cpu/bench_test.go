package cpu

import (
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// BenchmarkOps times each op for one token and for a batch of 64, in the sizes of a 1.1 B model. MB/s
// counts the bytes of the result.
func BenchmarkOps(b *testing.B) {
	dev := New(Options{})
	defer dev.Close()
	for _, c := range []struct {
		name  string
		build func(r *rig, tok int) *tensor.Tensor
	}{
		{"Add", func(r *rig, tok int) *tensor.Tensor {
			s := tensor.MakeShape(2048, tok)
			return r.Add(r.random(tensor.F32, s), r.random(tensor.F32, s))
		}},
		{"MulRow", func(r *rig, tok int) *tensor.Tensor {
			return r.Mul(r.random(tensor.F32, tensor.MakeShape(2048, tok)), r.random(tensor.F32, tensor.MakeShape(2048)))
		}},
		{"RMSNorm", func(r *rig, tok int) *tensor.Tensor {
			return r.RMSNorm(r.random(tensor.F32, tensor.MakeShape(2048, tok)), 1e-5)
		}},
		{"SwiGLU", func(r *rig, tok int) *tensor.Tensor {
			s := tensor.MakeShape(5632, tok)
			return r.GLU(tensor.SiLU, r.random(tensor.F32, s), r.random(tensor.F32, s))
		}},
		{"GELU", func(r *rig, tok int) *tensor.Tensor {
			return r.Unary(tensor.GELU, r.random(tensor.F32, tensor.MakeShape(5632, tok)))
		}},
		{"RoPE", func(r *rig, tok int) *tensor.Tensor {
			x := r.random(tensor.F32, tensor.MakeShape(64, 32, tok))
			return r.RoPE(tensor.RoPE{Dims: 64, Base: 1e4}, x, r.ints(tensor.MakeShape(tok), r.picks(tok, 4096)), nil)
		}},
		{"SoftMax", func(r *rig, tok int) *tensor.Tensor {
			return r.SoftMax(r.random(tensor.F32, tensor.MakeShape(512, tok, 32)), r.random(tensor.F32, tensor.MakeShape(512, tok)), 0.1)
		}},
		{"SetRowsF16", func(r *rig, tok int) *tensor.Tensor {
			return r.SetRows(r.random(tensor.F16, tensor.MakeShape(256, 512)), r.random(tensor.F32, tensor.MakeShape(256, tok)),
				r.ints(tensor.MakeShape(tok), r.rand.Perm(512)[:tok]))
		}},
		{"GetRowsQ8", func(r *rig, tok int) *tensor.Tensor {
			return r.GetRows(r.random(tensor.Q8_0, tensor.MakeShape(2048, 300)), r.ints(tensor.MakeShape(tok), r.picks(tok, 300)))
		}},
		{"Transpose", func(r *rig, tok int) *tensor.Tensor {
			return r.Contiguous(r.Permute(r.random(tensor.F32, tensor.MakeShape(2048, tok, 2)), 1, 0, 2, 3))
		}},
		{"TopK", func(r *rig, tok int) *tensor.Tensor {
			return r.TopK(r.random(tensor.F32, tensor.MakeShape(32000, 1)), 40)
		}},
	} {
		for _, tok := range []int{1, 64} {
			b.Run(c.name+"/"+map[int]string{1: "token", 64: "batch"}[tok], func(b *testing.B) {
				r := newRig(b, 1)
				out := c.build(r, tok)
				p, err := r.bind(dev, false, out)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(out.Bytes()))
				b.ReportAllocs()
				for b.Loop() {
					if err := p.prog.Submit(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
