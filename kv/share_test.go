package kv

import (
	"errors"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// sharedConfig is a Gemma-like cache on two devices: layer 0 slides on Vulkan0, layer 1 sees all on ROCm1,
// and 2 and 3 read the cache of 0 and 1.
func sharedConfig() (Config, *buffer.Host, *buffer.Host) {
	near, far := host("Vulkan0", 0), host("ROCm1", 0)
	return Config{
		Cells: 64, MaxSeqs: 2, MaxBatch: 8, TypeK: tensor.F16, TypeV: tensor.F16,
		Layers: []LayerConfig{
			{Layer: 0, HeadsKV: 1, KeyDim: 8, ValueDim: 4, Window: 10, Rotation: "RoPE of 8, base 10000", Reuse: -1, Memory: near},
			{Layer: 1, HeadsKV: 2, KeyDim: 16, ValueDim: 8, Rotation: "RoPE of 16, base 1e+06", Reuse: -1, Memory: far},
			{Layer: 2, HeadsKV: 1, KeyDim: 8, ValueDim: 4, Window: 10, Rotation: "RoPE of 8, base 10000", Reuse: 0},
			{Layer: 3, HeadsKV: 2, KeyDim: 16, ValueDim: 8, Rotation: "RoPE of 16, base 1e+06", Reuse: 1},
		},
	}, near, far
}

// wants is a borrower that fits sharedConfig: its layers 0 and 1 read layers 2 and 3.
func wants(near, far buffer.Type) ShareConfig {
	return ShareConfig{Borrower: "the draft", Layers: []ShareLayer{
		{Layer: 0, Source: 2, HeadsKV: 1, KeyDim: 8, ValueDim: 4, Window: 10, Rotation: "RoPE of 8, base 10000", Memory: near},
		{Layer: 1, Source: 3, HeadsKV: 2, KeyDim: 16, ValueDim: 8, Rotation: "RoPE of 16, base 1e+06", Memory: far},
	}}
}

func newCache(t testing.TB, cfg Config) *Cache {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// otherLeaf returns a tensor like that of a cache, in memory of its own.
func otherLeaf(t testing.TB, like *tensor.Tensor, shape tensor.Shape, memory buffer.Type) *tensor.Tensor {
	t.Helper()
	leaf, err := tensor.NewLeaf(tensor.Cache, like.Name, like.Type, shape)
	must(t, err)
	b, err := memory.Alloc(int64(leaf.Bytes()))
	must(t, err)
	t.Cleanup(func() { b.Close() })
	must(t, leaf.Bind(b, 0))
	return leaf
}

var q8 = tensor.Q8_0

// shareCases spoils, for each field in the order in which they are compared, what a borrower wants, or the
// source.
var shareCases = []struct {
	field ShareField
	// spoil changes what is wanted; c is the source, and elsewhere is memory that the borrower cannot read.
	spoil      func(t *testing.T, c *Cache, w *ShareConfig, elsewhere buffer.Type)
	layer, src int
	have, want string
	text       string
}{
	{
		ShareSource, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.Layers[1].Source = 59 },
		1, 59, "4, of layers 0 to 3", "a layer that sees all tokens",
		"kv: layer 1 shares the cache of layer 59, which has none: there are 4, of layers 0 to 3",
	},
	{
		ShareWindow, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.Layers[1].Window = 10 },
		1, 1, "all tokens", "10 tokens",
		"kv: layer 1 shares the cache of layer 1, whose window is all tokens, but wants 10 tokens",
	},
	{
		ShareOwnerK, func(_ *testing.T, _ *Cache, w *ShareConfig, m buffer.Type) { w.Layers[0].Memory = m },
		0, 0, "Vulkan0", "ROCm7",
		"kv: layer 0 shares the K cache of layer 0, which Vulkan0 owns, but runs on ROCm7: " +
			"place the draft on Vulkan0,ROCm1 (--spec-draft-device Vulkan0,ROCm1), or mirror it (--spec-kv mirror)",
	},
	{
		ShareOwnerV, func(t *testing.T, c *Cache, _ *ShareConfig, m buffer.Type) {
			l := c.layers[3]
			l.V = otherLeaf(t, l.V, l.V.Shape, m)
			c.layers[3] = l
		},
		1, 1, "ROCm7", "ROCm1",
		"kv: layer 1 shares the V cache of layer 1, which ROCm7 owns, but runs on ROCm1: " +
			"place the draft on Vulkan0,ROCm1,ROCm7 (--spec-draft-device Vulkan0,ROCm1,ROCm7), or mirror it (--spec-kv mirror)",
	},
	{
		ShareTypeK, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.TypeK = &q8 },
		0, 0, "F16", "Q8_0", "kv: layer 0 shares the cache of layer 0, whose K type is F16, but wants Q8_0",
	},
	{
		ShareTypeV, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.TypeV = &q8 },
		0, 0, "F16", "Q8_0", "kv: layer 0 shares the cache of layer 0, whose V type is F16, but wants Q8_0",
	},
	{
		ShareHeads, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.Layers[1].HeadsKV = 4 },
		1, 1, "2", "4", "kv: layer 1 shares the cache of layer 1, whose heads is 2, but wants 4",
	},
	{
		ShareKeyDim, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.Layers[1].KeyDim = 32 },
		1, 1, "16", "32", "kv: layer 1 shares the cache of layer 1, whose key size is 16, but wants 32",
	},
	{
		ShareValueDim, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.Layers[1].ValueDim = 16 },
		1, 1, "8", "16", "kv: layer 1 shares the cache of layer 1, whose value size is 8, but wants 16",
	},
	{
		// A cache has one layout so far. The check is for the day when it has another one.
		ShareLayout, func(t *testing.T, c *Cache, _ *ShareConfig, _ buffer.Type) {
			l := c.layers[3]
			l.V = otherLeaf(t, l.V, tensor.MakeShape(l.V.Shape[1], l.V.Shape[0]), l.V.Storage.Buffer.Type())
			c.layers[3] = l
		},
		1, 1, "", "packed rows, [16 64]", "",
	},
	{
		ShareRotation, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.Layers[0].Rotation = "" },
		0, 0, "RoPE of 8, base 10000", "none",
		"kv: layer 0 shares the cache of layer 0, whose rotation is RoPE of 8, base 10000, but wants none",
	},
	{
		ShareCells, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.Cells = 128 },
		0, 0, "64", "128", "kv: layer 0 shares the cache of layer 0, whose cells is 64, but wants 128",
	},
	{
		ShareStreams, func(_ *testing.T, _ *Cache, w *ShareConfig, _ buffer.Type) { w.MaxSeqs = 1 },
		0, 0, "2", "1", "kv: layer 0 shares the cache of layer 0, whose sequences is 2, but wants 1",
	},
}

// refusal returns the ShareError of a call, which must match its sentinel and leave the source free.
func refusal(t *testing.T, c *Cache, err error) *ShareError {
	t.Helper()
	var e *ShareError
	if !errors.As(err, &e) || !errors.Is(err, ErrShare) {
		t.Fatalf("%v, want a ShareError", err)
	}
	if len(c.borrowers) != 0 || len(c.mirrors) != 0 {
		t.Errorf("the source is lent to %v after a refusal", c.borrowers)
	}
	return e
}

func TestEachDifferenceIsRefused(t *testing.T) {
	for _, tc := range shareCases {
		t.Run(string(tc.field), func(t *testing.T) {
			cfg, near, far := sharedConfig()
			c := newCache(t, cfg)
			elsewhere := host("ROCm7", 0)
			w := wants(near, far)
			tc.spoil(t, c, &w, elsewhere)
			used := near.Used() + far.Used() + elsewhere.Used()
			for what, share := range map[string]func() error{
				"Share":     func() error { _, err := Share(c, w); return err },
				"NewMirror": func() error { _, err := NewMirror(c, w); return err },
			} {
				if what == "NewMirror" && (tc.field == ShareOwnerK || tc.field == ShareOwnerV) {
					continue // which is what a mirror is for
				}
				e := refusal(t, c, share())
				if e.Field != tc.field || e.Layer != tc.layer || e.SrcLayer != tc.src || e.Borrower != "the draft" {
					t.Errorf("%s: %+v, want field %s of layer %d, source %d", what, e, tc.field, tc.layer, tc.src)
				}
				if tc.have != "" && e.Have != tc.have || e.Want != tc.want {
					t.Errorf("%s: has %q, wants %q; want %q and %q", what, e.Have, e.Want, tc.have, tc.want)
				}
				if tc.text != "" && e.Error() != tc.text {
					t.Errorf("%s:\n%s\nwant\n%s", what, e, tc.text)
				}
			}
			if n := near.Used() + far.Used() + elsewhere.Used(); n != used {
				t.Errorf("%d bytes were allocated", n-used)
			}
		})
	}
}

// Every field has its own case, and of two differences the one that stands first is told.
func TestFirstDifferenceIsTold(t *testing.T) {
	for i, first := range shareCases {
		for _, second := range shareCases[i+1:] {
			cfg, near, far := sharedConfig()
			c := newCache(t, cfg)
			w := wants(near, far)
			elsewhere := host("ROCm7", 0)
			first.spoil(t, c, &w, elsewhere)
			second.spoil(t, c, &w, elsewhere)
			_, err := Share(c, w)
			want := first
			if second.layer < first.layer { // the borrower's layers are compared in their order
				want = second
			}
			if e := refusal(t, c, err); e.Field != want.field {
				t.Errorf("%s and %s: refused for %s", first.field, second.field, e.Field)
			}
		}
	}
}

func TestDesignText(t *testing.T) {
	owner := host("Vulkan0", 0)
	cfg := Config{Cells: 64, MaxSeqs: 1, MaxBatch: 8, TypeK: tensor.F16, TypeV: tensor.F16, Layers: []LayerConfig{
		{Layer: 59, HeadsKV: 1, KeyDim: 8, ValueDim: 8, Reuse: -1, Memory: owner},
	}}
	c := newCache(t, cfg)
	_, err := Share(c, ShareConfig{Layers: []ShareLayer{{Layer: 3, Source: 59, HeadsKV: 1, KeyDim: 8, ValueDim: 8, Memory: host("ROCm1", 0)}}})
	const text = "kv: layer 3 shares the K cache of layer 59, which Vulkan0 owns, but runs on ROCm1: " +
		"place the draft on Vulkan0 (--spec-draft-device Vulkan0), or mirror it (--spec-kv mirror)"
	if e := refusal(t, c, err); e.Error() != text {
		t.Errorf("%s\nwant\n%s", e, text)
	}
	_, err = Share(c, ShareConfig{Layers: []ShareLayer{{Layer: 0, Source: -1, Window: 8, Memory: owner}}})
	const none = "kv: layer 0 shares the cache of a layer with a window of 8 tokens, but there is none such: there are 1, of layer 59"
	if e := refusal(t, c, err); e.Error() != none {
		t.Errorf("%s\nwant\n%s", e, none)
	}
}

func TestShareConfigErrors(t *testing.T) {
	for field, spoil := range map[string]func(*ShareConfig){
		"Layers": func(w *ShareConfig) { w.Layers = nil },
		"Layer":  func(w *ShareConfig) { w.Layers[1].Layer = 0; w.Layers[1].Memory = w.Layers[0].Memory },
		"Memory": func(w *ShareConfig) { w.Layers[1].Memory = nil },
	} {
		cfg, near, far := sharedConfig()
		c := newCache(t, cfg)
		w := wants(near, far)
		spoil(&w)
		_, direct := Share(c, w)
		_, mirrored := NewMirror(c, w)
		for _, err := range []error{direct, mirrored} {
			var bad *ConfigError
			if !errors.As(err, &bad) || bad.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
	}
}

// What a device of the borrower's can read where it lies is shared, whoever owns it.
func TestReadableMemoryIsShared(t *testing.T) {
	cfg, near, far := sharedConfig()
	c := newCache(t, cfg)
	elsewhere := host("CPU", 0)
	w := wants(elsewhere, elsewhere)
	w.Readable = func(m buffer.Type) bool { return m == buffer.Type(near) }
	_, err := Share(c, w)
	if e := refusal(t, c, err); e.Layer != 1 || e.Field != ShareOwnerK || !slices.Equal(e.Owners, []string{"Vulkan0", "ROCm1"}) {
		t.Errorf("%+v", e)
	}
	w.Readable = func(m buffer.Type) bool { return m == buffer.Type(near) || m == buffer.Type(far) }
	s, err := Share(c, w)
	must(t, err)
	defer s.Close()
	for i := range 2 {
		have, _ := s.Layer(i)
		if src, _ := c.Layer(i); have != src || have.Source != i {
			t.Errorf("layer %d reads %+v", i, have)
		}
	}
	if _, ok := s.Layer(2); ok {
		t.Error("the borrower has no layer 2")
	}
}

// A borrower asks for the cells that the cache was made for, also where windows make all groups smaller.
func TestCellsAreThoseAskedFor(t *testing.T) {
	cfg := testConfig(512, 1, 8, 8, 20)
	c := newCache(t, cfg)
	if c.Group(0).Cells >= 512 {
		t.Fatalf("%d cells: the window saves nothing", c.Group(0).Cells)
	}
	l := cfg.Layers[0]
	w := ShareConfig{Cells: 512, MaxSeqs: 1, Layers: []ShareLayer{{HeadsKV: 1, KeyDim: 4, ValueDim: 4, Window: 20, Memory: l.Memory}}}
	s, err := Share(c, w)
	must(t, err)
	must(t, s.Close())
}
