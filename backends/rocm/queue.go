//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"context"
	"syscall"
	"time"

	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
)

// One stream runs everything in order. Pieces of work are counted, and for each of the last few there is an event. A copy or a fill
// counts with what comes after it, and gets an event of its own only if somebody waits before: a token's inputs are a few small copies, and
// each event costs as much as one of them.

// eventRing is how many. Who waits for an older one waits for one that came later, which is not much later.
const eventRing = 64

// submit lets f give work to the stream, and returns its number, for which there need not be an event yet. f gets Args of its own for the
// time.
func (s *session) submit(call string, f func(a *hip.Args) error) (uint64, error) {
	s.queue.Lock()
	defer s.queue.Unlock()
	defer s.rt.Leave()
	if err := s.rt.EnterQuick(&s.args, s.dev.phys.Index); err != nil {
		return 0, s.failed(call, err)
	}
	if err := s.alive(call); err != nil {
		return 0, err
	}
	if err := f(&s.args); err != nil {
		return 0, s.failed(call, err)
	}
	s.unmarked = true
	return s.submitted.Load() + 1, nil
}

// mark counts what the stream has got. queue is locked and the device entered.
func (s *session) mark(call string) (uint64, error) {
	v := s.submitted.Load() + 1
	if err := s.rt.Record(&s.args, s.events[v%eventRing], s.stream); err != nil {
		return 0, s.failed(call, err)
	}
	s.submitted.Store(v)
	s.unmarked = false
	return v, nil
}

// marked sees to it that there is an event for work number v.
func (s *session) marked(call string, v uint64) error {
	if v <= s.submitted.Load() {
		return nil
	}
	s.queue.Lock()
	defer s.queue.Unlock()
	if v <= s.submitted.Load() {
		return nil
	}
	defer s.rt.Leave()
	if err := s.rt.EnterQuick(&s.args, s.dev.phys.Index); err != nil {
		return s.failed(call, err)
	}
	_, err := s.mark(call)
	return err
}

const (
	// A waiter looks again and again for about as long as a token takes, and then now and then.
	spinTime = 2 * time.Millisecond
	napTime  = 20 * time.Microsecond
)

// nap is a short sleep, of about 0.1 ms with what the system adds. time.Sleep would make it a whole millisecond where nothing else runs: the
// poller that wakes Go's timers counts in these.
func nap() {
	t := syscall.NsecToTimespec(int64(napTime))
	_ = syscall.Nanosleep(&t, nil) // a signal ends it early, which does no harm
}

// wait waits until work number v is done. A cancelled ctx ends it early.
func (s *session) wait(ctx context.Context, call string, v uint64) error {
	begun := time.Now()
	if err := s.marked(call, v); err != nil {
		return err
	}
	for s.reached.Load() < v {
		done, err := s.happened(v)
		if err != nil {
			return s.failed(call, err)
		}
		if done {
			s.reach(v)
			return nil
		}
		if s.lost.Load() {
			return s.lostError(call)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if time.Since(begun) > spinTime {
			nap()
		}
	}
	return nil
}

func (s *session) happened(v uint64) (bool, error) {
	s.queue.Lock()
	defer s.queue.Unlock()
	defer s.rt.Leave()
	if err := s.rt.EnterQuick(&s.args, s.dev.phys.Index); err != nil {
		return false, err
	}
	return s.rt.Happened(&s.args, s.events[v%eventRing])
}

// reach notes that everything up to v is done.
func (s *session) reach(v uint64) {
	for {
		old := s.reached.Load()
		if old >= v || s.reached.CompareAndSwap(old, v) {
			return
		}
	}
}

// settle waits for everything that was submitted.
func (s *session) settle(call string) error {
	s.queue.Lock()
	v := s.submitted.Load()
	if s.unmarked {
		v++
	}
	s.queue.Unlock()
	return s.wait(context.Background(), call, v)
}
