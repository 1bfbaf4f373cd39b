//go:build !(amd64 || arm64) || purego

package cpu

// pause would tell the processor that its caller does nothing but wait.
func pause(uint32) {}
