package tensor_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// A row of the table is one call of Infer: either what it gives or the sentinel of its error.
type inferCase struct {
	op   tensor.Op
	src  []*tensor.Tensor
	want string // type and shape, if err is nil
	err  error
}

func runInfer(t *testing.T, cases []inferCase) {
	t.Helper()
	for _, c := range cases {
		d, s, err := c.op.Infer(c.src)
		name := fmt.Sprintf("%s%+v %v", c.op.Kind(), c.op, c.src)
		switch {
		case c.err != nil && err == nil:
			t.Errorf("%s: gives %s %v, want an error that matches %q", name, d, s, c.err)
		case c.err != nil:
			wantError(t, err, c.err)
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case d.String()+" "+s.String() != c.want:
			t.Errorf("%s: gives %s %v, want %s", name, d, s, c.want)
		}
	}
}

var (
	nan = float32(math.NaN())
	inf = float32(math.Inf(1))
)

func TestInferArithmetic(t *testing.T) {
	var cases []inferCase
	for _, op := range []tensor.Op{tensor.Add{}, tensor.Sub{}, tensor.Mul{}, tensor.Div{}} {
		cases = append(cases, []inferCase{
			{op, src(f32(6, 4), f32(6, 4)), "F32 [6 4]", nil},
			{op, src(f32(6, 4), f32(6)), "F32 [6 4]", nil},
			{op, src(f32(6, 4), f32(3, 2)), "F32 [6 4]", nil},
			{op, src(f16(6, 4), f32(1)), "F16 [6 4]", nil},
			{op, src(f32(6, 0), f32(6)), "F32 [6 0]", nil},
			{op, src(f32(6), f32(6, 4)), "", tensor.ErrShape},
			{op, src(f32(6, 4), f32(4)), "", tensor.ErrShape},
			{op, src(f32(6), f32(0)), "", tensor.ErrShape},
			{op, src(i32(6), f32(6)), "", tensor.ErrType},
			{op, src(f32(32), q8(32)), "", tensor.ErrType},
			{op, src(f32(6)), "", tensor.ErrArity},
			{op, src(f32(6), nil), "", tensor.ErrArity},
			{op, src(f32(6), f32(6), f32(6)), "", tensor.ErrArity},
		}...)
	}
	runInfer(t, cases)
	runInfer(t, []inferCase{
		{tensor.AddID{}, src(f32(6, 2, 5), f32(6, 8), i32(2, 5)), "F32 [6 2 5]", nil},
		{tensor.AddID{}, src(f32(6, 2, 5), f32(4, 8), i32(2, 5)), "", tensor.ErrShape},
		{tensor.AddID{}, src(f32(6, 2, 5), f32(6, 8, 2), i32(2, 5)), "", tensor.ErrShape},
		{tensor.AddID{}, src(f32(6, 2, 5), f32(6, 8), i32(3, 5)), "", tensor.ErrShape},
		{tensor.AddID{}, src(f32(6, 2, 5, 2), f32(6, 8), i32(2, 5)), "", tensor.ErrShape},
		{tensor.AddID{}, src(f32(6, 2, 5), f32(6, 8), f32(2, 5)), "", tensor.ErrType},
		{tensor.AddID{}, src(f16(6, 2, 5), f32(6, 8), i32(2, 5)), "", tensor.ErrType},
		{tensor.AddID{}, src(f32(6, 2, 5), f32(6, 8)), "", tensor.ErrArity},
	})
}

func TestInferElementwise(t *testing.T) {
	bf16 := leaf(tensor.Input, tensor.BF16, 6)
	runInfer(t, []inferCase{
		{tensor.Scale{Scale: 2, Bias: 1}, src(f32(6, 4)), "F32 [6 4]", nil},
		{tensor.Scale{Scale: 2}, src(bf16), "BF16 [6]", nil},
		{tensor.Scale{Scale: 2}, src(i32(6)), "", tensor.ErrType},
		{tensor.Scale{Scale: 2}, src(nil), "", tensor.ErrArity},
		{tensor.Clamp{Min: -1, Max: 1}, src(f32(6, 4)), "F32 [6 4]", nil},
		{tensor.Clamp{Min: 1, Max: 1}, src(f16(6)), "F16 [6]", nil},
		{tensor.Clamp{Min: -inf, Max: inf}, src(f32(6)), "F32 [6]", nil},
		{tensor.Clamp{Min: 1, Max: -1}, src(f32(6)), "", tensor.ErrShape},
		{tensor.Clamp{Min: nan, Max: 1}, src(f32(6)), "", tensor.ErrShape},
		{tensor.Clamp{Min: 0, Max: 1}, src(q8(32)), "", tensor.ErrType},
		{tensor.Clamp{Min: 0, Max: 1}, nil, "", tensor.ErrArity},
		{tensor.Unary{Func: tensor.SiLU}, src(f32(6, 4)), "F32 [6 4]", nil},
		{tensor.Unary{Func: tensor.Cos}, src(bf16), "BF16 [6]", nil},
		{tensor.Unary{Func: 255}, src(f32(6)), "", tensor.ErrType},
		{tensor.Unary{Func: tensor.Abs}, src(i32(6)), "", tensor.ErrType},
		{tensor.Unary{Func: tensor.Abs}, src(f32(6), f32(6)), "", tensor.ErrArity},
		{tensor.GLU{Act: tensor.SiLU}, src(f32(6, 4), f32(6, 4)), "F32 [6 4]", nil},
		{tensor.GLU{Act: tensor.GELUErf}, src(f16(6), f16(6)), "F16 [6]", nil},
		{tensor.GLU{Act: tensor.SiLU, OAI: true, Alpha: 1.702, Limit: 7}, src(f32(6), f32(6)), "F32 [6]", nil},
		{tensor.GLU{Act: tensor.GELU, OAI: true}, src(f32(6), f32(6)), "", tensor.ErrType},
		{tensor.GLU{Act: tensor.Tanh}, src(f32(6), f32(6)), "", tensor.ErrType},
		{tensor.GLU{Act: tensor.SiLU}, src(f32(6), f16(6)), "", tensor.ErrType},
		{tensor.GLU{Act: tensor.SiLU}, src(i32(6), i32(6)), "", tensor.ErrType},
		{tensor.GLU{Act: tensor.SiLU}, src(f32(6, 4), f32(6)), "", tensor.ErrShape},
		{tensor.GLU{Act: tensor.SiLU}, src(f32(6)), "", tensor.ErrArity},
	})
}

func TestInferNorms(t *testing.T) {
	for _, op := range []func(eps float32) tensor.Op{
		func(eps float32) tensor.Op { return tensor.RMSNorm{Eps: eps} },
		func(eps float32) tensor.Op { return tensor.LayerNorm{Eps: eps} },
		func(eps float32) tensor.Op { return tensor.L2Norm{Eps: eps} },
	} {
		runInfer(t, []inferCase{
			{op(1e-5), src(f32(6, 4)), "F32 [6 4]", nil},
			{op(0), src(f32(6)), "F32 [6]", nil},
			{op(-1e-5), src(f32(6)), "", tensor.ErrShape},
			{op(nan), src(f32(6)), "", tensor.ErrShape},
			{op(0), src(f16(6)), "", tensor.ErrType},
			{op(0), src(f32(6), f32(6)), "", tensor.ErrArity},
			{op(0), src(nil), "", tensor.ErrArity},
		})
	}
}

func TestInferMatMul(t *testing.T) {
	for _, op := range []tensor.Op{tensor.MatMul{}, tensor.MatMul{Exact: true}} {
		runInfer(t, []inferCase{
			{op, src(f32(64, 16), f32(64, 5)), "F32 [16 5]", nil},
			{op, src(q8(64, 16), f16(64, 5)), "F32 [16 5]", nil},
			{op, src(f16(64, 16, 2), f32(64, 5, 8, 3)), "F32 [16 5 8 3]", nil},
			{op, src(f32(64, 16), f32(64)), "F32 [16]", nil},
			{op, src(f32(64, 16), f32(32, 5)), "", tensor.ErrShape},
			{op, src(f32(64, 16, 3), f32(64, 5, 8)), "", tensor.ErrShape},
			{op, src(f32(64, 16, 8), f32(64, 5, 2)), "", tensor.ErrShape},
			{op, src(f32(64, 16, 0), f32(64, 5, 2)), "", tensor.ErrShape},
			{op, src(i32(64, 16), f32(64, 5)), "", tensor.ErrType},
			{op, src(f32(64, 16), q8(64, 5)), "", tensor.ErrType},
			{op, src(leaf(tensor.Weight, tensor.F64, 64, 16), f32(64)), "", tensor.ErrType},
			{op, src(f32(64, 16)), "", tensor.ErrArity},
			{op, src(nil, f32(64)), "", tensor.ErrArity},
		})
	}
	op := tensor.MatMulID{}
	runInfer(t, []inferCase{
		{op, src(q8(64, 16, 8), f32(64, 1, 5), i32(2, 5)), "F32 [16 2 5]", nil},
		{op, src(f32(64, 16, 8), f32(64, 2, 5), i32(2, 5)), "F32 [16 2 5]", nil},
		{op, src(f32(64, 16, 8), f32(64, 3, 5), i32(2, 5)), "", tensor.ErrShape},
		{op, src(f32(64, 16, 8), f32(64, 1, 4), i32(2, 5)), "", tensor.ErrShape},
		{op, src(f32(32, 16, 8), f32(64, 1, 5), i32(2, 5)), "", tensor.ErrShape},
		{op, src(f32(64, 16, 8, 2), f32(64, 1, 5), i32(2, 5)), "", tensor.ErrShape},
		{op, src(f32(64, 16, 8), f32(64, 1, 5), i32(2, 5, 2)), "", tensor.ErrShape},
		{op, src(f32(64, 16, 8), f32(64, 1, 5), f32(2, 5)), "", tensor.ErrType},
		{op, src(i32(64, 16, 8), f32(64, 1, 5), i32(2, 5)), "", tensor.ErrType},
		{op, src(f32(64, 16, 8), f32(64, 1, 5)), "", tensor.ErrArity},
	})
}

func TestInferAttention(t *testing.T) {
	i16 := leaf(tensor.Input, tensor.I16, 32, 5)
	runInfer(t, []inferCase{
		{tensor.SoftMax{Scale: 1}, src(f32(32, 5, 8)), "F32 [32 5 8]", nil},
		{tensor.SoftMax{Scale: 1}, src(f32(32, 5, 8), f16(32, 64)), "F32 [32 5 8]", nil},
		{tensor.SoftMax{Scale: 1}, src(f32(32, 5, 8), nil, f32(8)), "F32 [32 5 8]", nil},
		{tensor.SoftMax{Scale: 1, MaxBias: 8}, src(f32(32, 5, 8, 3), f32(32, 5, 2, 3), f32(8)), "F32 [32 5 8 3]", nil},
		{tensor.SoftMax{}, src(f16(32)), "", tensor.ErrType},
		{tensor.SoftMax{}, src(f32(32, 5), i16), "", tensor.ErrType},
		{tensor.SoftMax{}, src(f32(32, 5), nil, f16(1)), "", tensor.ErrType},
		{tensor.SoftMax{}, src(f32(32, 5), f32(32, 4)), "", tensor.ErrShape},
		{tensor.SoftMax{}, src(f32(32, 5), f32(31, 5)), "", tensor.ErrShape},
		{tensor.SoftMax{}, src(f32(32, 5, 8), f32(32, 5, 3)), "", tensor.ErrShape},
		{tensor.SoftMax{}, src(f32(32, 5, 8), f32(32, 5, 0)), "", tensor.ErrShape},
		{tensor.SoftMax{}, src(f32(32, 5, 8), nil, f32(7)), "", tensor.ErrShape},
		{tensor.SoftMax{}, nil, "", tensor.ErrArity},
		{tensor.SoftMax{}, src(f32(32), nil, nil, nil), "", tensor.ErrArity},
	})
	q, k, v := f32(64, 8, 5, 2), f16(64, 2, 32, 2), f16(48, 2, 32, 2)
	op := tensor.FlashAttn{Scale: 0.125}
	runInfer(t, []inferCase{
		{op, src(q, k, v), "F32 [48 8 5 2]", nil},
		{op, src(q, k, v, nil, nil), "F32 [48 8 5 2]", nil},
		{op, src(q, k, v, f16(32, 64, 1, 2), f32(8)), "F32 [48 8 5 2]", nil},
		{op, src(q, q8(64, 2, 32, 2), q8(32, 2, 32, 2), f32(32, 5)), "F32 [32 8 5 2]", nil},
		{op, src(q, f16(32, 2, 32, 2), v), "", tensor.ErrShape},
		{op, src(q, k, f16(48, 4, 32, 2)), "", tensor.ErrShape},
		{op, src(q, k, f16(48, 2, 31, 2)), "", tensor.ErrShape},
		{op, src(q, f16(64, 3, 32, 2), f16(48, 3, 32, 2)), "", tensor.ErrShape},
		{op, src(q, f16(64, 0, 32, 2), f16(48, 0, 32, 2)), "", tensor.ErrShape},
		{op, src(q, f16(64, 2, 32), f16(48, 2, 32)), "", tensor.ErrShape},
		{op, src(q, k, v, f16(32, 4)), "", tensor.ErrShape},
		{op, src(q, k, v, f16(31, 5)), "", tensor.ErrShape},
		{op, src(q, k, v, nil, f32(2)), "", tensor.ErrShape},
		{op, src(f16(64, 8, 5, 2), k, v), "", tensor.ErrType},
		{op, src(q, i32(64, 2, 32, 2), v), "", tensor.ErrType},
		{op, src(q, k, v, i32(32, 5)), "", tensor.ErrType},
		{op, src(q, k, v, nil, f16(8)), "", tensor.ErrType},
		{op, src(q, k, nil), "", tensor.ErrArity},
		{op, src(q, k), "", tensor.ErrArity},
		{op, src(q, k, v, nil, nil, nil), "", tensor.ErrArity},
	})
}
