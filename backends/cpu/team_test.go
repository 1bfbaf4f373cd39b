package cpu

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tenon-go/tenon/tensor"
)

// deadline fails the test if f takes unreasonably long: a barrier that somebody never reaches would
// otherwise hang the whole run.
func deadline(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		panic("the team hangs")
	}
}

// TestTeamSteps runs programs of many tiny steps: every chunk is taken once, and no worker is a step
// ahead of another.
func TestTeamSteps(t *testing.T) {
	for _, size := range []int{1, 2, 5} {
		tm := newTeam(size)
		var steps []step
		const n, total, rounds = 80, 37, 10
		var taken [n][total]atomic.Int32
		var done, begun [n]atomic.Int32
		for i := range n {
			steps = append(steps, func(w *worker) {
				if i > 0 && done[i-1].Load() != total {
					t.Errorf("step %d began when %d of the %d items of the one before were done", i, done[i-1].Load(), total)
				}
				if w.id == 0 {
					begun[i].Add(1)
				}
				for {
					from, to, ok := w.next(total, 1+i%5)
					if !ok {
						break
					}
					for j := from; j < to; j++ {
						taken[i][j].Add(1)
					}
					done[i].Add(int32(to - from))
				}
			})
		}
		deadline(t, func() {
			for range rounds {
				for i := range done {
					done[i].Store(0)
				}
				if err := tm.submit(t.Context(), new(worker), steps, new(bool)); err != nil {
					t.Error(err)
				}
			}
		})
		for i := range n {
			if c := begun[i].Load(); c != rounds {
				t.Fatalf("%d workers: step %d was begun by %d, want %d", size, i, c, rounds)
			}
			for j := range total {
				if c := taken[i][j].Load(); c != rounds {
					t.Fatalf("%d workers: item %d of step %d was taken %d times, want %d", size, j, i, c, rounds)
				}
			}
		}
		tm.close()
	}
}

// TestTeamFailures fails at a random step, in random workers and at random times, over and over.
func TestTeamFailures(t *testing.T) {
	errBad := errors.New("bad")
	for _, size := range []int{1, 2, 5} {
		tm := newTeam(size)
		r := rand.New(rand.NewPCG(1, uint64(size)))
		deadline(t, func() {
			for round := range 150 {
				n := 1 + r.IntN(30)
				bad, item := r.IntN(n), r.IntN(8)
				failing := r.IntN(4) > 0
				var ran atomic.Int32
				var steps []step
				for i := range n {
					steps = append(steps, func(w *worker) {
						ran.Store(max(ran.Load(), int32(i)))
						for {
							from, _, ok := w.next(8, 1)
							if !ok {
								return
							}
							if failing && i == bad && from >= item {
								w.r.fail(fmt.Errorf("%w in round %d", errBad, round))
								return
							}
						}
					})
				}
				err := tm.submit(t.Context(), new(worker), steps, new(bool))
				switch {
				case failing != errors.Is(err, errBad):
					t.Errorf("round %d: failing is %v, error is %v", round, failing, err)
				case failing && int(ran.Load()) > bad:
					t.Errorf("round %d: step %d ran after step %d had failed", round, ran.Load(), bad)
				}
			}
		})
		tm.close()
	}
}

// TestTeamCancel cancels in the middle of a run, at a barrier or inside of a long step.
func TestTeamCancel(t *testing.T) {
	for _, size := range []int{1, 2, 5} {
		tm := newTeam(size)
		for round := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			at := round * 3
			var items atomic.Int64
			var steps []step
			for i := range 100 {
				steps = append(steps, func(w *worker) {
					for {
						from, _, ok := w.next(1000, 1)
						if !ok {
							return
						}
						items.Add(1)
						if i == at && from == 500 {
							cancel()
						}
					}
				})
			}
			var err error
			deadline(t, func() { err = tm.submit(ctx, new(worker), steps, new(bool)) })
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("have %v, want context.Canceled", err)
			}
			// Each worker may have taken a chunk before it saw the end.
			if most := int64(at*1000 + 1000); items.Load() > most {
				t.Errorf("%d items were done after the end of step %d", items.Load()-most, at)
			}
			if err := tm.submit(ctx, new(worker), steps, new(bool)); !errors.Is(err, context.Canceled) {
				t.Errorf("submitted after its end: %v", err)
			}
			cancel()
		}
		tm.close()
	}
}

// TestCancelProgram cancels a real program, which then runs to its end.
func TestCancelProgram(t *testing.T) {
	for _, dev := range devices(t) {
		r := newRig(t, 1)
		x := r.random(tensor.F32, tensor.MakeShape(1<<16))
		y := x
		for range 400 {
			y = r.Unary(tensor.Sin, y)
		}
		b, err := r.bind(dev, true, y)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		start := time.Now()
		err = b.prog.Submit(ctx)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > 5*time.Second {
			t.Errorf("%d workers: %v after %v", dev.team.size, err, took)
		}
		cancel()
	}
	r := newRig(t, 1)
	x := r.random(tensor.F32, tensor.MakeShape(50))
	r.expect(devices(t), r.Neg(x), mapped(r.input(x), func(x float64) float64 { return -x }), 0)
}

// TestSubmitters runs programs of one device from several goroutines: they take turns.
func TestSubmitters(t *testing.T) {
	dev := New(Options{Threads: 2})
	defer dev.Close()
	var wg sync.WaitGroup
	for g := range 4 {
		r := newRig(t, uint64(g))
		x := r.random(tensor.F32, tensor.MakeShape(3000, 2))
		out := r.RMSNorm(r.SiLU(x), 1e-6)
		b, err := r.bind(dev, false, out)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.prog.Submit(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := b.read(out)
		wg.Go(func() {
			for range 50 {
				if err := b.prog.Submit(t.Context()); err != nil {
					t.Error(err)
				}
			}
			r.compare(out, b.read(out), want, 0)
		})
	}
	deadline(t, wg.Wait)
}

// TestSubmitAllocates counts: a run of every kernel makes nothing on the heap.
func TestSubmitAllocates(t *testing.T) {
	scalar, err := NewAt(Scalar, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer scalar.Close()
	for _, dev := range append(devices(t), scalar) {
		for name, build := range everyKernel {
			r := newRig(t, 1)
			out := build(r)
			b, err := r.bind(dev, false, out)
			if err != nil {
				t.Fatal(name, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			if n := testing.AllocsPerRun(5, func() {
				if err := b.prog.Submit(ctx); err != nil {
					t.Error(name, err)
				}
			}); n != 0 {
				t.Errorf("%s: %g allocations with %d workers at level %s", name, n, dev.team.size, dev.units.level)
			}
			cancel()
		}
	}
}

// TestEveryKernel fails when an op gets a kernel and is left out of everyKernel.
func TestEveryKernel(t *testing.T) {
	covered := map[tensor.Kind]bool{}
	for _, build := range everyKernel {
		for n := build(newRig(t, 1)); n != nil; n = nil {
			covered[n.Op.Kind()] = true
		}
	}
	for k := range kernels {
		if !covered[k] {
			t.Errorf("no case for %s", k)
		}
	}
}

// everyKernel builds each op, over types and strides that need scratch.
var everyKernel = func() map[string]func(r *rig) *tensor.Tensor {
	s := tensor.Shape{64, 3, 4, 2}
	f32 := func(r *rig) *tensor.Tensor { return r.strided(tensor.F32, s, 3) }
	f16 := func(r *rig) *tensor.Tensor { return r.strided(tensor.F16, s, 4) }
	ids := func(r *rig, n int, sizes ...int) *tensor.Tensor {
		shape := tensor.MakeShape(sizes...)
		return r.ints(shape, r.picks(shape.Elems(), n))
	}
	m := map[string]func(r *rig) *tensor.Tensor{
		"Add":       func(r *rig) *tensor.Tensor { return r.Add(f32(r), r.random(tensor.F16, tensor.MakeShape(64))) },
		"Sub":       func(r *rig) *tensor.Tensor { return r.Sub(f16(r), r.random(tensor.F32, tensor.MakeShape(1))) },
		"Mul":       func(r *rig) *tensor.Tensor { return r.Mul(f32(r), r.random(tensor.F32, tensor.MakeShape(16, 3))) },
		"Div":       func(r *rig) *tensor.Tensor { return r.Div(f32(r), f16(r)) },
		"Scale":     func(r *rig) *tensor.Tensor { return r.Scale(f32(r), 2) },
		"Clamp":     func(r *rig) *tensor.Tensor { return r.Clamp(f16(r), 0, 1) },
		"RMSNorm":   func(r *rig) *tensor.Tensor { return r.RMSNorm(f32(r), 1e-5) },
		"LayerNorm": func(r *rig) *tensor.Tensor { return r.LayerNorm(f32(r), 1e-5) },
		"L2Norm":    func(r *rig) *tensor.Tensor { return r.L2Norm(f32(r), 1e-5) },
		"SumRows":   func(r *rig) *tensor.Tensor { return r.SumRows(f32(r)) },
		"TopK":      func(r *rig) *tensor.Tensor { return r.TopK(f32(r), 9) },
		"ArgSort":   func(r *rig) *tensor.Tensor { return r.Apply(tensor.ArgSort{}, f32(r)) },
		"ArgMax":    func(r *rig) *tensor.Tensor { return r.ArgMax(r.random(tensor.F32, tensor.MakeShape(50, 7))) },
		"Concat":    func(r *rig) *tensor.Tensor { return r.Concat(f32(r), f32(r), 1) },
		"Repeat":    func(r *rig) *tensor.Tensor { return r.Repeat(f32(r), 128, 3, 4, 4) },
		"Copy":      func(r *rig) *tensor.Tensor { return r.Cast(f32(r), tensor.F32) },
		"CopyQ8":    func(r *rig) *tensor.Tensor { return r.Cast(f32(r), tensor.Q8_0) },
		"CopyI64":   func(r *rig) *tensor.Tensor { return r.Cast(ids(r, 9, 30), tensor.I64) },
		"AddID": func(r *rig) *tensor.Tensor {
			return r.AddID(r.random(tensor.F32, tensor.MakeShape(8, 3, 4)), r.random(tensor.F32, tensor.MakeShape(8, 5)), ids(r, 5, 3, 4))
		},
		"GetRows": func(r *rig) *tensor.Tensor {
			return r.GetRows(r.random(tensor.Q8_0, tensor.MakeShape(64, 9)), ids(r, 9, 4))
		},
		"SetRows": func(r *rig) *tensor.Tensor {
			return r.SetRows(r.random(tensor.Q8_0, tensor.MakeShape(64, 9)), r.strided(tensor.F32, tensor.MakeShape(64, 4), 4), ids(r, 9, 4))
		},
		"RoPE": func(r *rig) *tensor.Tensor {
			return r.RoPE(tensor.RoPE{Dims: 32, Base: 1e4}, f16(r), ids(r, 99, 4), nil)
		},
		"SoftMax": func(r *rig) *tensor.Tensor {
			return r.Apply(tensor.SoftMax{Scale: 1, MaxBias: 8}, f32(r), r.random(tensor.F16, tensor.MakeShape(64, 3)), r.random(tensor.F32, tensor.MakeShape(4)))
		},
		"MatMul": func(r *rig) *tensor.Tensor {
			return r.MatMul(r.random(tensor.Q8_0, tensor.MakeShape(64, 9)), r.strided(tensor.F32, tensor.MakeShape(64, 5), 4))
		},
		"MatMulExact": func(r *rig) *tensor.Tensor {
			return r.MatMulExact(r.random(tensor.Q4_K, tensor.MakeShape(256, 9)), r.random(tensor.F16, tensor.MakeShape(256, 5)))
		},
		"MatMulID": func(r *rig) *tensor.Tensor {
			return r.MatMulID(r.random(tensor.Q8_0, tensor.MakeShape(64, 9, 5)), r.random(tensor.F32, tensor.MakeShape(64, 1, 4)), ids(r, 5, 2, 4))
		},
		"FlashAttn": func(r *rig) *tensor.Tensor {
			kv := tensor.MakeShape(64, 2, 40)
			return r.FlashAttn(tensor.FlashAttn{Scale: 0.1, MaxBias: 8}, r.random(tensor.F32, tensor.MakeShape(64, 4, 3)),
				r.random(tensor.Q8_0, kv), r.random(tensor.F16, kv), r.random(tensor.F16, tensor.MakeShape(40, 3)), r.random(tensor.F32, tensor.MakeShape(4)))
		},
	}
	m["SSMConv"] = func(r *rig) *tensor.Tensor {
		return r.SSMConv(r.strided(tensor.F32, tensor.MakeShape(9, 20, 2), 4), r.strided(tensor.F32, tensor.MakeShape(4, 20), 4))
	}
	m["GatedDeltaNet"] = func(r *rig) *tensor.Tensor {
		in := func(sizes ...int) *tensor.Tensor { return r.strided(tensor.F32, tensor.MakeShape(sizes...), 4) }
		return r.Apply(tensor.GatedDeltaNet{States: 2}, in(16, 2, 3, 2), in(16, 2, 3, 2), in(20, 4, 3, 2), in(1, 4, 3, 2), in(1, 4, 3, 2), in(16, 20, 4, 2))
	}
	for f := range tensor.Func(tensor.Funcs()) {
		m["Unary"+f.String()] = func(r *rig) *tensor.Tensor { return r.Unary(f, f32(r)) }
	}
	for _, f := range []tensor.Func{tensor.ReLU, tensor.GELU, tensor.GELUErf, tensor.GELUQuick, tensor.SiLU} {
		m["GLU"+f.String()] = func(r *rig) *tensor.Tensor { return r.GLU(f, f32(r), f32(r)) }
	}
	return m
}()

// TestSharedTeam opens devices of one size, which share a team: it outlives all but the last of them, and
// programs of a closed one do not run.
func TestSharedTeam(t *testing.T) {
	a, b, other := New(Options{Threads: 3}), New(Options{Name: "B", Threads: 3}), New(Options{Threads: 4})
	defer other.Close()
	if a.team != b.team || a.team == other.team {
		t.Fatal("teams are shared by size")
	}
	var progs []*bound
	for _, dev := range []*Device{a, b} {
		r := newRig(t, 1)
		p, err := r.bind(dev, false, r.Neg(r.random(tensor.F32, tensor.MakeShape(100))))
		if err != nil {
			t.Fatal(err)
		}
		progs = append(progs, p)
	}
	for range 2 { // closing again does nothing
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := progs[0].prog.Submit(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("a closed device's program gives %v", err)
	}
	if err := progs[1].prog.Submit(t.Context()); err != nil {
		t.Error(err)
	}
	b.Close()
	if err := progs[1].prog.Submit(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("a closed device's program gives %v", err)
	}
	if c := New(Options{Threads: 3}); c.team == a.team {
		t.Error("a team that has ended is used again")
	} else {
		c.Close()
	}
}

// TestTurns has a submit wait behind a long one: it gives up when its context ends, and otherwise gets its
// turn although others submit without a pause.
func TestTurns(t *testing.T) {
	tm := newTeam(2)
	defer tm.close()
	entered, release := make(chan struct{}), make(chan struct{})
	long := []step{func(w *worker) {
		if w.id == 0 {
			close(entered)
			<-release
		}
	}}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := tm.submit(t.Context(), new(worker), long, new(bool)); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	nothing := []step{func(*worker) {}}
	if err := tm.submit(ctx, new(worker), nothing, new(bool)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting gives %v", err)
	}
	close(release)
	wg.Wait()

	var stop atomic.Bool
	for range 2 {
		wg.Go(func() {
			for w := new(worker); !stop.Load(); {
				if err := tm.submit(t.Context(), w, nothing, new(bool)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	deadline(t, func() {
		for range 100 {
			if err := tm.submit(t.Context(), new(worker), nothing, new(bool)); err != nil {
				t.Error(err)
			}
		}
	})
	stop.Store(true)
	wg.Wait()
}
