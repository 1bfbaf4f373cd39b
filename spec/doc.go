// Package spec decodes speculatively: drafters guess what the target comes to, the target checks the
// guesses in one run, and what it would have said itself is kept.
//
// The target's own sampler chooses at each row, so that the text with speculation is the text without
// it, token for token, greedy or drawn with a fixed seed. (Options.Rejection gives that up for more
// accepted guesses, and keeps the distribution.) How deep a draft goes is decided by what was measured:
// the time of rounds, and how often guesses were right. Where guessing does not pay, it is not done but
// for rare probes.
//
// A drafter is fed the stream of committed tokens and, if it wants them, the target's hidden states; it
// never changes the target. One that fails is left out from then on, and decoding goes on without it.
//
// A Decoder owns its drafters, and neither its engine nor the samplers. It belongs to its engine's
// goroutine.
package spec
