package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
)

// program is a compiled Subgraph: programs of the CPU backend over the bytes of simulated buffers.
type program struct {
	dev        *Device
	generation uint64
	parts      []part
	bufs       []*buf          // that it uses, pinned while it is submitted
	foreign    []buffer.Buffer // memory of CPU devices that it uses
	between    []buffer.Buffer // of inner results where nodes of a group run one by one
	nodes      int
	cost       time.Duration

	ready  chan struct{} // gets a token when a job of this program is done
	abort  chan error    // ends a job of this program that hangs
	ticket uint64        // of the last submit
	until  time.Duration // when its work is done
	late   error         // of work that is done; the queue's lock guards it
	closed bool
}

// part runs some of the nodes: all of them, unless a Break stands between.
type part struct {
	program backends.Program
	broken  *broken // what is wrong with it, or nil
}

// Submit runs the nodes, now or later: see SubmitMode. What went wrong with an earlier submit and was
// not told yet is its error, and then nothing is submitted.
func (p *program) Submit(ctx context.Context) error {
	d := p.dev
	if err := p.takeLate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.closed {
		return fmt.Errorf("sim: submit on %s: program: %w", d.cfg.Name, buffer.ErrClosed)
	}
	if err := d.alive("submit", p.generation); err != nil {
		return err
	}
	if d.cfg.PlanOnly && p.nodes > 0 {
		return d.planOnly("submit")
	}
	f := d.faults.strike(failSubmit, loseAtSubmit, hangAtSubmit)
	if f.kind == failSubmit {
		return &FaultError{Device: d.cfg.Name, Call: "submit", Fault: f}
	}
	if err := p.pin(); err != nil {
		return err
	}
	d.stats.submitted(p.nodes)
	p.until = d.line.begin(p.cost, nil)
	j := job{p: p, ctx: ctx, strike: f.kind}
	if d.queue.mode == Sync {
		d.line.join(p.until)
		return p.execute(j, ctx)
	}
	if p.ticket <= d.queue.reached() {
		p.forgive()
	}
	p.ticket = d.queue.push(j)
	return nil
}

// pin keeps the memory that p uses in place. It pins nothing if some of it is closed.
func (p *program) pin() error {
	for _, b := range p.foreign {
		if buffer.HostBytes(b) == nil && b.Size() > 0 {
			return fmt.Errorf("sim: submit on %s: memory of %s: %w", p.dev.cfg.Name, b.Type().Owner(), buffer.ErrClosed)
		}
	}
	for i, b := range p.bufs {
		if !b.pin() {
			for _, pinned := range p.bufs[:i] {
				pinned.unpin()
			}
			return fmt.Errorf("sim: submit on %s: memory of %s: %w", p.dev.cfg.Name, b.typ.name, buffer.ErrClosed)
		}
	}
	return nil
}

// execute does what j says. A cancelled waiter ends it only if it hangs.
func (p *program) execute(j job, waiter context.Context) error {
	defer func() {
		for _, b := range p.bufs {
			b.unpin()
		}
	}()
	d := p.dev
	switch j.strike {
	case loseAtSubmit:
		d.lose()
	case hangAtSubmit:
		if err := p.hang(j.ctx, waiter); err != nil {
			return err
		}
	}
	if err := d.alive("submit", p.generation); err != nil {
		return err
	}
	if err := d.line.sleep(j.ctx, p.cost); err != nil {
		return err
	}
	for i := range p.parts {
		if err := p.parts[i].run(j.ctx); err != nil {
			return err
		}
	}
	return nil
}

// run runs the part's nodes.
func (t *part) run(ctx context.Context) error {
	if t.broken == nil {
		return t.program.Submit(ctx)
	}
	t.broken.before()
	err := t.program.Submit(ctx)
	t.broken.after()
	return err
}

// hang blocks until somebody gives up.
func (p *program) hang(ctx, waiter context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-waiter.Done():
		return waiter.Err()
	case err := <-p.abort:
		return err
	case <-p.dev.queue.closed:
		return &LostError{Device: p.dev.cfg.Name, Call: "submit"}
	}
}

// giveUp ends work of p that hangs, now or later.
func (p *program) giveUp(err error) {
	select {
	case p.abort <- err:
	default:
	}
}

// forgive takes back a giveUp that has ended nothing.
func (p *program) forgive() {
	select {
	case <-p.abort:
	default:
	}
}

// takeLate returns the error of work that is done, once.
func (p *program) takeLate() error {
	q := &p.dev.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	err := p.late
	p.late = nil
	return err
}

// Wait returns when everything that was submitted of p is done, and with it what was submitted to the
// device before.
func (p *program) Wait(ctx context.Context) error {
	if err := p.dev.queue.wait(ctx, p, p.ticket); err != nil {
		return err
	}
	p.dev.line.join(p.until)
	if err := p.takeLate(); err != nil {
		return err
	}
	return p.dev.alive("wait", p.generation)
}

// errGivenUp is the end of work that hangs when its program is closed. Nobody sees it.
var errGivenUp = errors.New("sim: the program is closed")

// Close ends what hangs of p and waits for the rest.
func (p *program) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	p.giveUp(errGivenUp)
	_ = p.dev.queue.wait(context.Background(), p, p.ticket) // only a context could end it early
	p.dev.stats.compiled(-1)
	return p.drop()
}

// drop frees the parts.
func (p *program) drop() error {
	var errs []error
	for _, t := range p.parts {
		errs = append(errs, t.program.Close())
	}
	for _, b := range p.between {
		errs = append(errs, b.Close())
	}
	p.parts, p.bufs, p.foreign, p.between = nil, nil, nil, nil
	return errors.Join(slices.DeleteFunc(errs, func(err error) bool { return err == nil })...)
}
