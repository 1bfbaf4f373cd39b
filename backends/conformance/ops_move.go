package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// quantized returns the block formats that there is a reference for, in the order of their ids.
func quantized() []tensor.DType {
	var all []tensor.DType
	for _, t := range quant.Types() {
		if t.Quantized() {
			all = append(all, t)
		}
	}
	return all
}

// activations reports whether t is a format of rounded activations: no file holds tensors of it.
func activations(t tensor.DType) bool { return t == tensor.Q8_1 || t == tensor.Q8_K }

var integers = []tensor.DType{tensor.I8, tensor.I16, tensor.I32, tensor.I64}

func moveCases(t *table) {
	copyFloats(t)
	copyBlocks(t)
	copyIntegers(t)
	concatCases(t)
	repeatCases(t)
}

func copyFloats(t *table) {
	all := []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.F64}
	s := tensor.Shape{37, 4, 3, 2}
	for _, from := range all {
		for _, to := range all {
			for l := range numLayouts {
				if (from == tensor.F64 || to == tensor.F64) && l > gaps {
					continue
				}
				t.op(id("Copy", "x", from, "to", to, "ne", s, "l", l), from, 0, func(g *gen) *tensor.Tensor {
					return g.Cast(g.laid(from, s, l), to)
				})
			}
			t.op(id("Copy", "x", from, "to", to, "special", true), from, 0, func(g *gen) *tensor.Tensor {
				// Without what a device may take for 0, unless bytes are moved.
				return g.Cast(g.values(from, tensor.MakeShape(70, 2), g.special(140, from == to, true)), to)
			})
		}
	}
	// Halfway between two halves, and where they end.
	t.op(id("Copy", "x", tensor.F32, "to", tensor.F16, "values", "halfway"), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		var v []float32
		for i := range 64 {
			x := float32(1 + float64(i)/1024)
			v = append(v, x, x+0x1p-11, x+0x1.8p-11, -x-0x1p-11, float32(i)*0x1p-25, 65504+float32(i)/2)
		}
		return g.Cast(g.values(tensor.F32, tensor.MakeShape(len(v)), v), tensor.F16)
	})
	for _, s := range []tensor.Shape{{1, 1, 1, 1}, {0, 5, 1, 1}, {3, 0, 2, 1}, {5003, 3, 1, 1}, {1, 129, 5, 1}, {2, 1, 1, 77}} {
		for _, to := range []tensor.DType{tensor.F32, tensor.F16} {
			t.op(id("Copy", "x", tensor.F32, "to", to, "ne", dims4(s)), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				return g.Cast(g.random(tensor.F32, s), to)
			})
		}
	}
	t.op(id("Copy", "x", tensor.F32, "to", tensor.F32, "l", "stride0"), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		row := g.random(tensor.F32, tensor.MakeShape(13))
		return g.Cast(g.View(row, tensor.MakeShape(13, 3, 2), tensor.Strides{4, 0, 0, 0}, 0), tensor.F32)
	})
}

// copyBlocks converts to and from block formats.
func copyBlocks(t *table) {
	for _, q := range quantized() {
		n, _ := q.Block()
		s := tensor.Shape{2 * n, 3, 2, 1}
		for _, l := range []layout{packed, gaps, inside, permuted} {
			t.op(id("Copy", "x", tensor.F32, "to", q, "ne", s, "l", l), q, 0, func(g *gen) *tensor.Tensor {
				return g.Cast(g.laid(tensor.F32, s, l), q)
			})
			t.op(id("Copy", "x", q, "to", tensor.F32, "ne", s, "l", l), q, 0, func(g *gen) *tensor.Tensor {
				return g.Cast(g.laid(q, s, l), tensor.F32)
			})
			t.op(id("Copy", "x", q, "to", q, "ne", s, "l", l), q, 0, func(g *gen) *tensor.Tensor {
				return g.Cast(g.laid(q, s, l), q)
			})
		}
		t.op(id("Copy", "x", q, "to", tensor.F16, "ne", s), q, 0, func(g *gen) *tensor.Tensor {
			return g.Cast(g.random(q, s), tensor.F16)
		})
		t.op(id("Copy", "x", tensor.F16, "to", q, "ne", s), q, 0, func(g *gen) *tensor.Tensor {
			return g.Cast(g.random(tensor.F16, s), q)
		})
		t.op(id("Copy", "x", tensor.F32, "to", q, "values", "zero"), q, 0, func(g *gen) *tensor.Tensor {
			return g.Cast(g.values(tensor.F32, s, make([]float32, s.Elems())), q)
		})
		t.op(id("Copy", "x", tensor.F32, "to", q, "ne", tensor.MakeShape(n, 0)), q, 0, func(g *gen) *tensor.Tensor {
			return g.Cast(g.random(tensor.F32, tensor.MakeShape(n, 0)), q)
		})
		if q != tensor.Q8_0 {
			s := tensor.MakeShape(512, 2)
			t.op(id("Copy", "x", tensor.Q8_0, "to", q, "ne", s), q, 0, func(g *gen) *tensor.Tensor {
				return g.Cast(g.random(tensor.Q8_0, s), q)
			})
		}
	}
}

func copyIntegers(t *table) {
	s := tensor.MakeShape(45, 3, 2)
	for _, from := range integers {
		for _, to := range integers {
			for _, l := range []layout{packed, transposed} {
				t.op(id("Copy", "x", from, "to", to, "ne", s, "l", l), from, 0, func(g *gen) *tensor.Tensor {
					return g.Cast(g.laid(from, s, l), to)
				})
			}
			t.op(id("Copy", "x", from, "to", to, "values", "ends"), from, 0, func(g *gen) *tensor.Tensor {
				ends := []int64{0, 1, -1, 127, 128, -128, -129, 32767, 32768, -32768, -32769, math.MaxInt32, math.MinInt32}
				if from == tensor.I64 {
					ends = append(ends, math.MaxInt32+1, math.MinInt32-1, math.MaxInt64, math.MinInt64, 1<<32, 1<<53+1)
				}
				return g.Cast(g.ints(from, tensor.MakeShape(len(ends)), ends), to)
			})
		}
		t.op(id("Copy", "x", from, "to", tensor.F32, "ne", s), from, 0, func(g *gen) *tensor.Tensor {
			return g.Cast(g.random(from, s), tensor.F32)
		})
		t.op(id("Copy", "x", tensor.F32, "to", from, "ne", s), from, 0, func(g *gen) *tensor.Tensor {
			return g.Cast(g.random(tensor.F32, s), from)
		})
		// Halves go to the even integer, what is beyond the ends to the end, NaN to 0.
		t.op(id("Copy", "x", tensor.F32, "to", from, "special", true), from, 0, func(g *gen) *tensor.Tensor {
			return g.Cast(g.values(tensor.F32, tensor.MakeShape(140), g.special(140, true, true)), from)
		})
	}
}

// plain are the types that Concat and Repeat move.
var plain = []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.I8, tensor.I16, tensor.I32, tensor.I64}

func concatCases(t *table) {
	for dim := range tensor.MaxDims {
		for _, typ := range plain {
			t.op(id("Concat", "x", typ, "dim", dim), typ, 0, concatOf(typ, dim, 2, packed, packed))
		}
		for la := range numLayouts {
			lb := (la + 1 + layout(dim)) % numLayouts
			t.op(id("Concat", "x", tensor.F32, "dim", dim, "la", la, "lb", lb), tensor.F32, 0, concatOf(tensor.F32, dim, 3, la, lb))
			t.op(id("Concat", "x", tensor.F16, "dim", dim, "la", la, "lb", la), tensor.F16, 0, concatOf(tensor.F16, dim, 1, la, la))
		}
		t.op(id("Concat", "x", tensor.F32, "dim", dim, "bsize", 0), tensor.F32, 0, concatOf(tensor.F32, dim, 0, packed, packed))
	}
	t.op(id("Concat", "x", tensor.F32, "same", true), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		x := g.random(tensor.F32, tensor.MakeShape(33, 5))
		return g.Concat(x, x, 1)
	})
	t.op(id("Concat", "x", tensor.F32, "ne", "3000x2"), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		return g.Concat(g.random(tensor.F32, tensor.MakeShape(1000, 2)), g.random(tensor.F32, tensor.MakeShape(2000, 2)), 0)
	})
	t.op(id("Concat", "x", tensor.F32, "special", true), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		s := tensor.MakeShape(70)
		return g.Concat(g.values(tensor.F32, s, g.special(70, true, true)), g.random(tensor.F32, s), 0)
	})
}

// concatOf joins a tensor with one of another size along dim.
func concatOf(typ tensor.DType, dim, size int, la, lb layout) build {
	return func(g *gen) *tensor.Tensor {
		a := tensor.Shape{7, 4, 3, 2}
		b := a
		b[dim] = size
		if size == 0 {
			lb = packed
		}
		return g.Concat(g.laid(typ, a, la), g.laid(typ, b, lb), dim)
	}
}

func repeatCases(t *table) {
	s := tensor.Shape{5, 3, 2, 2}
	for _, typ := range plain {
		for dim := range tensor.MaxDims {
			to := s
			to[dim] *= 3
			t.op(id("Repeat", "x", typ, "to", to), typ, 0, func(g *gen) *tensor.Tensor {
				return g.Repeat(g.random(typ, s), to[:]...)
			})
		}
	}
	for l := range numLayouts {
		t.op(id("Repeat", "x", tensor.F32, "to", "15x6x4x6", "l", l), tensor.F32, 0, func(g *gen) *tensor.Tensor {
			return g.Repeat(g.laid(tensor.F32, s, l), 15, 6, 4, 6)
		})
	}
	for _, r := range [][2]tensor.Shape{
		{{1, 1, 1, 1}, {4099, 2, 1, 1}},
		{{1, 1, 1, 1}, {1, 1, 1, 1}},
		{{33, 1, 1, 1}, {33, 65, 1, 1}},
		{{1, 7, 1, 1}, {64, 7, 3, 1}},
		{{3, 2, 1, 1}, {0, 2, 1, 1}},
		{{4, 1, 1, 1}, {4, 0, 1, 1}},
	} {
		t.op(id("Repeat", "x", tensor.F32, "ne", dims4(r[0]), "to", dims4(r[1])), tensor.F32, 0, func(g *gen) *tensor.Tensor {
			return g.Repeat(g.random(tensor.F32, r[0]), r[1][:]...)
		})
	}
}
