package tensor_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// line returns the line it is called on.
func line() int {
	_, _, n, _ := runtime.Caller(1)
	return n
}

func TestFirstErrorStaysWithItsSite(t *testing.T) {
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(64, 5))
	w := leaf(tensor.Weight, tensor.F32, 32, 16)
	w.Name = "w"
	at := line() + 1
	bad := b.MatMul(w, x)
	// From here on the Builder takes everything and keeps the first error.
	bad = b.Add(bad, nil)
	bad = b.Slice(bad, 7, -1, 99)
	bad = b.Reshape(bad, 1<<40, 1<<40)
	bad = b.Contiguous(b.Name("y", b.Permute(bad, 9, 9, 9, 9)))
	bad = b.Add(b.Input("z", tensor.DType(99), tensor.MakeShape(-1)), bad)
	b.Fail(errors.New("too late"))
	g, err := b.Build(bad)
	if g != nil || err != b.Err() {
		t.Errorf("Build gives %v, %v; Err gives %v", g, err, b.Err())
	}
	wantError(t, err, tensor.ErrShape, "MatMul", fmt.Sprintf("builder_test.go:%d", at), "w F32 [32 16]", "x F32 [64 5]", "32 and 64")
	var op *tensor.OpError
	if !errors.As(err, &op) {
		t.Fatalf("%T is no OpError", err)
	}
	if op.Op != (tensor.MatMul{}) || !slices.Equal(op.Src, src(w, x)) || op.Site != fmt.Sprintf("builder_test.go:%d", at) {
		t.Errorf("%+v", op)
	}
}

// Methods that build several ops, or one through another, name the line of the one who called them.
func TestSiteIsTheCallers(t *testing.T) {
	ints := i32(64)
	for _, c := range []struct {
		name  string
		build func(b *tensor.Builder) int
	}{
		{"SoftCap", func(b *tensor.Builder) int { b.SoftCap(ints, 30); return line() }},
		{"SiLU", func(b *tensor.Builder) int { b.SiLU(ints); return line() }},
		{"Slice", func(b *tensor.Builder) int { b.Slice(ints, 0, 60, 70); return line() }},
		{"Cast", func(b *tensor.Builder) int { b.Cast(ints, tensor.Q8_0); return line() }},
		{"Apply", func(b *tensor.Builder) int { b.Apply(tensor.RMSNorm{}, ints); return line() }},
	} {
		b := tensor.NewBuilder()
		at := c.build(b)
		var op *tensor.OpError
		if !errors.As(b.Err(), &op) {
			t.Errorf("%s: %v", c.name, b.Err())
		} else if want := fmt.Sprintf("builder_test.go:%d", at); op.Site != want {
			t.Errorf("%s: site %s, want %s", c.name, op.Site, want)
		}
	}
}

func TestAbsentTensorIsAnError(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(b *tensor.Builder)
	}{
		{"Add", func(b *tensor.Builder) { b.Add(nil, nil) }},
		{"Reshape", func(b *tensor.Builder) { b.Reshape(nil, 1) }},
		{"Slice", func(b *tensor.Builder) { b.Slice(nil, 0, 0, 1) }},
		{"Contiguous", func(b *tensor.Builder) { b.Contiguous(nil) }},
		{"Name", func(b *tensor.Builder) { b.Add(b.Name("x", nil), nil) }},
		{"FlashAttn", func(b *tensor.Builder) { b.FlashAttn(tensor.FlashAttn{}, f32(1), nil, f32(1), nil, nil) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := tensor.NewBuilder()
			c.build(b)
			wantError(t, b.Err(), tensor.ErrArity, "absent", "builder_test.go:")
		})
	}
}

func TestFail(t *testing.T) {
	b := tensor.NewBuilder()
	mine := errors.New("no such gate")
	b.Fail(mine)
	b.Fail(errors.New("another"))
	if _, err := b.Build(); err != mine {
		t.Errorf("%v, want the first", err)
	}
}

func TestBadInput(t *testing.T) {
	b := tensor.NewBuilder()
	b.Input("tokens", tensor.I32, tensor.MakeShape(-1))
	wantError(t, b.Err(), tensor.ErrShape, `input "tokens"`, "-1")
}

func TestNames(t *testing.T) {
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(64, 5))
	b.Layer(3)
	y := b.Add(x, x)
	z := b.Name("q", b.Mul(y, x))
	v := b.Reshape(z, 8, 8, 5)
	b.Layer(-1)
	w := b.Name("out", b.SiLU(v))
	if y.Name != "blk.3.add.0" || z.Name != "blk.3.q" || v.Name != "blk.3.q" || w.Name != "out" {
		t.Errorf("%q %q %q %q", y.Name, z.Name, v.Name, w.Name)
	}
	if y.Layer != 3 || v.Layer != 3 || w.Layer != -1 || x.Layer != -1 {
		t.Errorf("layers %d %d %d %d", y.Layer, v.Layer, w.Layer, x.Layer)
	}
	if b.Name("other", x); x.Name != "x" {
		t.Errorf("a leaf was renamed to %q", x.Name)
	}
}

func TestContiguousCopiesOnlyWhatHasGaps(t *testing.T) {
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F16, tensor.MakeShape(6, 4))
	if b.Contiguous(x) != x {
		t.Error("a packed tensor was copied")
	}
	y := b.Contiguous(b.Permute(x, 1, 0, 2, 3))
	if y.Op != (tensor.Copy{Type: tensor.F16}) || y.Shape != tensor.MakeShape(4, 6) || !y.Contiguous() {
		t.Errorf("%v by %v", y, y.Op)
	}
}

func TestBuildPrunes(t *testing.T) {
	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(64, 3))
	idx := b.Input("idx", tensor.I32, tensor.MakeShape(3))
	unused := b.Input("unused", tensor.F32, tensor.MakeShape(64, 3))
	cache := leaf(tensor.Cache, tensor.F16, 64, 128)
	w := leaf(tensor.Weight, tensor.F32, 64, 64)

	k := b.Name("k", b.MatMul(w, x))
	write := b.SetRows(b.Slice(cache, 1, 0, 64), k, idx) // nobody reads it in this graph
	dead := b.Add(unused, x)
	_ = b.Mul(dead, dead)
	out := b.Name("out", b.SiLU(x))
	g, err := b.Build(b.Reshape(out, 192))
	if err != nil {
		t.Fatal(err)
	}
	if want := src(k, write, out); !slices.Equal(g.Nodes, want) {
		t.Errorf("nodes %v, want %v", g.Nodes, want)
	}
	if want := src(x, idx); !slices.Equal(g.Inputs, want) {
		t.Errorf("inputs %v, want %v", g.Inputs, want)
	}
	if len(g.Outputs) != 1 || !g.Outputs[0].IsView() || g.Outputs[0].Root() != out {
		t.Errorf("outputs %v", g.Outputs)
	}
	if err := g.Verify(); err != nil {
		t.Error(err)
	}
}

// A read after a write goes through the write's result: the order of effects is the order of the nodes.
func TestCacheReadsFollowWrites(t *testing.T) {
	b := tensor.NewBuilder()
	cache := leaf(tensor.Cache, tensor.F16, 64, 128)
	x := b.Input("x", tensor.F32, tensor.MakeShape(64, 3))
	idx := b.Input("idx", tensor.I64, tensor.MakeShape(3))
	after := b.SetRows(cache, x, idx)
	part := b.Slice(after, 1, 0, 32)
	if after.Base != cache || part.Base != cache || after.IsView() || !part.IsView() || after.Stride != cache.Stride {
		t.Errorf("the written cache lies in %v, its part in %v", after.Base, part.Base)
	}
	g, err := b.Build(b.MatMul(part, x))
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 2 || g.Nodes[0] != after {
		t.Errorf("nodes %v", g.Nodes)
	}
}

// Weights are mapped from a file that cannot be written: such a graph must not be built.
func TestWeightsAreNotWritten(t *testing.T) {
	b := tensor.NewBuilder()
	w := leaf(tensor.Weight, tensor.F32, 64, 8)
	b.SetRows(b.Slice(w, 1, 0, 4), f32(64, 3), i32(3))
	wantError(t, b.Err(), tensor.ErrType, "SetRows", "weight")
}
