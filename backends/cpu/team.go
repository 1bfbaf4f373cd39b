package cpu

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// A team is a fixed set of workers that run the steps of a program together: whoever is there takes
// chunks of the present step, and the next begins when all of its chunks are done. The goroutine that
// submits is one of them; the others are goroutines that live as long as the team and sleep while
// nothing is submitted. Devices with as many workers share one team, and their submits take turns.
type team struct {
	size   int
	turn   chan struct{} // holds one element while somebody submits; those who wait are served in order
	start  sync.Once
	closed bool // its workers are gone
	r      run

	users int // devices; guarded by joined

	floats [][]float32 // scratch of each worker, grown at compile time
	shared []byte      // scratch of all workers together
}

// errClosed is what a program of a closed device gives.
var errClosed = errors.New("cpu: the device is closed")

// step is what each worker that takes part does between two barriers: it takes chunks with next until
// there are none. Not every worker takes part in every step.
type step func(w *worker)

// worker is one worker's view of a run.
type worker struct {
	// id is 0 for the worker that began the present step, of which there is always exactly one.
	id     int
	r      *run
	chunk  *counter  // of the present step
	floats []float32 // scratch, as large as the program asked for
	shared []byte    // scratch common to the team

	// What units are given; kept here so that a run allocates nothing.
	product       product
	panel, spread panel
	unpacking     unpacking
	lanes, rows   [16]int32
	tail          [32]float32

	attn attnItem // what attention is at
}

func newTeam(size int) *team {
	t := &team{size: size, turn: make(chan struct{}, 1), floats: make([][]float32, size)}
	t.r.state.Store(idle)
	return t
}

// begin brings the workers up, and is back when all are there. They belong to the team until close.
func (t *team) begin() {
	masks := workerMasks(t.size)
	var there sync.WaitGroup
	there.Add(t.size - 1)
	for seat := 1; seat < t.size; seat++ {
		go func() {
			// A thread of its own keeps a worker on its core, near what it has read. It ends with the
			// worker, and its affinity with it.
			runtime.LockOSThread()
			if masks != nil {
				pinThread(masks[seat])
			}
			w := &worker{}
			there.Done()
			for phase := uint32(idle); ; phase = w.work(t, seat) {
				if t.r.wait(phase); t.r.closed.Load() {
					return
				}
			}
		}()
	}
	there.Wait()
}

// take waits for the caller's turn; give ends it.
func (t *team) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *team) give() { <-t.turn }

// reserve grows the scratch memory for programs yet to run.
func (t *team) reserve(floats, shared int) {
	_ = t.take(context.Background()) // which is never cancelled
	defer t.give()
	for i := range t.floats {
		if len(t.floats[i]) < floats {
			t.floats[i] = make([]float32, floats)
		}
	}
	if len(t.shared) < shared {
		t.shared = make([]byte, shared+64)
	}
}

// submit runs steps to the end, to the first error, or until ctx is cancelled. isClosed is looked at in
// the caller's turn.
func (t *team) submit(ctx context.Context, w0 *worker, steps []step, isClosed *bool) error {
	if err := t.take(ctx); err != nil {
		return err
	}
	defer t.give()
	switch {
	case t.closed || *isClosed:
		return errClosed
	case len(steps) == 0:
		return nil
	}
	t.start.Do(t.begin)
	r := &t.r
	phase := r.open(ctx, steps)
	w0.enter(t, 0)
	w0.id = 0
	for phase = w0.steps(phase); phase&idle == 0; phase = w0.work(t, 0) {
		r.wait(phase)
	}
	r.ctx, r.done, r.list = nil, nil, nil
	return r.err
}

// close ends the workers once the present run is over.
func (t *team) close() {
	_ = t.take(context.Background())
	defer t.give()
	if !t.closed {
		t.closed = true
		t.r.closed.Store(true)
		t.r.advance()
	}
}

// joined are the teams that devices use, by size.
var joined = struct {
	sync.Mutex
	by map[int]*team
}{by: map[int]*team{}}

// joinTeam returns the process's team of the given size. Each call needs one of leave.
func joinTeam(size int) *team {
	joined.Lock()
	defer joined.Unlock()
	t := joined.by[size]
	if t == nil {
		t = newTeam(size)
		joined.by[size] = t
	}
	t.users++
	return t
}

// leave ends the workers if no other device has them.
func (t *team) leave() {
	joined.Lock()
	t.users--
	isLast := t.users == 0
	if isLast {
		delete(joined.by, t.size)
	}
	joined.Unlock()
	if isLast {
		t.close()
	}
}
