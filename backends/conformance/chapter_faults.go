package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

func faultCases(t *table) {
	add := func(name string, run func(ctx context.Context, s *session) (measure, error)) {
		t.check(ChapterFaults, name, run)
	}
	add("nan-leaves-nothing", nanLeavesNothing)
	add("index-error-recovers", indexErrorRecovers)
	add("unknown-op", unknownOp)
	add("unsupported-is-refused", unsupportedIsRefused)
	place := func(name string, wrong func(s *session, b *bound) (tensor.Storage, func() error, error)) {
		add(name, func(ctx context.Context, s *session) (measure, error) { return measure{}, wrongPlace(ctx, s, wrong) })
	}
	place("no-place", func(*session, *bound) (tensor.Storage, func() error, error) {
		return tensor.Storage{}, func() error { return nil }, nil
	})
	place("foreign-memory", func(*session, *bound) (tensor.Storage, func() error, error) {
		b, err := buffer.NewHost(buffer.Owner{Backend: "Conformance", Device: "Conformance0"}, 0).Alloc(1 << 20)
		if err != nil {
			return tensor.Storage{}, nil, err
		}
		return tensor.Storage{Buffer: b}, b.Close, nil
	})
	place("beyond-the-end", func(s *session, _ *bound) (tensor.Storage, func() error, error) {
		b, err := s.memory.Alloc(1 << 12)
		if err != nil {
			return tensor.Storage{}, nil, err
		}
		return tensor.Storage{Buffer: b, Offset: 1<<12 - 64}, b.Close, nil
	})
}

// nanLeavesNothing runs over NaN, and over numbers again: nothing of it stays in scratch memory.
func nanLeavesNothing(ctx context.Context, s *session) (m measure, err error) {
	b, x, y, err := s.small("nan-leaves")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	good := b.g.data[x]
	bad := b.g.normal(x.Shape.Elems(), 1)
	for i := range bad {
		bad[i] = float32(math.NaN())
	}
	for range 3 {
		for _, data := range [][]byte{f32(bad), good} {
			if err := b.set(x, data); err != nil {
				return m, err
			}
			if err := b.submit(ctx, false); err != nil {
				return m, err
			}
			if m, err = b.check(&looseProduct, y); err != nil {
				return m, err
			}
		}
	}
	return m, nil
}

// failing binds a program of three nodes of which the one in the middle has an index outside its
// tensor, and returns the indices too.
func (s *session) failing(name string) (*bound, *tensor.Tensor, error) {
	g := newGen(s.rand(name))
	x := g.Scale(g.random(tensor.F32, tensor.MakeShape(65, 9)), 2)
	idx := g.ints(tensor.I32, tensor.MakeShape(4), []int64{3, 9, 0, 8})
	b, err := s.bind(g, false, g.Scale(g.GetRows(x, idx), 0.5))
	if err != nil {
		return nil, nil, err
	}
	return b, idx, b.reset()
}

// indexErrorRecovers has a program fail in its middle: it works once the index is right, and so does
// everything else.
func indexErrorRecovers(ctx context.Context, s *session) (m measure, err error) {
	b, idx, err := s.failing("index-error")
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	out := b.nodes[len(b.nodes)-1]
	for i := range 5 {
		if err := b.set(idx, intBytes(tensor.I32, []int64{3, int64(9 + i), 0, 8})); err != nil {
			return m, err
		}
		if err := b.submit(ctx, true); !errors.Is(err, backends.ErrIndex) {
			return m, fmt.Errorf("index %d of 9 rows: have error %v, want one that matches ErrIndex", 9+i, err)
		}
		if err := s.worksApart(ctx); err != nil {
			return m, err
		}
		if err := b.set(idx, intBytes(tensor.I32, []int64{3, int64(i), 0, 8})); err != nil {
			return m, err
		}
		if err := b.submit(ctx, true); err != nil {
			return m, fmt.Errorf("the index is right again: %w", err)
		}
		if m, err = b.check(nil, out); err != nil {
			return m, err
		}
	}
	return m, nil
}

// future is an op that no backend knows: one that is added after it was written.
type future struct{}

// Kind is beyond all kinds that there are.
func (future) Kind() tensor.Kind { return tensor.Kind(tensor.NumKinds()) }

// Infer gives what the op is over.
func (future) Infer(src []*tensor.Tensor) (tensor.DType, tensor.Shape, error) {
	return src[0].Type, src[0].Shape, nil
}

// unknownOp asks for an op that does not exist yet: it is refused with the device's name and a reason.
func unknownOp(_ context.Context, s *session) (measure, error) {
	g := newGen(s.rand("unknown"))
	y := g.Apply(future{}, g.random(tensor.F32, tensor.MakeShape(5)))
	return measure{}, s.refuses(y)
}

// refuses wants n to be refused by Supports and by Compile, with an *UnsupportedError.
func (s *session) refuses(n *tensor.Tensor) error {
	err := s.dev.Supports(n)
	var e *backends.UnsupportedError
	if !errors.As(err, &e) {
		return fmt.Errorf("Supports(%v): have %v, want an *UnsupportedError", n, err)
	}
	if e.Device != s.name() || e.Reason == "" || e.Op != n.Op.Kind() {
		return fmt.Errorf("Supports(%v) names device %q, op %v, reason %q; the device is %q and the op %v",
			n, e.Device, e.Op, e.Reason, s.name(), n.Op.Kind())
	}
	if err := s.grow(1 << 16); err != nil {
		return err
	}
	p, err := s.dev.Compile(&backends.Subgraph{Nodes: []*tensor.Tensor{n}, Place: func(t *tensor.Tensor) tensor.Storage {
		return tensor.Storage{Buffer: s.arena}
	}})
	if err == nil {
		return errors.Join(fmt.Errorf("%v is refused by Supports, and not by Compile", n), p.Close())
	}
	return nil
}

// unsupportedIsRefused takes a case of each op that the device does not support: Compile refuses it too.
func unsupportedIsRefused(_ context.Context, s *session) (measure, error) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		if c.build == nil || seen[c.Op+c.Type] {
			continue
		}
		seen[c.Op+c.Type] = true
		g := newGen(newRand(c.ID, 0))
		g.dry = true
		n := c.build(g)
		if g.Err() != nil || n.Shape.Elems() == 0 || s.dev.Supports(n) == nil || n.Bytes() > 1<<16 {
			continue
		}
		if err := s.refuses(n); err != nil {
			return measure{}, fmt.Errorf("%s: %w", c.ID, err)
		}
	}
	return measure{}, nil
}

// wrongPlace gives a source, and then the result, a place that cannot be used: Compile says so.
func wrongPlace(ctx context.Context, s *session, wrong func(*session, *bound) (tensor.Storage, func() error, error)) (err error) {
	g := newGen(s.rand("place"))
	x := g.random(tensor.F32, tensor.MakeShape(100))
	y := g.Scale(x, 2)
	b, err := s.bind(g, false, y)
	if err != nil {
		return err
	}
	at, free, err := wrong(s, b)
	if err != nil {
		return errors.Join(err, b.close())
	}
	defer func() { err = errors.Join(err, b.close(), free()) }()
	if at.Bound() && s.dev.CanUse(at.Buffer.Type()) && at.Offset == 0 {
		return skipError("the device can use memory of anybody")
	}
	for _, bad := range []*tensor.Tensor{x, y} {
		p, err := s.dev.Compile(&backends.Subgraph{Nodes: b.nodes, Place: func(t *tensor.Tensor) tensor.Storage {
			if t == bad {
				return at
			}
			return b.place(t)
		}})
		if err == nil {
			return errors.Join(fmt.Errorf("a place of %v that cannot be used is taken by Compile", bad), p.Close())
		}
	}
	return s.works(ctx)
}
