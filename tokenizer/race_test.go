//go:build race

package tokenizer

// Under the race detector sync.Pool drops some of what it is given, at random.
const poolForgets = true
