package backends

import (
	"errors"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// TestFusionMatch has nodes that are a fusion, and some that only look like it.
func TestFusionMatch(t *testing.T) {
	b := tensor.NewBuilder()
	in := func(name string, sizes ...int) *tensor.Tensor {
		return b.Input(name, tensor.F32, tensor.MakeShape(sizes...))
	}
	x, y, w, bias := in("x", 8, 4), in("y", 8, 4), in("w", 8, 8), in("bias", 8)
	pos := b.Input("pos", tensor.I32, tensor.MakeShape(4))
	cache := in("cache", 8, 16)
	rope := func() *tensor.Tensor { return b.RoPE(tensor.RoPE{Dims: 4, Base: 100}, b.Reshape(x, 4, 2, 4), pos, nil) }
	type nodes = []*tensor.Tensor
	norm, sum, product, turned := b.RMSNorm(x, 1), b.Add(x, y), b.MatMul(w, x), rope()
	ofSum, ofX, exact := b.RMSNorm(sum, 1), b.MatMul(w, y), b.MatMulExact(w, x)
	third := b.Scale(x, 1./3)
	tanh, silu := b.Unary(tensor.Tanh, third), b.Unary(tensor.SiLU, third)
	rows := b.Reshape(turned, 8, 4)
	same := b.MatMul(w, x)
	for _, c := range []struct {
		name string
		f    Fusion
		n    nodes
		is   bool
	}{
		{"a norm and its gain", RMSNormMul, nodes{norm, b.Mul(norm, bias)}, true},
		{"a gain as large as the norm", RMSNormMul, nodes{norm, b.Mul(norm, x)}, true},
		{"the norm as the gain", RMSNormMul, nodes{norm, b.Mul(x, norm)}, false},
		{"a norm times itself", RMSNormMul, nodes{norm, b.Mul(norm, norm)}, false},
		{"a norm times a part of itself", RMSNormMul, nodes{norm, b.Mul(norm, b.Slice(norm, 1, 0, 1))}, false},
		{"another norm", RMSNormMul, nodes{norm, b.Mul(ofSum, bias)}, false},
		{"a norm and a sum", RMSNormMul, nodes{norm, b.Add(norm, bias)}, false},
		{"a residual", AddRMSNormMul, nodes{sum, ofSum, b.Mul(ofSum, bias)}, true},
		{"a norm of something else", AddRMSNormMul, nodes{sum, norm, b.Mul(norm, bias)}, false},
		{"the sum as gain", AddRMSNormMul, nodes{sum, ofSum, b.Mul(ofSum, sum)}, false},
		{"keys into a cache", RoPESetRows, nodes{turned, b.SetRows(cache, rows, pos)}, true},
		{"other rows into a cache", RoPESetRows, nodes{turned, b.SetRows(cache, x, pos)}, false},
		{"some of the keys", RoPESetRows, nodes{turned, b.SetRows(cache, b.Slice(rows, 1, 0, 2), b.Slice(pos, 0, 0, 2))}, false},
		{"a bias", MatMulAdd, nodes{product, b.Add(product, bias)}, true},
		{"a residual behind", MatMulAdd, nodes{product, b.Add(product, y)}, true},
		{"a residual before", MatMulAdd, nodes{product, b.Add(y, product)}, true},
		{"twice the product", MatMulAdd, nodes{product, b.Add(product, product)}, false},
		{"a sum beside it", MatMulAdd, nodes{product, b.Add(x, y)}, false},
		{"a gate", MatMulGLU, nodes{product, same, b.GLU(tensor.SiLU, product, same)}, true},
		{"a gate of the second product", MatMulGLU, nodes{product, same, b.GLU(tensor.SiLU, same, product)}, false},
		{"products of other numbers", MatMulGLU, nodes{product, ofX, b.GLU(tensor.SiLU, product, ofX)}, false},
		{"one product exact", MatMulGLU, nodes{product, exact, b.GLU(tensor.SiLU, product, exact)}, false},
		{"a cap", SoftCap, nodes{third, tanh, b.Scale(tanh, 3)}, true},
		{"another function", SoftCap, nodes{third, silu, b.Scale(silu, 3)}, false},
	} {
		if err := b.Err(); err != nil {
			t.Fatal(err)
		}
		if got := c.f.Match(c.n); got != c.is {
			t.Errorf("%s: Match says %v", c.name, got)
		}
		g := Subgraph{Nodes: append(nodes{x}, c.n...), Groups: []Group{{c.f, 1, 1 + len(c.n)}}}
		if err := g.CheckGroups(); (err == nil) != c.is || err != nil && !errors.Is(err, ErrGroup) {
			t.Errorf("%s: CheckGroups says %v", c.name, err)
		}
	}
}

func TestCheckGroups(t *testing.T) {
	b := tensor.NewBuilder()
	x, none := b.Input("x", tensor.F32, tensor.MakeShape(8, 4)), b.Input("none", tensor.F32, tensor.MakeShape(8, 0))
	n, empty := b.RMSNorm(x, 1), b.RMSNorm(none, 1)
	g := Subgraph{Nodes: []*tensor.Tensor{n, b.Mul(n, x), empty, b.Mul(empty, none)}}
	for _, c := range []struct {
		name   string
		groups []Group
		ok     bool
	}{
		{"none", nil, true},
		{"one", []Group{{RMSNormMul, 0, 2}}, true},
		{"twice the same", []Group{{RMSNormMul, 0, 2}, {RMSNormMul, 0, 2}}, false},
		{"of another length", []Group{{RMSNormMul, 0, 3}}, false},
		{"before the first node", []Group{{RMSNormMul, -1, 1}}, false},
		{"behind the last node", []Group{{RMSNormMul, 3, 5}}, false},
		{"without elements", []Group{{RMSNormMul, 2, 4}}, false},
		{"of a fusion that there is not", []Group{{numFusions, 0, 2}}, false},
	} {
		g.Groups = c.groups
		if err := g.CheckGroups(); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrGroup) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestFusionNames(t *testing.T) {
	for _, f := range Fusions() {
		if got, ok := ParseFusion(f.String()); !ok || got != f {
			t.Errorf("%v is parsed as %v, %v", f, got, ok)
		}
		if f.Inner(f.Len()-1) || f.Len() < 2 {
			t.Errorf("the last result of %v is not stored", f)
		}
	}
	if _, ok := ParseFusion("Mul"); ok {
		t.Error("Mul is a fusion")
	}
	if got, want := numFusions.String(), "Fusion(7)"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	err := &UnsupportedError{Device: "Vulkan0", Node: "blk.3.h", Fusion: "RMSNorm+Mul", Reason: "rows of 7"}
	if got, want := err.Error(), "Vulkan0 cannot fuse RMSNorm+Mul (blk.3.h): rows of 7"; got != want || !errors.Is(err, ErrUnsupported) {
		t.Errorf("%s, want %s", got, want)
	}
}
