package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/sched"
)

// shift turns the keys of cells whose position was changed by Cache().Add, before anything reads them.
// It is rare, so that its graph is built each time.
func (e *Engine) shift(ctx context.Context) error {
	for i := range e.cache.Groups() {
		if deltas, pending := e.cache.PendingShift(i); pending {
			if err := e.shiftGroup(ctx, i, deltas); err != nil {
				return err
			}
			e.cache.ClearShift(i)
		}
	}
	return nil
}

// shiftGroup turns the keys of cache group i, each cell's by its distance in deltas.
func (e *Engine) shiftGroup(ctx context.Context, i int, deltas []int32) (err error) {
	g, err := e.model.ShiftGraph(i, e.cache)
	if err != nil || len(g.Graph.Nodes) == 0 { // no layer of the group turns its keys
		return err
	}
	plan, err := sched.NewPlan(g.Graph, e.devices, sched.Options{NoFusion: e.opt.NoFusion})
	if err != nil {
		return err
	}
	exec, err := sched.NewExec(plan, e.memory)
	if err != nil {
		return fmt.Errorf("engine: moving positions: %w", err)
	}
	defer func() { err = errors.Join(err, exec.Close()) }()
	if err := writeInput(exec, g.Deltas, deltas); err != nil {
		return err
	}
	if err := writeInput(exec, g.Cells, g.All); err != nil {
		return err
	}
	// Keys of which only some layers are turned would be of no use, and one pass over them is short:
	// it is not cancelled once it has begun.
	if err := exec.Run(context.WithoutCancel(ctx)); err != nil {
		e.cache.Clear() // some layers may be turned and others not
		return fmt.Errorf("engine: moving positions failed and the cache was cleared: %w", err)
	}
	return nil
}
