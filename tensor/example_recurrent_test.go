package tensor_test

import "github.com/tenon-go/tenon/tensor"

func ExampleSSMConv() {
	// Filters of 4 over a window of 3 and 5 new tokens of 2 sequences.
	filters := f32(4, 256)
	infer(tensor.SSMConv{}, f32(8, 256, 2), filters)
	infer(tensor.SSMConv{}, f32(2, 256, 2), filters)
	// Output:
	// F32 [256 5 2]
	// wrong shape: inputs are [2 256 2], shorter than a window of 3
}

func ExampleGatedDeltaNet() {
	// 4 heads of 48 share 2 of 32; 5 tokens of 2 sequences, of which the last 3 leave their state.
	q, k, v := f32(32, 2, 5, 2), f32(32, 2, 5, 2), f32(48, 4, 5, 2)
	g, beta, state := f32(1, 4, 5, 2), f32(1, 4, 5, 2), f32(32, 48, 4, 2)
	infer(tensor.GatedDeltaNet{States: 3}, q, k, v, g, beta, state)
	infer(tensor.GatedDeltaNet{States: 6}, q, k, v, g, beta, state)
	// Output:
	// F32 [192 202]
	// wrong shape: 6 states of 5 tokens
}
