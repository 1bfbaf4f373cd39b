// Package engine runs a model: it places the weights, keeps the cache, and takes batches of tokens of
// several sequences to logits and hidden states.
//
// A batch is cut into runs of at most Options.Batch tokens. For each run the cache finds cells, the
// graph of this shape is built and planned, or found again, its inputs are written, it runs, and what
// was asked for is read. At steady state a decode step builds nothing, plans nothing and allocates
// nothing on the Go heap.
//
// A Draft runs a second model on the engine's hidden states, to guess what comes. It reads the engine's
// cache, or keeps one of its own beside it, and never changes the engine's.
//
// The engine owns the cache, the plans' memory and the weights that it has uploaded; the file stays the
// caller's and must stay open. An Engine belongs to one goroutine at a time. It never ends the process:
// what goes wrong is the error of the call, and the engine can be used again.
package engine
