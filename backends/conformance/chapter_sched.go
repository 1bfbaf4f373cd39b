package conformance

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

func schedCases(t *table) {
	add := func(name string, run func(ctx context.Context, s *session) (measure, error)) {
		t.check(ChapterSched, name, run)
	}
	add("alone", schedAlone)
	add("layers-alternate", schedLayers)
	add("mixture-alternates", schedMixture)
	add("every-other-node", schedEveryOther)
	add("views-across", schedViews)
	add("two-plans", schedTwoPlans)
	add("index-error", schedIndexError)
}

// planned is a graph that package sched runs on the device under test, with another beside it.
type planned struct {
	g     *gen
	graph *tensor.Graph
	plan  *sched.Plan
	exec  *sched.Exec
	mem   *sched.Memory
	bound []buffer.Buffer
}

// plan binds the weights and caches of g's graph to memory of the device that home names, plans and
// compiles. What it returns is to be closed, also beside an error.
func plan(g *gen, devices []backends.Device, opt sched.Options, home func(leaf *tensor.Tensor) backends.Device,
	outs ...*tensor.Tensor,
) (*planned, error) {
	p := &planned{g: g, mem: new(sched.Memory)}
	var err error
	if p.graph, err = g.Build(outs...); err != nil {
		return p, fmt.Errorf("the case itself is wrong: %w", err)
	}
	for _, leaf := range g.leaves {
		if leaf.Role == tensor.Input {
			continue
		}
		if err := p.bind(leaf, home(leaf).BufferTypes()[0]); err != nil {
			return p, err
		}
	}
	if p.plan, err = sched.NewPlan(p.graph, devices, opt); err != nil {
		return p, err
	}
	p.exec, err = sched.NewExec(p.plan, p.mem)
	return p, err
}

// bind gives leaf memory of its own, and its content.
func (p *planned) bind(leaf *tensor.Tensor, typ buffer.Type) error {
	b, err := typ.Alloc(int64(leaf.Bytes()))
	if err != nil {
		return err
	}
	p.bound = append(p.bound, b)
	if err := leaf.Bind(b, 0); err != nil {
		return err
	}
	_, err = b.WriteAt(p.g.data[leaf], 0)
	return err
}

// run writes the inputs and runs.
func (p *planned) run(ctx context.Context) error {
	for _, in := range p.graph.Inputs {
		if err := p.exec.Write(in, p.g.data[in]); err != nil {
			return err
		}
	}
	return p.exec.Run(ctx)
}

// check compares outs with the oracle's.
func (p *planned) check(memory *ref.Memory, tol Tolerance, outs ...*tensor.Tensor) (m measure, err error) {
	for _, o := range outs {
		raw := make([]byte, o.Bytes())
		if err := p.exec.Read(o, raw); err != nil {
			return m, err
		}
		got, err := ref.Read(o.Type, o.Shape, o.Stride, raw)
		if err != nil {
			return m, err
		}
		want, ok := memory.Result(o)
		if !ok {
			if want, err = memory.Get(o); err != nil {
				return m, err
			}
		}
		one, err := compare(&got, &want, tol)
		if err != nil {
			return one, fmt.Errorf("%v: %w", o, err)
		}
		m.worst(one)
	}
	return m, nil
}

func (p *planned) close() error {
	var errs []error
	if p.exec != nil {
		errs = append(errs, p.exec.Close())
	}
	errs = append(errs, p.mem.Close())
	for _, b := range p.bound {
		errs = append(errs, b.Close())
	}
	return errors.Join(errs...)
}

// runPlanned plans, runs some times with new inputs, and compares.
func (s *session) runPlanned(ctx context.Context, g *gen, opt sched.Options, home func(*tensor.Tensor) backends.Device,
	tol Tolerance, splits int, outs ...*tensor.Tensor,
) (m measure, err error) {
	p, err := plan(g, s.pair(), opt, home, outs...)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return m, err
	}
	if len(p.plan.Splits) < splits {
		return m, skipError(fmt.Sprintf("the plan has %d splits, and at least %d are to be tested:\n%v", len(p.plan.Splits), splits, p.plan))
	}
	memory, err := g.oracle(p.graph.Nodes)
	if err != nil {
		return m, fmt.Errorf("the case itself is wrong: %w", err)
	}
	for range 3 {
		if err := p.run(ctx); err != nil {
			return m, err
		}
		if m, err = p.check(memory, tol, outs...); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (s *session) name() string { return s.dev.Info().Owner.Device }

// pair is the device under test and the one beside it.
func (s *session) pair() []backends.Device {
	if s.opt.Beside == nil {
		return []backends.Device{s.dev}
	}
	return []backends.Device{s.dev, s.opt.Beside}
}

// pins sends nodes by their name to the device under test or to the one beside it.
func (s *session) pins() sched.Options {
	return sched.Options{Pins: []sched.Pin{
		{Pattern: regexp.MustCompile("^here"), Device: s.name()},
		{Pattern: regexp.MustCompile("^there"), Device: s.opt.Beside.Info().Owner.Device},
	}}
}

// here says that everything lies on the device under test.
func (s *session) here(*tensor.Tensor) backends.Device { return s.dev }

// schedAlone runs layers with the plan's memory: slots that are used again and again.
func schedAlone(ctx context.Context, s *session) (measure, error) {
	p := layers{weights: tensor.F32, cache: tensor.F16, n: 3, tok: 4, past: 9, exact: true}
	g, out, err := p.build(s)
	if err != nil {
		return measure{}, err
	}
	// The second device is not there: what this one refuses is unsupported.
	alone := *s
	alone.opt.Beside = nil
	return alone.runPlanned(ctx, g, sched.Options{}, s.here, p.tolerance(), 1, out)
}

// byLayer gives the layers of a model to the two devices in turn.
func (s *session) byLayer(n int) (opt sched.Options, home func(*tensor.Tensor) backends.Device, of map[*tensor.Tensor]int) {
	for l := range n {
		d := s.dev
		if l%2 == 1 {
			d = s.opt.Beside
		}
		opt.Layers = append(opt.Layers, d.Info().Owner.Device)
	}
	of = map[*tensor.Tensor]int{}
	return opt, func(leaf *tensor.Tensor) backends.Device {
		if of[leaf]%2 == 1 {
			return s.opt.Beside
		}
		return s.dev
	}, of
}

// splitLayers runs layers on the two devices in turn, weights and caches where their layer is.
func (s *session) splitLayers(ctx context.Context, p layers) (measure, error) {
	g, out, err := p.build(s)
	if err != nil {
		return measure{}, err
	}
	opt, home, of := s.byLayer(p.n)
	var note func(t *tensor.Tensor)
	seen := map[*tensor.Tensor]bool{}
	note = func(t *tensor.Tensor) { // a leaf belongs to the layer of the nodes that read it
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		for _, src := range t.Src {
			if src == nil {
				continue
			}
			if root := src.Root(); root.Op == nil && t.Layer >= 0 {
				of[root] = t.Layer
			}
			note(src)
		}
	}
	note(out)
	return s.runPlanned(ctx, g, opt, home, p.tolerance(), p.n, out)
}

func schedLayers(ctx context.Context, s *session) (measure, error) {
	return s.splitLayers(ctx, layers{weights: tensor.F16, cache: tensor.F16, n: 4, tok: 5, past: 11})
}

func schedMixture(ctx context.Context, s *session) (measure, error) {
	return s.splitLayers(ctx, layers{weights: tensor.Q8_0, cache: tensor.F16, n: 3, tok: 2, past: 11, experts: 5})
}

// schedEveryOther pins every other node of a chain to the other device: a copy before each.
func schedEveryOther(ctx context.Context, s *session) (measure, error) {
	g := newGen(s.rand("every-other"))
	x := g.random(tensor.F32, tensor.MakeShape(67, 5))
	first, y := x, x
	for i := range 20 {
		name := fmt.Sprintf("here%d", i)
		if i%2 == 1 {
			name = fmt.Sprintf("there%d", i)
		}
		if i%3 == 0 {
			y = g.Name(name, g.Add(y, first))
		} else {
			y = g.Name(name, g.Scale(y, 0.75))
		}
	}
	return s.runPlanned(ctx, g, s.pins(), s.here, Tolerance{NMSE: 1e-11, ULP: -1, Why: "20 operations"}, 20, y)
}

// schedViews computes on one device over parts of what the other has computed, both ways.
func schedViews(ctx context.Context, s *session) (measure, error) {
	g := newGen(s.rand("views-across"))
	x := g.random(tensor.F32, tensor.MakeShape(40, 9, 3))
	y := g.Name("here0", g.Scale(x, 2))
	part := g.Permute(g.Slice(g.Slice(y, 0, 8, 31), 1, 2, 7), 0, 2, 1, 3)
	z := g.Name("there0", g.Scale(part, -3))
	back := g.Name("here1", g.Add(g.Slice(z, 2, 1, 4), g.Permute(g.Slice(g.Slice(y, 0, 3, 26), 1, 5, 8), 0, 2, 1, 3)))
	return s.runPlanned(ctx, g, s.pins(), s.here, Tolerance{NMSE: 1e-12, ULP: -1, Why: "three operations"}, 3, back, g.Slice(z, 0, 3, 9))
}

// schedTwoPlans has two plans share memory, and runs them in turn.
func schedTwoPlans(ctx context.Context, s *session) (m measure, err error) {
	mem := new(sched.Memory)
	defer func() { err = errors.Join(err, mem.Close()) }()
	var all []*planned
	var outs []*tensor.Tensor
	for i, n := range []int{33, 700} {
		g := newGen(s.rand(fmt.Sprintf("two-plans%d", i)))
		x := g.random(tensor.F32, tensor.MakeShape(n, 7))
		y := g.Add(g.RMSNorm(g.Scale(x, 3), 1e-6), x)
		p := &planned{g: g, mem: mem}
		if p.graph, err = g.Build(y); err != nil {
			return m, err
		}
		if p.plan, err = sched.NewPlan(p.graph, []backends.Device{s.dev}, sched.Options{}); err != nil {
			return m, err
		}
		if p.exec, err = sched.NewExec(p.plan, mem); err != nil {
			return m, err
		}
		all, outs = append(all, p), append(outs, y)
	}
	for i := range 12 {
		p, y := all[i%2], outs[i%2]
		if err := p.run(ctx); err != nil {
			return m, err
		}
		memory, err := p.g.oracle(p.graph.Nodes)
		if err != nil {
			return m, err
		}
		if m, err = p.check(memory, Tolerance{NMSE: 1e-11, ULP: -1, Why: "a norm and an addition"}, y); err != nil {
			return m, fmt.Errorf("run %d: %w", i, err)
		}
	}
	return m, nil
}

// schedIndexError has the first of two splits fail: the run ends with that error, and the next one works.
func schedIndexError(ctx context.Context, s *session) (m measure, err error) {
	g := newGen(s.rand("sched-index"))
	idx := g.ints(tensor.I32, tensor.MakeShape(3), []int64{1, 99, 2})
	rows := g.Name("here0", g.GetRows(g.random(tensor.F32, tensor.MakeShape(30, 5)), idx))
	y := g.Name("there0", g.Scale(rows, 2))
	p, err := plan(g, s.pair(), s.pins(), s.here, y)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return m, err
	}
	for range 3 {
		g.data[idx] = intBytes(tensor.I32, []int64{1, 99, 2})
		if err := p.run(ctx); !errors.Is(err, backends.ErrIndex) {
			return m, fmt.Errorf("a split fails: have error %v, want one that matches ErrIndex", err)
		}
		g.data[idx] = intBytes(tensor.I32, []int64{1, 4, 2})
		if err := p.run(ctx); err != nil {
			return m, fmt.Errorf("after a failed run: %w", err)
		}
		memory, err := g.oracle(p.graph.Nodes)
		if err != nil {
			return m, err
		}
		if m, err = p.check(memory, Tolerance{ULP: 1, Why: "one product"}, y); err != nil {
			return m, err
		}
	}
	return m, nil
}
