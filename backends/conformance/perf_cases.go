package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// perfCases are the shapes that models spend their time in: one token, a few (drafts that are checked),
// and a prompt.
func perfCases() []perfCase {
	var all []perfCase
	add := func(id string, ops func(*tensor.Tensor) int64, b build) { all = append(all, perfCase{id, ops, b}) }
	for _, a := range []tensor.DType{
		tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0, tensor.Q4_0, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.IQ4_XS, tensor.MXFP4,
	} {
		for _, n := range []int{1, 8, 512} {
			p := matMulParams{a: a, b: tensor.F32, m: 4096, n: n, k: 4096}
			if n == 512 {
				p.m = 1024
			}
			add(p.id(), productOps, func(g *gen) *tensor.Tensor {
				return g.MatMul(g.tiled(p.a, tensor.MakeShape(p.k, p.m)), g.tiled(p.b, tensor.MakeShape(p.k, p.n)))
			})
		}
	}
	for _, a := range []tensor.DType{tensor.F16, tensor.Q4_K} {
		for _, tok := range []int{1, 64} {
			add(id("MatMulID", "a", a, "m", 1024, "k", 2048, "experts", 32, "used", 4, "tok", tok), productOps, func(g *gen) *tensor.Tensor {
				return g.MatMulID(g.tiled(a, tensor.MakeShape(2048, 1024, 32)), g.tiled(tensor.F32, tensor.MakeShape(2048, 1, tok)),
					g.indices(tensor.I32, tensor.MakeShape(4, tok), 32))
			})
		}
	}
	for _, typ := range []tensor.DType{tensor.F16, tensor.Q8_0} {
		for _, tok := range []int{1, 128} {
			for _, cells := range []int{1024, 8192} {
				add(id("FlashAttn", "k", typ, "d", 128, "heads", 32, "kv", 8, "tok", tok, "cells", cells), attentionOps, func(g *gen) *tensor.Tensor {
					q := g.tiled(tensor.F32, tensor.MakeShape(128, 32, tok))
					mask := g.leaf(tensor.Input, tensor.F16, tensor.MakeShape(cells, tok), make([]byte, 2*cells*tok))
					k, v := g.tiled(typ, tensor.MakeShape(128, 8, cells)), g.tiled(typ, tensor.MakeShape(128, 8, cells))
					return g.FlashAttn(tensor.FlashAttn{Scale: float32(1 / math.Sqrt(128))}, q, k, v, mask, nil)
				})
			}
		}
	}
	perfRows(add)
	return all
}

// perfRows has what moves or maps large tensors: bound by memory.
func perfRows(add func(string, func(*tensor.Tensor) int64, build)) {
	wide := tensor.MakeShape(4096, 512)
	each := func(perElement int64) func(n *tensor.Tensor) int64 {
		return func(n *tensor.Tensor) int64 { return perElement * int64(n.Shape.Elems()) }
	}
	add(id("Copy", "x", tensor.F32, "to", tensor.F32, "ne", tensor.MakeShape(4096, 4096)), each(0), func(g *gen) *tensor.Tensor {
		return g.Cast(g.tiled(tensor.F32, tensor.MakeShape(4096, 4096)), tensor.F32)
	})
	add(id("Copy", "x", tensor.F32, "to", tensor.F16, "ne", wide), each(0), func(g *gen) *tensor.Tensor {
		return g.Cast(g.tiled(tensor.F32, wide), tensor.F16)
	})
	add(id("Copy", "x", tensor.F32, "ne", wide, "l", "transposed"), each(0), func(g *gen) *tensor.Tensor {
		return g.Contiguous(g.Permute(g.tiled(tensor.F32, wide), 1, 0, 2, 3))
	})
	add(id("Add", "a", tensor.F32, "ne", wide), each(1), func(g *gen) *tensor.Tensor {
		return g.Add(g.tiled(tensor.F32, wide), g.tiled(tensor.F32, wide))
	})
	add(id("Mul", "a", tensor.F32, "ne", wide, "brow", true), each(1), func(g *gen) *tensor.Tensor {
		return g.Mul(g.tiled(tensor.F32, wide), g.tiled(tensor.F32, tensor.MakeShape(4096)))
	})
	add(id("Unary", "f", tensor.SiLU, "x", tensor.F32, "ne", wide), each(4), func(g *gen) *tensor.Tensor {
		return g.SiLU(g.tiled(tensor.F32, wide))
	})
	add(id("GLU", "act", tensor.SiLU, "x", tensor.F32, "ne", wide), each(5), func(g *gen) *tensor.Tensor {
		return g.GLU(tensor.SiLU, g.tiled(tensor.F32, wide), g.tiled(tensor.F32, wide))
	})
	add(id("RMSNorm", "x", tensor.F32, "ne", wide), each(3), func(g *gen) *tensor.Tensor {
		return g.RMSNorm(g.tiled(tensor.F32, wide), 1e-6)
	})
	add(id("SoftMax", "x", tensor.F32, "ne", tensor.MakeShape(2048, 64, 16)), each(5), func(g *gen) *tensor.Tensor {
		return g.SoftMax(g.tiled(tensor.F32, tensor.MakeShape(2048, 64, 16)), nil, 1)
	})
	add(id("RoPE", "mode", tensor.RoPENeoX, "x", tensor.F32, "ne", tensor.MakeShape(128, 32, 512)), each(3), func(g *gen) *tensor.Tensor {
		return g.RoPE(tensor.RoPE{Dims: 128, Mode: tensor.RoPENeoX, Base: 10000}, g.tiled(tensor.F32, tensor.MakeShape(128, 32, 512)),
			g.indices(tensor.I32, tensor.MakeShape(512), 4096), nil)
	})
	for _, typ := range []tensor.DType{tensor.F16, tensor.Q4_K} {
		add(id("GetRows", "x", typ, "ne", tensor.MakeShape(4096, 8192), "k", 512), each(0), func(g *gen) *tensor.Tensor {
			return g.GetRows(g.tiled(typ, tensor.MakeShape(4096, 8192)), g.indices(tensor.I32, tensor.MakeShape(512), 8192))
		})
	}
	for _, typ := range []tensor.DType{tensor.F16, tensor.Q8_0} {
		add(id("SetRows", "x", typ, "ne", tensor.MakeShape(1024, 8192), "k", 512), each(0), func(g *gen) *tensor.Tensor {
			cache := g.as(tensor.Cache, g.tiled(typ, tensor.MakeShape(1024, 8192)))
			return g.SetRows(cache, g.tiled(tensor.F32, tensor.MakeShape(1024, 512)), g.distinct(tensor.I64, tensor.MakeShape(512), 8192))
		})
	}
	add(id("TopK", "n", 128, "rows", 512, "k", 8), each(0), func(g *gen) *tensor.Tensor {
		return g.TopK(g.tiled(tensor.F32, tensor.MakeShape(128, 512)), 8)
	})
	add(id("ArgMax", "n", 151936, "rows", 1), each(0), func(g *gen) *tensor.Tensor {
		return g.ArgMax(g.tiled(tensor.F32, tensor.MakeShape(151936)))
	})
}

// tiled adds an input that repeats a few random rows: making up every element would take longer than
// what is measured.
func (g *gen) tiled(typ tensor.DType, s tensor.Shape) *tensor.Tensor {
	rows := min(8, s.Rows())
	part := g.encoded(typ, tensor.MakeShape(s[0], rows), g.normal(s[0]*rows, 1))
	size := s.Rows() * typ.RowBytes(s[0])
	data := make([]byte, 0, size)
	for len(data) < size {
		data = append(data, part[:min(len(part), size-len(data))]...)
	}
	return g.leaf(tensor.Input, typ, s, data)
}

// productOps counts a multiplication and an addition for each term.
func productOps(n *tensor.Tensor) int64 { return 2 * int64(n.Src[0].Shape[0]) * int64(n.Shape.Elems()) }

// attentionOps counts the two products.
func attentionOps(n *tensor.Tensor) int64 {
	q, k, v := n.Src[0], n.Src[1], n.Src[2]
	return 2 * int64(q.Shape[1]*q.Shape[2]*q.Shape[3]) * int64(k.Shape[2]) * int64(k.Shape[0]+v.Shape[0])
}
