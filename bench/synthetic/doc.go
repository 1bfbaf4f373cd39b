// Package synthetic writes models of any shape and type without a download: whole GGUF files whose weights
// are random and whose vocabulary can spell any text, for benchmarks. What such a model says is noise. Its
// weights are of a size that keeps the hidden state from growing or fading, so that no kernel meets
// infinities, and every other implementation can load the file and run the same work.
//
// Equal models give equal bytes, with any number of threads. Writing takes about as long as the disk does:
// blocks are filled with random codes beside scales that suit, instead of encoding numbers.
package synthetic
