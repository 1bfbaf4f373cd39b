//go:build !amd64 || purego

package cpu

// kernelFeatures names the instruction sets that the kernels use here.
func kernelFeatures() []string { return nil }
