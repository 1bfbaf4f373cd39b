package tensor_test

import (
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func TestInferMove(t *testing.T) {
	i64 := leaf(tensor.Input, tensor.I64, 32)
	runInfer(t, []inferCase{
		{tensor.Copy{Type: tensor.F16}, src(f32(6, 4)), "F16 [6 4]", nil},
		{tensor.Copy{Type: tensor.Q8_0}, src(f32(64, 4)), "Q8_0 [64 4]", nil},
		{tensor.Copy{Type: tensor.F32}, src(q8(64, 4)), "F32 [64 4]", nil},
		{tensor.Copy{Type: tensor.I32}, src(i64), "I32 [32]", nil},
		{tensor.Copy{Type: tensor.F32}, src(i64), "F32 [32]", nil},
		{tensor.Copy{Type: tensor.I32}, src(f32(32)), "I32 [32]", nil},
		{tensor.Copy{Type: tensor.F16}, src(i64), "", tensor.ErrType},
		{tensor.Copy{Type: tensor.I64}, src(q8(32)), "", tensor.ErrType},
		{tensor.Copy{Type: 5}, src(f32(32)), "", tensor.ErrType},
		{tensor.Copy{Type: 200}, src(f32(32)), "", tensor.ErrType},
		{tensor.Copy{Type: tensor.Q8_0}, src(f32(16)), "", tensor.ErrShape},
		{tensor.Copy{}, src(nil), "", tensor.ErrArity},

		{tensor.Concat{Dim: 0}, src(f32(6, 4), f32(2, 4)), "F32 [8 4]", nil},
		{tensor.Concat{Dim: 2}, src(i32(6, 4), i32(6, 4, 3)), "I32 [6 4 4]", nil},
		{tensor.Concat{Dim: 1}, src(f32(6, 4), f32(2, 4)), "", tensor.ErrShape},
		{tensor.Concat{Dim: 4}, src(f32(6), f32(6)), "", tensor.ErrShape},
		{tensor.Concat{Dim: -1}, src(f32(6), f32(6)), "", tensor.ErrShape},
		{tensor.Concat{Dim: 0}, src(f32(6), f16(6)), "", tensor.ErrType},
		{tensor.Concat{Dim: 0}, src(q8(32), q8(32)), "", tensor.ErrType},
		{tensor.Concat{Dim: 0}, src(f32(6)), "", tensor.ErrArity},

		{tensor.Repeat{Shape: tensor.MakeShape(6, 4)}, src(f32(3, 1)), "F32 [6 4]", nil},
		{tensor.Repeat{Shape: tensor.MakeShape(6, 0)}, src(f32(3)), "F32 [6 0]", nil},
		{tensor.Repeat{Shape: tensor.MakeShape(6, 4)}, src(f32(4)), "", tensor.ErrShape},
		{tensor.Repeat{Shape: tensor.MakeShape(-6)}, src(f32(3)), "", tensor.ErrShape},
		{tensor.Repeat{Shape: tensor.MakeShape(1<<32, 1<<32)}, src(f32(1)), "", tensor.ErrShape},
		{tensor.Repeat{Shape: tensor.MakeShape(64)}, src(q8(32)), "", tensor.ErrType},
		{tensor.Repeat{}, nil, "", tensor.ErrArity},
	})
}

func TestInferRows(t *testing.T) {
	i64 := leaf(tensor.Input, tensor.I64, 3)
	cache := leaf(tensor.Cache, tensor.Q8_0, 64, 128)
	planes := leaf(tensor.Cache, tensor.F16, 64, 128, 2)
	runInfer(t, []inferCase{
		{tensor.GetRows{}, src(q8(64, 100), i32(3)), "F32 [64 3]", nil},
		{tensor.GetRows{}, src(f16(64, 100, 2), i32(3, 2)), "F32 [64 3 2]", nil},
		{tensor.GetRows{}, src(i32(64, 100), i64), "I32 [64 3]", nil},
		{tensor.GetRows{}, src(f32(64, 100, 2), i32(3)), "", tensor.ErrShape},
		{tensor.GetRows{}, src(f32(64, 100, 2, 3), i32(3, 2)), "", tensor.ErrShape},
		{tensor.GetRows{}, src(f32(64, 100), i32(3, 1, 1, 2)), "", tensor.ErrShape},
		{tensor.GetRows{}, src(f32(64, 100), f32(3)), "", tensor.ErrType},
		{tensor.GetRows{}, src(f32(64, 100)), "", tensor.ErrArity},

		{tensor.SetRows{}, src(cache, f32(64, 3), i32(3)), "Q8_0 [64 128]", nil},
		{tensor.SetRows{}, src(cache, f32(64, 3), i64), "Q8_0 [64 128]", nil},
		{tensor.SetRows{}, src(planes, f32(64, 3, 2), i32(3)), "F16 [64 128 2]", nil},
		{tensor.SetRows{}, src(planes, f32(64, 3, 2), i32(3, 2)), "F16 [64 128 2]", nil},
		{tensor.SetRows{}, src(planes, f32(64, 3, 2), i32(3, 3)), "", tensor.ErrShape},
		{tensor.SetRows{}, src(planes, f32(64, 3), i32(3)), "", tensor.ErrShape},
		{tensor.SetRows{}, src(cache, f32(32, 3), i32(3)), "", tensor.ErrShape},
		{tensor.SetRows{}, src(cache, f32(64, 3), i32(4)), "", tensor.ErrShape},
		{tensor.SetRows{}, src(cache, f32(64, 3), i32(3, 1, 1, 2)), "", tensor.ErrShape},
		{tensor.SetRows{}, src(cache, f16(64, 3), i32(3)), "", tensor.ErrType},
		{tensor.SetRows{}, src(cache, f32(64, 3), f32(3)), "", tensor.ErrType},
		{tensor.SetRows{}, src(leaf(tensor.Cache, tensor.I32, 64, 128), f32(64, 3), i32(3)), "", tensor.ErrType},
		{tensor.SetRows{}, src(cache, f32(64, 3)), "", tensor.ErrArity},
	})
}

func TestInferSort(t *testing.T) {
	runInfer(t, []inferCase{
		{tensor.TopK{K: 3}, src(f32(8, 5)), "I32 [3 5]", nil},
		{tensor.TopK{K: 8}, src(f32(8)), "I32 [8]", nil},
		{tensor.TopK{K: 9}, src(f32(8)), "", tensor.ErrShape},
		{tensor.TopK{K: 0}, src(f32(8)), "", tensor.ErrShape},
		{tensor.TopK{K: -1}, src(f32(8)), "", tensor.ErrShape},
		{tensor.TopK{K: 1}, src(f32(0)), "", tensor.ErrShape},
		{tensor.TopK{K: 1}, src(f16(8)), "", tensor.ErrType},
		{tensor.TopK{K: 1}, nil, "", tensor.ErrArity},
		{tensor.ArgSort{}, src(f32(8, 5)), "I32 [8 5]", nil},
		{tensor.ArgSort{Descending: true}, src(f32(0, 5)), "I32 [0 5]", nil},
		{tensor.ArgSort{}, src(i32(8)), "", tensor.ErrType},
		{tensor.ArgSort{}, src(nil), "", tensor.ErrArity},
		{tensor.ArgMax{}, src(f32(8, 5)), "I32 [5]", nil},
		{tensor.ArgMax{}, src(f32(8)), "I32 [1]", nil},
		{tensor.ArgMax{}, src(f32(0, 5)), "", tensor.ErrShape},
		{tensor.ArgMax{}, src(f32(8, 5, 2)), "", tensor.ErrShape},
		{tensor.ArgMax{}, src(q8(32)), "", tensor.ErrType},
		{tensor.ArgMax{}, src(f32(8), f32(8)), "", tensor.ErrArity},
		{tensor.SumRows{}, src(f32(8, 5, 2)), "F32 [1 5 2]", nil},
		{tensor.SumRows{}, src(f32(0, 5)), "F32 [1 5]", nil},
		{tensor.SumRows{}, src(f16(8)), "", tensor.ErrType},
		{tensor.SumRows{}, src(), "", tensor.ErrArity},
	})
}

func TestInferRoPE(t *testing.T) {
	x := f32(64, 8, 5)
	op := tensor.RoPE{Dims: 64, Base: 10000}
	with := func(change func(*tensor.RoPE)) tensor.RoPE {
		changed := op
		change(&changed)
		return changed
	}
	multi := with(func(op *tensor.RoPE) { op.Mode = tensor.RoPEMulti; op.Sections = [4]int32{16, 8, 8, 0} })
	vision := with(func(op *tensor.RoPE) {
		op.Mode, op.Dims, op.Sections = tensor.RoPEVision, 32, [4]int32{16, 16, 0, 0}
	})
	runInfer(t, []inferCase{
		{op, src(x, i32(5)), "F32 [64 8 5]", nil},
		{op, src(f16(64, 8, 5), i32(5), nil), "F16 [64 8 5]", nil},
		{op, src(x, i32(5), f32(32)), "F32 [64 8 5]", nil},
		{with(func(op *tensor.RoPE) { op.Dims = 32; op.Mode = tensor.RoPENeoX }), src(x, i32(5), f32(16)), "F32 [64 8 5]", nil},
		{multi, src(x, i32(20)), "F32 [64 8 5]", nil},
		{vision, src(x, i32(20), f32(32)), "F32 [64 8 5]", nil},
		{op, src(x, i32(4)), "", tensor.ErrShape},
		{op, src(x, i32(5, 2)), "", tensor.ErrShape},
		{multi, src(x, i32(5)), "", tensor.ErrShape},
		{op, src(x, i32(5), f32(31)), "", tensor.ErrShape},
		{vision, src(x, i32(20), f32(16)), "", tensor.ErrShape}, // it rotates 32 pairs
		{with(func(op *tensor.RoPE) { op.Dims = 66 }), src(x, i32(5)), "", tensor.ErrShape},
		{with(func(op *tensor.RoPE) { op.Dims = 31 }), src(x, i32(5)), "", tensor.ErrShape},
		{with(func(op *tensor.RoPE) { op.Dims = 0 }), src(x, i32(5)), "", tensor.ErrShape},
		{with(func(op *tensor.RoPE) { op.Dims = -2 }), src(x, i32(5)), "", tensor.ErrShape},
		{with(func(op *tensor.RoPE) { op.Mode = tensor.RoPEVision }), src(x, i32(20)), "", tensor.ErrShape},
		{with(func(op *tensor.RoPE) { op.Base = 0 }), src(x, i32(5)), "", tensor.ErrShape},
		{with(func(op *tensor.RoPE) { op.Base = nan }), src(x, i32(5)), "", tensor.ErrShape},
		// Sections are divided by: none at all, or a negative one, is no way to cut a row.
		{with(func(op *tensor.RoPE) { op.Mode = tensor.RoPEMulti }), src(x, i32(20)), "", tensor.ErrShape},
		{with(func(op *tensor.RoPE) { op.Mode = tensor.RoPEIMulti; op.Sections = [4]int32{8, -8, 8, 0} }), src(x, i32(20)), "", tensor.ErrShape},
		{with(func(op *tensor.RoPE) { op.Mode = 5 }), src(x, i32(5)), "", tensor.ErrType},
		{op, src(i32(64, 8, 5), i32(5)), "", tensor.ErrType},
		{op, src(x, f32(5)), "", tensor.ErrType},
		{op, src(x, i32(5), f16(32)), "", tensor.ErrType},
		{op, src(x, nil), "", tensor.ErrArity},
		{op, src(x), "", tensor.ErrArity},
		{op, src(x, i32(5), nil, nil), "", tensor.ErrArity},
	})
}
