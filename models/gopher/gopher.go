// Package gopher is the model that comes with the house: it completes Go source. Target and draft
// together are 13 MB, so that only the command imports this package.
//
// Both were trained on the Go distribution's own source, by the recipe in the folder train; what they
// can do is measured in its README. They carry the distribution's licence.
package gopher

import _ "embed" // for the files

// Target is gopher: a gemma4 of 11 million weights in Q8_0, in GGUF form.
//
//go:embed gopher.gguf
var Target []byte

// Draft is gopher-mtp: the gemma4-assistant of 1.2 million weights that shares the target's cache.
//
//go:embed gopher-mtp.gguf
var Draft []byte
