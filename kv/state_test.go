package kv

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// hybridConfig returns a cache of attention layers with the given windows and of two recurrent layers.
func hybridConfig(cells, seqs, batch, snapshots int, windows ...int) Config {
	cfg := testConfig(cells, seqs, batch, 8, windows...)
	mem := cfg.Layers[0].Memory
	cfg.Snapshots = snapshots
	cfg.States = []StateConfig{{Layer: 10, Conv: 12, Hidden: 64, Memory: mem}, {Layer: 12, Hidden: 32, Memory: mem}}
	return cfg
}

func TestStatePlanIsWhatNewAllocates(t *testing.T) {
	near, far := host("near", 0), host("far", 0)
	for snapshots := range 3 {
		cfg := hybridConfig(64, 3, 16, snapshots, 0)
		cfg.Layers[0].Memory, cfg.States[0].Memory, cfg.States[1].Memory = near, near, far
		plan, err := Plan(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if plan.BytesOn(near.Owner()) != near.Used() || plan.BytesOn(far.Owner()) != far.Used() || plan.Bytes() != near.Used()+far.Used() {
			t.Errorf("planned %d and %d bytes, allocated %d and %d", plan.BytesOn(near.Owner()), plan.BytesOn(far.Owner()), near.Used(), far.Used())
		}
		rows := 1 + 3*(snapshots+2)
		s, ok := c.State(10)
		if !ok || s.Conv.Shape != tensor.MakeShape(12, rows) || s.Hidden.Shape != tensor.MakeShape(64, rows) || s.Hidden.Storage.Buffer.Type() != near {
			t.Errorf("layer 10: %+v, %v", s, ok)
		}
		if s, ok := c.State(12); !ok || s.Conv != nil || s.Hidden.Role != tensor.Cache || s.Hidden.Layer != 12 || s.Hidden.Storage.Buffer.Type() != far {
			t.Errorf("layer 12: %+v, %v", s, ok)
		}
		if _, ok := c.State(11); ok || !c.Recurrent() || c.StatesKept(1) != 1 || c.StatesKept(9) != snapshots+1 {
			t.Errorf("layer 11 %v, kept %d of 1 and %d of 9", ok, c.StatesKept(1), c.StatesKept(9))
		}
		zero := make([]byte, 4*64)
		if _, err := s.Hidden.Storage.Buffer.ReadAt(zero, s.Hidden.Storage.Offset); err != nil || !reflect.DeepEqual(zero, make([]byte, len(zero))) {
			t.Errorf("row 0 is not zeros: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// dirtyMemory is a memory whose buffers come full of what others have left.
type dirtyMemory struct{ *buffer.Host }

func (d dirtyMemory) Alloc(n int64) (buffer.Buffer, error) {
	b, err := d.Host.Alloc(n)
	if err == nil {
		err = buffer.Fill(b, 0, n, 0xff)
	}
	return b, err
}

func TestFirstStateIsZerosInAnyMemory(t *testing.T) {
	cfg := hybridConfig(32, 1, 8, 0, 0)
	cfg.States[0].Memory = dirtyMemory{host("dirty", 0)}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, _ := c.State(10)
	for _, x := range []*tensor.Tensor{s.Conv, s.Hidden} {
		row := make([]byte, x.Stride[1])
		if _, err := x.Storage.Buffer.ReadAt(row, x.Storage.Offset); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(row, func(b byte) bool { return b != 0 }) {
			t.Errorf("%v: row 0 is not zeros", x)
		}
	}
}

func TestStateConfigErrors(t *testing.T) {
	for _, c := range []struct {
		field string
		spoil func(cfg *Config)
	}{
		{"Snapshots", func(cfg *Config) { cfg.Snapshots = -1 }},
		{"Snapshots", func(cfg *Config) { cfg.Snapshots = 1 << 40 }},
		{"Layer", func(cfg *Config) { cfg.States[1].Layer = 10 }},
		{"Layer", func(cfg *Config) { cfg.States[1].Layer = -1 }},
		{"Conv", func(cfg *Config) { cfg.States[1].Conv = -1 }},
		{"Hidden", func(cfg *Config) { cfg.States[1].Hidden = 1 << 40 }},
		{"Conv", func(cfg *Config) { cfg.States[1].Hidden = 0 }},
		{"Memory", func(cfg *Config) { cfg.States[1].Memory = nil }},
	} {
		cfg := hybridConfig(32, 2, 8, 1, 0)
		c.spoil(&cfg)
		var e *ConfigError
		if _, err := New(cfg); !errors.As(err, &e) || e.Field != c.field {
			t.Errorf("%s: %v", c.field, err)
		}
	}
}

func TestRunLength(t *testing.T) {
	for _, c := range []struct {
		seqs string
		most int
		want int
	}{
		{"", 8, 0},
		{"0000", 8, 4},
		{"0000000000", 8, 8},
		{"0011", 8, 4},
		{"0012", 8, 2}, // one token of sequence 1
		{"01", 8, 2},
		{"0101", 8, 2},
		{"0123", 8, 4},
		{"000111222", 8, 6},
		{"00111", 8, 2},
		{"00011", 8, 3},
	} {
		cfg := hybridConfig(32, 4, c.most, 1, 0)
		cache, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		var seqs []int32
		for _, r := range c.seqs {
			seqs = append(seqs, r-'0')
		}
		n := cache.RunLength(seqs)
		if n != c.want {
			t.Errorf("%q in runs of %d: %d, want %d", c.seqs, c.most, n, c.want)
		}
		if n > 0 {
			pos := make([]int32, n)
			at := map[int32]int32{}
			for i, q := range seqs[:n] {
				pos[i] = at[q]
				at[q]++
			}
			if _, err := cache.Find(Batch{Pos: pos, Seq: seqs[:n]}); err != nil {
				t.Errorf("%q: %v", c.seqs, err)
			}
		}
		cache.Close()
	}
	plain, err := New(testConfig(32, 4, 8, 8, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if n := plain.RunLength([]int32{0, 1, 1, 0, 2}); n != 5 || plain.Recurrent() || plain.StatesKept(4) != 0 {
		t.Errorf("without recurrent layers: %d", n)
	}
}

func TestBatchesThatStatesRefuse(t *testing.T) {
	c, err := New(hybridConfig(32, 3, 8, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, b := range map[string]Batch{
		"uneven":        {Pos: []int32{0, 1, 0}, Seq: []int32{0, 0, 1}},
		"uneven, first": {Pos: []int32{0, 0, 1}, Seq: []int32{0, 1, 1}},
		"apart":         {Pos: []int32{0, 0, 1, 1}, Seq: []int32{0, 1, 0, 1}},
		"in two sets":   {Pos: []int32{0, 1}, Seqs: [][]int32{{0, 1}, {1}}},
	} {
		if _, err := c.Find(b); !errors.Is(err, ErrBatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRollbackWithinSnapshots removes the last tokens of a sequence as drafts do that were not accepted.
func TestRollbackWithinSnapshots(t *testing.T) {
	const snapshots = 3
	for drafted := range snapshots + 1 {
		for rejected := range drafted + 1 {
			d := newStateDriver(t, hybridConfig(64, 2, 16, snapshots, 0), rand.New(rand.NewPCG(1, 1)))
			d.run([]int32{0}, 10)
			for range 5 {
				d.run([]int32{0}, drafted+1)
				top := len(d.seqs[0])
				if err := d.remove(0, top-rejected, -1); err != nil {
					t.Fatalf("%d of %d drafted: %v", rejected, drafted, err)
				}
			}
			d.close()
		}
	}
	d := newStateDriver(t, hybridConfig(64, 2, 16, snapshots, 0), rand.New(rand.NewPCG(1, 1)))
	defer d.close()
	d.run([]int32{0}, 10)
	var e *RollbackError
	if err := d.c.Remove(0, 5, -1); !errors.As(err, &e) || e.End != 4 || e.Lost != 9 || !slices.Equal(e.States, []int{6, 7, 8, 9}) ||
		!strings.Contains(err.Error(), "position 6, 7, 8, 9 only") || d.c.CanRollback(0, 5) {
		t.Errorf("too far back: %v", err)
	}
	if err := d.c.Remove(0, 3, 5); !errors.As(err, &e) || e.End != 9 || e.Lost != 4 {
		t.Errorf("in the middle: %v", err)
	}
	if err := d.c.Remove(0, 20, -1); err != nil || !d.c.CanRollback(0, 7) || !d.c.CanRollback(0, 0) || !d.c.CanRollback(1, 0) {
		t.Errorf("nothing: %v", err)
	}
}
