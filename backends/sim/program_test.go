package sim_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

func TestModes(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			d := open(t, sim.Config{Submit: mode})
			r := newDoubler(t, d, 5, nil)
			for i := float32(0); i < 20; i++ {
				r.run(t, i, 0, 0, 0, -i)
				if got := numbers(t, r.y); !slices.Equal(got, []float32{2 * i, 0, 0, 0, -2 * i}) {
					t.Fatalf("run %v: %v", i, got)
				}
			}
			// Without a wait, copies from and to the buffers still stand in order.
			ctx := context.Background()
			for i := float32(0); i < 20; i++ {
				if err := errors.Join(second(r.x.WriteAt(floats(i), 0)), r.program.Submit(ctx), second(r.x.WriteAt(floats(99), 0))); err != nil {
					t.Fatal(err)
				}
				if got := numbers(t, r.y)[0]; got != 2*i {
					t.Fatalf("run %v: %v", i, got)
				}
			}
			if s := d.Stats(); s.Submits != 40 || s.Nodes != 40 || s.Compiles != 1 || s.Programs != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestDeferredIsLate shows that work is done only when somebody waits.
func TestDeferredIsLate(t *testing.T) {
	d := open(t, sim.Config{Submit: sim.Deferred, Mapped: true})
	r := newDoubler(t, d, 1, nil)
	if err := errors.Join(second(r.x.WriteAt(floats(3), 0)), r.program.Submit(context.Background())); err != nil {
		t.Fatal(err)
	}
	if p := buffer.HostBytes(r.y); slices.Max(p) != 0 {
		t.Errorf("who does not wait sees % x", p)
	}
	if err := r.program.Wait(context.Background()); err != nil {
		t.Fatal(err)
	}
	if p := buffer.HostBytes(r.y); !slices.Equal(p, floats(6)) {
		t.Errorf("who waits sees % x", p)
	}
}

// TestForeignReaderSeesNoOrder shows that devices are not in order with each other.
func TestForeignReaderSeesNoOrder(t *testing.T) {
	a := open(t, sim.Config{Name: "A0", Submit: sim.Deferred})
	b := open(t, sim.Config{Name: "B0", Reads: []string{"A0"}})
	first := newDoubler(t, a, 1, nil)
	g, x := doublerGraph(t, 1)
	y := alloc(t, b.BufferTypes()[0], 4)
	next, err := b.Compile(subgraph(g, map[*tensor.Tensor]buffer.Buffer{x: first.y, g.Nodes[0]: y}))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	ctx := context.Background()
	for _, wait := range []bool{false, true} {
		if err := errors.Join(second(first.x.WriteAt(floats(5), 0)), first.program.Submit(ctx)); err != nil {
			t.Fatal(err)
		}
		if wait {
			if err := first.program.Wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := next.Submit(ctx); err != nil {
			t.Fatal(err)
		}
		if got, want := numbers(t, y)[0], map[bool]float32{false: 0, true: 20}[wait]; got != want {
			t.Errorf("waited %v: %v, want %v", wait, got, want)
		}
	}
}

func TestSubmitAllocatesNothing(t *testing.T) {
	for _, mode := range modes {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		d := open(t, sim.Config{Submit: mode})
		r := newDoubler(t, d, 100, nil)
		x, y := floats(counting(100)...), make([]byte, 400)
		n := testing.AllocsPerRun(100, func() {
			if _, err := r.x.WriteAt(x, 0); err != nil {
				t.Error(err)
			}
			for range 3 {
				if err := r.program.Submit(ctx); err != nil {
					t.Error(err)
				}
			}
			if err := r.program.Wait(ctx); err != nil {
				t.Error(err)
			}
			if _, err := r.y.ReadAt(y, 0); err != nil {
				t.Error(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", mode, n)
		}
	}
}

func TestClosedBuffer(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode, Reads: []string{"Far0"}})
		far := open(t, sim.Config{Name: "Far0"})
		r := newDoubler(t, d, 1000, far.BufferTypes()[0])
		ctx := context.Background()
		for range 3 {
			if err := r.program.Submit(ctx); err != nil {
				t.Fatal(err)
			}
		}
		r.x.Close() // the work that is submitted may still read it
		if err := r.program.Wait(ctx); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		if err := r.program.Submit(ctx); !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("%s: submit over a closed buffer: %v", mode, err)
		}
		if far.Stats().Live != 0 {
			t.Errorf("%s: %+v", mode, far.Stats())
		}
	}
}

func TestClosedProgramAndDevice(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode})
		r := newDoubler(t, d, 10, nil)
		r.run(t, counting(10)...)
		if err := errors.Join(r.program.Close(), r.program.Close()); err != nil {
			t.Error(err)
		}
		if err := r.program.Submit(context.Background()); !errors.Is(err, buffer.ErrClosed) {
			t.Errorf("%s: submit of a closed program: %v", mode, err)
		}
		if n := d.Stats().Programs; n != 0 {
			t.Errorf("%s: %d programs", mode, n)
		}
		next := newDoubler(t, d, 10, nil)
		if err := next.program.Submit(context.Background()); err != nil {
			t.Error(err)
		}
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Error(err)
		}
		d.Reopen()
		if err := next.try(context.Background()); !errors.Is(err, backends.ErrDeviceLost) {
			t.Errorf("%s: a closed device: %v", mode, err)
		}
	}
}

// TestGoroutines checks that devices take none but those of Async, and give them back.
func TestGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	var devices []*sim.Device
	for range 50 {
		for _, mode := range []sim.SubmitMode{sim.Sync, sim.Deferred} {
			d, err := sim.New(sim.Config{Name: "A0", Submit: mode})
			if err != nil {
				t.Fatal(err)
			}
			devices = append(devices, d)
			newDoubler(t, d, 10, nil).run(t, counting(10)...)
		}
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more than before", n-before)
	}
	a, err := sim.New(sim.Config{Name: "A0", Submit: sim.Async, Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	newDoubler(t, a, 10, nil).run(t, counting(10)...)
	if n := runtime.NumGoroutine(); n > before+4 { // fewer if those of earlier tests end only now
		t.Errorf("an asynchronous device with 4 threads has %d goroutines", n-before)
	}
	for _, d := range append(devices, a) {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines are left", n-before)
	}
}

func TestCancelledContext(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode})
		r := newDoubler(t, d, 10, nil)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.program.Submit(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", mode, err)
		}
		r.run(t, counting(10)...)
		if got := numbers(t, r.y)[9]; got != 20 {
			t.Errorf("%s: after a cancelled run: %v", mode, got)
		}
	}
}

// TestLateIndexError checks that what goes wrong on the device arrives, once, at whoever waits or submits.
func TestLateIndexError(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode})
		b := tensor.NewBuilder()
		w, idx := b.Input("w", tensor.F32, tensor.MakeShape(4, 3)), b.Input("idx", tensor.I32, tensor.MakeShape(1))
		g, err := b.Build(b.GetRows(w, idx))
		if err != nil {
			t.Fatal(err)
		}
		typ := d.BufferTypes()[0]
		at := map[*tensor.Tensor]buffer.Buffer{w: alloc(t, typ, 48), idx: alloc(t, typ, 4), g.Nodes[0]: alloc(t, typ, 16)}
		p, err := d.Compile(subgraph(g, at))
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		ctx := context.Background()
		set := func(row byte) {
			if _, err := at[idx].WriteAt([]byte{row, 0, 0, 0}, 0); err != nil {
				t.Fatal(err)
			}
		}
		set(3)
		err = p.Submit(ctx)
		if (err != nil) != (mode == sim.Sync) {
			t.Errorf("%s: submit: %v", mode, err)
		}
		if err == nil {
			err = p.Wait(ctx)
		}
		var index *backends.IndexError
		if !errors.As(err, &index) || index.Index != 3 || index.Rows != 3 {
			t.Errorf("%s: %v", mode, err)
		}
		if mode != sim.Sync { // told by the next Submit
			if err := p.Submit(ctx); err != nil {
				t.Errorf("%s: %v", mode, err)
			}
			set(2) // waits
			if err := p.Submit(ctx); !errors.As(err, &index) {
				t.Errorf("%s: the next submit: %v", mode, err)
			}
		}
		set(2)
		if err := errors.Join(p.Submit(ctx), p.Wait(ctx)); err != nil {
			t.Errorf("%s: after the error: %v", mode, err)
		}
	}
}

func TestConcurrentPrograms(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode, Heap: true})
		done := make(chan []float32)
		for k := range 4 {
			r := newDoubler(t, d, 100, nil)
			go func() {
				for i := range 20 {
					x := make([]float32, 100)
					x[99] = float32(k*100 + i)
					if err := r.try(context.Background(), x...); err != nil {
						t.Error(err)
					}
					if got := numbers(t, r.y)[99]; got != 2*x[99] {
						t.Errorf("%s: %v, want %v", mode, got, 2*x[99])
					}
				}
				done <- nil
			}()
		}
		for range 4 {
			<-done
		}
	}
}

// TestBacklog keeps work waiting while more comes.
func TestBacklog(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode})
		first, second := newDoubler(t, d, 1, nil), newDoubler(t, d, 1, nil)
		first.run(t, 1)
		ctx := context.Background()
		for range 50 {
			err := errors.Join(first.program.Submit(ctx), second.program.Submit(ctx), second.program.Submit(ctx), first.program.Wait(ctx))
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := second.program.Wait(ctx); err != nil {
			t.Error(err)
		}
		if s := d.Stats(); s.Submits != 151 {
			t.Errorf("%s: %+v", mode, s)
		}
		second.run(t, 3)
		if got := numbers(t, second.y)[0]; got != 6 {
			t.Errorf("%s: %v", mode, got)
		}
	}
}
