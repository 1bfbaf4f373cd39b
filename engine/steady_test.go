package engine_test

import (
	"context"
	"testing"

	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/tensor"
)

// Once its shape has been met, a decode step allocates nothing on the Go heap: not in engine, kv, sched
// or the CPU backend.
func TestDecodeAllocatesNothing(t *testing.T) {
	models := append(families[:len(families):len(families)], struct {
		name   string
		config tinymodel.Config
	}{"quantized", tinymodel.Config{Type: tensor.Q8_0}})
	for i, m := range models {
		f := parse(t, m.config)
		devices := [][]string{{"CPU"}}
		if i == 0 {
			devices = append(devices, []string{"CPU0", "CPU1"}) // with copies between them
		}
		for _, names := range devices {
			opt := engine.Options{Context: 2048, Sequences: 3} // 256 cells are read at a time
			for _, n := range names {
				opt.Devices = append(opt.Devices, newCPU(t, n, 0))
			}
			r := open(t, f, opt)
			r.decode(tokens(0, 0, ids(1, 100)))
			r.decode(tokens(2, 0, ids(2, 10)))
			batch := []engine.Token{{ID: 7, Pos: 100, Output: true}, {ID: 8, Pos: 10, Seq: 2, Output: true}}
			ctx, cancel := context.WithCancel(context.Background())
			for _, n := range []int{1, 2} {
				step := func() {
					if err := r.Decode(ctx, batch[:n]); err != nil {
						t.Fatal(err)
					}
					_ = r.Logits(n - 1)
					batch[0].Pos++
					batch[1].Pos += int32(n - 1)
				}
				step()
				if per := testing.AllocsPerRun(20, step); per != 0 {
					t.Errorf("%s on %v: %v allocations for a step of %d tokens", m.name, names, per, n)
				}
			}
			cancel()
		}
	}
}

// A long text meets few shapes: the graph of a step is built when the cells that are read pass a
// boundary, and not otherwise.
func TestShapesRepeat(t *testing.T) {
	r := open(t, parse(t, tinymodel.Config{Layers: 1}), engine.Options{Context: 512})
	seen := map[any]int{}
	for i, id := range ids(1, 512) {
		r.decode(tokens(0, int32(i), []int32{id}))
		seen[r.LatestRun()]++
	}
	if len(seen) != 512/64 {
		t.Errorf("%d graphs for 512 tokens, want one for each 64", len(seen))
	}
	must(t, r.Cache().Remove(0, 0, -1))
	r.decode(tokens(0, 0, []int32{1}))
	if seen[r.LatestRun()] == 0 {
		t.Error("the graph of the first cells was built again")
	}
}

func TestOldestGraphIsForgotten(t *testing.T) {
	r := open(t, parse(t, tinymodel.Config{Layers: 1}), engine.Options{})
	run := func(n int) any {
		r.Cache().Clear()
		r.decode(tokens(0, 0, ids(1, n)))
		return r.LatestRun()
	}
	first, second := run(1), run(2)
	for n := 3; n <= engine.MaxRuns; n++ {
		run(n)
	}
	if r.KeptRuns() != engine.MaxRuns {
		t.Errorf("%d graphs are kept", r.KeptRuns())
	}
	if run(1) != first {
		t.Error("a graph was forgotten too early")
	}
	run(engine.MaxRuns + 1)
	if r.KeptRuns() != engine.MaxRuns {
		t.Errorf("%d graphs are kept", r.KeptRuns())
	}
	if run(1) != first || run(2) == second {
		t.Error("not the oldest graph was forgotten")
	}
}
