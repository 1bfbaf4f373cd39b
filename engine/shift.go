package engine

import (
	"context"
	"fmt"

	"github.com/tenon-go/tenon/sched"
)

// shift turns the keys of cells whose position was changed by Cache().Add, before anything reads them.
// It is rare, so that its graph is built each time.
func (e *Engine) shift(ctx context.Context) error {
	for i := range e.cache.Groups() {
		deltas, pending := e.cache.PendingShift(i)
		if !pending {
			continue
		}
		g, err := e.model.ShiftGraph(i, e.cache)
		if err != nil {
			return err
		}
		plan, err := sched.NewPlan(g.Graph, e.devices, sched.Options{})
		if err != nil {
			return err
		}
		exec, err := sched.NewExec(plan, e.memory)
		if err != nil {
			return err
		}
		defer exec.Close()
		if err := writeInput(exec, g.Deltas, deltas); err != nil {
			return err
		}
		if err := writeInput(exec, g.Cells, g.All); err != nil {
			return err
		}
		if err := exec.Run(ctx); err != nil {
			// Keys of some layers may be turned and others not: they are of no use any more.
			e.cache.Clear()
			return fmt.Errorf("engine: moving positions failed and the cache was cleared: %w", err)
		}
		e.cache.ClearShift(i)
	}
	return nil
}
