package sim_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/buffer"
)

// costs is a device of which a copy takes 1 ms and 1 us a byte, and a submit 10 ms and 1 us a byte.
func costs(c sim.Config) sim.Config {
	c.CopyLatency, c.CopyBandwidth = time.Millisecond, 1e6
	c.SubmitLatency, c.MemoryBandwidth = 10*time.Millisecond, 1e6
	return c
}

func TestVirtualTime(t *testing.T) {
	start := time.Now()
	d := open(t, costs(sim.Config{CopyLatency: 1}))
	r := newDoubler(t, d, 250, nil)
	r.run(t, counting(250)...) // 1 + 1 ms to write 1000 bytes, 10 + 2 ms for 1000 in and 1000 out
	if now := d.Clock().Now(); now != 14*time.Millisecond {
		t.Errorf("%v", now)
	}
	numbers(t, r.y)
	if now, busy := d.Clock().Now(), d.Stats().Busy; now != 16*time.Millisecond || busy != now {
		t.Errorf("%v, of which the device was busy %v", now, busy)
	}
	slow := open(t, sim.Config{SubmitLatency: time.Hour})
	newDoubler(t, slow, 1, nil).run(t, 1)
	if slow.Clock().Now() != time.Hour {
		t.Errorf("%v", slow.Clock().Now())
	}
	slow.ResetStats()
	if slow.Stats().Busy != 0 || slow.Clock().Now() != time.Hour {
		t.Error("a reset of statistics turns the clock, or leaves the account")
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it slept: %v", took)
	}
}

// TestOverlap checks that work of two devices overlaps if nobody waits in between.
func TestOverlap(t *testing.T) {
	for mode, want := range map[sim.SubmitMode]time.Duration{
		sim.Sync:     2 * (10*time.Millisecond + 8*time.Microsecond),
		sim.Async:    10*time.Millisecond + 8*time.Microsecond,
		sim.Deferred: 10*time.Millisecond + 8*time.Microsecond,
	} {
		m, err := sim.NewMachine(costs(sim.Config{Name: "A0", Submit: mode}), costs(sim.Config{Name: "B0", Submit: mode}))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		a, b := newDoubler(t, m.Device("A0"), 1, nil), newDoubler(t, m.Device("B0"), 1, nil)
		ctx := context.Background()
		if err := errors.Join(a.program.Submit(ctx), b.program.Submit(ctx), a.program.Wait(ctx), b.program.Wait(ctx)); err != nil {
			t.Fatal(err)
		}
		if now := m.Clock().Now(); now != want {
			t.Errorf("%v: %v, want %v", mode, now, want)
		}
	}
}

// TestCopyTime checks that a copy waits for the work of both its ends.
func TestCopyTime(t *testing.T) {
	m, err := sim.NewMachine(costs(sim.Config{Name: "A0", Submit: sim.Deferred}), costs(sim.Config{Name: "B0", Reads: []string{"A0"}}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	a, b := newDoubler(t, m.Device("A0"), 250, nil), alloc(t, m.Device("B0").BufferTypes()[0], 1000)
	if err := a.program.Submit(context.Background()); err != nil { // 12 ms
		t.Fatal(err)
	}
	if err := buffer.Copy(b, 0, a.y, 0, 1000, nil); err != nil { // 2 ms
		t.Fatal(err)
	}
	if now := m.Clock().Now(); now != 14*time.Millisecond {
		t.Errorf("%v", now)
	}
	if err := buffer.Fill(b, 0, 1000, 1); err != nil { // 1 ms of its own memory
		t.Fatal(err)
	}
	if now := m.Clock().Now(); now != 15*time.Millisecond {
		t.Errorf("%v", now)
	}
}

func TestRealTime(t *testing.T) {
	for _, mode := range modes {
		d := open(t, sim.Config{Submit: mode, Clock: sim.NewRealClock(), CopyLatency: 5 * time.Millisecond, SubmitLatency: 10 * time.Millisecond})
		r := newDoubler(t, d, 1, nil)
		start := time.Now()
		r.run(t, 1)
		if took := time.Since(start); took < 15*time.Millisecond {
			t.Errorf("%v: %v", mode, took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		defer cancel()
		if err := errors.Join(r.program.Submit(ctx), r.program.Wait(context.Background())); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v: a cancelled sleep: %v", mode, err)
		}
	}
}

// TestTraffic checks that ops that pick rows are not charged for all of them.
func TestTraffic(t *testing.T) {
	d := open(t, sim.Config{MemoryBandwidth: 1e9})
	b := newPicker(t, d)
	b.run(t)
	// GetRows: 2 rows of 16 bytes out and in, 8 of indices. SetRows: 2 rows in and out, 8 of indices.
	// MatMulID: 1 of 8 matrices of 4 x 4 for the one id, 4 bytes of it, 16 in and 16 out.
	want := time.Duration(32+32+8+32+32+8+64+4+16+16) * time.Nanosecond
	if got := d.Stats().Busy; got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
