package kv

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
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

// What a borrower holds has no method by which the source could be changed.
func TestSharedOnlyReads(t *testing.T) {
	reads := []string{"Close", "FillMask", "Group", "Groups", "Layer", "ReadCells", "Sync"}
	methods := func(x any) []string {
		var names []string
		for i, typ := 0, reflect.TypeOf(x); i < typ.NumMethod(); i++ {
			names = append(names, typ.Method(i).Name)
		}
		return names
	}
	if got := methods((*Shared)(nil)); !slices.Equal(got, reads) {
		t.Errorf("Shared has the methods %v, want %v", got, reads)
	}
	if got, want := methods((*Mirror)(nil)), append([]string{"Bytes"}, reads...); !slices.Equal(got, want) {
		t.Errorf("Mirror has the methods %v, want %v", got, want)
	}
	for typ := range map[reflect.Type]bool{reflect.TypeFor[Shared](): true, reflect.TypeFor[Mirror](): true} {
		for _, f := range reflect.VisibleFields(typ) {
			if f.IsExported() {
				t.Errorf("%s shows its field %s", typ, f.Name)
			}
		}
	}
}

func TestLentSourceCannotBeClosed(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}} {
		cfg, near, far := sharedConfig()
		c, err := New(cfg)
		must(t, err)
		copies := host("CPU", 0)
		var all []Reader
		for i := range 3 {
			w := wants(near, far)
			w.Borrower = fmt.Sprintf("draft %d", i)
			var r Reader
			if i == 1 {
				w.Layers[0].Memory, w.Layers[1].Memory = copies, copies
				r, err = NewMirror(c, w)
			} else {
				r, err = Share(c, w)
			}
			must(t, err)
			all = append(all, r)
		}
		for done, i := range order {
			err := c.Close()
			var lent *BorrowedError
			if !errors.As(err, &lent) || !errors.Is(err, ErrBorrowed) || len(lent.Borrowers) != 3-done {
				t.Fatalf("Close: %v", err)
			}
			for _, name := range lent.Borrowers {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%v does not name %s", err, name)
				}
			}
			if !slices.Contains(lent.Borrowers, fmt.Sprintf("draft %d", i)) {
				t.Errorf("draft %d is not among %v", i, lent.Borrowers)
			}
			must(t, errors.Join(all[i].Close(), all[i].Close()))
		}
		if copies.Used() != 0 {
			t.Errorf("%d bytes of copies are left", copies.Used())
		}
		must(t, c.Close())
		if n := near.Used() + far.Used(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	}
}

func TestUseAfterClose(t *testing.T) {
	cfg, near, far := sharedConfig()
	c, err := New(cfg)
	must(t, err)
	s, err := Share(c, wants(near, far))
	must(t, err)
	m, err := NewMirror(c, wants(near, far))
	must(t, err)
	must(t, errors.Join(s.Close(), m.Close()))
	for _, r := range []Reader{s, m} {
		if _, err := r.Sync(); !errors.Is(err, ErrClosed) {
			t.Errorf("Sync: %v", err)
		}
		if err := r.FillMask(0, make([]float32, 64), []int32{0}, []int32{0}, 64); !errors.Is(err, ErrClosed) {
			t.Errorf("FillMask: %v", err)
		}
		if _, ok := r.Layer(0); ok {
			t.Error("there is still a layer")
		}
	}
	must(t, c.Close())
	for _, share := range []func() error{
		func() error { _, err := Share(c, wants(near, far)); return err },
		func() error { _, err := NewMirror(c, wants(near, far)); return err },
	} {
		if err := share(); !errors.Is(err, ErrClosed) {
			t.Errorf("sharing a closed cache: %v", err)
		}
	}
}

// fill takes n tokens of sequence 0 into c.
func fill(t testing.TB, c *Cache, from, n int) {
	t.Helper()
	for p := from; p < from+n; p++ {
		s, err := c.Find(Batch{Pos: []int32{int32(p)}, Seq: []int32{0}})
		must(t, err)
		must(t, c.Apply(s))
	}
}

// A full source still serves, and its borrower sees what it sees.
func TestFullSourceStillServes(t *testing.T) {
	cfg, near, far := sharedConfig()
	c := newCache(t, cfg)
	s, err := Share(c, wants(near, far))
	must(t, err)
	defer s.Close()
	fill(t, c, 0, cfg.Cells)
	if _, err := c.Find(Batch{Pos: []int32{64}, Seq: []int32{0}}); !errors.Is(err, ErrFull) {
		t.Fatalf("the cache is not full: %v", err)
	}
	for g, want := range []int{64, 9} { // the window's ten hold the token itself
		n := s.ReadCells(g)
		mask := make([]float32, n)
		must(t, s.FillMask(g, mask, []int32{64}, []int32{0}, n))
		seen := 0
		for _, v := range mask {
			if v == 0 {
				seen++
			}
		}
		if seen != want {
			t.Errorf("group %d: %d cells are seen, want %d", g, seen, want)
		}
	}
}

func TestFillMaskErrors(t *testing.T) {
	cfg, near, far := sharedConfig()
	c := newCache(t, cfg)
	s, err := Share(c, wants(near, far))
	must(t, err)
	defer s.Close()
	fill(t, c, 0, 40)
	for _, tc := range []struct {
		name     string
		size, n  int
		pos, seq []int32
		want     error
	}{
		{"too few cells", 32, 32, []int32{40}, []int32{0}, ErrMask},
		{"too many cells", 65, 65, []int32{40}, []int32{0}, ErrMask},
		{"short", 63, 64, []int32{40}, []int32{0}, ErrMask},
		{"a sequence missing", 128, 64, []int32{40, 41}, []int32{0}, ErrMask},
		{"sequence", 64, 64, []int32{40}, []int32{2}, ErrSeq},
		{"negative sequence", 64, 64, []int32{40}, []int32{-1}, ErrSeq},
		{"negative position", 64, 64, []int32{-1}, []int32{0}, ErrPos},
		{"position too high", 64, 64, []int32{math.MaxInt32}, []int32{0}, ErrPos},
	} {
		if err := s.FillMask(0, make([]float32, tc.size), tc.pos, tc.seq, tc.n); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	mask := make([]float32, 64)
	must(t, s.FillMask(0, mask, []int32{maxPos}, []int32{0}, 64))
	if mask[0] != 0 || mask[39] != 0 || mask[40] == 0 {
		t.Error("the highest position does not see what is there")
	}
}

func TestRunsOf(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		set := make([]uint64, r.IntN(5))
		for b := range set {
			set[b] = []uint64{0, ^uint64(0), r.Uint64(), 1, 1 << 63, r.Uint64() & r.Uint64() & r.Uint64()}[r.IntN(6)]
		}
		checkRuns(t, set)
	}
}

func FuzzRunsOf(f *testing.F) {
	f.Add(uint64(0), uint64(1)<<63, ^uint64(0))
	f.Add(^uint64(0), ^uint64(0), uint64(1))
	f.Add(uint64(0x5555), uint64(0), uint64(0xf000000000000000))
	f.Fuzz(func(t *testing.T, a, b, c uint64) { checkRuns(t, []uint64{a, b, c}) })
}

// checkRuns checks that the runs of a set are its members, in order, and as long as they can be.
func checkRuns(t *testing.T, set []uint64) {
	t.Helper()
	got := make([]uint64, len(set))
	end := -1
	must(t, runsOf(set, func(from, to int) error {
		if from <= end || to <= from || to > len(set)*blockCells {
			t.Fatalf("run %d to %d after %d of %#x", from, to, end, set)
		}
		for i := from; i < to; i++ {
			got[i/blockCells] |= 1 << (i % blockCells)
		}
		end = to
		return nil
	}))
	if !slices.Equal(got, set) {
		t.Fatalf("runs of %#x are %#x", set, got)
	}
	stop := errors.New("stop")
	if err := runsOf(set, func(int, int) error { return stop }); (err == stop) != (end >= 0) {
		t.Fatalf("an error of the caller's is %v", err)
	}
}
