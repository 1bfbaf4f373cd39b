package kv

import (
	"errors"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

func host(name string, limit int64) *buffer.Host {
	return buffer.NewHost(buffer.Owner{Backend: "test", Device: name}, limit)
}

// smallBuffers is a memory whose buffers are small.
type smallBuffers struct {
	*buffer.Host
	most int64
}

func (s *smallBuffers) MaxSize() int64 { return s.most }

func TestPlanIsWhatNewAllocates(t *testing.T) {
	near, far := host("near", 0), host("far", 0)
	small := &smallBuffers{host("small", 0), 40_000}
	for _, types := range [][2]tensor.DType{
		{tensor.F32, tensor.F32}, {tensor.F16, tensor.BF16}, {tensor.Q8_0, tensor.Q4_0},
	} {
		cfg := Config{
			Cells: 300, MaxSeqs: 2, MaxBatch: 16, TypeK: types[0], TypeV: types[1],
			Layers: []LayerConfig{
				{Layer: 0, HeadsKV: 2, KeyDim: 64, ValueDim: 32, Window: 20, Reuse: -1, Memory: near},
				{Layer: 1, HeadsKV: 1, KeyDim: 96, ValueDim: 96, Reuse: -1, Memory: near},
				{Layer: 3, HeadsKV: 2, KeyDim: 32, ValueDim: 32, Window: 20, Reuse: -1, Memory: far},
				{Layer: 4, HeadsKV: 1, KeyDim: 32, ValueDim: 32, Reuse: -1, Memory: small},
				{Layer: 5, HeadsKV: 1, KeyDim: 32, ValueDim: 32, Reuse: -1, Memory: small},
				{Layer: 6, HeadsKV: 1, KeyDim: 96, ValueDim: 96, Reuse: 1},
			},
		}
		plan, err := Plan(cfg)
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		used := near.Used() + far.Used() + small.Used()
		if plan.Bytes() != used || plan.BytesOn(near.Owner()) != near.Used() || plan.BytesOn(far.Owner()) != far.Used() {
			t.Errorf("%v: planned %d bytes, allocated %d", types, plan.Bytes(), used)
		}
		checkPlaces(t, c, cfg)
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Fatal(err)
		}
		if n := near.Used() + far.Used() + small.Used(); n != 0 {
			t.Errorf("%v: %d bytes are left after Close", types, n)
		}
	}
}

// checkPlaces checks that no two tensors of c overlap, and that each is what its layer asks for.
func checkPlaces(t *testing.T, c *Cache, cfg Config) {
	t.Helper()
	type place struct {
		buf      buffer.Buffer
		from, to int64
	}
	var places []place
	for _, lc := range cfg.Layers {
		l, ok := c.Layer(lc.Layer)
		if !ok || l.Window != lc.Window || l.HeadsKV != lc.HeadsKV || c.Group(l.Group).Window != lc.Window {
			t.Fatalf("layer %d: %+v, %v", lc.Layer, l, ok)
		}
		if lc.Reuse >= 0 {
			if src, _ := c.Layer(lc.Reuse); l != src || l.Source != lc.Reuse {
				t.Errorf("layer %d is not layer %d", lc.Layer, lc.Reuse)
			}
			continue
		}
		cells := c.Group(l.Group).Cells
		for _, x := range []struct {
			*tensor.Tensor
			dtype tensor.DType
			dim   int
		}{{l.K, cfg.TypeK, lc.KeyDim}, {l.V, cfg.TypeV, lc.ValueDim}} {
			if x.Role != tensor.Cache || x.Type != x.dtype || x.Shape != tensor.MakeShape(x.dim*lc.HeadsKV, cells) || x.Layer != lc.Layer {
				t.Errorf("layer %d: %v of layer %d", lc.Layer, x.Tensor, x.Tensor.Layer)
			}
			st := x.Storage
			if !st.Bound() || st.Buffer.Type() != lc.Memory && st.Buffer.Type().Owner() != lc.Memory.Owner() {
				t.Fatalf("%v lies in %+v", x.Tensor, st)
			}
			if st.Offset%int64(lc.Memory.Alignment()) != 0 || st.Buffer.Size() > lc.Memory.MaxSize() {
				t.Errorf("%v at offset %d of %d bytes", x.Tensor, st.Offset, st.Buffer.Size())
			}
			p := place{st.Buffer, st.Offset, st.Offset + int64(x.Bytes())}
			for _, q := range places {
				if p.buf == q.buf && p.from < q.to && q.from < p.to {
					t.Errorf("%v overlaps another tensor", x.Tensor)
				}
			}
			places = append(places, p)
		}
	}
	if _, ok := c.Layer(2); ok {
		t.Error("layer 2 is not there")
	}
}

func TestNewWithoutRoomFreesWhatItHad(t *testing.T) {
	first, second := host("first", 0), host("second", 1000)
	cfg := testConfig(64, 1, 8, 0, 0, 0)
	cfg.Layers[0].Memory, cfg.Layers[1].Memory = first, second
	// K and V of 512 bytes each do not fit one buffer of at most 1000, and two are more than there is.
	_, err := New(cfg)
	var none *buffer.AllocError
	if !errors.As(err, &none) || !errors.Is(err, buffer.ErrNoMemory) || none.Type != "second" || none.Available != 488 {
		t.Errorf("New: %v", err)
	}
	if first.Used() != 0 || second.Used() != 0 {
		t.Errorf("%d and %d bytes are still allocated", first.Used(), second.Used())
	}
	taken, err := second.Alloc(600)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Cells = 32 // 512 bytes: fits a buffer, but not now
	_, err = New(cfg)
	if !errors.As(err, &none) || none.Size != 512 || none.Available != 400 {
		t.Errorf("New: %v", err)
	}
	if first.Used() != 0 || second.Used() != 600 {
		t.Errorf("%d and %d bytes are still allocated", first.Used(), second.Used())
	}
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConfigErrors(t *testing.T) {
	big := &smallBuffers{host("small", 0), 100}
	for _, tc := range []struct {
		name  string
		spoil func(*Config)
		layer int
		field string
	}{
		{"no layers", func(c *Config) { c.Layers = nil }, -1, "Layers"},
		{"no cells", func(c *Config) { c.Cells = 0 }, -1, "Cells"},
		{"cells", func(c *Config) { c.Cells = 1 << 40 }, -1, "Cells"},
		{"no sequences", func(c *Config) { c.MaxSeqs = 0 }, -1, "MaxSeqs"},
		{"sets too large", func(c *Config) { c.Cells, c.MaxSeqs = 1<<30, 1000 }, -1, "MaxSeqs"},
		{"no batch", func(c *Config) { c.MaxBatch = -1 }, -1, "MaxBatch"},
		{"pad", func(c *Config) { c.Pad = -1 }, -1, "Pad"},
		{"integers", func(c *Config) { c.TypeK = tensor.I32 }, -1, "TypeK"},
		{"unknown type", func(c *Config) { c.TypeV = 200 }, -1, "TypeV"},
		{"blocks", func(c *Config) { c.TypeV = tensor.Q8_0 }, 0, "ValueDim"},
		{"heads", func(c *Config) { c.Layers[1].HeadsKV = 0 }, 1, "HeadsKV"},
		{"head size", func(c *Config) { c.Layers[1].KeyDim = 1 << 60 }, 1, "KeyDim"},
		{"window", func(c *Config) { c.Layers[1].Window = -1 }, 1, "Window"},
		{"twice", func(c *Config) { c.Layers[1].Layer = 0 }, 0, "Layer"},
		{"no memory", func(c *Config) { c.Layers[1].Memory = nil }, 1, "Memory"},
		{"forgotten Reuse", func(c *Config) { c.Layers[1].Reuse = 0 }, 1, "Memory"},
		{"reuse of itself", func(c *Config) { c.Layers[1].Reuse, c.Layers[1].Memory = 1, nil }, 1, "Reuse"},
		{"reuse of nothing", func(c *Config) { c.Layers[1].Reuse, c.Layers[1].Memory = 7, nil }, 1, "Reuse"},
		{"reuse of another window", func(c *Config) { c.Layers[1].Reuse, c.Layers[1].Memory = 0, nil }, 1, "Window"},
		{"reuse of a reuse", func(c *Config) {
			c.Layers[1].Reuse, c.Layers[1].Memory, c.Layers[1].Window = 0, nil, 0
			c.Layers = append(c.Layers, c.Layers[1])
			c.Layers[2].Layer, c.Layers[2].Reuse = 2, 1
		}, 2, "Reuse"},
		{"too large for a buffer", func(c *Config) { c.Layers[0].Memory = big }, 0, "Cells"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig(64, 2, 8, 0, 0, 10)
			tc.spoil(&cfg)
			_, err := New(cfg)
			var bad *ConfigError
			if !errors.As(err, &bad) || !errors.Is(err, ErrConfig) {
				t.Fatalf("New: %v, want a ConfigError", err)
			}
			if bad.Layer != tc.layer || bad.Field != tc.field || !strings.HasPrefix(err.Error(), "kv: ") {
				t.Errorf("%v: layer %d, field %s, want %d, %s", err, bad.Layer, bad.Field, tc.layer, tc.field)
			}
		})
	}
}

func TestGroupsAndTheirCells(t *testing.T) {
	cfg := testConfig(8192, 2, 100, 0, 1000, 0, 4000, 1000)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// 1000*2+100 rounded up to 256; 4000*2+100 is more than 8192 after rounding.
	want := []Group{{0, 8192}, {1000, 2304}, {4000, 8192}}
	if c.Groups() != len(want) {
		t.Fatalf("%d groups", c.Groups())
	}
	for i, w := range want {
		if c.Group(i) != w {
			t.Errorf("group %d: %+v, want %+v", i, c.Group(i), w)
		}
	}
	for layer, group := range []int{1, 0, 2, 1} {
		if l, ok := c.Layer(layer); !ok || l.Group != group {
			t.Errorf("layer %d is in group %d, want %d", layer, l.Group, group)
		}
	}
	cfg.FullWindow = true
	plan, err := Plan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range plan.Groups {
		if g.Cells != 8192 {
			t.Errorf("with FullWindow: %+v", g)
		}
	}
}

func TestDefaultPad(t *testing.T) {
	for cells, want := range map[int]int{1: 32, 256: 32, 257: 64, 512: 64, 1024: 128, 1025: 256, 1 << 20: 256} {
		if got := (&Config{Cells: cells}).pad(); got != want {
			t.Errorf("%d cells: pad %d, want %d", cells, got, want)
		}
	}
}

func TestBorrowedCacheStaysOpen(t *testing.T) {
	cfg := testConfig(64, 1, 8, 0, 0)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.lend("one")
	c.lend("another")
	var lent *BorrowedError
	if err := c.Close(); !errors.As(err, &lent) || !errors.Is(err, ErrBorrowed) || len(lent.Borrowers) != 2 {
		t.Errorf("Close: %v", err)
	}
	if _, err := c.Find(Batch{Pos: []int32{0}, Seq: []int32{0}}); err != nil {
		t.Errorf("a cache that could not be closed does not work: %v", err)
	}
	c.giveBack("one")
	c.giveBack("another")
	if err := c.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	mem := cfg.Layers[0].Memory.(*buffer.Host)
	if mem.Used() != 0 {
		t.Errorf("%d bytes are left", mem.Used())
	}
	if _, err := c.Find(Batch{Pos: []int32{0}, Seq: []int32{0}}); !errors.Is(err, ErrClosed) {
		t.Errorf("Find on a closed cache: %v", err)
	}
}
