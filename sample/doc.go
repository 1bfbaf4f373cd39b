// Package sample turns logits into tokens.
//
// A [Sampler] runs one chain of stages, in the order that llama.cpp has by default:
//
//	logit bias > penalties > top-k > typical-p > top-p > min-p > temperature > draw
//
// Each filter sees the distribution that the stage before left, scaled to sum 1. The temperature comes last,
// so that it does not change which tokens the filters keep. Two tokens with the same logit rank by their id,
// lower first, everywhere.
//
// # Same seed, same text
//
// Given the same logits, parameters and accepted tokens, a Sampler returns the same tokens on every platform. Three
// things make it so, and all three are part of the contract of this package:
//
//   - The random numbers are SplitMix64, seeded as [Params.Seed] says. Each successful Sample with a positive temperature
//     takes exactly one of them, even if a single candidate is left. Greedy sampling takes none.
//   - The draw inverts the cumulative distribution over the candidates in order of their ids. The order does not depend on
//     the logits, so that a rounding error in a logit, as between two devices, moves the borders between tokens by
//     that little and reorders nothing.
//   - Exponentials and logarithms are computed here, from additions, multiplications and divisions that are rounded one
//     by one. [math.Exp] has assembly on some platforms and compilers fuse a product and a sum where the machine
//     can, so that the standard library may differ by a last bit between machines; this arithmetic cannot. Sums over
//     many tokens have one order of additions, which vector units and plain Go both follow.
//
// # Memory and concurrency
//
// New allocates all that a Sampler needs; Sample, Accept, Reset and, once a [State] has grown, Snapshot and Restore
// allocate nothing. Without top-k that is about 32 bytes for each entry of the vocabulary, 36 with typical-p, and with
// top-k an eighth of a byte and a few kilobytes. Penalties add 4 bytes per entry, and to a top-k chain 8; a logit bias adds
// 4 to such a chain. A Sampler never changes or keeps the logits it is given.
//
// A Sampler holds the state of one sequence and is for one goroutine at a time. Different Samplers are independent.
package sample
