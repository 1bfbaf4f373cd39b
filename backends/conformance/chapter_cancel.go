package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/tenon-go/tenon/tensor"
)

func cancelCases(t *table) {
	add := func(name string, run func(ctx context.Context, s *session) (measure, error)) {
		t.check(ChapterCancel, name, run)
	}
	add("before", cancelBefore)
	add("during", func(ctx context.Context, s *session) (measure, error) { return cancelDuring(ctx, s, false) })
	add("deadline", func(ctx context.Context, s *session) (measure, error) { return cancelDuring(ctx, s, true) })
}

// cancelBefore submits with a context that has ended: its error comes back, and the program works
// with another context.
func cancelBefore(ctx context.Context, s *session) (m measure, err error) {
	b, _, y, err := s.small("cancel-before")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for range 3 {
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if err := b.submit(ended, true); !errors.Is(err, context.Canceled) {
			return m, fmt.Errorf("a run with a cancelled context: have error %v, want context.Canceled", err)
		}
		if err := b.prog.Wait(ctx); err != nil && !errors.Is(err, context.Canceled) {
			return m, fmt.Errorf("waiting after a cancelled run: %w", err)
		}
		if err := b.reset(); err != nil {
			return m, err
		}
		if err := b.submit(ctx, true); err != nil {
			return m, fmt.Errorf("after a cancelled run: %w", err)
		}
		if m, err = b.check(&looseProduct, y); err != nil {
			return m, fmt.Errorf("after a cancelled run: %w", err)
		}
	}
	return m, s.worksApart(ctx)
}

// fastest returns how long a run takes, of up to three the shortest: on a busy machine a single one may
// take several times as long as the next. It stops at the first that is shorter than least.
func (b *bound) fastest(ctx context.Context, least time.Duration) (time.Duration, error) {
	took := time.Duration(math.MaxInt64)
	for range 3 {
		begin := time.Now()
		if err := b.submit(ctx, true); err != nil {
			return 0, err
		}
		if took = min(took, time.Since(begin)); took < least {
			break
		}
	}
	return took, nil
}

// long binds a program that takes at least so long, and returns how long it takes.
func (s *session) long(ctx context.Context, least time.Duration) (*bound, time.Duration, error) {
	for nodes, size := 64, 1<<14; ; {
		g := newGen(s.rand("long"))
		x := g.random(tensor.F32, tensor.MakeShape(size))
		y := x
		for range nodes {
			y = g.Scale(g.Unary(tensor.Sin, y), 1.5)
		}
		b, err := s.bind(g, true, y)
		if err != nil {
			return nil, 0, err
		}
		if err := b.reset(); err != nil {
			return b, 0, err
		}
		if err := b.submit(ctx, true); err != nil { // what is slow at first only
			return b, 0, err
		}
		took, err := b.fastest(ctx, least)
		if err != nil {
			return b, 0, err
		}
		if took >= least {
			return b, took, nil
		}
		if err := b.close(); err != nil {
			return nil, 0, err
		}
		// As many nodes as should do, and larger tensors on a device that a node hardly keeps busy.
		nodes = int(min(64, max(2, 1.3*float64(least)/float64(max(took, 1)))) * float64(nodes))
		if nodes > 1<<13 {
			nodes, size = 64, 16*size
		}
		if size > 1<<26 {
			return nil, 0, skipError(fmt.Sprintf("no program is slow enough to be cancelled: %v", took))
		}
	}
}

// cancelDuring ends the context of a run early: the run ends well before it would by itself. A busy machine
// can make a run late, so that it may be twice; who does not listen is late each time.
func cancelDuring(ctx context.Context, s *session, deadline bool) (m measure, err error) {
	own := s.apart()
	defer func() { err = errors.Join(err, own.close()) }()
	b, full, err := own.long(ctx, 100*time.Millisecond)
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return m, err
	}
	for good, late := 0, 0; good < 2; {
		soon, cancel := context.WithCancel(ctx)
		want := context.Canceled
		if deadline {
			cancel()
			soon, cancel = context.WithTimeout(ctx, full/10)
			want = context.DeadlineExceeded
		} else {
			time.AfterFunc(full/10, cancel)
		}
		begin := time.Now()
		err := b.submit(soon, true)
		took := time.Since(begin)
		cancel()
		if !errors.Is(err, want) {
			return m, fmt.Errorf("cancelled after %v of %v: have error %v, want %v", full/10, full, err, want)
		}
		if good++; took > full*7/10 {
			good, late = good-1, late+1
		}
		if late == 3 {
			return m, fmt.Errorf("cancelled after %v of %v, the run ended after %v", full/10, full, took)
		}
		if err := b.prog.Wait(ctx); err != nil && !errors.Is(err, want) {
			return m, fmt.Errorf("waiting after a cancelled run: %w", err)
		}
		if err := s.works(ctx); err != nil {
			return m, err
		}
	}
	if err := b.submit(ctx, true); err != nil {
		return m, fmt.Errorf("after a cancelled run: %w", err)
	}
	return m, nil
}
