package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

var errReason = errors.New("the user has left")

// untouched fails t unless r, at position 8 of text, goes on as a fresh engine does.
func untouched(t *testing.T, r *rig, want [][]float32, text []int32) {
	t.Helper()
	if used, at := r.Cache().Used(0), r.Cache().MaxPos(0); used != 8 || at != 7 {
		t.Errorf("%d cells are in use, the sequence is at %d", used, at)
	}
	if n := len(r.Outputs()); n != 0 {
		t.Errorf("%d rows of results", n)
	}
	near(t, "the tokens after", r.decode(tokens(0, 8, text[8:12])), want[8:12], tolerance)
	must(t, r.Cache().Remove(0, 8, -1))
}

func TestCancelledBefore(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	text := ids(1, 12)
	r := open(t, f, exact)
	want := alone(t, f, exact, [][]int32{text})[0]
	r.decode(tokens(0, 0, text[:8]))

	plain, cancel := context.WithCancel(context.Background())
	cancel()
	caused, why := context.WithCancelCause(context.Background())
	why(errReason)
	late, stop := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer stop()
	for _, c := range []struct {
		ctx  context.Context
		want []error
	}{
		{plain, []error{context.Canceled}},
		{caused, []error{context.Canceled, errReason}},
		{late, []error{context.DeadlineExceeded}},
	} {
		for name, call := range map[string]func(context.Context, []engine.Token) error{"Decode": r.Decode, "Embed": r.Embed} {
			err := call(c.ctx, tokens(0, 8, text[8:]))
			for _, w := range c.want {
				if !errors.Is(err, w) {
					t.Errorf("%s: %v does not match %v", name, err, w)
				}
			}
			untouched(t, r, want, text)
		}
	}
	// Moved positions are not lost by a call that does nothing.
	must(t, r.Cache().Add(0, 0, -1, 5))
	if err := r.Decode(plain, tokens(0, 13, text[8:])); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	near(t, "after a move", r.decode(tokens(0, 13, text[8:])), want[8:], 1e-4)
}

// A prompt is cancelled, or the device fails, in each of its runs in turn.
func TestCancelledInEachRun(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	text := ids(1, 12)
	want := alone(t, f, exact, [][]int32{text})[0]
	device := &fault{Device: newCPU(t, "CPU", 0)}
	opt := exact
	opt.Batch, opt.Devices = 4, []backends.Device{device}
	r := open(t, f, opt)
	r.decode(tokens(0, 0, text[:8]))
	long := tokens(0, 8, ids(2, 24))
	for run := range 6 {
		ctx, cancel := context.WithCancelCause(context.Background())
		submits := 0
		device.before = func() {
			if submits++; submits == run+1 {
				cancel(errReason)
			}
		}
		err := r.Decode(ctx, long)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errReason) {
			t.Errorf("cancelled in run %d: %v", run, err)
		}
		if submits != run+1 {
			t.Errorf("cancelled in run %d: %d were submitted", run, submits)
		}
		device.before = nil
		untouched(t, r, want, text)

		device.after(run, errLost)
		if err := r.Decode(context.Background(), long); !errors.Is(err, errLost) {
			t.Errorf("failed in run %d: %v", run, err)
		}
		untouched(t, r, want, text)
	}
}

// A goroutine cancels in the middle of a run that would take seconds.
func TestCancelledDuring(t *testing.T) {
	f := parse(t, tinymodel.Config{Embd: 256, FeedForward: 1024, Layers: 4, Heads: 8, KVHeads: 8, Context: 4096})
	text := ids(1, 12)
	want := alone(t, f, exact, [][]int32{text})[0]
	opt := exact
	opt.Context, opt.Batch = 4096, 4000
	r := open(t, f, opt)
	r.decode(tokens(0, 0, text[:8]))
	long := tokens(0, 8, ids(2, 4000))
	ctx, cancel := context.WithCancel(context.Background())
	began := make(chan time.Time, 1)
	go func() {
		time.Sleep(30 * time.Millisecond)
		began <- time.Now()
		cancel()
	}()
	err := r.Decode(ctx, long)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run gave %v", err)
	}
	took := time.Since(<-began)
	t.Logf("it ended %v after it was cancelled", took)
	if took > 2*time.Second {
		t.Error("that is not soon")
	}
	untouched(t, r, want, text)
}

// Keys of which some may be turned are of no use: the cache says so and is empty.
func TestFailureWhileMoving(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	text := ids(1, 12)
	want := alone(t, f, exact, [][]int32{text})[0]
	device := &fault{Device: newCPU(t, "CPU", 0)}
	opt := exact
	opt.Devices = []backends.Device{device}
	r := open(t, f, opt)
	r.decode(tokens(0, 0, text[:8]))
	must(t, r.Cache().Add(0, 0, -1, 3))
	device.after(0, errLost)
	err := r.Decode(context.Background(), tokens(0, 11, text[8:]))
	if !errors.Is(err, errLost) || !strings.Contains(err.Error(), "the cache was cleared") {
		t.Error(err)
	}
	if n := r.Cache().Used(0); n != 0 {
		t.Errorf("%d cells are in use", n)
	}
	near(t, "from the beginning", r.decode(tokens(0, 0, text)), want, tolerance)
}
