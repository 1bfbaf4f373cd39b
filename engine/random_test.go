package engine_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
)

// reference is what a cache should hold: for each sequence its tokens.
type reference [][]engine.Token

func (m reference) end(q int) int32 {
	if len(m[q]) == 0 {
		return 0
	}
	return m[q][len(m[q])-1].Pos + 1
}

func (m reference) cells() int {
	type cell struct{ id, pos, tag int32 }
	seen := map[cell]bool{}
	for _, s := range m {
		for _, x := range s {
			seen[cell{x.ID, x.Pos, x.Seq}] = true
		}
	}
	return len(seen)
}

// Whatever was done to its sequences, an engine gives the logits of a fresh one that has seen nothing
// but what they hold now. The model has one layer, so that any tokens can be taken out and moved.
func TestRandomOperations(t *testing.T) {
	const seqs, cells = 4, 96
	f := parse(t, tinymodel.Config{Layers: 1, Vocab: 300})
	opt := exact
	opt.Sequences, opt.Context, opt.Batch = seqs, cells, 16
	fault := &fault{Device: newCPU(t, "CPU", 0)}
	opt.Devices = []backends.Device{fault}
	r, fresh := open(t, f, opt), open(t, f, exact)
	rng := rand.New(rand.NewPCG(1, 2))
	state := make(reference, seqs)
	tag := int32(0) // tells tokens of equal id and position apart: Seq holds it, as sequences share cells
	worst := 0.0
	compared := 0
	for step := range 600 {
		q, at := rng.IntN(seqs), 0
		if n := len(state[q]); n > 0 {
			at = rng.IntN(n)
		}
		switch op := rng.IntN(10); op {
		case 0, 1, 2, 3, 4: // tokens of one or two sequences, sometimes with a fault on the way
			var batch []engine.Token
			grown := map[int]int32{}
			for range 1 + rng.IntN(2) {
				s := rng.IntN(seqs)
				if _, twice := grown[s]; twice {
					continue
				}
				pos := state.end(s) + rng.Int32N(3)
				for range 1 + rng.IntN(30) {
					tag++
					batch = append(batch, engine.Token{ID: rng.Int32N(300), Pos: pos, Seq: int32(s), Output: rng.IntN(9) == 0})
					pos += 1 + rng.Int32N(2)
				}
				grown[s] = pos
			}
			failing := rng.IntN(4) == 0
			if failing {
				fault.after(rng.IntN(2), errLost)
			}
			_, turning := r.Cache().PendingShift(0)
			err := r.Decode(t.Context(), batch)
			fault.after(-1, nil)
			runs := (len(batch) + opt.Batch - 1) / opt.Batch
			switch {
			case errors.Is(err, kv.ErrFull):
				if state.cells()+len(batch) <= cells {
					t.Fatalf("step %d: %v, but %d cells and %d tokens fit", step, err, state.cells(), len(batch))
				}
				continue
			case failing && errors.Is(err, errLost):
				if turning && r.Cache().Used(0) == 0 { // keys that are half turned are given up
					state = make(reference, seqs)
				}
				continue
			case err != nil || failing && runs > 1:
				t.Fatalf("step %d: %v, failing %v, %d runs", step, err, failing, runs)
			}
			for i, x := range batch {
				s := x.Seq
				x.Seq = tag - int32(len(batch)) + int32(i)
				state[s] = append(state[s], x)
			}
		case 5: // a tail
			from := state.end(q)
			if len(state[q]) > 0 {
				from = state[q][at].Pos
			}
			must(t, r.Cache().Remove(q, int(from), -1))
			state[q] = state[q][:at]
		case 6: // a piece
			to := at + rng.IntN(len(state[q])-at+1)
			if to == at {
				continue
			}
			must(t, r.Cache().Remove(q, int(state[q][at].Pos), int(state[q][to-1].Pos)+1))
			state[q] = append(state[q][:at:at], state[q][to:]...)
		case 7: // a copy
			dst := (q + 1 + rng.IntN(seqs-1)) % seqs
			must(t, r.Cache().Remove(dst, 0, -1))
			must(t, r.Cache().CopySeq(q, dst, 0, -1))
			state[dst] = append([]engine.Token(nil), state[q]...)
		case 8: // a move, where order and other sequences allow it
			by := rng.IntN(41) - 20
			if len(state[q]) == 0 || by == 0 {
				continue
			}
			from := int(state[q][at].Pos)
			err := r.Cache().Add(q, from, -1, by)
			if errors.Is(err, kv.ErrPos) || errors.Is(err, kv.ErrSeq) {
				continue
			}
			must(t, err)
			moved := append([]engine.Token(nil), state[q]...)
			for i := at; i < len(moved); i++ {
				moved[i].Pos += int32(by)
			}
			state[q] = moved
		case 9:
			if rng.IntN(10) == 0 {
				r.Cache().Clear()
				state = make(reference, seqs)
			}
		}
		if step%5 == 0 {
			if d, ok := probe(t, r, fresh, state, q); ok {
				worst = max(worst, d)
				compared++
				if d > 1e-4 {
					t.Fatalf("step %d: sequence %d is off by %.3g", step, q, d)
				}
			}
		}
	}
	t.Logf("%d comparisons, worst %.2g, %d graphs kept", compared, worst, r.KeptRuns())
	if compared < 50 {
		t.Errorf("only %d comparisons", compared)
	}
}

// probe compares the token after sequence q with that of a fresh engine, and takes it back. There is
// nothing to compare when the cache is full.
func probe(t *testing.T, r, fresh *rig, state reference, q int) (float64, bool) {
	next := engine.Token{ID: 9, Pos: state.end(q) + 1, Output: true}
	fresh.Cache().Clear()
	var all []engine.Token
	for _, x := range state[q] {
		all = append(all, engine.Token{ID: x.ID, Pos: x.Pos})
	}
	want := fresh.decode(append(all, next))
	next.Seq = int32(q)
	err := r.Decode(context.Background(), []engine.Token{next})
	if errors.Is(err, kv.ErrFull) {
		return 0, false
	}
	must(t, err)
	d := distance(t, r.rows(), want)
	must(t, r.Cache().Remove(q, int(next.Pos), -1))
	return d, true
}
