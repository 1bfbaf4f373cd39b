// Package spec decodes speculatively: drafters guess what the target comes to, the target checks the
// guesses in one run, and what it would have said itself is kept.
//
// The target's own sampler chooses at each row, so that the text with speculation is the text without
// it, token for token. A drafter is fed the stream of committed tokens and, if it wants them, the
// target's hidden states; it never changes the target. One that fails is left out from then on, and
// decoding goes on without it.
//
// A Decoder belongs to its engine's goroutine.
package spec
