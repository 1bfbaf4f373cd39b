package tensor_test

import "github.com/tenon-go/tenon/tensor"

func ExampleCopy() {
	infer(tensor.Copy{Type: tensor.F16}, f32(64, 5))
	infer(tensor.Copy{Type: tensor.F16}, i32(64, 5))
	// Output:
	// F16 [64 5]
	// wrong type: no conversion from I32 to F16
}

func ExampleConcat() {
	infer(tensor.Concat{Dim: 1}, f32(64, 5), f32(64, 3))
	// Output: F32 [64 8]
}

func ExampleRepeat() {
	infer(tensor.Repeat{Shape: tensor.MakeShape(64, 8, 5)}, f32(64, 1, 5))
	// Output: F32 [64 8 5]
}

func ExampleGetRows() {
	embeddings, tokens := q8(64, 32000), i32(5)
	infer(tensor.GetRows{}, embeddings, tokens)
	// Output: F32 [64 5]
}

func ExampleSetRows() {
	cache := leaf(tensor.Cache, tensor.Q8_0, 64, 4096)
	infer(tensor.SetRows{}, cache, f32(64, 5), i32(5))
	// Output: Q8_0 [64 4096]
}

func ExampleTopK() {
	infer(tensor.TopK{K: 2}, f32(8, 5))
	infer(tensor.TopK{K: 9}, f32(8, 5))
	// Output:
	// I32 [2 5]
	// wrong shape: no 9 greatest of 8
}

func ExampleArgSort() {
	infer(tensor.ArgSort{Descending: true}, f32(8, 5))
	// Output: I32 [8 5]
}

func ExampleArgMax() {
	logits := f32(32000, 5)
	infer(tensor.ArgMax{}, logits)
	// Output: I32 [5]
}

func ExampleSumRows() {
	infer(tensor.SumRows{}, f32(8, 5))
	// Output: F32 [1 5]
}

func ExampleReshape() {
	infer(tensor.Reshape{Shape: tensor.MakeShape(64, 8, 5)}, f32(512, 5))
	infer(tensor.Reshape{Shape: tensor.MakeShape(64, 9, 5)}, f32(512, 5))
	// Output:
	// F32 [64 8 5]
	// wrong shape: [64 9 5] has another number of elements than [512 5]
}

func ExampleView() {
	// The middle 16 of 64 elements in each of 5 rows.
	infer(tensor.View{Shape: tensor.MakeShape(16, 5), Stride: tensor.Strides{4, 256, 1280, 1280}, Offset: 96}, f32(64, 5))
	// Output: F32 [16 5]
}

func ExamplePermute() {
	infer(tensor.Permute{Axes: [4]int{0, 2, 1, 3}}, f32(64, 8, 5))
	infer(tensor.Permute{Axes: [4]int{1, 0, 2, 3}}, q8(64, 8))
	// Output:
	// F32 [64 5 8]
	// wrong shape: axes [1 0 2 3] tear the blocks of Q8_0 apart
}
