//go:build !race

package tokenizer

const poolForgets = false
