package conformance

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/conformance/ref"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sched"
	"github.com/tenon-go/tenon/tensor"
)

func kvCases(t *table) {
	for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.Q8_0} {
		t.check(ChapterKV, id("sequences", "type", typ), func(ctx context.Context, s *session) (measure, error) {
			return kvRun(ctx, s, typ, 0, (*kvWorld).sequences)
		})
		t.check(ChapterKV, id("shift", "type", typ), func(ctx context.Context, s *session) (measure, error) {
			return kvRun(ctx, s, typ, 0, (*kvWorld).shifts)
		})
		t.check(ChapterKV, id("window", "type", typ), func(ctx context.Context, s *session) (measure, error) {
			return kvRun(ctx, s, typ, 6, (*kvWorld).windows)
		})
	}
}

// The sizes of the cache: heads of 64 keys and 32 values.
const kvHeadsQ, kvHeadsK, kvKey, kvValue, kvCells, kvSeqs = 4, 2, 64, 32, 40, 4

var kvRoPE = tensor.RoPE{Dims: kvKey, Mode: tensor.RoPENeoX, Base: 10000}

// kvWorld is a cache in the device's memory, and a list of what every sequence should hold.
type kvWorld struct {
	ctx    context.Context
	s      *session
	g      *gen // for random numbers
	cache  *kv.Cache
	layer  kv.Layer
	window int
	tol    Tolerance
	worst  measure
	seqs   [kvSeqs][]kvToken
}

// kvToken is a token as it was written: its key before it was turned.
type kvToken struct {
	pos        int
	key, value []float32
}

// kvRun runs a script over a cache of one layer. A window of 0 sees everything.
func kvRun(ctx context.Context, s *session, typ tensor.DType, window int, script func(w *kvWorld) error) (m measure, err error) {
	cache, err := kv.New(kv.Config{
		Cells: kvCells, MaxSeqs: kvSeqs, MaxBatch: 16, TypeK: typ, TypeV: typ, Pad: 8,
		Layers: []kv.LayerConfig{{
			Layer: 0, HeadsKV: kvHeadsK, KeyDim: kvKey, ValueDim: kvValue, Window: window, Reuse: -1, Memory: s.memory,
		}},
	})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, cache.Close()) }()
	w := &kvWorld{ctx: ctx, s: s, g: newGen(s.rand(fmt.Sprint("kv", typ, window))), cache: cache, window: window}
	w.layer, _ = cache.Layer(0)
	switch typ {
	case tensor.F32:
		w.tol = Tolerance{NMSE: 1e-9, ULP: -1, Why: "F32 throughout, and angles of small positions"}
	case tensor.F16:
		w.tol = Tolerance{NMSE: 2e-6, ULP: -1, Why: "keys and values rounded to half precision, keys again when they are shifted"}
	default:
		w.tol = Tolerance{NMSE: 5e-4, ULP: -1, Why: "keys and values rounded to 8-bit blocks, keys again when they are shifted"}
	}
	err = script(w)
	return w.worst, err
}

// add runs a batch: each token of each sequence is written, attends, and is compared.
func (w *kvWorld) add(seqs ...int) error {
	var b kv.Batch
	var tokens []kvToken
	for _, q := range seqs {
		pos := 0
		if n := len(w.seqs[q]); n > 0 {
			pos = w.seqs[q][n-1].pos + 1
		}
		t := kvToken{pos, w.g.normal(kvKey*kvHeadsK, 1), w.g.normal(kvValue*kvHeadsK, 1)}
		tokens = append(tokens, t)
		w.seqs[q] = append(w.seqs[q], t)
		b.Pos, b.Seq = append(b.Pos, int32(pos)), append(b.Seq, int32(q))
	}
	slots, err := w.cache.Find(b)
	if err != nil {
		return err
	}
	if err := w.cache.Apply(slots); err != nil {
		return err
	}
	return w.attend(b, tokens, slots)
}

// attend computes the attention of a batch, whose tokens the world already holds.
func (w *kvWorld) attend(b kv.Batch, tokens []kvToken, slots *kv.Slots) (err error) {
	n, tok := w.cache.ReadCells(w.layer.Group), len(tokens)
	g := newGen(w.g.rand)
	mask := make([]float32, n*tok)
	if err := w.cache.FillMask(w.layer.Group, mask, slots, n); err != nil {
		return err
	}
	var keys, values []float32
	pos := make([]int64, tok)
	for i, t := range tokens {
		keys, values, pos[i] = append(keys, t.key...), append(values, t.value...), int64(t.pos)
	}
	query := g.normal(kvKey*kvHeadsQ*tok, 2)
	q := g.values(tensor.F32, tensor.MakeShape(kvKey, kvHeadsQ, tok), query)
	at := g.ints(tensor.I32, tensor.MakeShape(tok), pos)
	k := g.RoPE(kvRoPE, g.values(tensor.F32, tensor.MakeShape(kvKey, kvHeadsK, tok), keys), at, nil)
	v := g.values(tensor.F32, tensor.MakeShape(kvValue*kvHeadsK, tok), values)
	cells := g.ints(tensor.I64, tensor.MakeShape(tok), slots.Indices(w.layer.Group))
	heads := func(cache *tensor.Tensor, dim int) *tensor.Tensor {
		return g.Reshape(g.Slice(cache, 1, 0, n), dim, kvHeadsK, n)
	}
	out := g.FlashAttn(tensor.FlashAttn{Scale: 0.125}, q,
		heads(g.SetRows(w.layer.K, g.Reshape(k, kvKey*kvHeadsK, tok), cells), kvKey),
		heads(g.SetRows(w.layer.V, v, cells), kvValue),
		g.values(tensor.F32, tensor.MakeShape(n, tok), mask), nil)
	p, err := plan(g, []backends.Device{w.s.dev}, sched.Options{}, w.s.here, out)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return err
	}
	if err := p.run(w.ctx); err != nil {
		return err
	}
	raw := make([]byte, out.Bytes())
	if err := p.exec.Read(out, raw); err != nil {
		return err
	}
	got, err := ref.Read(out.Type, out.Shape, out.Stride, raw)
	if err != nil {
		return err
	}
	for i, t := range tokens {
		want, err := w.expected(int(b.Seq[i]), t.pos, query[i*kvKey*kvHeadsQ:][:kvKey*kvHeadsQ])
		if err != nil {
			return err
		}
		one := ref.Value{Type: tensor.F32, Shape: want.Shape, F: got.F[i*kvValue*kvHeadsQ:][:kvValue*kvHeadsQ]}
		m, err := compare(&one, &want, w.tol)
		if err != nil {
			return fmt.Errorf("token at %d of sequence %d: %w", t.pos, b.Seq[i], err)
		}
		w.worst.worst(m)
	}
	return nil
}

// expected is the attention of a query over the tokens that it sees, by the oracle, from the list.
func (w *kvWorld) expected(seq, pos int, query []float32) (ref.Value, error) {
	g := newGen(w.g.rand)
	var keys, values []float32
	var at []int64
	for _, t := range w.seqs[seq] {
		if t.pos <= pos && (w.window == 0 || t.pos > pos-w.window) {
			keys, values, at = append(keys, t.key...), append(values, t.value...), append(at, int64(t.pos))
		}
	}
	n := len(at)
	k := g.RoPE(kvRoPE, g.values(tensor.F32, tensor.MakeShape(kvKey, kvHeadsK, n), keys), g.ints(tensor.I32, tensor.MakeShape(n), at), nil)
	v := g.values(tensor.F32, tensor.MakeShape(kvValue, kvHeadsK, n), values)
	out := g.FlashAttn(tensor.FlashAttn{Scale: 0.125}, g.values(tensor.F32, tensor.MakeShape(kvKey, kvHeadsQ), query), k, v, nil, nil)
	graph, err := g.Build(out)
	if err != nil {
		return ref.Value{}, err
	}
	memory, err := g.oracle(graph.Nodes)
	if err != nil {
		return ref.Value{}, err
	}
	want, _ := memory.Result(out)
	return want, nil
}

// remove takes positions away.
func (w *kvWorld) remove(seq, p0, p1 int) error {
	end := p1
	if end < 0 {
		end = math.MaxInt
	}
	w.seqs[seq] = slices.DeleteFunc(slices.Clone(w.seqs[seq]), func(t kvToken) bool { return t.pos >= p0 && t.pos < end })
	return w.cache.Remove(seq, p0, p1)
}

func (w *kvWorld) copySeq(src, dst int) error {
	w.seqs[dst] = slices.Clone(w.seqs[src])
	return w.cache.CopySeq(src, dst, 0, -1)
}

// sequences has prompts side by side, a branch, a rollback, a hole, and cells that are used again.
func (w *kvWorld) sequences() error {
	do := func(errs ...error) error { return errors.Join(errs...) }
	if err := do(w.add(0, 0, 0, 0, 0, 1, 1, 1), w.add(0, 1), w.add(1, 0, 0)); err != nil {
		return fmt.Errorf("two prompts: %w", err)
	}
	if err := do(w.copySeq(0, 2), w.add(0, 2), w.add(2, 2, 0)); err != nil {
		return fmt.Errorf("a branch: %w", err)
	}
	if err := do(w.remove(0, 3, -1), w.add(0, 0, 2), w.add(0)); err != nil {
		return fmt.Errorf("a rollback: %w", err)
	}
	if err := do(w.remove(1, 1, 3), w.add(1, 1, 2)); err != nil {
		return fmt.Errorf("a hole: %w", err)
	}
	if err := w.cache.Keep(2); err != nil {
		return err
	}
	w.seqs[0], w.seqs[1] = nil, nil
	if err := do(w.add(2, 2, 3, 3, 3, 1), w.add(1, 2, 3)); err != nil {
		return fmt.Errorf("cells used again: %w", err)
	}
	w.cache.Clear()
	w.seqs = [kvSeqs][]kvToken{}
	if err := w.add(3, 3, 3); err != nil {
		return fmt.Errorf("a cleared cache: %w", err)
	}
	return nil
}

// shifts removes the oldest tokens and moves the others down, whose keys are turned back.
func (w *kvWorld) shifts() error {
	if err := errors.Join(w.add(0, 0, 0, 0, 0, 0, 0, 0, 1, 1), w.add(0, 1)); err != nil {
		return err
	}
	for range 2 {
		if err := errors.Join(w.remove(0, 0, 3), w.cache.Add(0, 3, -1, -3)); err != nil {
			return err
		}
		moved := slices.Clone(w.seqs[0])
		for i := range moved {
			moved[i].pos -= 3
		}
		w.seqs[0] = moved
		if err := w.turn(); err != nil {
			return fmt.Errorf("turning keys: %w", err)
		}
		if err := errors.Join(w.add(0, 1), w.add(0, 0)); err != nil {
			return fmt.Errorf("after a shift: %w", err)
		}
	}
	return nil
}

// turn turns the keys of cells whose position has changed, in place.
func (w *kvWorld) turn() (err error) {
	deltas, pending := w.cache.PendingShift(w.layer.Group)
	if !pending {
		return errors.New("the case itself is wrong: nothing is to be shifted")
	}
	g := newGen(w.g.rand)
	n := len(deltas)
	by, all := make([]int64, n), make([]int64, n)
	for i, d := range deltas {
		by[i], all[i] = int64(d), int64(i)
	}
	k := g.Reshape(g.Cast(w.layer.K, tensor.F32), kvKey, kvHeadsK, n)
	k = g.RoPE(kvRoPE, k, g.ints(tensor.I32, tensor.MakeShape(n), by), nil)
	out := g.SetRows(w.layer.K, g.Reshape(k, kvKey*kvHeadsK, n), g.ints(tensor.I64, tensor.MakeShape(n), all))
	p, err := plan(g, []backends.Device{w.s.dev}, sched.Options{}, w.s.here, out)
	defer func() { err = errors.Join(err, p.close()) }()
	if err != nil {
		return err
	}
	if err := p.run(w.ctx); err != nil {
		return err
	}
	w.cache.ClearShift(w.layer.Group)
	return nil
}

// windows goes on until cells of tokens that nobody sees any more are used again.
func (w *kvWorld) windows() error {
	for i := range 12 {
		batch := []int{0, 1}
		if i%3 == 0 {
			batch = []int{0, 0, 0, 0, 1, 1}
		}
		if err := w.add(batch...); err != nil {
			return fmt.Errorf("batch %d: %w", i, err)
		}
	}
	return nil
}
