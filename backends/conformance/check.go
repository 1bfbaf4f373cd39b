package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// Helpers of the chapters beyond ops.

// rand returns the random numbers of a check.
func (s *session) rand(name string) *rand.Rand { return newRand(name, s.opt.Seed) }

// f32 returns v as bytes.
func f32(v []float32) []byte {
	p := make([]byte, 4*len(v))
	if err := quant.Encode(tensor.F32, p, v, nil); err != nil {
		panic(err) // lengths fit
	}
	return p
}

// set writes new content to a leaf, on the device and for the oracle.
func (b *bound) set(leaf *tensor.Tensor, data []byte) error {
	at, ok := b.places[leaf]
	if !ok || len(data) != leaf.Bytes() {
		return fmt.Errorf("the case itself is wrong: %v does not take %d bytes", leaf, len(data))
	}
	b.g.data[leaf], b.known = data, nil
	copy(b.s.image[at:], data)
	if n, err := b.s.arena.WriteAt(data, at); err != nil || n != len(data) {
		return moved("WriteAt", n, int64(len(data)), err)
	}
	return nil
}

// spoil overwrites what a node has written by poison.
func (b *bound) spoil(t *tensor.Tensor) error {
	at := b.places[t.Root()] + int64(t.Offset)
	_, err := b.s.arena.WriteAt(poison(t.Bytes()), at)
	return err
}

// check fetches, and compares outs with the oracle, each by tol or by its own tolerance if tol is nil.
// It reports changes elsewhere too.
func (b *bound) check(tol *Tolerance, outs ...*tensor.Tensor) (measure, error) {
	var m measure
	memory, err := b.oracle()
	if err != nil {
		return m, fmt.Errorf("the case itself is wrong: %w", err)
	}
	if err := b.fetch(); err != nil {
		return m, err
	}
	for _, o := range outs {
		one, err := b.compare(memory, tol, o)
		if err != nil {
			return one, fmt.Errorf("%v: %w", o, err)
		}
		m.worst(one)
	}
	return m, b.untouched()
}

func (b *bound) compare(memory *ref.Memory, tol *Tolerance, o *tensor.Tensor) (measure, error) {
	want, ok := memory.Result(o)
	if !ok {
		var err error
		if want, err = memory.Get(o); err != nil {
			return measure{}, err
		}
		want.Mag = nil
	}
	got, err := b.read(o)
	if err != nil {
		return measure{}, err
	}
	if tol == nil {
		t := toleranceOf(o)
		tol = &t
	}
	return compare(&got, &want, *tol)
}

// once binds the graph of outs, runs it once and compares.
func (s *session) once(ctx context.Context, g *gen, over bool, tol *Tolerance, outs ...*tensor.Tensor) (m measure, err error) {
	b, err := s.bind(g, over, outs...)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if err := b.reset(); err != nil {
		return m, err
	}
	if err := b.submit(ctx, false); err != nil {
		return m, fmt.Errorf("submitting: %w", err)
	}
	return b.check(tol, outs...)
}

// works reports whether the device still computes: what faults and cancellations must not change.
func (s *session) works(ctx context.Context) error {
	g := newGen(s.rand("works"))
	x := g.random(tensor.F32, tensor.MakeShape(130, 3))
	_, err := s.once(ctx, g, false, nil, g.Scale(x, 2))
	if err != nil {
		return fmt.Errorf("afterwards the device does not work: %w", err)
	}
	return nil
}

// worksApart is works with memory of its own.
func (s *session) worksApart(ctx context.Context) error {
	own := s.apart()
	return errors.Join(own.works(ctx), own.close())
}

// moved is the error of a ReadAt or WriteAt that moved n bytes, and not what was wanted.
func moved(what string, n int, want int64, err error) error {
	if err == nil {
		return fmt.Errorf("%s moves %d of %d bytes and returns no error", what, n, want)
	}
	return fmt.Errorf("%s of %d bytes: %w", what, want, err)
}
