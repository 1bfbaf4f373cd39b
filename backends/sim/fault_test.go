package sim_test

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
)

func inject(t testing.TB, d *sim.Device, fs ...sim.Fault) {
	t.Helper()
	if err := d.Inject(fs...); err != nil {
		t.Fatal(err)
	}
}

func TestFailAlloc(t *testing.T) {
	d := open(t, sim.Config{Types: []sim.MemoryType{{Name: "host"}}, Memory: 100})
	inject(t, d, sim.FailAlloc(2))
	alloc(t, d.BufferTypes()[0], 10)
	_, err := d.BufferTypes()[1].Alloc(10)
	var a *buffer.AllocError
	var f *sim.FaultError
	if !errors.As(err, &a) || a.Type != "Vulkan0.host" || a.Size != 10 || !errors.Is(err, buffer.ErrNoMemory) ||
		!errors.As(err, &f) || f.Fault != sim.FailAlloc(2) || !errors.Is(err, sim.ErrInjected) {
		t.Errorf("%v", err)
	}
	alloc(t, d.BufferTypes()[1], 10)
	if s := d.Stats(); s.Allocs != 2 || s.Live != 20 || len(d.Faults()) != 0 {
		t.Errorf("%+v, faults %v", s, d.Faults())
	}
}

func TestEndMemory(t *testing.T) {
	for _, limit := range []int64{0, 1000} {
		d := open(t, sim.Config{Memory: limit, Types: []sim.MemoryType{{Name: "host"}}})
		typ := d.BufferTypes()[0]
		alloc(t, typ, 60)
		inject(t, d, sim.EndMemory(100))
		var e *buffer.AllocError
		if _, err := typ.Alloc(41); !errors.As(err, &e) || e.Available != 40 || e.Size != 41 {
			t.Errorf("%+v", e)
		}
		alloc(t, d.BufferTypes()[1], 500) // other memory
		alloc(t, typ, 40)
		if _, err := typ.Alloc(1); !errors.Is(err, buffer.ErrNoMemory) {
			t.Error("the fault is used up")
		}
		d.Heal()
		alloc(t, typ, 800)
	}
}

func TestFailSubmit(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode})
		r := newDoubler(t, d, 1, nil)
		inject(t, d, sim.FailSubmit(2))
		r.run(t, 1)
		var f *sim.FaultError
		if err := r.try(context.Background(), 2); !errors.As(err, &f) || f.Call != "submit" || f.Device != "Vulkan0" {
			t.Errorf("%s: %v", mode, err)
		}
		if got := numbers(t, r.y)[0]; got != 2 {
			t.Errorf("%s: it ran: %v", mode, got)
		}
		r.run(t, 3)
	}
}

func TestLoseAtSubmit(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			d := open(t, sim.Config{Submit: mode, Memory: 1000})
			r := newDoubler(t, d, 1, nil)
			inject(t, d, sim.LoseAtSubmit(3))
			r.run(t, 1)
			r.run(t, 2)
			ctx := context.Background()
			err := r.program.Submit(ctx)
			if (err != nil) != (mode == sim.Sync) {
				t.Errorf("submit: %v", err)
			}
			lost := []error{err, r.program.Wait(ctx), r.program.Submit(ctx), r.program.Wait(ctx)}
			if mode != sim.Sync {
				lost = lost[1:]
			}
			_, err = d.BufferTypes()[0].Alloc(1)
			var a *buffer.AllocError
			if !errors.As(err, &a) {
				t.Errorf("alloc: %v", err)
			}
			lost = append(lost, err, second(r.x.ReadAt(make([]byte, 4), 0)), second(r.x.WriteAt(make([]byte, 4), 0)),
				buffer.Fill(r.x, 0, 1, 0), buffer.Copy(r.x, 0, r.y, 0, 4, nil))
			g, _ := doublerGraph(t, 1)
			_, err = d.Compile(subgraph(g, nil))
			for i, err := range append(lost, err) {
				var l *sim.LostError
				if !errors.Is(err, backends.ErrDeviceLost) || !errors.As(err, &l) || l.Device != "Vulkan0" {
					t.Errorf("call %d: %v", i, err)
				}
			}
			if !d.Lost() {
				t.Error("it is not lost")
			}
			d.Reopen()
			if err := r.program.Submit(ctx); !errors.Is(err, backends.ErrDeviceLost) {
				t.Errorf("an old program runs after the device was reopened: %v", err)
			}
			if _, err := r.y.ReadAt(make([]byte, 4), 0); !errors.Is(err, backends.ErrDeviceLost) {
				t.Errorf("an old buffer has kept its bytes: %v", err)
			}
			again := newDoubler(t, d, 1, nil)
			again.run(t, 4)
			if got := numbers(t, again.y)[0]; got != 8 {
				t.Errorf("%v", got)
			}
			if live := d.Stats().Live; live != 16 {
				t.Errorf("%d bytes live: the old ones count until they are closed", live)
			}
		})
	}
}

func TestLose(t *testing.T) {
	d := open(t, sim.Config{})
	d.Lose()
	if _, err := d.BufferTypes()[0].Alloc(1); !errors.Is(err, backends.ErrDeviceLost) || !errors.Is(err, buffer.ErrNoMemory) {
		t.Error(err)
	}
}

func TestCopyFaults(t *testing.T) {
	d := open(t, sim.Config{Seed: 3})
	a, b := alloc(t, d.BufferTypes()[0], 16), alloc(t, d.BufferTypes()[0], 16)
	data := []byte("0123456789abcdef")
	ways := map[string]func() ([]byte, error){
		"write": func() ([]byte, error) {
			_, err := a.WriteAt(data, 0)
			got := make([]byte, 16)
			if err == nil {
				_, err = a.ReadAt(got, 0)
			}
			return got, err
		},
		"read": func() ([]byte, error) {
			got := make([]byte, 16)
			_, err := a.ReadAt(got, 0)
			return got, err
		},
		"copy": func() ([]byte, error) {
			err := buffer.Copy(b, 0, a, 0, 16, nil)
			got := make([]byte, 16)
			if err == nil {
				_, err = b.ReadAt(got, 0)
			}
			return got, err
		},
	}
	for _, call := range []string{"write", "read", "copy"} {
		if got, err := ways["write"](); err != nil || !slices.Equal(got, data) {
			t.Fatal(got, err)
		}
		inject(t, d, sim.CorruptCopy(1))
		got, err := ways[call]()
		differ := 0
		for i := range got {
			differ += bits.OnesCount8(got[i] ^ data[i])
		}
		if err != nil || differ != 1 {
			t.Errorf("corrupted %s: %v, %d bits differ", call, err, differ)
		}
		inject(t, d, sim.FailCopy(1))
		var f *sim.FaultError
		if _, err := ways[call](); !errors.As(err, &f) || f.Call != call {
			t.Errorf("failed %s: %v", call, err)
		}
		inject(t, d, sim.LoseAtCopy(1))
		var l *sim.LostError
		if _, err := ways[call](); !errors.As(err, &l) || l.Call != call {
			t.Errorf("lost at %s: %v", call, err)
		}
		d.Reopen()
		a, b = alloc(t, d.BufferTypes()[0], 16), alloc(t, d.BufferTypes()[0], 16)
	}
	if len(d.Faults()) != 0 {
		t.Errorf("left: %v", d.Faults())
	}
}

// TestHang checks everything that ends work that hangs.
func TestHang(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode})
		r := newDoubler(t, d, 1, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		inject(t, d, sim.HangAtSubmit(1))
		if err := r.try(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", mode, err)
		}
		// The scheduler waits for the rest with another context.
		if err := r.program.Wait(context.Background()); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: the rest: %v", mode, err)
		}
		r.run(t, 2)
		if got := numbers(t, r.y)[0]; got != 4 {
			t.Errorf("%s: %v", mode, got)
		}
	}
	for _, mode := range modes[1:] {
		d := open(t, sim.Config{Submit: mode})
		r := newDoubler(t, d, 1, nil)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		inject(t, d, sim.HangAtSubmit(1))
		if err := r.program.Submit(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := r.program.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: a waiter that gives up: %v", mode, err)
		}
		if err := r.program.Wait(context.Background()); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: the rest: %v", mode, err)
		}
		r.run(t, 2)

		inject(t, d, sim.HangAtSubmit(1))
		if err := errors.Join(r.program.Submit(context.Background()), r.program.Close()); err != nil {
			t.Errorf("%s: closing a program that hangs: %v", mode, err)
		}
		last := newDoubler(t, d, 1, nil)
		inject(t, d, sim.HangAtSubmit(1))
		if err := errors.Join(last.program.Submit(context.Background()), d.Close()); err != nil {
			t.Errorf("%s: closing a device that hangs: %v", mode, err)
		}
		if err := last.program.Wait(context.Background()); !errors.Is(err, backends.ErrDeviceLost) {
			t.Errorf("%s: %v", mode, err)
		}
	}
}

func TestFailCompile(t *testing.T) {
	d := open(t, sim.Config{Faults: []sim.Fault{sim.FailCompile("Add")}})
	newDoubler(t, d, 1, nil)
	inject(t, d, sim.FailCompile("Scale"))
	g, _ := doublerGraph(t, 1)
	if err := d.Supports(g.Nodes[0]); err != nil {
		t.Errorf("it no longer supports it: %v", err)
	}
	_, err := d.Compile(subgraph(g, nil))
	if !errors.Is(err, sim.ErrInjected) || errors.Is(err, backends.ErrUnsupported) || !strings.Contains(err.Error(), "Scale (y)") {
		t.Errorf("%v", err)
	}
	d.Heal()
	newDoubler(t, d, 1, nil)
}

func TestInjectIsAllOrNothing(t *testing.T) {
	d := open(t, sim.Config{})
	if err := d.Inject(sim.FailAlloc(1), sim.FailSubmit(0)); !errors.Is(err, sim.ErrConfig) || len(d.Faults()) != 0 {
		t.Errorf("%v, %v", err, d.Faults())
	}
	fs := []sim.Fault{sim.FailAlloc(5), sim.FailAlloc(1), sim.EndMemory(1 << 20)}
	inject(t, d, fs...)
	if got := d.Faults(); !slices.Equal(got, fs) {
		t.Errorf("%v", got)
	}
}

func TestFaultText(t *testing.T) {
	for _, f := range []sim.Fault{
		sim.FailAlloc(1), sim.EndMemory(3 << 30), sim.EndMemory(0), sim.FailSubmit(2), sim.LoseAtSubmit(3), sim.HangAtSubmit(4),
		sim.FailCopy(5), sim.LoseAtCopy(6), sim.CorruptCopy(7), sim.FailCompile("MatMul"), sim.FailCompile(""),
		sim.Break("RoPE", sim.MissedTail), sim.Break("", sim.DirtySource), sim.BreakReads(),
	} {
		if got, err := sim.ParseFault(f.String()); err != nil || got != f {
			t.Errorf("%v: %v, %v", f, got, err)
		}
	}
	for _, s := range []string{
		"", "nothing", "lose-at-submit", "lose-at-submit 0", "lose-at-submit x", "lose-at-submit 1 2", "end-memory 5XB",
		"fail-compile", "fail-compile matmul", "break-op Add", "break-op Add wrong", "break-op * overrun 3", "break-reads 1",
	} {
		if f, err := sim.ParseFault(s); !errors.Is(err, sim.ErrSyntax) || f != (sim.Fault{}) {
			t.Errorf("%q: %v, %v", s, f, err)
		}
	}
	if s := (sim.Fault{}).String(); s != "no fault" {
		t.Error(s)
	}
}
