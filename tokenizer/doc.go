// Package tokenizer turns text into token ids and back, from the metadata of a GGUF file alone.
//
// New reads the vocabulary of three kinds of model (tokenizer.ggml.model): "llama" (SPM: characters merged
// by score, with byte fallback), "gpt2" and "gemma4" (BPE: text cut into words by one of the pre-tokenizers
// that tokenizer.ggml.pre names, then merged by rank) and "bert" (WPM: normalised words covered greedily).
// An unknown model or pre-tokenizer is an UnsupportedError, never a guess. The ids are those of llama.cpp,
// including its ways with invalid UTF-8, except where llama.cpp would abort.
//
// # Memory
//
// A Tokenizer owns what it holds and keeps nothing of the Metadata but its strings, which must stay valid.
// AppendEncode and AppendDecode write into the caller's slice; working memory is pooled and bounded.
//
// # Concurrency
//
// A Tokenizer does not change after New, as far as anybody can see: all its methods may be called from many
// goroutines at once. A Stream belongs to one goroutine.
//
// # Unicode
//
// Words are cut by Unicode categories. They come from the standard library's unicode package (Unicode 15.0)
// with the characters of 15.1 added, which is what llama.cpp's tables hold.
package tokenizer
