package sim

import (
	"context"
	"sync"
)

// job is one submit.
type job struct {
	p      *program
	ctx    context.Context
	strike faultKind // of submit that hits it
	ticket uint64
}

// queue holds what is submitted and not done, in order. Submits and waits take no memory from the Go
// heap once it has grown.
type queue struct {
	mode SubmitMode
	run  sync.Mutex // held by whoever runs jobs

	mu      sync.Mutex
	changed sync.Cond // a job came, or is done
	jobs    []job
	head    int
	last    uint64 // ticket of the newest job
	done    uint64 // ticket of the newest that is done
	started bool
	closing bool
	closed  chan struct{} // ends what hangs
	workers sync.WaitGroup
}

func (q *queue) init(mode SubmitMode) {
	q.mode = mode
	q.changed.L = &q.mu
	q.closed = make(chan struct{})
}

// push adds a job and returns its ticket.
func (q *queue) push(j job) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.last++
	j.ticket = q.last
	if q.head > 0 && len(q.jobs) == cap(q.jobs) {
		n := copy(q.jobs, q.jobs[q.head:])
		clear(q.jobs[n:])
		q.jobs, q.head = q.jobs[:n], 0
	}
	q.jobs = append(q.jobs, j)
	if q.mode == Async && !q.started && !q.closing {
		q.started = true
		q.workers.Go(q.work)
	}
	q.changed.Broadcast()
	return j.ticket
}

// pop takes the oldest job if its ticket is not above last.
func (q *queue) pop(last uint64) (job, bool) {
	if q.head == len(q.jobs) || q.jobs[q.head].ticket > last {
		return job{}, false
	}
	j := q.jobs[q.head]
	q.jobs[q.head] = job{}
	q.head++
	if q.head == len(q.jobs) {
		q.jobs, q.head = q.jobs[:0], 0
	}
	return j, true
}

// work runs jobs as they come: the goroutine of Async.
func (q *queue) work() {
	for {
		q.mu.Lock()
		j, ok := q.pop(q.last)
		for !ok && !q.closing {
			q.changed.Wait()
			j, ok = q.pop(q.last)
		}
		q.mu.Unlock()
		if !ok {
			return
		}
		q.finish(j, j.p.execute(j, context.Background()))
	}
}

// runTo runs jobs up to the given ticket on the caller's goroutine: Deferred. A cancelled ctx ends those
// that hang.
func (q *queue) runTo(ctx context.Context, ticket uint64) {
	q.run.Lock()
	defer q.run.Unlock()
	for {
		q.mu.Lock()
		j, ok := q.pop(ticket)
		q.mu.Unlock()
		if !ok {
			return
		}
		q.finish(j, j.p.execute(j, ctx))
	}
}

func (q *queue) finish(j job, err error) {
	q.mu.Lock()
	q.done = j.ticket
	if j.p.late == nil {
		j.p.late = err
	}
	q.changed.Broadcast()
	q.mu.Unlock()
	select {
	case j.p.ready <- struct{}{}:
	default:
	}
}

// wait returns when the job of the given ticket of p is done, or with ctx's error if that comes first.
func (q *queue) wait(ctx context.Context, p *program, ticket uint64) error {
	if q.mode == Deferred {
		q.mu.Lock()
		pending := q.done < ticket
		q.mu.Unlock()
		if pending {
			if err := ctx.Err(); err != nil {
				p.giveUp(err)
				return err
			}
			q.runTo(ctx, ticket)
		}
		return nil
	}
	for {
		q.mu.Lock()
		done := q.done >= ticket
		q.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-p.ready:
		case <-ctx.Done():
			p.giveUp(ctx.Err())
			return ctx.Err()
		}
	}
}

// settle returns when everything is done that is submitted now.
func (q *queue) settle() {
	switch q.mode {
	case Deferred:
		q.mu.Lock()
		last := q.last
		q.mu.Unlock()
		q.runTo(context.Background(), last)
	case Async:
		q.mu.Lock()
		for last := q.last; q.done < last; {
			q.changed.Wait()
		}
		q.mu.Unlock()
	}
}

// close ends what hangs, runs the rest and ends the worker.
func (q *queue) close() {
	q.mu.Lock()
	if q.closing {
		q.mu.Unlock()
		return
	}
	q.closing = true
	close(q.closed)
	q.changed.Broadcast()
	q.mu.Unlock()
	q.workers.Wait()
	q.settle()
}

// ended reports whether the queue takes no more jobs.
func (q *queue) ended() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closing
}

// reached returns the ticket of the newest job that is done.
func (q *queue) reached() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.done
}
