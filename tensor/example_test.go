package tensor_test

import (
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

// infer prints what op gives over src.
func infer(op tensor.Op, src ...*tensor.Tensor) {
	t, s, err := op.Infer(src)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t, s)
}

// A gated feed-forward block. The mistake in the last line is kept with its call site, and Build returns it.
func ExampleBuilder() {
	weight := func(name string, sizes ...int) *tensor.Tensor {
		w, err := tensor.NewLeaf(tensor.Weight, name, tensor.Q8_0, tensor.MakeShape(sizes...))
		if err != nil {
			panic(err)
		}
		return w
	}
	gate, up, down := weight("gate", 64, 256), weight("up", 64, 256), weight("down", 256, 64)

	b := tensor.NewBuilder()
	x := b.Input("x", tensor.F32, tensor.MakeShape(64, 5))
	h := b.RMSNorm(x, 1e-5)
	y := b.Add(x, b.MatMul(down, b.GLU(tensor.SiLU, b.MatMul(gate, h), b.MatMul(up, h))))
	g, err := b.Build(y)
	fmt.Print(g)
	fmt.Println(err)

	b.MatMul(gate, b.MatMul(up, x))
	_, err = b.Build(y)
	fmt.Println(errors.Is(err, tensor.ErrShape))
	// Output:
	//    0 rmsnorm.0 F32 [64 5] = RMSNorm{Eps:1e-05} x F32 [64 5];
	//    1 matmul.1 F32 [256 5] = MatMul{Exact:false} gate Q8_0 [64 256]; rmsnorm.0 F32 [64 5];
	//    2 matmul.2 F32 [256 5] = MatMul{Exact:false} up Q8_0 [64 256]; rmsnorm.0 F32 [64 5];
	//    3 glu.3 F32 [256 5] = GLU{Act:SiLU OAI:false Alpha:0 Limit:0} matmul.1 F32 [256 5]; matmul.2 F32 [256 5];
	//    4 matmul.4 F32 [64 5] = MatMul{Exact:false} down Q8_0 [256 64]; glu.3 F32 [256 5];
	//    5 add.5 F32 [64 5] = Add{} x F32 [64 5]; matmul.4 F32 [64 5];
	// <nil>
	// true
}

func ExampleAdd() {
	infer(tensor.Add{}, f32(64, 5), f32(64))
	infer(tensor.Add{}, f32(64, 5), f32(48))
	// Output:
	// F32 [64 5]
	// wrong shape: [48] does not repeat to [64 5]
}

func ExampleSub() {
	infer(tensor.Sub{}, f32(64, 5), f32(1, 5))
	// Output: F32 [64 5]
}

func ExampleMul() {
	infer(tensor.Mul{}, f16(64, 5), f32(64))
	// Output: F16 [64 5]
}

func ExampleDiv() {
	infer(tensor.Div{}, f32(8, 5), f32(1, 5))
	// Output: F32 [8 5]
}

func ExampleAddID() {
	a, biases, experts := f32(64, 2, 5), f32(64, 8), i32(2, 5)
	infer(tensor.AddID{}, a, biases, experts)
	// Output: F32 [64 2 5]
}

func ExampleScale() {
	infer(tensor.Scale{Scale: 0.125}, f32(64, 5))
	// Output: F32 [64 5]
}

func ExampleClamp() {
	infer(tensor.Clamp{Min: -7, Max: 7}, f32(64, 5))
	infer(tensor.Clamp{Min: 7, Max: -7}, f32(64, 5))
	// Output:
	// F32 [64 5]
	// wrong shape: nothing lies between 7 and -7
}

func ExampleUnary() {
	infer(tensor.Unary{Func: tensor.SiLU}, f32(64, 5))
	// Output: F32 [64 5]
}

func ExampleGLU() {
	infer(tensor.GLU{Act: tensor.SiLU}, f32(256, 5), f32(256, 5))
	infer(tensor.GLU{Act: tensor.Tanh}, f32(256, 5), f32(256, 5))
	// Output:
	// F32 [256 5]
	// wrong type: Tanh is no gate
}

func ExampleRMSNorm() {
	infer(tensor.RMSNorm{Eps: 1e-5}, f32(64, 5))
	// Output: F32 [64 5]
}

func ExampleLayerNorm() {
	infer(tensor.LayerNorm{Eps: 1e-5}, f32(64, 5))
	// Output: F32 [64 5]
}

func ExampleL2Norm() {
	infer(tensor.L2Norm{Eps: 1e-12}, f32(64, 8, 5))
	// Output: F32 [64 8 5]
}

func ExampleMatMul() {
	weights, x := q8(64, 256), f32(64, 5)
	infer(tensor.MatMul{}, weights, x)
	infer(tensor.MatMul{}, weights, f32(32, 5))
	// Output:
	// F32 [256 5]
	// wrong shape: inner sizes differ: 64 and 32
}

func ExampleMatMulID() {
	weights, x, experts := q8(64, 256, 8), f32(64, 1, 5), i32(2, 5)
	infer(tensor.MatMulID{}, weights, x, experts)
	// Output: F32 [256 2 5]
}

func ExampleSoftMax() {
	scores, mask := f32(128, 5, 8), f16(128, 64)
	infer(tensor.SoftMax{Scale: 0.125}, scores, mask)
	// Output: F32 [128 5 8]
}

func ExampleFlashAttn() {
	// 8 heads of 64 read 2 shared heads of 128 cells, whose values have 48 elements.
	q, k, v, mask := f32(64, 8, 5), f16(64, 2, 128), f16(48, 2, 128), f16(128, 64)
	infer(tensor.FlashAttn{Scale: 0.125}, q, k, v, mask)
	infer(tensor.FlashAttn{Scale: 0.125}, q, f16(64, 3, 128), f16(48, 3, 128))
	// Output:
	// F32 [48 8 5]
	// wrong shape: 8 heads cannot share 3
}

func ExampleRoPE() {
	x, positions := f32(64, 8, 5), i32(5)
	infer(tensor.RoPE{Dims: 64, Mode: tensor.RoPENeoX, Base: 10000}, x, positions)
	infer(tensor.RoPE{Dims: 80, Base: 10000}, x, positions)
	// Output:
	// F32 [64 8 5]
	// wrong shape: 80 rotated elements of rows of 64
}
