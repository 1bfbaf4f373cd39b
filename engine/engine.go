package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/sched"
)

// Engine runs one model.
type Engine struct {
	layout
	file    *gguf.File
	weights *weights
	cache   *kv.Cache
	memory  *sched.Memory
	runs    runs
	batch   staging
	drafts  []*Draft // that are open for this engine
	closed  bool
}

// New opens the model in f and makes room for its cache and its largest run, so that what does not fit
// is known at once. f must stay open until Close.
//
// Errors: *OptionError, those of model.Open, *buffer.AllocError, *sched.PlacementError.
func New(f *gguf.File, opt Options) (_ *Engine, err error) {
	m, err := model.Open(f)
	if err != nil {
		return nil, err
	}
	b, err := draw(m, opt)
	if err != nil {
		return nil, err
	}
	if err := b.fits(); err != nil {
		return nil, err
	}
	e := &Engine{layout: b.layout, file: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	cfg := e.cacheConfig(func(t buffer.Type) buffer.Type { return t })
	if e.weights, err = loadWeights(m, e.weightMemory, nil, e.opt.Progress); err != nil {
		return nil, err
	}
	if e.cache, err = kv.New(cfg); err != nil {
		return nil, err
	}
	e.memory = new(sched.Memory)
	e.batch.init(e.cache, e.opt)
	if err = e.reserve(); err != nil {
		return nil, err
	}
	return e, nil
}

// reserve allocates the memory of the largest runs.
func (e *Engine) reserve() error {
	for _, shape := range e.largest(e.cache) {
		_, plan, err := e.plan(shape)
		if err != nil {
			return err
		}
		if err := e.memory.Reserve(plan); err != nil {
			return fmt.Errorf("engine: runs of %d tokens: %w", shape.Tokens, err)
		}
	}
	return nil
}

// fullShape is a run of one sequence over a cache that is full.
func (e *Engine) fullShape(tokens, outputs int) model.Batch {
	return e.shapeOver(e.cache, tokens, outputs)
}

// plan builds and plans the graph of a shape over the engine's cache.
func (e *Engine) plan(shape model.Batch) (*model.Graph, *sched.Plan, error) {
	return e.layout.plan(shape, e.cache)
}

// Plan returns the plan of a run of the given number of tokens, the last of which is wanted, over a
// full cache: what explain shows.
func (e *Engine) Plan(tokens int) (*sched.Plan, error) {
	if e.closed {
		return nil, ErrClosed
	}
	if err := e.checkTokens(tokens); err != nil {
		return nil, err
	}
	_, plan, err := e.plan(e.fullShape(tokens, 1))
	return plan, err
}

// Params describes the model.
func (e *Engine) Params() model.Params { return e.model.Params }

// Cache returns the cache, for what concerns sequences: Remove, CopySeq, Keep, Add and their like. What
// is added by Decode is not to be added by hand.
func (e *Engine) Cache() *kv.Cache { return e.cache }

// Options returns the options in force.
func (e *Engine) Options() Options { return e.opt }

// Close frees everything. Errors: *kv.BorrowedError while the cache is shared, *BorrowedError while a draft
// uses the weights, and then nothing is freed.
func (e *Engine) Close() error {
	if e.closed {
		return nil
	}
	if err := e.borrowed(); err != nil {
		return err
	}
	if e.cache != nil {
		if err := e.cache.Close(); err != nil {
			return err
		}
	}
	e.closed = true
	errs := []error{e.runs.close()}
	if e.memory != nil {
		errs = append(errs, e.memory.Close())
	}
	if e.weights != nil {
		errs = append(errs, e.weights.close())
	}
	return errors.Join(errs...)
}

// run is one shape's graph, ready to run.
type run struct {
	shape model.Batch
	graph *model.Graph
	exec  *sched.Exec
}

// runs keeps the graphs of the shapes met last, the latest first.
type runs struct{ kept []*run }

// maxRuns bounds the graphs that are kept: decode has one shape at a time, prefill a few.
const maxRuns = 16

// find returns the run of shape, or nil, and makes it the latest.
func (r *runs) find(shape model.Batch) *run {
	for i, x := range r.kept {
		if x.shape == shape {
			copy(r.kept[1:i+1], r.kept[:i])
			r.kept[0] = x
			return x
		}
	}
	return nil
}

// add makes x the latest and lets go of the oldest if there are too many.
func (r *runs) add(x *run) error {
	var err error
	if len(r.kept) == maxRuns {
		err = r.kept[maxRuns-1].exec.Close()
		r.kept = r.kept[:maxRuns-1]
	}
	r.kept = append([]*run{x}, r.kept...)
	return err
}

func (r *runs) close() error {
	var errs []error
	for _, x := range r.kept {
		errs = append(errs, x.exec.Close())
	}
	r.kept = nil
	return errors.Join(errs...)
}

// run returns the run of a shape, built and planned if it is met for the first time.
func (e *Engine) run(shape model.Batch) (*run, error) {
	if r := e.runs.find(shape); r != nil {
		return r, nil
	}
	g, plan, err := e.plan(shape)
	if err != nil {
		return nil, err
	}
	exec, err := sched.NewExec(plan, e.memory)
	if err != nil {
		return nil, fmt.Errorf("engine: a run of %d tokens: %w", shape.Tokens, err)
	}
	r := &run{shape: shape, graph: g, exec: exec}
	return r, e.runs.add(r)
}

// cancelled returns an error that matches both ctx's error and its cause, or nil.
func cancelled(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != err {
		return fmt.Errorf("engine: %w: %w", err, cause)
	}
	return fmt.Errorf("engine: %w", err)
}
