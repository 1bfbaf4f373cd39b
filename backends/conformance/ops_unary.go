package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

func unaryCases(t *table) {
	for i := range tensor.Funcs() {
		f := tensor.Func(i)
		for _, typ := range floats {
			unaryOf(t, f, typ)
		}
		for _, s := range []tensor.Shape{{1, 1, 1, 1}, {0, 3, 1, 1}, {2051, 2, 1, 1}, {1, 37, 1, 1}} {
			t.op(id("Unary", "f", f, "x", tensor.F32, "ne", dims4(s)), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				return g.Unary(f, g.of(f, tensor.F32, s, packed))
			})
		}
	}
	gluCases(t)
}

func unaryOf(t *table, f tensor.Func, typ tensor.DType) {
	s := tensor.Shape{37, 3, 2, 2}
	for _, l := range []layout{packed, gaps, transposed} {
		if l == gaps && typ != tensor.F32 {
			continue
		}
		t.op(id("Unary", "f", f, "x", typ, "ne", s, "l", l), typ, 0, func(g *gen) *tensor.Tensor {
			return g.Unary(f, g.of(f, typ, s, l))
		})
	}
	t.op(id("Unary", "f", f, "x", typ, "special", true), typ, 0, func(g *gen) *tensor.Tensor {
		return g.Unary(f, g.values(typ, tensor.MakeShape(75, 2), g.specialFor(f, 150)))
	})
	t.op(id("Unary", "f", f, "x", typ, "ne", s), typ, inPlace, func(g *gen) *tensor.Tensor {
		return g.Unary(f, g.of(f, typ, s, packed))
	})
}

// of adds numbers that f is defined for, from small to large.
func (g *gen) of(f tensor.Func, typ tensor.DType, s tensor.Shape, l layout) *tensor.Tensor {
	v := g.normal(s.Elems(), 1)
	for i := range v {
		if i%3 == 0 {
			v[i] *= 8
		}
		if f == tensor.Log || f == tensor.Sqrt {
			v[i] = max(v[i], -v[i])
		}
	}
	return g.put(typ, s, l, v)
}

// specialFor returns special numbers for f. A device may take what is below the least normal number for
// 0, so that no function which tells it from 0 is asked; and no angle is asked for that float32 does not
// resolve.
func (g *gen) specialFor(f tensor.Func, n int) []float32 {
	tiny, huge := true, true
	switch f {
	case tensor.Sgn, tensor.Step, tensor.Ceil, tensor.Floor, tensor.Log, tensor.Sqrt:
		tiny = false
	case tensor.Sin, tensor.Cos:
		huge = false
	}
	return g.special(n, tiny, huge)
}

var gates = []tensor.GLU{
	{Act: tensor.ReLU},
	{Act: tensor.GELU},
	{Act: tensor.GELUErf},
	{Act: tensor.GELUQuick},
	{Act: tensor.SiLU},
	{Act: tensor.SiLU, OAI: true, Alpha: 1.702, Limit: 7},
	{Act: tensor.SiLU, OAI: true, Alpha: 0.5, Limit: 0.25},
}

func gluCases(t *table) {
	for _, op := range gates {
		name := op.Act.String()
		if op.OAI {
			name += "OAI"
		}
		params := func(more ...any) string {
			all := []any{"act", name}
			if op.OAI {
				all = append(all, "alpha", op.Alpha, "limit", op.Limit)
			}
			return id("GLU", append(all, more...)...)
		}
		for _, typ := range floats {
			gluOf(t, op, typ, params)
		}
		for _, s := range []tensor.Shape{{1, 1, 1, 1}, {0, 2, 1, 1}, {2051, 2, 1, 1}, {5, 3, 2, 2}} {
			t.op(params("x", tensor.F32, "ne", dims4(s)), tensor.F32, 0, func(g *gen) *tensor.Tensor {
				return g.Apply(op, g.random(tensor.F32, s), g.random(tensor.F32, s))
			})
		}
	}
}

func gluOf(t *table, op tensor.GLU, typ tensor.DType, params func(...any) string) {
	s := tensor.Shape{45, 3, 2, 1}
	for _, swapped := range []bool{false, true} { // both halves of one tensor, as a fused matrix gives them
		t.op(params("x", typ, "halves", true, "swapped", swapped), typ, 0, func(g *gen) *tensor.Tensor {
			both := g.random(typ, tensor.Shape{90, 3, 2, 1})
			gate, up := g.Slice(both, 0, 0, 45), g.Slice(both, 0, 45, 90)
			if swapped {
				gate, up = up, gate
			}
			return g.Apply(op, gate, up)
		})
	}
	t.op(params("x", typ, "l", "mixed"), typ, 0, func(g *gen) *tensor.Tensor {
		return g.Apply(op, g.laid(typ, s, permuted), g.laid(typ, s, transposed))
	})
	t.op(params("x", typ, "ne", s), typ, inPlace, func(g *gen) *tensor.Tensor {
		return g.Apply(op, g.random(typ, s), g.random(typ, s))
	})
	t.op(params("x", typ, "special", true), typ, 0, func(g *gen) *tensor.Tensor {
		// Where the activation is below the least normal number a device may have 0, and 0 times an
		// infinity is something else: infinities, and what narrow types make one of, meet moderate gates only.
		const n = 60
		x := g.special(n, false, true)
		var gate, up []float32
		for _, v := range x {
			for _, w := range []float32{x[g.rand.IntN(n)], x[g.rand.IntN(n)], 1, -2, 0} {
				if math.Abs(float64(v)) > 4 && math.Abs(float64(w)) > 60000 {
					w = float32(math.NaN())
				}
				gate, up = append(gate, v), append(up, w)
			}
		}
		s := tensor.MakeShape(len(gate))
		return g.Apply(op, g.values(typ, s, gate), g.values(typ, s, up))
	})
}
