//go:build !linux || !(amd64 || arm64)

package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// parking puts goroutines to sleep.
type parking struct {
	mu   sync.Mutex
	cond *sync.Cond
}

// sleep returns when the phase is another one.
func (p *parking) sleep(state *atomic.Uint64, phase uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cond == nil {
		p.cond = sync.NewCond(&p.mu)
	}
	for uint32(state.Load()) == phase {
		p.cond.Wait()
	}
}

func (p *parking) wakeAll(*atomic.Uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cond != nil {
		p.cond.Broadcast()
	}
}

// yieldCore lets another goroutine run.
func yieldCore() { runtime.Gosched() }
