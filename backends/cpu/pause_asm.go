//go:build (amd64 || arm64) && !purego

package cpu

// pause tells the processor n times, at least once, that its caller does nothing but wait.
//
//go:noescape
func pause(n uint32)
