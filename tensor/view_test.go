package tensor_test

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func TestReshape(t *testing.T) {
	b := tensor.NewBuilder()
	x := f32(6, 4, 5)
	y := b.Reshape(x, 3, 40)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	if y.Shape != tensor.MakeShape(3, 40) || y.Stride != (tensor.Strides{4, 12, 480, 480}) || y.Base != x || !y.IsView() {
		t.Errorf("%v strides %v base %v", y, y.Stride, y.Base)
	}
	z := b.Reshape(b.Slice(x, 2, 2, 4), 48)
	if z.Offset != 2*96 || z.Base != x {
		t.Errorf("a reshaped slice lies at %d of %v", z.Offset, z.Base)
	}
	w := b.Reshape(q8(64, 2), 32, 4)
	if w.Stride != (tensor.Strides{34, 34, 136, 136}) {
		t.Errorf("quantized: strides %v", w.Stride)
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		x     *tensor.Tensor
		shape tensor.Shape
		says  string
	}{
		{x, tensor.MakeShape(6, 4, 6), "[6 4 6]"},
		{x, tensor.MakeShape(-1, 120), "-1"}, // no size is guessed
		{x, tensor.MakeShape(-6, -20), "-20"},
		{x, tensor.MakeShape(1<<62, 120), "4611686018427387904"},
		{b.Slice(x, 0, 0, 3), tensor.MakeShape(60), "gaps"},
		{q8(64, 2), tensor.MakeShape(16, 8), "16"},
	} {
		_, _, err := tensor.Reshape{Shape: c.shape}.Infer(src(c.x))
		wantError(t, err, tensor.ErrShape, c.says)
	}
}

func TestPermute(t *testing.T) {
	b := tensor.NewBuilder()
	x := f32(6, 4, 5, 2)
	y := b.Permute(x, 2, 0, 3, 1)
	if y.Shape != (tensor.Shape{5, 6, 2, 4}) || y.Stride != (tensor.Strides{96, 4, 480, 24}) || y.Bytes() != x.Bytes() {
		t.Errorf("%v strides %v", y, y.Stride)
	}
	if z := b.Permute(y, 1, 3, 0, 2); z.Shape != x.Shape || z.Stride != x.Stride {
		t.Errorf("and back: %v strides %v", z, z.Stride)
	}
	q := b.Permute(q8(32, 2, 3), 0, 2, 1, 3)
	if q.Shape != tensor.MakeShape(32, 3, 2) || q.Stride != (tensor.Strides{34, 68, 34, 204}) {
		t.Errorf("quantized: %v strides %v", q, q.Stride)
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	for _, axes := range [][4]int{{0, 0, 1, 2}, {0, 1, 2, 4}, {-1, 0, 1, 2}, {1, 2, 3, math.MinInt}} {
		_, _, err := tensor.Permute{Axes: axes}.Infer(src(x))
		wantError(t, err, tensor.ErrShape, "no permutation")
	}
	_, _, err := tensor.Permute{Axes: [4]int{1, 0, 2, 3}}.Infer(src(q8(32, 2)))
	wantError(t, err, tensor.ErrShape, "Q8_0")
}

func TestSlice(t *testing.T) {
	b := tensor.NewBuilder()
	x := f32(6, 4, 5)
	y := b.Slice(b.Slice(x, 1, 1, 3), 0, 2, 6)
	if y.Shape != tensor.MakeShape(4, 2, 5) || y.Stride != x.Stride || y.Offset != 24+8 || y.Base != x {
		t.Errorf("%v strides %v offset %d", y, y.Stride, y.Offset)
	}
	if got, want := y.Bytes(), 3*4+24+4*96+4; got != want {
		t.Errorf("%d bytes from first to last, want %d", got, want)
	}
	q := b.Slice(q8(96, 4), 0, 32, 96)
	if q.Shape != tensor.MakeShape(64, 4) || q.Offset != 34 {
		t.Errorf("quantized: %v at %d", q, q.Offset)
	}
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
}

func TestSliceRefuses(t *testing.T) {
	for _, c := range []struct {
		name          string
		x             *tensor.Tensor
		dim, from, to int
		sentinel      error
		says          []string
	}{
		{"negative", f32(6, 4), 1, -1, 2, tensor.ErrShape, []string{"-1", "2", "4"}},
		{"backwards", f32(6, 4), 1, 3, 2, tensor.ErrShape, []string{"3", "2"}},
		{"past the end", f32(6, 4), 1, 2, 5, tensor.ErrShape, []string{"2", "5", "4"}},
		{"begins in a block", q8(64, 4), 0, 16, 48, tensor.ErrShape, []string{"16", "48", "32"}},
		{"ends in a block", q8(64, 4), 0, 32, 48, tensor.ErrShape, []string{"32"}},
		{"far away", f32(6, 4), 1, 1 << 62, 1<<62 + 1, tensor.ErrShape, []string{"4611686018427387904"}},
		{"overflowing", f32(6, 4), 1, math.MinInt, math.MaxInt, tensor.ErrShape, nil},
		{"dimension 4", f32(6, 4), 4, 0, 1, tensor.ErrShape, []string{"dimension 4"}},
		{"dimension -1", f32(6, 4), -1, 0, 1, tensor.ErrShape, []string{"dimension -1"}},
		{"nothing", nil, 0, 0, 1, tensor.ErrArity, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := tensor.NewBuilder()
			b.Slice(c.x, c.dim, c.from, c.to)
			wantError(t, b.Err(), c.sentinel, append(c.says, "view_test.go:")...)
		})
	}
}

// An empty slice lies inside its base as any other does, wherever it is cut, so that the graph is legal.
func TestEmptySlicesAreLegal(t *testing.T) {
	b := tensor.NewBuilder()
	base := f32(4, 3)
	right := b.Slice(base, 0, 2, 4)
	for _, x := range []*tensor.Tensor{b.Slice(right, 1, 3, 3), b.Slice(right, 0, 2, 2), b.Slice(base, 1, 0, 0)} {
		sum := b.Add(x, x)
		g, err := b.Build(sum)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Verify(); err != nil {
			t.Error(err)
		}
	}
}

func TestViewRefuses(t *testing.T) {
	x := f32(6, 4) // 96 bytes
	q := q8(64, 2) // 136 bytes
	packed := x.Stride
	for _, c := range []struct {
		name string
		x    *tensor.Tensor
		op   tensor.View
	}{
		{"one byte too far", x, tensor.View{Shape: x.Shape, Stride: packed, Offset: 4}},
		{"before the start", x, tensor.View{Shape: x.Shape, Stride: packed, Offset: -4}},
		{"offset near 2^63", x, tensor.View{Shape: tensor.MakeShape(1), Stride: packed, Offset: math.MaxInt &^ 3}},
		{"offset near -2^63", x, tensor.View{Shape: tensor.MakeShape(1), Stride: packed, Offset: math.MinInt}},
		{"offset 2^62", x, tensor.View{Shape: tensor.MakeShape(1), Stride: packed, Offset: 1 << 62}},
		{"empty but far away", x, tensor.View{Shape: tensor.MakeShape(0), Stride: packed, Offset: 1 << 62}},
		{"offset in an element", x, tensor.View{Shape: tensor.MakeShape(1), Stride: packed, Offset: 2}},
		{"stride in an element", x, tensor.View{Shape: tensor.MakeShape(2), Stride: tensor.Strides{6, 8, 8, 8}}},
		{"stride backwards", x, tensor.View{Shape: tensor.MakeShape(2), Stride: tensor.Strides{-4, 4, 4, 4}, Offset: 4}},
		{"stride that wraps", x, tensor.View{Shape: tensor.MakeShape(1, 5), Stride: tensor.Strides{4, 1 << 62, 4, 4}}},
		{"strides that add up to 2^64", x, tensor.View{Shape: tensor.MakeShape(1, 5, 5, 5), Stride: tensor.Strides{4, 1 << 60, 1 << 60, 1 << 60}}},
		{"negative size", x, tensor.View{Shape: tensor.MakeShape(-1), Stride: packed}},
		{"sizes that overflow", x, tensor.View{Shape: tensor.MakeShape(1<<32, 1<<32), Stride: tensor.Strides{}}},
		{"no whole block", q, tensor.View{Shape: tensor.MakeShape(16), Stride: q.Stride}},
		{"offset in a block", q, tensor.View{Shape: tensor.MakeShape(32), Stride: q.Stride, Offset: 2}},
		{"past the blocks", q, tensor.View{Shape: tensor.MakeShape(64), Stride: q.Stride, Offset: 34 * 3}},
	} {
		_, _, err := c.op.Infer(src(c.x))
		if err == nil {
			t.Errorf("%s: accepted", c.name)
			continue
		}
		wantError(t, err, tensor.ErrShape)
	}
}

// Infer accepts a view exactly if every byte it can touch lies in the tensor: counted here without bounds.
func TestViewAgreesWithBigNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 1, 2, 3, 4, 6, 24, 1 << 20, 1 << 31, 1 << 58}
	steps := []int{0, 4, 8, 24, 48, 96, 1 << 30, 1 << 58, 1 << 60, 1 << 62}
	offsets := []int{0, 4, 24, 72, 92, 96, 1 << 40, 1 << 62, math.MaxInt &^ 3}
	x := f32(6, 4)
	accepted := 0
	for range 30_000 {
		var op tensor.View
		for d := range op.Shape {
			op.Shape[d] = sizes[rng.IntN(len(sizes)-rng.IntN(9))]
			op.Stride[d] = steps[rng.IntN(len(steps)-rng.IntN(9))]
		}
		op.Offset = offsets[rng.IntN(len(offsets)-rng.IntN(8))]
		elems, end := big.NewInt(1), big.NewInt(int64(op.Offset))
		for d, n := range op.Shape {
			elems.Mul(elems, big.NewInt(int64(n)))
			last := new(big.Int).Mul(big.NewInt(int64(n-1)), big.NewInt(int64(op.Stride[d])))
			end.Add(end, last)
		}
		end.Add(end, big.NewInt(4))
		inside := end.Cmp(big.NewInt(96)) <= 0
		_, _, err := op.Infer(src(x))
		switch {
		case err == nil && !inside:
			t.Fatalf("%+v is accepted and ends at byte %v of 96", op, end)
		case err != nil && inside && elems.BitLen() < 59:
			t.Fatalf("%+v ends at byte %v of 96 and is refused: %v", op, end, err)
		case err == nil:
			accepted++
		}
	}
	if accepted < 1000 {
		t.Errorf("only %d of the views were legal: the test says little", accepted)
	}
	t.Logf("%d of 30000 accepted", accepted)
}
