package cpu

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A team is a fixed set of workers that run the steps of a program together: every worker runs every
// step, takes its share of it chunk by chunk, and meets the others at a barrier before the next. The
// goroutine that submits is worker 0; the others are goroutines that live as long as the team and
// sleep while nothing is submitted.
type team struct {
	size   int
	mu     sync.Mutex // held by the submitter of a run
	once   sync.Once
	closed bool        // its workers are gone
	work   []chan *run // one for each worker but 0
	r      run

	floats [][]float32 // scratch of each worker, grown at compile time
	shared []byte      // scratch of all workers together
}

// errClosed is what a program of a closed device gives.
var errClosed = errors.New("cpu: the device is closed")

// A run is one submit of one program.
type run struct {
	steps []step
	done  <-chan struct{} // of the context
	ctx   context.Context
	n     int32

	// Each counter has a cache line of its own: workers hit them at the same time.
	_       [64]byte
	chunk   atomic.Int64 // next chunk of the present step
	_       [56]byte
	arrived atomic.Int32
	_       [60]byte
	phase   atomic.Uint32 // number of steps done
	_       [60]byte
	stop    atomic.Bool
	halt    bool         // stop, as the last to arrive at the barrier saw it: all must leave at the same one
	running atomic.Int32 // workers inside

	errOnce sync.Mutex
	err     error
}

// step is what each worker does between two barriers.
type step func(w *worker)

// worker is one worker's view of a run.
type worker struct {
	id, n  int
	r      *run
	floats []float32 // scratch, as large as the program asked for
	shared []byte    // scratch common to the team

	// What units are given; kept here so that a run allocates nothing.
	product       product
	panel, spread panel
	unpacking     unpacking
	lanes, rows   [16]int32
	tail          [32]float32
}

func newTeam(size int) *team {
	t := &team{size: size, floats: make([][]float32, size)}
	return t
}

// start brings the workers up. They belong to the team until close.
func (t *team) start() {
	t.work = make([]chan *run, t.size-1)
	for i := range t.work {
		c := make(chan *run, 1)
		t.work[i] = c
		go func() {
			w := &worker{id: i + 1, n: t.size}
			for r := range c {
				w.r, w.floats, w.shared = r, t.floats[w.id], t.shared
				w.run()
				r.running.Add(-1)
			}
		}()
	}
}

// reserve grows the scratch memory for programs yet to run.
func (t *team) reserve(floats, shared int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.floats {
		if len(t.floats[i]) < floats {
			t.floats[i] = make([]float32, floats)
		}
	}
	if len(t.shared) < shared {
		t.shared = make([]byte, shared+64)
	}
}

// submit runs steps to the end, to the first error, or until ctx is cancelled.
func (t *team) submit(ctx context.Context, w0 *worker, steps []step) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	t.once.Do(t.start)
	r := &t.r
	r.steps, r.ctx, r.done, r.n, r.err = steps, ctx, ctx.Done(), int32(t.size), nil
	r.chunk.Store(0)
	r.arrived.Store(0)
	r.phase.Store(0)
	r.stop.Store(false)
	r.running.Store(int32(t.size - 1))
	for _, c := range t.work {
		c <- r
	}
	w0.id, w0.n, w0.r, w0.floats, w0.shared = 0, t.size, r, t.floats[0], t.shared
	w0.run()
	for i := 0; r.running.Load() != 0; i++ {
		relax(i)
	}
	r.ctx, r.done, r.steps = nil, nil, nil
	return r.err
}

func (t *team) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, c := range t.work {
		close(c)
	}
	t.work = nil
}

// run does every step.
func (w *worker) run() {
	for i, s := range w.r.steps {
		s(w)
		if !w.r.barrier(uint32(i + 1)) {
			return
		}
	}
}

// barrier waits for all workers to end a step and reports whether there is a next one to do.
func (r *run) barrier(phase uint32) bool {
	if r.arrived.Add(1) == r.n {
		select {
		case <-r.done:
			r.fail(r.ctx.Err())
		default:
		}
		r.arrived.Store(0)
		r.chunk.Store(0)
		r.halt = r.stop.Load()
		r.phase.Store(phase)
	} else {
		for i := 0; r.phase.Load() < phase; i++ {
			relax(i)
		}
	}
	return !r.halt
}

// relax waits a moment: at first only by looking again, as the others are usually a microsecond behind,
// later by letting other goroutines and, in the end, other processes run.
func relax(i int) {
	switch {
	case i < 2000:
	case i < 4000:
		runtime.Gosched()
	default:
		time.Sleep(20 * time.Microsecond)
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
	from = int(r.chunk.Add(int64(grain))) - grain
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
