//go:build !linux || !(amd64 || arm64)

package cpu

import (
	"runtime"
	"sync"
)

// parking puts goroutines to sleep.
type parking struct {
	mu   sync.Mutex
	cond *sync.Cond
}

// sleep returns when the phase is another one.
func (r *run) sleep(phase uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cond == nil {
		r.cond = sync.NewCond(&r.mu)
	}
	for uint32(r.state.Load()) == phase {
		r.cond.Wait()
	}
}

func (r *run) wakeAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cond != nil {
		r.cond.Broadcast()
	}
}

// yieldCore lets another goroutine run.
func yieldCore() { runtime.Gosched() }
