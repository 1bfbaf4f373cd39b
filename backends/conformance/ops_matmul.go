package conformance

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// matMulParams has the names of the field: a holds m rows of k weights, b holds n rows of k numbers.
type matMulParams struct {
	a, b    tensor.DType
	m, n, k int
	pa, pb  [2]int // planes; zero for one
	la, lb  layout
	exact   bool
}

func (p matMulParams) id() string {
	all := []any{"a", p.a, "b", p.b, "m", p.m, "n", p.n, "k", p.k}
	if p.pa[0] > 0 {
		all = append(all, "pa", id("", "", tensor.MakeShape(p.pa[:]...))[2:], "pb", id("", "", tensor.MakeShape(p.pb[:]...))[2:])
	}
	if p.la != packed || p.lb != packed {
		all = append(all, "la", p.la, "lb", p.lb)
	}
	if p.exact {
		all = append(all, "exact", true)
	}
	return id("MatMul", all...)
}

func (t *table) matMul(p matMulParams) {
	t.op(p.id(), p.a, 0, func(g *gen) *tensor.Tensor { return g.matMul(p) })
}

func (g *gen) matMul(p matMulParams) *tensor.Tensor {
	pa, pb := p.pa, p.pb
	if pa[0] == 0 {
		pa, pb = [2]int{1, 1}, [2]int{1, 1}
	}
	a := g.as(tensor.Weight, g.laid(p.a, tensor.Shape{p.k, p.m, pa[0], pa[1]}, p.la))
	b := g.laid(p.b, tensor.Shape{p.k, p.n, pb[0], pb[1]}, p.lb)
	return g.Apply(tensor.MatMul{Exact: p.exact}, a, b)
}

// factorTypes are the types of a.
func factorTypes() []tensor.DType {
	return append(append([]tensor.DType(nil), floats...), quantized()...)
}

func matMulCases(t *table) {
	for _, a := range factorTypes() {
		matMulType(t, a)
	}
	matMulFloats(t)
	matMulPlanes(t)
	matMulLayouts(t)
	matMulValues(t)
}

// matMulType has one and many tokens, for rows of one block and of several.
func matMulType(t *table, a tensor.DType) {
	block, _ := a.Block()
	block = max(block, 32)
	long := 3 * block
	if block == 32 {
		long = 416
	}
	for _, exact := range []bool{false, true} {
		for _, k := range []int{block, long} {
			for _, n := range []int{1, 2, 9} {
				t.matMul(matMulParams{a: a, b: tensor.F32, m: 16, n: n, k: k, exact: exact})
			}
		}
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 1, n: 1, k: block, exact: exact})
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 33, n: 33, k: block, exact: exact})
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 50, n: 19, k: long, exact: exact}) // some of a second tile
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 144, n: 139, k: block, exact: exact})
	}
	for _, b := range floats[1:] {
		t.matMul(matMulParams{a: a, b: b, m: 7, n: 3, k: block})
		t.matMul(matMulParams{a: a, b: b, m: 7, n: 3, k: block, exact: true})
	}
	for _, l := range [][2]layout{{gaps, packed}, {inside, permuted}, {permuted, gaps}, {packed, transposed}} {
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 6, n: 3, k: block, pa: [2]int{2, 1}, pb: [2]int{4, 1}, la: l[0], lb: l[1]})
	}
	t.matMul(matMulParams{a: a, b: tensor.F32, m: 16, n: 2, k: 0})
	t.matMul(matMulParams{a: a, b: tensor.F32, m: 0, n: 2, k: block})
	t.matMul(matMulParams{a: a, b: tensor.F32, m: 5, n: 0, k: block})
}

// matMulFloats has sizes that no tile divides.
func matMulFloats(t *table) {
	for _, a := range floats {
		for _, k := range []int{1, 2, 7, 31, 33, 65, 127, 255, 257, 1000, 1031} {
			m, n := 5+k%13, 1+k%7
			t.matMul(matMulParams{a: a, b: tensor.F32, m: m, n: n, k: k})
			t.matMul(matMulParams{a: a, b: tensor.F32, m: m, n: n, k: k, exact: true})
		}
		for _, s := range [][2]int{{1, 65}, {63, 1}, {129, 2}, {17, 64}, {64, 17}, {65, 65}, {300, 1}} {
			t.matMul(matMulParams{a: a, b: tensor.F32, m: s[0], n: s[1], k: 40})
		}
	}
	for _, a := range []tensor.DType{tensor.Q4_0, tensor.Q8_0, tensor.Q4_K, tensor.Q6_K} {
		for _, s := range [][2]int{{1, 65}, {63, 1}, {129, 2}, {17, 64}, {65, 33}, {300, 1}} {
			t.matMul(matMulParams{a: a, b: tensor.F32, m: s[0], n: s[1], k: 256})
		}
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 9, n: 3, k: 4096})
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 9, n: 1, k: 4096, exact: true})
	}
}

// matMulPlanes repeats a along dimensions 2 and 3.
func matMulPlanes(t *table) {
	for _, a := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0, tensor.Q4_K} {
		block, _ := a.Block()
		for _, p := range [][4]int{{1, 1, 3, 2}, {3, 1, 3, 2}, {1, 2, 3, 2}, {3, 2, 3, 2}, {2, 1, 6, 1}, {2, 3, 4, 6}} {
			for _, exact := range []bool{false, true} {
				t.matMul(matMulParams{
					a: a, b: tensor.F32, m: 5, n: 3, k: max(block, 24), pa: [2]int{p[0], p[1]}, pb: [2]int{p[2], p[3]}, exact: exact,
				})
			}
		}
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 5, n: 3, k: max(block, 24), pa: [2]int{2, 1}, pb: [2]int{0, 1}})
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 20, n: 37, k: max(block, 64), pa: [2]int{2, 1}, pb: [2]int{4, 3}})
		t.matMul(matMulParams{a: a, b: tensor.F32, m: 20, n: 37, k: max(block, 64), pa: [2]int{2, 1}, pb: [2]int{4, 3}, lb: transposed})
	}
}

func matMulLayouts(t *table) {
	for _, a := range []tensor.DType{tensor.F32, tensor.F16} {
		for la := range numLayouts {
			for lb := range numLayouts {
				t.matMul(matMulParams{a: a, b: tensor.F32, m: 6, n: 4, k: 35, pa: [2]int{2, 1}, pb: [2]int{2, 2}, la: la, lb: lb})
			}
		}
	}
	t.op(id("MatMul", "a", tensor.F32, "b", tensor.F32, "same", true), tensor.F32, 0, func(g *gen) *tensor.Tensor {
		x := g.random(tensor.F32, tensor.MakeShape(40, 9))
		return g.MatMul(x, x)
	})
}

// matMulValues has what is not finite, and columns that cancel.
func matMulValues(t *table) {
	for _, a := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0, tensor.Q4_K} {
		for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			for _, exact := range []bool{false, true} {
				for _, n := range []int{4, 36} {
					t.op(id("MatMul", "a", a, "b", tensor.F32, "n", n, "value", bad, "exact", exact), a, 0, func(g *gen) *tensor.Tensor {
						v := g.normal(256*n, 1)
						v[256+255] = float32(bad) // spoils its row of b and no other
						return g.Apply(tensor.MatMul{Exact: exact}, g.random(a, tensor.MakeShape(256, 5)), g.values(tensor.F32, tensor.MakeShape(256, n), v))
					})
				}
			}
		}
		t.op(id("MatMul", "a", a, "b", tensor.F32, "value", "zero"), a, 0, func(g *gen) *tensor.Tensor {
			return g.MatMul(g.random(a, tensor.MakeShape(256, 5)), g.values(tensor.F32, tensor.MakeShape(256, 4), make([]float32, 1024)))
		})
		t.op(id("MatMul", "a", a, "b", tensor.F32, "value", "scales"), a, 0, func(g *gen) *tensor.Tensor { // rows of b of very different sizes
			v := g.normal(256*4, 1)
			for i := range v {
				v[i] *= []float32{1, 1e-6, 1e4, 1e-3}[i/256]
			}
			return g.MatMul(g.random(a, tensor.MakeShape(256, 5)), g.values(tensor.F32, tensor.MakeShape(256, 4), v))
		})
	}
}
