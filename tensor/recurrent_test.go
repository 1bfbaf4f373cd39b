package tensor_test

import (
	"errors"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func TestGatedDeltaNetRefusals(t *testing.T) {
	good := func() []*tensor.Tensor {
		return []*tensor.Tensor{f32(32, 2, 5, 2), f32(32, 2, 5, 2), f32(48, 4, 5, 2), f32(32, 4, 5, 2), f32(1, 4, 5, 2), f32(32, 48, 4, 2)}
	}
	if _, s, err := (tensor.GatedDeltaNet{States: 1}).Infer(good()); err != nil || s != tensor.MakeShape(192, 74) {
		t.Fatalf("%v %v", s, err)
	}
	for i, bad := range []*tensor.Tensor{
		f32(32, 1, 5, 2), f32(32, 3, 5, 2), f32(48, 3, 5, 2), f32(16, 4, 5, 2), f32(4, 5, 2), f32(48, 32, 4, 2),
	} {
		src := good()
		src[i] = bad
		if _, _, err := (tensor.GatedDeltaNet{States: 1}).Infer(src); !errors.Is(err, tensor.ErrShape) {
			t.Errorf("source %d as %v: %v", i, bad, err)
		}
		src[i] = i32(5)
		if _, _, err := (tensor.GatedDeltaNet{States: 1}).Infer(src); !errors.Is(err, tensor.ErrType) {
			t.Errorf("source %d as I32: %v", i, err)
		}
	}
	for _, states := range []int{-1, 0, 1 << 62} {
		if _, _, err := (tensor.GatedDeltaNet{States: states}).Infer(good()); !errors.Is(err, tensor.ErrShape) {
			t.Errorf("%d states: %v", states, err)
		}
	}
	if _, _, err := (tensor.GatedDeltaNet{States: 1}).Infer(good()[:5]); !errors.Is(err, tensor.ErrArity) {
		t.Errorf("5 sources: %v", err)
	}
}

// TestGatedDeltaNetViews checks that both parts are views of one result.
func TestGatedDeltaNetViews(t *testing.T) {
	b := tensor.NewBuilder()
	in := func(sizes ...int) *tensor.Tensor { return b.Input("in", tensor.F32, tensor.MakeShape(sizes...)) }
	out, after := b.GatedDeltaNet(in(32, 2, 5, 2), in(32, 2, 5, 2), in(48, 4, 5, 2), in(1, 4, 5, 2), in(1, 4, 5, 2), in(32, 48, 4, 2), 3)
	g, err := b.Build(out, after)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 1 || out.Root() != g.Nodes[0] || after.Root() != g.Nodes[0] {
		t.Errorf("%d nodes", len(g.Nodes))
	}
	if out.Shape != tensor.MakeShape(48, 4, 5, 2) || after.Shape != tensor.MakeShape(32*48*4, 6) || after.Offset != 4*out.Shape.Elems() {
		t.Errorf("out %v, after %v at %d", out, after, after.Offset)
	}
	if err := g.Verify(); err != nil {
		t.Error(err)
	}
}
