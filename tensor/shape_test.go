package tensor_test

import (
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func TestShapeElems(t *testing.T) {
	for _, c := range []struct {
		s    tensor.Shape
		want int
	}{
		{tensor.MakeShape(), 1},
		{tensor.MakeShape(64, 8, 5), 2560},
		{tensor.MakeShape(3, 0, 5), 0},
		{tensor.Shape{}, 0},
		{tensor.MakeShape(-1), -1},
		{tensor.MakeShape(0, -1), -1},
		{tensor.MakeShape(-2, -2), -1},
		{tensor.MakeShape(math.MinInt, math.MinInt), -1},
		{tensor.MakeShape(1 << 62), 1 << 62},
		{tensor.MakeShape(1<<62, 2), -1},
		{tensor.MakeShape(1<<32, 1<<32), -1},
		{tensor.MakeShape(1<<31, 1<<31, 1<<31, 1<<31), -1},
		{tensor.MakeShape(math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt), -1},
		// A size of 0 must not hide the others: strides and row counts are made of them.
		{tensor.MakeShape(0, 1<<40, 1<<40), -1},
		{tensor.MakeShape(1<<40, 1<<40, 0), -1},
	} {
		if got := c.s.Elems(); got != c.want {
			t.Errorf("%v has %d elements, want %d", c.s, got, c.want)
		}
	}
}

func TestShapeRowsDimsString(t *testing.T) {
	for _, c := range []struct {
		s          tensor.Shape
		rows, dims int
		text       string
	}{
		{tensor.MakeShape(), 1, 1, "[1]"},
		{tensor.MakeShape(7), 1, 1, "[7]"},
		{tensor.MakeShape(7, 1, 3), 3, 3, "[7 1 3]"},
		{tensor.MakeShape(2, 3, 4, 5), 60, 4, "[2 3 4 5]"},
		{tensor.MakeShape(2, 0), 0, 2, "[2 0]"},
	} {
		if c.s.Rows() != c.rows || c.s.Dims() != c.dims || c.s.String() != c.text {
			t.Errorf("%v: %d rows, %d dimensions; want %s, %d, %d", c.s, c.s.Rows(), c.s.Dims(), c.text, c.rows, c.dims)
		}
	}
}

func TestMakeShapePanicsOnFive(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("five sizes made a shape")
		}
	}()
	tensor.MakeShape(1, 2, 3, 4, 5)
}

func TestPackedStrides(t *testing.T) {
	for _, c := range []struct {
		t    tensor.DType
		s    tensor.Shape
		want tensor.Strides
	}{
		{tensor.F32, tensor.MakeShape(5, 3, 2), tensor.Strides{4, 20, 60, 120}},
		{tensor.F16, tensor.MakeShape(1), tensor.Strides{2, 2, 2, 2}},
		{tensor.Q8_0, tensor.MakeShape(64, 3, 2), tensor.Strides{34, 68, 204, 408}},
		{tensor.Q4_K, tensor.MakeShape(256, 1, 1, 7), tensor.Strides{144, 144, 144, 144}},
	} {
		if got := c.s.Packed(c.t); got != c.want {
			t.Errorf("%s %v: strides %v, want %v", c.t, c.s, got, c.want)
		}
	}
}

func TestRepeats(t *testing.T) {
	s := tensor.MakeShape(6, 4, 1, 0)
	for _, c := range []struct {
		r    tensor.Shape
		want bool
	}{
		{tensor.MakeShape(6, 4, 1, 0), true},
		{tensor.MakeShape(1, 1, 1, 1), true},
		{tensor.MakeShape(3, 2, 1, 9), true}, // nothing is repeated no times
		{tensor.MakeShape(4), false},
		{tensor.MakeShape(6, 8), false},
		{tensor.MakeShape(6, 4, 2), false},
		{tensor.MakeShape(0), false},
		{tensor.MakeShape(6, 4, 0), false},
	} {
		if got := s.Repeats(c.r); got != c.want {
			t.Errorf("%v repeats to %v: %v, want %v", c.r, s, got, c.want)
		}
	}
}

func TestNewLeaf(t *testing.T) {
	x, err := tensor.NewLeaf(tensor.Weight, "w", tensor.Q8_0, tensor.MakeShape(64, 3))
	if err != nil {
		t.Fatal(err)
	}
	if x.Bytes() != 204 || !x.Contiguous() || !x.ContiguousRows() || x.IsView() || x.Root() != x || x.Layer != -1 {
		t.Errorf("leaf %v: %d bytes, layer %d", x, x.Bytes(), x.Layer)
	}
	if got, want := x.String(), "w Q8_0 [64 3]"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if (*tensor.Tensor)(nil).String() != "absent" {
		t.Error("a nil tensor is not called absent")
	}
	for _, c := range []struct {
		t        tensor.DType
		s        tensor.Shape
		sentinel error
		says     string
	}{
		{tensor.DType(5), tensor.MakeShape(32), tensor.ErrType, "DType(5)"},
		{tensor.F32, tensor.MakeShape(4, -3), tensor.ErrShape, "[4 -3 1 1]"},
		{tensor.F32, tensor.MakeShape(1 << 60), tensor.ErrShape, "1152921504606846976"},
		{tensor.F32, tensor.MakeShape(1<<62, 4), tensor.ErrShape, "4611686018427387904"},
		{tensor.F32, tensor.MakeShape(math.MaxInt, 0), tensor.ErrShape, "9223372036854775807"},
		{tensor.Q4_K, tensor.MakeShape(128), tensor.ErrShape, "blocks of 256"},
	} {
		_, err := tensor.NewLeaf(tensor.Weight, "blk.0.w", c.t, c.s)
		wantError(t, err, c.sentinel, c.says, `weight "blk.0.w"`)
	}
	if x, err := tensor.NewLeaf(tensor.Input, "x", tensor.F32, tensor.MakeShape(5, 0)); err != nil || x.Bytes() != 0 {
		t.Errorf("an empty leaf: %v, %v", x, err)
	}
}

func TestContiguous(t *testing.T) {
	x := f32(6, 5, 4)
	b := tensor.NewBuilder()
	for _, c := range []struct {
		name       string
		x          *tensor.Tensor
		want, rows bool
	}{
		{"packed", x, true, true},
		{"planes", b.Slice(x, 2, 1, 3), true, true},
		{"rows with gaps", b.Slice(x, 0, 0, 3), false, true},
		{"transposed", b.Permute(x, 1, 0, 2, 3), false, false},
		{"one plane's rows", b.Slice(b.Slice(x, 2, 1, 2), 1, 2, 4), true, true},
		{"one row of each plane", b.Slice(x, 1, 2, 3), false, true},
		{"empty", b.Slice(b.Permute(x, 2, 1, 0, 3), 1, 2, 2), true, false},
		{"moved ones", b.Permute(f32(6, 1, 4), 0, 2, 1, 3), true, true},
	} {
		if c.x.Contiguous() != c.want || c.x.ContiguousRows() != c.rows {
			t.Errorf("%s %v strides %v: contiguous %v, rows %v", c.name, c.x, c.x.Stride, c.x.Contiguous(), c.x.ContiguousRows())
		}
	}
	if err := b.Err(); err != nil {
		t.Error(err)
	}
}
