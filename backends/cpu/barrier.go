package cpu

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A run is one submit of one program, and the barrier between its steps.
//
// The barrier counts those who are inside a step, not those who have arrived at its end: a worker leaves
// a step when there are no more chunks to take, so that when the last one leaves all chunks are done.
// It begins the next step at once. A worker that the system has put aside between two chunks' steps holds
// nobody up, and neither does one that still sleeps; the others take its share.
type run struct {
	list  []step
	first uint32 // count of the first step; see state
	ctx   context.Context
	done  <-chan struct{} // of ctx

	// Each counter has cache lines of its own: workers hit them at the same time.
	_ [64]byte
	// state holds in its lower half the phase: the count of steps since the team began, modulo 2^31,
	// times 2, and the bit idle. Its upper half is the number of workers inside the present step; they
	// may enter no other, and none while idle is set.
	state    atomic.Uint64
	_        [56]byte
	chunks   [2]counter // of steps with even and odd counts: one is made ready while the other is in use
	sleepers atomic.Int32
	stop     atomic.Bool
	closed   atomic.Bool

	errOnce sync.Mutex
	err     error

	bed parking
}

const (
	idle      = 1       // the bit of a phase in which there is nothing to do
	oneInside = 1 << 32 // in state
)

// counter is the next chunk of a step, on cache lines of its own.
type counter struct {
	_    [64]byte
	next atomic.Int64
	_    [64]byte
}

// open begins a run with its caller inside the first step, and returns the phase. The caller has the turn.
func (r *run) open(ctx context.Context, steps []step) uint32 {
	phase := (uint32(r.state.Load()) + 2) &^ idle
	r.list, r.first, r.ctx, r.done, r.err = steps, phase>>1, ctx, ctx.Done(), nil
	r.stop.Store(false)
	r.counter(phase).Store(0)
	r.state.Store(uint64(phase) | oneInside)
	r.wake()
	return phase
}

// advance begins another idle phase, so that all who wait look up.
func (r *run) advance() {
	r.state.Add(2)
	r.wake()
}

func (r *run) counter(phase uint32) *atomic.Int64 { return &r.chunks[phase>>1&1].next }

// enter makes w ready for the steps of t's run, in which it has just been let.
func (w *worker) enter(t *team, seat int) {
	w.id, w.r, w.floats, w.shared = 1, &t.r, t.floats[seat], t.shared
}

// work enters the present step and those that follow. It returns the phase that is yet to end, or that
// of an idle team.
func (w *worker) work(t *team, seat int) uint32 {
	for r := &t.r; ; {
		s := r.state.Load()
		if s&idle != 0 {
			return uint32(s)
		}
		if r.state.CompareAndSwap(s, s+oneInside) {
			w.enter(t, seat)
			return w.steps(uint32(s))
		}
	}
}

// steps does the present step, in which w is, and those that w then begins.
func (w *worker) steps(phase uint32) uint32 {
	r := w.r
	for {
		w.chunk = &r.chunks[phase>>1&1]
		r.list[(phase>>1-r.first)&(1<<31-1)](w)
		next := r.leave(phase)
		if next == phase || next&idle != 0 {
			return next
		}
		phase, w.id = next, 0
	}
}

// leave takes the caller out of a step. If it was the last one inside it begins the next step, is inside
// of that, and gets its phase; or ends the run.
func (r *run) leave(phase uint32) uint32 {
	for {
		s := r.state.Load()
		if s>>32 > 1 {
			if r.state.CompareAndSwap(s, s-oneInside) {
				return phase
			}
			continue
		}
		// Somebody may still enter, find no chunks and leave: then this is done again.
		select {
		case <-r.done:
			r.fail(r.ctx.Err())
		default:
		}
		next := phase + 2
		to := uint64(next) | oneInside
		r.counter(next).Store(0)
		if r.stop.Load() || int((next>>1-r.first)&(1<<31-1)) == len(r.list) {
			next |= idle
			to = uint64(next)
		}
		if r.state.CompareAndSwap(s, to) {
			r.wake()
			return next
		}
	}
}

const (
	// Looking costs a transfer of a cache line, so the looks are some pauses apart. The others are
	// usually about a microsecond behind.
	looksPerClock = 32
	// spinTime is how long a worker that waits keeps its core: about as long as a chunk takes. A longer
	// wait means that somebody has lost its core, and may have this one.
	spinTime = 40 * time.Microsecond
	// yieldTime is how long it then offers the core and asks again. To sleep at once would be politer, but
	// measured worse beside a busy process: who sleeps has to be put back onto a core.
	yieldTime = time.Millisecond
)

// wait returns when the phase is another one. It does not yield for an idle team: nobody needs it.
func (r *run) wait(phase uint32) {
	var begun time.Time
	for look := 1; uint32(r.state.Load()) == phase; look++ {
		if look%looksPerClock != 0 {
			pause(2)
			continue
		}
		if begun.IsZero() {
			begun = time.Now()
			continue
		}
		switch waited := time.Since(begun); {
		case waited < spinTime:
		case waited < yieldTime && phase&idle == 0:
			yieldCore()
			look-- // and look at the clock again
		default:
			r.sleepers.Add(1)
			r.bed.sleep(&r.state, phase)
			r.sleepers.Add(-1)
			begun = time.Time{}
		}
	}
}

// wake wakes those who sleep, as the phase has changed.
func (r *run) wake() {
	if r.sleepers.Load() > 0 {
		r.bed.wakeAll(&r.state)
	}
}

// fail ends the run with err, unless it has ended.
func (r *run) fail(err error) {
	r.errOnce.Lock()
	if r.err == nil {
		r.err = err
	}
	r.errOnce.Unlock()
	r.stop.Store(true)
}

// next takes the worker's next chunk of a step over total items, grain at a time. It reports false
// when all are taken, or the run has failed or was cancelled.
func (w *worker) next(total, grain int) (from, to int, ok bool) {
	r := w.r
	from = int(w.chunk.next.Add(int64(grain))) - grain
	if from >= total || r.stop.Load() {
		return 0, 0, false
	}
	select {
	case <-r.done:
		r.fail(r.ctx.Err())
		return 0, 0, false
	default:
	}
	return from, min(from+grain, total), true
}
