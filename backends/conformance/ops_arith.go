package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// The types that arithmetic reads element by element.
var floats = []tensor.DType{tensor.F32, tensor.F16, tensor.BF16}

var arithOps = []struct {
	name string
	op   tensor.Op
}{{"Add", tensor.Add{}}, {"Sub", tensor.Sub{}}, {"Mul", tensor.Mul{}}, {"Div", tensor.Div{}}}

func arithCases(t *table) {
	for _, o := range arithOps {
		arithTypes(t, o.name, o.op)
		arithBroadcast(t, o.name, o.op)
		arithShapes(t, o.name, o.op)
	}
	addIDCases(t)
	scaleCases(t)
	clampCases(t)
}

// arithTypes has every pair of types, over ordinary and over special numbers.
func arithTypes(t *table, name string, op tensor.Op) {
	for _, ta := range floats {
		for _, tb := range floats {
			s := tensor.MakeShape(33, 5, 1, 2)
			t.op(id(name, "a", ta, "b", tb, "ne", s), ta, 0, func(g *gen) *tensor.Tensor {
				return g.Apply(op, g.random(ta, s), g.random(tb, s))
			})
			t.op(id(name, "a", ta, "b", tb, "ne", s, "brow", true), ta, 0, func(g *gen) *tensor.Tensor {
				return g.Apply(op, g.random(ta, s), g.random(tb, tensor.MakeShape(33)))
			})
		}
		// Every special number meets every other.
		t.op(id(name, "a", ta, "special", true), ta, 0, func(g *gen) *tensor.Tensor {
			const n = 61
			x := g.special(n, name != "Div", true)
			cols := make([]float32, 0, n*n)
			for _, v := range x {
				for range n {
					cols = append(cols, v)
				}
			}
			s := tensor.MakeShape(n, n)
			return g.Apply(op, g.values(ta, s, cols), g.values(ta, tensor.MakeShape(n), x))
		})
	}
}

// arithBroadcast repeats b along every set of dimensions, whole or in parts.
func arithBroadcast(t *table, name string, op tensor.Op) {
	s := tensor.Shape{6, 4, 3, 2}
	sizes := [4][]int{{1, 3, 6}, {1, 2, 4}, {1, 3}, {1, 2}}
	i := 0
	for _, b0 := range sizes[0] {
		for _, b1 := range sizes[1] {
			for _, b2 := range sizes[2] {
				for _, b3 := range sizes[3] {
					b := tensor.Shape{b0, b1, b2, b3}
					la, lb := layout(i)%numLayouts, layout(i/2)%numLayouts
					i++
					t.op(id(name, "a", tensor.F32, "b", tensor.F32, "ne", s, "bne", dims4(b), "la", la, "lb", lb), tensor.F32, 0,
						func(g *gen) *tensor.Tensor {
							return g.Apply(op, g.laid(tensor.F32, s, la), g.laid(tensor.F32, b, lb))
						})
				}
			}
		}
	}
}

// dims4 is a shape whose id shows all four sizes.
func dims4(s tensor.Shape) string {
	text := id("", "", s)[2:]
	for d := s.Dims(); d < tensor.MaxDims; d++ {
		text += "x1"
	}
	return text
}

// arithShapes has odd sizes, empty ones, and results written over a.
func arithShapes(t *table, name string, op tensor.Op) {
	one := tensor.MakeShape(1)
	for _, s := range []tensor.Shape{{1, 1, 1, 1}, {1, 7, 1, 1}, {0, 2, 1, 1}, {4, 0, 2, 1}, {2, 3, 1, 0}, {1, 1, 9, 1}, {257, 3, 1, 1}, {2051, 3, 1, 1}, {7, 5, 3, 2}} {
		t.op(id(name, "a", tensor.F32, "ne", dims4(s)), tensor.F32, 0, func(g *gen) *tensor.Tensor {
			return g.Apply(op, g.random(tensor.F32, s), g.random(tensor.F32, s))
		})
		t.op(id(name, "a", tensor.F32, "ne", dims4(s), "bne", one), tensor.F32, 0, func(g *gen) *tensor.Tensor {
			return g.Apply(op, g.random(tensor.F32, s), g.random(tensor.F32, one))
		})
	}
	for _, ta := range floats {
		s := tensor.MakeShape(67, 9, 2)
		t.op(id(name, "a", ta, "b", tensor.F32, "ne", s), ta, inPlace, func(g *gen) *tensor.Tensor {
			return g.Apply(op, g.random(ta, s), g.random(tensor.F32, tensor.MakeShape(67, 1, 2)))
		})
	}
	t.op(id(name, "same", true), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		x := g.random(tensor.F32, tensor.MakeShape(50, 3))
		return g.Apply(op, x, x)
	})
	t.op(id(name, "same", true), tensor.F32, inPlace, func(g *gen) *tensor.Tensor {
		x := g.random(tensor.F32, tensor.MakeShape(50, 3))
		return g.Apply(op, x, x)
	})
	t.op(id(name, "b", "stride0"), tensor.F32, 0, func(g *gen) *tensor.Tensor { // broadcast by a stride of 0
		row := g.random(tensor.F32, tensor.MakeShape(19))
		b := g.View(row, tensor.MakeShape(19, 4, 2), tensor.Strides{4, 0, 0, 0}, 0)
		return g.Apply(op, g.random(tensor.F32, tensor.MakeShape(19, 4, 2)), b)
	})
}

func addIDCases(t *table) {
	for _, p := range []struct{ n, used, tok, experts int }{
		{1, 1, 1, 1}, {7, 3, 4, 5}, {32, 2, 1, 8}, {257, 4, 9, 3}, {64, 8, 2, 128}, {0, 2, 2, 4}, {5, 2, 0, 4}, {5, 0, 3, 4},
	} {
		for _, l := range []layout{packed, gaps, permuted} {
			if l != packed && p.n*p.used*p.tok == 0 {
				continue
			}
			t.op(id("AddID", "n", p.n, "used", p.used, "tok", p.tok, "experts", p.experts, "l", l), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				a := g.laid(tensor.F32, tensor.MakeShape(p.n, p.used, p.tok), l)
				// As a router gives them: the first of wider rows. Few experts make them repeat.
				ids := g.Slice(g.indices(tensor.I32, tensor.MakeShape(p.used+3, p.tok), p.experts), 0, 0, p.used)
				return g.AddID(a, g.random(tensor.F32, tensor.MakeShape(p.n, p.experts)), ids)
			})
		}
	}
	t.op(id("AddID", "n", 40, "used", 2, "tok", 3, "experts", 4), tensor.F32, inPlace, func(g *gen) *tensor.Tensor {
		return g.AddID(g.random(tensor.F32, tensor.MakeShape(40, 2, 3)), g.random(tensor.F32, tensor.MakeShape(40, 4)),
			g.indices(tensor.I32, tensor.MakeShape(2, 3), 4))
	})
	for _, bad := range []int64{-1, 5, 1 << 30, math.MinInt32} {
		t.op(id("AddID", "n", 40, "experts", 5, "id", bad), tensor.F32, indexError, func(g *gen) *tensor.Tensor {
			return g.AddID(g.random(tensor.F32, tensor.MakeShape(40, 2, 2)), g.random(tensor.F32, tensor.MakeShape(40, 5)),
				g.ints(tensor.I32, tensor.MakeShape(2, 2), []int64{0, 4, bad, 1}))
		})
	}
}

func scaleCases(t *table) {
	for _, typ := range floats {
		for _, op := range []tensor.Scale{{Scale: 1}, {Scale: -1.25, Bias: 3}, {Scale: 0, Bias: 0.5}, {Scale: 1e-3}} {
			for l := range numLayouts {
				t.op(id("Scale", "x", typ, "scale", op.Scale, "bias", op.Bias, "l", l), typ, 0, func(g *gen) *tensor.Tensor {
					return g.Apply(op, g.laid(typ, tensor.Shape{19, 3, 2, 2}, l))
				})
			}
		}
		t.op(id("Scale", "x", typ, "special", true), typ, 0, func(g *gen) *tensor.Tensor {
			return g.Apply(tensor.Scale{Scale: -2, Bias: 1}, g.values(typ, tensor.MakeShape(70, 2), g.special(140, true, true)))
		})
		t.op(id("Scale", "x", typ, "ne", "2051x3"), typ, inPlace, func(g *gen) *tensor.Tensor {
			return g.Scale(g.random(typ, tensor.MakeShape(2051, 3)), 0.25)
		})
		t.op(id("Scale", "x", typ, "ne", "0x3"), typ, 0, func(g *gen) *tensor.Tensor {
			return g.Scale(g.random(typ, tensor.MakeShape(0, 3)), 0.25)
		})
	}
}

func clampCases(t *table) {
	inf := float32(math.Inf(1))
	for _, typ := range floats {
		for i, op := range []tensor.Clamp{{Min: -0.5, Max: 0.75}, {Min: 0, Max: inf}, {Min: -inf, Max: -0.25}, {Min: 1, Max: 1}} {
			l := layout(i+1) % numLayouts
			t.op(id("Clamp", "x", typ, "min", op.Min, "max", op.Max, "l", l), typ, 0, func(g *gen) *tensor.Tensor {
				return g.Apply(op, g.laid(typ, tensor.Shape{19, 3, 2, 2}, l))
			})
			t.op(id("Clamp", "x", typ, "min", op.Min, "max", op.Max, "special", true), typ, 0, func(g *gen) *tensor.Tensor {
				return g.Apply(op, g.values(typ, tensor.MakeShape(70, 2), g.special(140, true, true)))
			})
		}
		t.op(id("Clamp", "x", typ, "ne", "2051x3"), typ, inPlace, func(g *gen) *tensor.Tensor {
			return g.Clamp(g.random(typ, tensor.MakeShape(2051, 3)), -0.1, 0.1)
		})
	}
}
