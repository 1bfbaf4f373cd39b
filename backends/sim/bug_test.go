package sim_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// wrongAdd adds the transposed x to y, of w by h numbers each, on a device with a bug, and returns the
// sum, what lies after it, and x. The result held -1s before.
func wrongAdd(t *testing.T, d *sim.Device, w, h, runs int) (sum []float32, after, x []byte) {
	t.Helper()
	b := tensor.NewBuilder()
	xt, y := b.Input("x", tensor.F32, tensor.MakeShape(h, w)), b.Input("y", tensor.F32, tensor.MakeShape(w, h))
	g, err := b.Build(b.Add(y, b.Permute(xt, 1, 0, 2, 3)))
	if err != nil {
		t.Fatal(err)
	}
	n := int64(4 * w * h)
	typ := d.BufferTypes()[0]
	at := map[*tensor.Tensor]buffer.Buffer{xt: alloc(t, typ, n), y: alloc(t, typ, n), g.Nodes[0]: alloc(t, typ, n+4)}
	p, err := d.Compile(subgraph(g, at))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	out := at[g.Nodes[0]]
	for i := range runs {
		before := make([]float32, w*h)
		for i := range before {
			before[i] = -1
		}
		err := errors.Join(second(at[xt].WriteAt(floats(counting(w*h)...), 0)), second(at[y].WriteAt(make([]byte, n), 0)),
			second(out.WriteAt(floats(before...), 0)))
		if err == nil {
			err = p.Submit(context.Background())
		}
		if err == nil {
			err = p.Wait(context.Background())
		}
		if err != nil {
			t.Fatalf("run %d: %v", i, err)
		}
	}
	after, x = make([]byte, 4), make([]byte, n)
	if err := errors.Join(second(out.ReadAt(after, n)), second(at[xt].ReadAt(x, 0))); err != nil {
		t.Fatal(err)
	}
	return numbers(t, out)[:w*h], after, x
}

func TestBugs(t *testing.T) {
	const w, h = 11, 2
	right, after, x := wrongAdd(t, open(t, sim.Config{}), w, h, 1)
	if right[1] != 3 || right[w] != 2 { // x is h numbers wide, and is read by columns
		t.Fatalf("%v", right)
	}
	same := func(got []float32) bool { return slices.Equal(got, right) }
	for bug, shows := range map[sim.Bug]func(sum []float32, end, src []byte) bool{
		sim.WrongScale: func(sum []float32, _, _ []byte) bool {
			return sum[0] == 1+1.0/16 && sum[w*h-1] == right[w*h-1]*(1+1.0/16)
		},
		sim.WrongStride: func(sum []float32, _, _ []byte) bool { return slices.Equal(sum, counting(w*h)) },
		sim.MissedTail: func(sum []float32, _, _ []byte) bool {
			return slices.Equal(sum[:8], right[:8]) && slices.Equal(sum[8:w], []float32{-1, -1, -1}) && sum[w] == right[w] && sum[w*h-1] == -1
		},
		sim.Overrun:     func(sum []float32, end, _ []byte) bool { return same(sum) && !slices.Equal(end, after) },
		sim.DirtySource: func(sum []float32, end, _ []byte) bool { return same(sum) && slices.Equal(end, after) },
	} {
		d := open(t, sim.Config{Faults: []sim.Fault{sim.Break("Mul", sim.WrongScale), sim.Break("Add", bug)}})
		sum, end, src := wrongAdd(t, d, w, h, 1)
		if !shows(sum, end, src) {
			t.Errorf("%v: %v, % x", bug, sum, end)
		}
		if !slices.Equal(src, x) {
			t.Errorf("%v: the second source is changed", bug)
		}
		d.Heal()
		if sum, _, _ := wrongAdd(t, d, w, h, 1); !same(sum) {
			t.Errorf("%v: after Heal: %v", bug, sum)
		}
	}
}

// TestDirtySource looks at the source that TestBugs does not.
func TestDirtySource(t *testing.T) {
	d := open(t, sim.Config{Faults: []sim.Fault{sim.Break("", sim.DirtySource)}})
	r := newDoubler(t, d, 4, nil)
	r.run(t, 1, 2, 3, 4)
	if got := numbers(t, r.y); !slices.Equal(got, []float32{2, 4, 6, 8}) {
		t.Errorf("the result is %v", got)
	}
	if got := numbers(t, r.x); slices.Equal(got, []float32{1, 2, 3, 4}) {
		t.Error("the source is as it was")
	}
}

// TestRacingWrite checks that some runs lose the last row, and others do not.
func TestRacingWrite(t *testing.T) {
	const w, h = 3, 4
	lost, kept := 0, 0
	d := open(t, sim.Config{Seed: 5, Faults: []sim.Fault{sim.Break("Add", sim.RacingWrite)}})
	for runs := 1; runs <= 6; runs++ {
		sum, _, _ := wrongAdd(t, d, w, h, runs)
		switch {
		case slices.Equal(sum[w*h-w:], []float32{-1, -1, -1}):
			lost++
		case sum[w*h-1] == w*h && sum[0] == 1:
			kept++
		default:
			t.Errorf("after %d runs: %v", runs, sum)
		}
	}
	if lost == 0 || kept == 0 {
		t.Errorf("%d runs lost a row, %d did not", lost, kept)
	}
}

func TestBreakReads(t *testing.T) {
	d := open(t, sim.Config{Submit: sim.Deferred})
	r := newDoubler(t, d, 1, nil)
	r.run(t, 1)
	for _, broken := range []bool{true, false} {
		if broken {
			inject(t, d, sim.BreakReads())
		}
		if err := errors.Join(second(r.x.WriteAt(floats(5), 0)), r.program.Submit(context.Background())); err != nil {
			t.Fatal(err)
		}
		if got, want := numbers(t, r.y)[0], map[bool]float32{true: 2, false: 10}[broken]; got != want {
			t.Errorf("broken %v: %v, want %v", broken, got, want)
		}
		d.Heal()
	}
}

// TestBugsOfManyTypes runs each bug over results of each type that an op can have.
func TestBugsOfManyTypes(t *testing.T) {
	for _, bug := range []sim.Bug{sim.WrongScale, sim.WrongStride, sim.MissedTail, sim.RacingWrite, sim.Overrun, sim.DirtySource} {
		for _, typ := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16, tensor.Q8_0, tensor.Q4_0} {
			d := open(t, sim.Config{Faults: []sim.Fault{sim.Break("SetRows", bug)}})
			b := tensor.NewBuilder()
			cache, err := tensor.NewLeaf(tensor.Cache, "cache", typ, tensor.MakeShape(32, 4))
			if err != nil {
				t.Fatal(err)
			}
			x, idx := b.Input("x", tensor.F32, tensor.MakeShape(32, 1)), b.Input("idx", tensor.I32, tensor.MakeShape(1))
			g, err := b.Build(b.SetRows(cache, x, idx))
			if err != nil {
				t.Fatal(err)
			}
			mem := d.BufferTypes()[0]
			at := map[*tensor.Tensor]buffer.Buffer{cache: alloc(t, mem, int64(cache.Bytes())), x: alloc(t, mem, 128), idx: alloc(t, mem, 4)}
			p, err := d.Compile(subgraph(g, at))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(p.Submit(context.Background()), p.Wait(context.Background()), p.Close()); err != nil {
				t.Errorf("%v of %v: %v", bug, typ, err)
			}
		}
	}
}
