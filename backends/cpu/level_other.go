//go:build (!amd64 && !arm64) || purego

package cpu

// levelAvailable says that there is nothing but plain Go.
func levelAvailable(Level) string { return "this build has no kernels for it" }
