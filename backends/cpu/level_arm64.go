//go:build !purego

package cpu

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// levelAvailable says what this processor lacks for level l, or "".
func levelAvailable(l Level) string {
	if l != NEON {
		return "it belongs to another architecture"
	}
	// Darwin tells nothing through package cpu, and all its arm64 processors have the dot product.
	if cpu.ARM64.HasASIMDDP || runtime.GOOS == "darwin" {
		return ""
	}
	return "the processor has no dot product of bytes (ASIMDDP)"
}
