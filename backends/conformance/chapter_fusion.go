package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

// groupCase is nodes that a device may have one kernel for.
type groupCase struct {
	fusion backends.Fusion
	// build makes the nodes, in order, over leaves that g makes up.
	build func(g *gen) []*tensor.Tensor
	over  bool          // results lie over sources where they may
	bad   *tensor.DType // not nil if an index of that type lies outside
}

// group adds a case of chapter fusion. typ is its column in the support table.
func (t *table) group(typ tensor.DType, c groupCase, params ...any) {
	name := id(c.fusion.String(), params...)
	if c.over {
		name += ",over"
	}
	t.cases = append(t.cases, Case{
		ID: ChapterFusion + "/" + name, Chapter: ChapterFusion, Op: c.fusion.String(), Type: typ.String(), group: &c,
		run: func(ctx context.Context, s *session) (measure, error) { return c.run(ctx, s, name) },
	})
}

// fuses asks a device whether it has one kernel for nodes.
func fuses(dev backends.Device, f backends.Fusion, nodes []*tensor.Tensor) error {
	fuser, ok := dev.(backends.Fuser)
	if !ok {
		return &backends.UnsupportedError{Device: dev.Info().Owner.Device, Fusion: f.String(), Reason: "it fuses nothing"}
	}
	for _, n := range nodes {
		if err := dev.Supports(n); err != nil {
			return err
		}
	}
	return fuser.Fuses(f, nodes)
}

// nodes builds the case and checks that it is one.
func (c *groupCase) nodes(g *gen) (nodes []*tensor.Tensor, graph *tensor.Graph, err error) {
	nodes = c.build(g)
	if err := g.Err(); err != nil {
		return nil, nil, fmt.Errorf("the case itself is wrong: %w", err)
	}
	var outs []*tensor.Tensor
	for i, n := range nodes {
		if !c.fusion.Inner(i) {
			outs = append(outs, n)
		}
	}
	graph, err = g.Build(outs...)
	if err == nil {
		check := backends.Subgraph{Nodes: graph.Nodes, Groups: []backends.Group{{Fusion: c.fusion, To: len(nodes)}}}
		err = check.CheckGroups()
	}
	if err != nil || len(graph.Nodes) != len(nodes) {
		return nil, nil, fmt.Errorf("the case itself is wrong: %d nodes: %w", len(nodes), err)
	}
	return nodes, graph, nil
}

// run runs the nodes one by one and as one kernel, both against one oracle.
func (c *groupCase) run(ctx context.Context, s *session, name string) (m measure, err error) {
	g := newGen(s.rand(name))
	nodes, graph, err := c.nodes(g)
	if err != nil {
		return m, err
	}
	if err := fuses(s.dev, c.fusion, nodes); err != nil {
		if !errors.Is(err, backends.ErrUnsupported) {
			return m, fmt.Errorf("an error of Fuses does not match ErrUnsupported: %w", err)
		}
		return m, err
	}
	if _, err := c.runAs(ctx, s, name, g, graph, nil); err != nil {
		return m, fmt.Errorf("node by node: %w", err)
	}
	return c.runAs(ctx, s, name, g, graph, &backends.Group{Fusion: c.fusion, To: len(nodes)})
}

// runAs runs graph as the given group, or node by node if that is nil.
func (c *groupCase) runAs(ctx context.Context, s *session, name string, g *gen, graph *tensor.Graph, group *backends.Group) (m measure, err error) {
	b := &bound{s: s, g: g, nodes: graph.Nodes, places: map[*tensor.Tensor]int64{}, group: group}
	if err := b.compile(graph, c.over); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if c.bad != nil {
		return m, c.failing(ctx, b)
	}
	m, err = c.compared(ctx, b)
	if err != nil || group == nil || Seed(name, 0)%4 != 0 { // to count what is allocated takes many runs
		return m, err
	}
	return m, b.quiet(ctx)
}

// compared runs b twice and compares each stored result with the oracle's. Both runs give the same bytes.
func (c *groupCase) compared(ctx context.Context, b *bound) (m measure, err error) {
	var first []byte
	for run := range 2 {
		if err := b.reset(); err != nil {
			return m, err
		}
		if err := b.submit(ctx, run == 0); err != nil {
			return m, fmt.Errorf("submitting: %w", err)
		}
		if err := b.fetch(); err != nil {
			return m, err
		}
		if run == 0 {
			first = bytes.Clone(b.s.after[:b.size])
		} else if !bytes.Equal(first, b.s.after[:b.size]) {
			return m, errors.New("the second run over the same inputs gives other bytes")
		}
		for i, n := range b.nodes {
			if c.fusion.Inner(i) {
				continue
			}
			tol := toleranceOf(n)
			if i == len(b.nodes)-1 {
				tol = fusionTolerance(c.fusion, b.nodes)
			}
			one, err := b.check(&tol, n)
			if err != nil {
				return one, err
			}
			m.worst(one)
		}
	}
	return m, nil
}

// failing runs b over an index that lies outside, and then over one that does not: the program works again.
func (c *groupCase) failing(ctx context.Context, b *bound) error {
	if err := b.reset(); err != nil {
		return err
	}
	if err := b.submit(ctx, true); !errors.Is(err, backends.ErrIndex) {
		return fmt.Errorf("an index lies outside: have error %v, want one that matches ErrIndex", err)
	}
	if err := b.fetch(); err != nil {
		return err
	}
	if err := b.untouched(); err != nil {
		return err
	}
	idx := b.nodes[len(b.nodes)-1].Src[2]
	good := make([]int64, idx.Shape[0])
	for i := range good {
		good[i] = int64(i)
	}
	wrong := b.g.data[idx]
	b.g.data[idx], b.known = intBytes(*c.bad, good), nil
	_, err := c.compared(ctx, b)
	b.g.data[idx], b.known = wrong, nil
	if err != nil {
		return fmt.Errorf("after a failed run: %w", err)
	}
	return nil
}

// layMember gives the result of node i of b's group its place: none if it is inner, that of a source if it may
// lie there, or one of its own.
func (b *bound) layMember(i int, over bool, add func(*tensor.Tensor)) {
	f, n := b.group.Fusion, b.nodes[i]
	if f.Inner(i) {
		return
	}
	for _, at := range f.Over() {
		s := b.nodes[at[0]].Src[at[1]]
		where, ok := b.places[s.Root()]
		if !over || !ok || overwritable(n, s, b.nodes...) == nil {
			continue
		}
		where += int64(s.Offset)
		taken := false
		for _, other := range b.nodes[:i] {
			place, ok := b.places[other]
			taken = taken || ok && place == where
		}
		if !taken {
			b.places[n] = where
			return
		}
	}
	add(n.Root())
}

// insideRead plans a group of which a result that would be inner is read after the run, too: it must not be fused,
// and all results are there.
func insideRead(f backends.Fusion, build func(g *gen) []*tensor.Tensor) func(ctx context.Context, s *session) (measure, error) {
	return func(ctx context.Context, s *session) (m measure, err error) {
		c := groupCase{fusion: f, build: build}
		g := newGen(s.rand("inside-read/" + f.String()))
		nodes, _, err := c.nodes(g)
		if err != nil {
			return m, err
		}
		if err := fuses(s.dev, f, nodes); err != nil {
			return m, err
		}
		p, err := plan(g, []backends.Device{s.dev}, sched.Options{}, s.here, nodes...)
		defer func() { err = errors.Join(err, p.close()) }()
		if err != nil {
			return m, err
		}
		for _, x := range p.plan.Groups {
			if x.Fusion == f.String() {
				return m, fmt.Errorf("nodes %d to %d are fused although a result between them is read", x.From, x.To-1)
			}
		}
		memory, err := g.oracle(p.graph.Nodes)
		if err != nil {
			return m, err
		}
		if err := p.run(ctx); err != nil {
			return m, err
		}
		for i, n := range nodes {
			tol := toleranceOf(n)
			if i == len(nodes)-1 {
				tol = fusionTolerance(f, nodes)
			}
			one, err := p.check(memory, tol, n)
			if err != nil {
				return one, err
			}
			m.worst(one)
		}
		return m, nil
	}
}

// plannedLayers plans layers of a model with fusions and without, and runs both in turn.
func plannedLayers(p layers) func(ctx context.Context, s *session) (measure, error) {
	return func(ctx context.Context, s *session) (m measure, err error) {
		if _, ok := s.dev.(backends.Fuser); !ok {
			return m, fuses(s.dev, 0, nil)
		}
		for _, off := range [][]backends.Fusion{backends.Fusions(), nil} {
			g, out, err := p.build(s)
			if err != nil {
				return m, err
			}
			alone := *s
			alone.opt.Beside = nil
			one, err := alone.runPlanned(ctx, g, sched.Options{NoFusion: off}, s.here, p.tolerance(), 1, out)
			if err != nil {
				return one, fmt.Errorf("without the fusions %v: %w", off, err)
			}
			m.worst(one)
		}
		return m, nil
	}
}

// fusionTolerance is that of the last result of a group, whose nodes' errors add up: what is inner may be rounded
// or not.
func fusionTolerance(f backends.Fusion, nodes []*tensor.Tensor) Tolerance {
	last := nodes[len(nodes)-1]
	switch f {
	case backends.AddRMSNormMul, backends.RMSNormMul:
		t := toleranceOf(nodes[len(nodes)-2])
		t.ULP += 1.5 + t.PerRootTerm*math.Sqrt(float64(last.Shape[0])) // the product sums nothing
		t.PerRootTerm = 0
		t.Why += "; a sum before it, and a product behind"
		return t
	case backends.SoftCap:
		return Tolerance{ULP: 8, Why: "a tangent of what is rounded, between two products"}
	case backends.RoPESetRows:
		// Rows are normal numbers, so that some lie near 0 after the turn; positions are below 64.
		nmse := map[tensor.DType]float64{tensor.F32: 1e-10, tensor.F16: 1e-7, tensor.BF16: 6e-6}
		return Tolerance{NMSE: nmse[last.Type], ULP: -1, Why: "angles held as F32, and a rounding: a third of the square of half a last place"}
	}
	t := toleranceOf(nodes[0])
	if t.ULP, t.PerRootTerm = -1, 0; f != backends.MatMulAdd {
		t.NMSE *= 4
		t.Why += "; both factors of a product, and the slope of a gate"
	}
	return t
}
