package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

func concurrencyCases(t *table) {
	add := func(name string, run func(ctx context.Context, s *session) (measure, error)) {
		t.check(ChapterConcurrency, name, run)
	}
	add("two-programs", twoPrograms)
	add("compile-beside-runs", compileBesideRuns)
	add("memory-beside-runs", memoryBesideRuns)
	add("questions-beside-runs", questionsBesideRuns)
	add("failure-beside-runs", failureBesideRuns)
}

// apart returns a session of the same device with memory of its own.
func (s *session) apart() *session { return &session{dev: s.dev, opt: s.opt, memory: s.memory} }

// together runs each f in a goroutine and session of its own.
func (s *session) together(fs ...func(s *session) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(fs))
	for i, f := range fs {
		wg.Go(func() {
			own := s.apart()
			errs[i] = errors.Join(f(own), own.close())
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// rounds runs a program of its own again and again, with new inputs, and compares each result.
func rounds(ctx context.Context, name string, n int) func(s *session) error {
	return func(s *session) (err error) {
		b, x, y, err := s.small(name)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.close()) }()
		for i := range n {
			if err := b.set(x, f32(b.g.normal(x.Shape.Elems(), float64(1+i%5)))); err != nil {
				return err
			}
			if err := b.submit(ctx, i%2 == 0); err != nil {
				return fmt.Errorf("%s, run %d: %w", name, i, err)
			}
			if _, err := b.check(&looseProduct, y); err != nil {
				return fmt.Errorf("%s, run %d: %w", name, i, err)
			}
		}
		return nil
	}
}

func twoPrograms(ctx context.Context, s *session) (measure, error) {
	return measure{}, s.together(rounds(ctx, "first goroutine", 30), rounds(ctx, "second goroutine", 30), rounds(ctx, "third goroutine", 30))
}

// compileBesideRuns compiles programs of all sizes while another runs.
func compileBesideRuns(ctx context.Context, s *session) (measure, error) {
	return measure{}, s.together(rounds(ctx, "the running program", 40), func(s *session) error {
		for i := range 40 {
			g := newGen(s.rand(fmt.Sprint("compiled", i)))
			x := g.random(tensor.F32, tensor.MakeShape(10+40*i, 9))
			if _, err := s.once(ctx, g, false, nil, g.RMSNorm(x, 1e-6)); err != nil {
				return fmt.Errorf("program %d compiled beside it: %w", i, err)
			}
		}
		return nil
	})
}

// memoryBesideRuns allocates, fills and frees memory while a program runs.
func memoryBesideRuns(ctx context.Context, s *session) (measure, error) {
	return measure{}, s.together(rounds(ctx, "the running program", 40), func(s *session) error {
		for range 5 {
			if err := errors.Join(bufferMany(s, s.memory), bufferConcurrent(s, s.memory)); err != nil {
				return err
			}
		}
		return nil
	})
}

// questionsBesideRuns asks everything that a device can be asked while programs run.
func questionsBesideRuns(ctx context.Context, s *session) (measure, error) {
	ask := func(s *session) error {
		g := newGen(s.rand("questions"))
		y := g.Scale(g.random(tensor.F32, tensor.MakeShape(3)), 2)
		first := s.dev.Supports(y)
		for range 300 {
			if s.dev.Info().Owner != s.memory.Owner() || !s.dev.CanUse(s.memory) || s.dev.BufferTypes()[0] != s.memory {
				return errors.New("a device answers otherwise while it runs")
			}
			if err := s.dev.Supports(y); (err == nil) != (first == nil) {
				return fmt.Errorf("to one question Supports answered %v, and now %w", first, err)
			}
		}
		return nil
	}
	return measure{}, s.together(rounds(ctx, "the running program", 20), ask, ask)
}

// failureBesideRuns has one program fail again and again, which is no concern of the other.
func failureBesideRuns(ctx context.Context, s *session) (measure, error) {
	return measure{}, s.together(rounds(ctx, "the program that is right", 30), func(s *session) (err error) {
		b, _, err := s.failing("failure-beside")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.close()) }()
		for i := range 30 {
			if err := b.submit(ctx, true); !errors.Is(err, backends.ErrIndex) {
				return fmt.Errorf("failing run %d: have error %v, want one that matches ErrIndex", i, err)
			}
		}
		return nil
	})
}
