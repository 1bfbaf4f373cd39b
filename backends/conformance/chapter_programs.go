package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

func programCases(t *table) {
	add := func(name string, run func(ctx context.Context, s *session) (measure, error)) {
		t.check(ChapterPrograms, name, run)
	}
	add("resubmit", resubmit)
	add("new-inputs", newInputs)
	add("alternating", alternating)
	add("node-by-node", nodeByNode)
	add("chain", chain)
	add("slots-reused", slotsReused)
	add("views", viewsOfNodes)
	add("cache-order", cacheOrder)
	add("empty", emptyPrograms)
	add("many", manyPrograms)
	add("scratch", scratchSizes)
	add("wait", waits)
	add("quiet-after-wait", quietAfterWait)
	add("no-allocation", noAllocation)
}

// small is a program with a bit of everything that every backend has first: a product, a norm and an
// addition with a repeated row.
func (s *session) small(name string) (*bound, *tensor.Tensor, *tensor.Tensor, error) {
	g := newGen(s.rand(name))
	x := g.random(tensor.F32, tensor.MakeShape(96, 17))
	w := g.weight(tensor.F32, tensor.MakeShape(96, 80), 0.1)
	y := g.Add(g.RMSNorm(g.MatMulExact(w, x), 1e-6), g.random(tensor.F32, tensor.MakeShape(80)))
	b, err := s.bind(g, false, y)
	if err != nil {
		return nil, nil, nil, err
	}
	return b, x, y, b.reset()
}

// resubmit submits one program many times: each time the same bytes come out, over spoiled results.
func resubmit(ctx context.Context, s *session) (m measure, err error) {
	b, _, y, err := s.small("resubmit")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	var first []byte
	for i := range 50 {
		if err := b.submit(ctx, i%3 == 0); err != nil {
			return m, fmt.Errorf("submit %d: %w", i, err)
		}
		if m, err = b.check(&looseProduct, y); err != nil {
			return m, fmt.Errorf("submit %d: %w", i, err)
		}
		v, err := b.read(y)
		if err != nil {
			return m, err
		}
		if first == nil {
			first = bytes.Clone(v.Raw)
		} else if !bytes.Equal(first, v.Raw) {
			return m, fmt.Errorf("submit %d of the same program over the same inputs gives other bytes", i)
		}
		for _, n := range b.nodes {
			if err := b.spoil(n); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// looseProduct is for results of a few ops over an exact product.
var looseProduct = Tolerance{NMSE: 1e-9, ULP: -1, Why: "a few F32 operations, amplified by a norm"}

// newInputs writes other inputs before each submit, without waiting in between: what was submitted
// reads what was written before it.
func newInputs(ctx context.Context, s *session) (m measure, err error) {
	b, x, y, err := s.small("new-inputs")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for i := range 20 {
		if err := b.set(x, f32(b.g.normal(x.Shape.Elems(), float64(i+1)))); err != nil {
			return m, err
		}
		if err := b.submit(ctx, false); err != nil {
			return m, err
		}
		if i%4 != 3 {
			continue // the next write waits for this run
		}
		if m, err = b.check(&looseProduct, y); err != nil {
			return m, fmt.Errorf("after %d submits: %w", i+1, err)
		}
	}
	return m, nil
}

// alternating has two programs of which the second reads what the first writes, and the first what the
// second has written before: each submit must see the one before it.
func alternating(ctx context.Context, s *session) (m measure, err error) {
	g := newGen(s.rand("alternating"))
	state := g.leaf(tensor.Cache, tensor.F32, tensor.MakeShape(64, 4), f32(g.normal(256, 1)))
	all := g.ints(tensor.I64, tensor.MakeShape(4), []int64{0, 1, 2, 3})
	step := g.random(tensor.F32, tensor.MakeShape(64))
	next := g.Add(state, step)
	b, err := s.bind(g, false, g.SetRows(state, next, all))
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.reset(); err != nil {
		return m, err
	}
	var parts [2]backends.Program
	for i := range parts {
		if parts[i], err = s.compile(b.nodes[i:i+1], b.place); err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, parts[i].Close()) }()
	}
	const rounds = 25
	for range rounds {
		for _, p := range parts {
			if err := p.Submit(ctx); err != nil {
				return m, err
			}
		}
	}
	if err := b.fetch(); err != nil {
		return m, err
	}
	memory, err := b.g.oracle(b.nodes)
	for i := 1; i < rounds && err == nil; i++ {
		err = memory.Run(b.nodes)
	}
	if err != nil {
		return m, err
	}
	return b.compare(memory, &Tolerance{NMSE: 1e-12, ULP: 2 * rounds, Why: "as many additions"}, state)
}

// nodeByNode compiles each node of a graph for itself.
func nodeByNode(ctx context.Context, s *session) (m measure, err error) {
	b, _, y, err := s.small("node-by-node")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.eachNode(ctx); err != nil {
		return m, err
	}
	return b.check(&looseProduct, y)
}

// eachNode runs the graph as programs of one node each.
func (b *bound) eachNode(ctx context.Context) error {
	for _, n := range b.nodes {
		p, err := b.s.compile([]*tensor.Tensor{n}, b.place)
		if err != nil {
			return err
		}
		if err = p.Submit(ctx); err == nil {
			err = p.Wait(ctx)
		}
		if err = errors.Join(err, p.Close()); err != nil {
			return fmt.Errorf("%v by itself: %w", n, err)
		}
	}
	return nil
}

// chain is a long row of nodes that each need the one before, some of them tiny: a missing barrier
// between two shows.
func chain(ctx context.Context, s *session) (measure, error) {
	g := newGen(s.rand("chain"))
	x := g.random(tensor.F32, tensor.MakeShape(33, 61))
	one := g.values(tensor.F32, tensor.MakeShape(1), []float32{1})
	y := x
	for i := range 120 {
		switch i % 3 {
		case 0:
			y = g.Scale(y, -0.999)
		case 1:
			y = g.Add(y, one)
		default: // an element depends on all of another row
			y = g.Contiguous(g.Permute(g.Reshape(y, 33, 61), 1, 0, 2, 3))
			y = g.Reshape(y, 33, 61)
		}
	}
	return s.once(ctx, g, false, &Tolerance{NMSE: 1e-10, ULP: -1, Why: "80 additions and products"}, g.Scale(y, 1))
}

// slotsReused lays a long chain into three slots in turn, as a memory plan does: a node may overwrite
// what the one before has just read.
func slotsReused(ctx context.Context, s *session) (m measure, err error) {
	g := newGen(s.rand("slots-reused"))
	x := g.random(tensor.F32, tensor.MakeShape(257, 31))
	var nodes []*tensor.Tensor
	a, y := x, g.Scale(x, 0.5)
	nodes = append(nodes, y)
	for i := range 60 {
		next := g.Add(y, a)
		if i%2 == 1 {
			next = g.Sub(y, a)
		}
		a, y = y, next
		nodes = append(nodes, y)
	}
	b, err := s.bind(g, false, y)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for i, n := range nodes[3:] {
		b.places[n] = b.places[nodes[i%3]]
	}
	p, err := s.compile(b.nodes, b.place)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	for range 5 {
		if err := b.reset(); err != nil {
			return m, err
		}
		if err := p.Submit(ctx); err != nil {
			return m, err
		}
		if m, err = b.check(&Tolerance{NMSE: 1e-8, ULP: -1, Why: "60 additions, of which some cancel"}, y); err != nil {
			return m, err
		}
	}
	return m, nil
}

// viewsOfNodes computes over parts of results: Place gives each view its own offset.
func viewsOfNodes(ctx context.Context, s *session) (measure, error) {
	g := newGen(s.rand("views"))
	x := g.random(tensor.F32, tensor.MakeShape(60, 8, 3))
	y := g.Scale(x, 2)
	half := g.Slice(y, 0, 20, 50)
	turned := g.Permute(g.Slice(half, 1, 2, 7), 0, 2, 1, 3)
	a := g.Scale(turned, 3)
	other := g.Permute(g.Slice(g.Slice(y, 0, 10, 40), 1, 3, 8), 0, 2, 1, 3)
	z := g.Add(other, a)
	return s.once(ctx, g, false, &Tolerance{NMSE: 1e-13, ULP: -1, Why: "three operations"}, z)
}

// cacheOrder writes rows of a cache, reads them, and overwrites them, in one program: a node reads the
// cache as the writes before it have left it.
func cacheOrder(ctx context.Context, s *session) (measure, error) {
	g := newGen(s.rand("cache-order"))
	cache := g.leaf(tensor.Cache, tensor.F32, tensor.MakeShape(40, 6), f32(g.normal(240, 1)))
	at := func(rows ...int64) *tensor.Tensor { return g.ints(tensor.I64, tensor.MakeShape(len(rows)), rows) }
	before := g.Scale(cache, 1)
	first := g.SetRows(cache, g.random(tensor.F32, tensor.MakeShape(40, 2)), at(4, 1))
	between := g.Scale(cache, 1) // of the leaf, not of what SetRows returned
	second := g.SetRows(first, g.random(tensor.F32, tensor.MakeShape(40, 3)), at(1, 5, 0))
	after := g.Scale(second, 1)
	return s.once(ctx, g, false, nil, before, between, after)
}
