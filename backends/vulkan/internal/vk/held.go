//go:build cgo && linux && (amd64 || arm64)

package vk

import (
	"runtime"
	"runtime/debug"
	"sync"
)

var holding sync.Mutex

// held calls f while no collection starts. The binding gives C memory of struct slices to finalizers before it
// passes them to Vulkan: a collection in between frees what the driver reads. Such calls are made at
// set-up alone, and here. SetGCPercent waits for a collection that runs to mark, and a memory limit could
// start another, so that it is lifted, too.
func held(f func()) {
	holding.Lock()
	defer holding.Unlock()
	percent := debug.SetGCPercent(-1)
	limit := debug.SetMemoryLimit(1<<63 - 1)
	defer func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	}()
	f()
	runtime.KeepAlive(f)
}
