// Package ref computes ops by plain loops in float64: the oracle of the conformance suite.
//
// It is written from the docstrings of package tensor, one file for each of that package's op files,
// and shares no code with any backend. Quantized sources are read through tensor/quant. Nothing here is
// fast, and nothing is rounded before it is stored: a Value holds what an op's definition gives, and
// beside it how large the numbers were that went into each element, by which errors are measured.
//
// What is not in a docstring of package tensor is not asked for: a question that comes up here is answered
// there. An index outside its tensor is a *backends.IndexError.
//
// Eval computes one node. A Memory runs a whole graph, with what each tensor's type can hold stored
// between nodes. A Device is a backend on top of them, for tests that need a second device. Values are
// not changed after they are made, and functions may be called concurrently; a Memory belongs to one
// goroutine.
package ref
