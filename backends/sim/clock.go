package sim

import (
	"context"
	"sync"
	"time"
)

// A Clock counts the time that simulated work takes. The host has one time, and each device has one at
// which its work is done; what waits for a device takes the host there. Work on two devices that nobody
// waits for in between takes as long as the longer.
//
// A virtual clock only counts, and is exact: the same calls in the same order give the same time. A real
// one sleeps as well.
type Clock struct {
	real bool
	mu   sync.Mutex
	now  time.Duration
}

// NewClock returns a virtual clock at 0.
func NewClock() *Clock { return new(Clock) }

// NewRealClock returns a clock at 0 whose devices sleep for as long as their work costs.
func NewRealClock() *Clock { return &Clock{real: true} }

// Now returns the host's time: how long everything has taken that it has waited for.
func (c *Clock) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// timeline is the time of one device. Its clock's lock guards it.
type timeline struct {
	clock *Clock
	done  time.Duration // when its work is done
	busy  time.Duration // of which it has worked
}

// begin adds work of the given cost after what the device, and the one of also, have to do already. It
// returns when the work is done.
func (t *timeline) begin(cost time.Duration, also *timeline) time.Duration {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	start := max(t.clock.now, t.done)
	if also != nil && also.clock == t.clock {
		start = max(start, also.done)
		also.done = start + cost
	}
	t.done = start + cost
	t.busy += cost
	return t.done
}

// join takes the host to the given time.
func (t *timeline) join(at time.Duration) {
	t.clock.mu.Lock()
	t.clock.now = max(t.clock.now, at)
	t.clock.mu.Unlock()
}

// spent returns how long the device has worked.
func (t *timeline) spent() time.Duration {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.busy
}

// sleep takes real time, if the clock is real and cost is not 0. It returns ctx's error if ctx ends it.
func (t *timeline) sleep(ctx context.Context, cost time.Duration) error {
	if !t.clock.real || cost <= 0 {
		return nil
	}
	timer := time.NewTimer(cost)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cost returns what n bytes take.
func cost(latency time.Duration, bandwidth, n int64) time.Duration {
	if bandwidth <= 0 {
		return latency
	}
	return latency + time.Duration(float64(n)/float64(bandwidth)*float64(time.Second))
}

// forget makes spent start again.
func (t *timeline) forget() {
	t.clock.mu.Lock()
	t.busy = 0
	t.clock.mu.Unlock()
}
