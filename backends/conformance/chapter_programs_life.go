package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// emptyPrograms have no nodes, or none with elements.
func emptyPrograms(ctx context.Context, s *session) (m measure, err error) {
	none := func(*tensor.Tensor) tensor.Storage { return tensor.Storage{} }
	p, err := s.compile(nil, none)
	if err != nil {
		return m, fmt.Errorf("a program without nodes: %w", err)
	}
	if err := errors.Join(p.Submit(ctx), p.Wait(ctx), p.Close()); err != nil {
		return m, fmt.Errorf("a program without nodes: %w", err)
	}
	g := newGen(s.rand("empty"))
	y := g.Scale(g.random(tensor.F32, tensor.MakeShape(4, 0, 2)), 2)
	return s.once(ctx, g, false, nil, g.Add(y, y))
}

// manyPrograms keeps many programs at a time, and closes them in another order.
func manyPrograms(ctx context.Context, s *session) (m measure, err error) {
	b, _, y, err := s.small("many")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	all := make([]backends.Program, 64)
	for i := range all {
		if all[i], err = s.compile(b.nodes, b.place); err != nil {
			return m, fmt.Errorf("program %d: %w", i, err)
		}
	}
	for i, p := range all {
		if i%2 == 0 {
			if err := p.Close(); err != nil {
				return m, err
			}
		}
	}
	for i := 1; i < len(all); i += 2 {
		if err := all[i].Submit(ctx); err != nil {
			return m, fmt.Errorf("program %d: %w", i, err)
		}
		if err := all[i].Wait(ctx); err != nil {
			return m, err
		}
		if err := all[i].Close(); err != nil {
			return m, err
		}
	}
	return b.check(&looseProduct, y)
}

// scratchSizes compiles a program that needs little memory of its own, one that needs much, and runs
// the first again.
func scratchSizes(ctx context.Context, s *session) (m measure, err error) {
	little, _, y, err := s.small("scratch")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, little.close()) }()
	if err := little.submit(ctx, true); err != nil {
		return m, err
	}
	g := newGen(s.rand("scratch-much"))
	x := g.laid(tensor.F32, tensor.MakeShape(2048, 64), transposed)
	if _, err := s.once(ctx, g, false, nil, g.MatMulExact(g.weight(tensor.F32, tensor.MakeShape(2048, 24), 0.1), x)); err != nil {
		return m, err
	}
	// The arena may be another one now, so that the first program is compiled anew where it must be.
	again, err := s.bind(little.g, false, y)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, again.close()) }()
	if err := again.reset(); err != nil {
		return m, err
	}
	if err := again.submit(ctx, true); err != nil {
		return m, err
	}
	return again.check(&looseProduct, y)
}

// waits waits for nothing, and twice.
func waits(ctx context.Context, s *session) (m measure, err error) {
	b, _, y, err := s.small("wait")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.prog.Wait(ctx); err != nil {
		return m, fmt.Errorf("waiting before any Submit: %w", err)
	}
	for range 3 {
		if err := b.prog.Submit(ctx); err != nil {
			return m, err
		}
	}
	if err := errors.Join(b.prog.Wait(ctx), b.prog.Wait(ctx)); err != nil {
		return m, fmt.Errorf("waiting twice: %w", err)
	}
	return b.check(&looseProduct, y)
}

// quietAfterWait looks whether something is still written after Wait has returned.
func quietAfterWait(ctx context.Context, s *session) (m measure, err error) {
	b, _, y, err := s.small("quiet")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for range 5 {
		if err := b.submit(ctx, true); err != nil {
			return m, err
		}
		if m, err = b.check(&looseProduct, y); err != nil {
			return m, err
		}
		for _, n := range b.nodes { // what comes late writes over the poison
			if err := b.spoil(n); err != nil {
				return m, err
			}
		}
		if err := b.fetch(); err != nil {
			return m, err
		}
		before := bytes.Clone(s.after[:b.size])
		time.Sleep(5 * time.Millisecond)
		if err := b.fetch(); err != nil {
			return m, err
		}
		if !bytes.Equal(before, s.after[:b.size]) {
			return m, errors.New("something was written after Wait had returned")
		}
	}
	return m, nil
}

// noAllocation counts what a submit allocates on the Go heap. Other goroutines may allocate as well, so
// that one quiet count is enough.
func noAllocation(ctx context.Context, s *session) (m measure, err error) {
	b, _, _, err := s.small("no-allocation")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.submit(ctx, true); err != nil {
		return m, err
	}
	return m, b.quiet(ctx)
}

// quiet reports what a submit of b allocates on the Go heap.
func (b *bound) quiet(ctx context.Context) error {
	const runs = 20
	least := uint64(math.MaxUint64)
	for range 10 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			if err := b.submit(ctx, true); err != nil {
				return err
			}
		}
		runtime.ReadMemStats(&after)
		if least = min(least, after.Mallocs-before.Mallocs); least < runs {
			return nil
		}
	}
	return fmt.Errorf("a Submit and Wait make %d allocations on the Go heap, want 0", least/runs)
}
