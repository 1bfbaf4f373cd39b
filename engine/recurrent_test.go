package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
)

// TestStatesOfManySequences takes several texts through a recurrent model in batches of every form:
// one after the other, token by token in turn, in parts of equal and of other lengths, with drafts that
// are taken back. Each text must come out as it does alone.
func TestStatesOfManySequences(t *testing.T) {
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{Layers: 3}))
	const seqs, length, drafted = 3, 24, 3
	texts := make([][]int32, seqs)
	var want [][][]float32
	for q := range texts {
		texts[q] = ids(uint64(q), length)
		want = append(want, open(t, f, exact).decode(tokens(0, 0, texts[q])))
	}
	opt := exact
	opt.Sequences, opt.Snapshots, opt.Context, opt.Batch = seqs, drafted, 128, 16
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := open(t, f, opt)
			choose := rand.New(rand.NewPCG(seed, 9))
			got := make([][][]float32, seqs)
			at := make([]int, seqs)
			for slices.Min(at) < length {
				var batch []engine.Token
				var of []int // the sequence of each
				add := func(q, n int) {
					n = min(n, length-at[q])
					batch = append(batch, tokens(int32(q), int32(at[q]), texts[q][at[q]:at[q]+n])...)
					of = append(of, slices.Repeat([]int{q}, n)...)
					at[q] += n
				}
				switch choose.IntN(4) {
				case 0: // in turn
					for range 1 + choose.IntN(3) {
						for q := range seqs {
							add(q, 1)
						}
					}
				case 1: // equal parts
					n := 1 + choose.IntN(5)
					for _, q := range choose.Perm(seqs) {
						add(q, n)
					}
				case 2:
					for _, q := range choose.Perm(seqs) {
						add(q, choose.IntN(20))
					}
				default: // guesses that are taken back
					var guesses []engine.Token
					last := slices.Clone(at)
					for _, q := range choose.Perm(seqs) {
						if at[q] == 0 || at[q] == length {
							continue
						}
						guesses = append(guesses, tokens(int32(q), int32(at[q]), ids(seed+77, drafted))...)
						last[q] += drafted
					}
					if len(guesses) == 0 {
						continue
					}
					r.decode(guesses)
					for q := range seqs {
						if last[q] > at[q] {
							if err := r.Cache().Remove(q, at[q], -1); err != nil {
								t.Fatal(err)
							}
						}
					}
					continue
				}
				if len(batch) == 0 {
					continue
				}
				for i, row := range r.decode(batch) {
					got[of[i]] = append(got[of[i]], row)
				}
			}
			for q := range seqs {
				near(t, fmt.Sprintf("sequence %d", q), got[q], want[q], tolerance)
			}
		})
	}
}

// TestStateSurvivesAFailedRun fails each submit of a run once; what comes after must not notice.
func TestStateSurvivesAFailedRun(t *testing.T) {
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	text := ids(3, 20)
	want := open(t, f, exact).decode(tokens(0, 0, text))
	for _, n := range []int{1, 5} {
		dev := &fault{Device: newCPU(t, "CPU", 0)}
		opt := exact
		opt.Devices = []backends.Device{dev}
		r := open(t, f, opt)
		got := r.decode(tokens(0, 0, text[:8]))
		for from := 8; from < len(text); from += n {
			to := min(from+n, len(text))
			batch := tokens(0, int32(from), text[from:to])
			dev.after(0, errLost)
			if err := r.Decode(context.Background(), batch); !errors.Is(err, errLost) {
				t.Fatalf("the fault did not come: %v", err)
			}
			got = append(got, r.decode(batch)...)
		}
		near(t, fmt.Sprintf("runs of %d", n), got, want, tolerance)
	}
}

// TestCopiedState copies a sequence, and lets both go on.
func TestCopiedState(t *testing.T) {
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	text, other := ids(1, 20), ids(2, 20)
	opt := exact
	opt.Sequences, opt.Context = 2, 128
	r := open(t, f, opt)
	r.decode(tokens(0, 0, text[:12]))
	if err := r.Cache().CopySeq(0, 1, -1, -1); err != nil {
		t.Fatal(err)
	}
	both := append(tokens(0, 12, text[12:]), tokens(1, 12, other[12:])...)
	got := r.decode(both)
	near(t, "the source", got[:8], open(t, f, exact).decode(tokens(0, 0, text))[12:], tolerance)
	joined := append(slices.Clone(text[:12]), other[12:]...)
	near(t, "the copy", got[8:], open(t, f, exact).decode(tokens(0, 0, joined))[12:], tolerance)
	if err := r.Cache().CopySeq(0, 1, -1, -1); !errors.Is(err, kv.ErrPos) {
		t.Errorf("onto a sequence that is there: %v", err)
	}
	if err := r.Cache().Remove(0, 3, 6); !errors.Is(err, kv.ErrRollback) {
		t.Errorf("out of the middle: %v", err)
	}
}

// TestRecurrentMemoryIsWhatIsReported opens a recurrent model with more and more snapshots.
func TestRecurrentMemoryIsWhatIsReported(t *testing.T) {
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{}))
	last := int64(0)
	for snapshots := range 4 {
		dev := newCPU(t, "CPU", 0)
		opt := exact
		opt.Devices, opt.Snapshots, opt.Sequences = []backends.Device{dev}, snapshots, 2
		r := open(t, f, opt)
		m := r.Memory()[0]
		if m.Total() != dev.Memory().Used() || m.Cache <= last {
			t.Errorf("%d snapshots: %d bytes reported, %d allocated; the cache has %d, before %d", snapshots, m.Total(), dev.Memory().Used(), m.Cache, last)
		}
		last = m.Cache
		before := dev.Memory().Used()
		r.decode(append(tokens(0, 0, ids(1, 9)), tokens(1, 0, ids(2, 9))...))
		if used := dev.Memory().Used(); used != before {
			t.Errorf("%d snapshots: a run has allocated %d bytes", snapshots, used-before)
		}
	}
	opt := exact
	opt.Devices, opt.Snapshots = []backends.Device{newCPU(t, "CPU", 0)}, -1
	if _, err := engine.New(f, opt); !errors.Is(err, engine.ErrOption) {
		t.Errorf("-1 snapshots: %v", err)
	}
}
