// Package tensor says what a tensor, an op and a graph are. It is pure description: it allocates no
// tensor memory and computes nothing.
//
// A Tensor is either a leaf (a weight, an input, a cache) or the result of an Op over other tensors.
// A Builder strings ops together; its first mistake is kept with its call site and returned by Build,
// so that model code reads like mathematics. A Graph is what Build returns: nodes in the order in
// which their effects happen.
//
// Sizes are fastest first, as in GGUF: Shape{64, 8, 5} is 5 planes of 8 rows of 64 elements.
// Strides are bytes.
//
// The comment of each op is its contract on every device. What they have in common: a NaN or an infinity
// in an operand shows in the result as float64 arithmetic would show it; a device may take numbers below
// 2^-126 for 0 wherever it meets them in arithmetic, and moves them unchanged; how far a result may be
// from the exact one is said by package backends/conformance.
//
// A Tensor is not changed after Build (a leaf is bound to memory before), and may then be read by any
// number of goroutines. A Builder belongs to one goroutine.
package tensor
