//go:build !linux

package cpu

import "runtime"

// allowedCPUs returns the processors that this process may run on.
func allowedCPUs() []int {
	list := make([]int, runtime.NumCPU())
	for i := range list {
		list[i] = i
	}
	return list
}

// pinThread does nothing: workers are held to processors on Linux only.
func pinThread([]int) {}
