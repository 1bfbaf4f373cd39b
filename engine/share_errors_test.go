package engine_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tensor"
)

// Mistakes of every kind end in an error that says so, and leave nothing behind.
func TestDraftsThatDoNotFit(t *testing.T) {
	inner := newCPU(t, "inner", 0)
	m := newMachine(t, inner, sim.Config{Name: "Vulkan0"}, sim.Config{Name: "CPU", Mapped: true, Import: true})
	target := tinymodel.SharedTarget(tinymodel.Config{})
	opt := engine.Options{Devices: m.named([]string{"Vulkan0"}), Fallback: m.Device("CPU"), Exact: true, ExactCache: true, Context: 64, Sequences: 2}
	e := open(t, parse(t, target), opt).Engine
	assistant := func(change func(c *tinymodel.Config), meta map[string]gguf.Value) *pair {
		like := target
		if change != nil {
			change(&like)
		}
		c := tinymodel.Config{Embd: 48}
		c.Meta = func(m *gguf.Metadata) {
			for k, v := range meta {
				m.Set("gemma4-assistant."+k, v)
			}
		}
		return &pair{draft: parse(t, tinymodel.SharedDraft(c, like))}
	}
	f16 := tensor.F16
	fits := assistant(nil, nil)
	for _, tc := range []struct {
		field      kv.ShareField
		p          *pair
		opt        engine.DraftOptions
		have, want string
	}{
		{kv.ShareWindow, assistant(nil, map[string]gguf.Value{"attention.sliding_window": gguf.ValueOf(uint32(16))}), engine.DraftOptions{}, "8 tokens", "16 tokens"},
		{kv.ShareTypeK, fits, engine.DraftOptions{TypeK: &f16}, "F32", "F16"},
		{kv.ShareTypeV, fits, engine.DraftOptions{TypeV: &f16}, "F32", "F16"},
		{kv.ShareHeads, assistant(func(c *tinymodel.Config) { c.KVHeads = 4 }, nil), engine.DraftOptions{}, "2", "4"},
		{kv.ShareKeyDim, assistant(func(c *tinymodel.Config) { c.HeadDim = 32 }, nil), engine.DraftOptions{}, "16", "32"},
		{
			kv.ShareRotation, assistant(nil, map[string]gguf.Value{"rope.freq_base": gguf.ValueOf(float32(5e5))}),
			engine.DraftOptions{},
			"NeoX RoPE of 32, base 1e+06, scale 1, frequency factors", "NeoX RoPE of 32, base 500000, scale 1, frequency factors",
		},
		{kv.ShareCells, fits, engine.DraftOptions{Context: 128}, "64", "128"},
		{kv.ShareStreams, fits, engine.DraftOptions{Sequences: 1}, "2", "1"},
	} {
		for _, mirror := range []bool{false, true} {
			tc.opt.Mirror = mirror
			if got := m.mustRefuse(t, tc.p, e, tc.opt); got.Field != tc.field || got.Have != tc.have || got.Want != tc.want {
				t.Errorf("%s: %v", tc.field, got)
			}
		}
	}
	f32 := tensor.F32
	d, err := engine.NewDraft(fits.draft, e, engine.DraftOptions{TypeK: &f32, TypeV: &f32, Context: 64, Sequences: 2})
	must(t, err)
	must(t, d.Close())

	before := m.footprint()
	vulkan, cpu := m.Device("Vulkan0"), m.Device("CPU")
	for name, opt := range map[string]engine.DraftOptions{
		"a device twice":         {Devices: []backends.Device{vulkan, cpu, vulkan}},
		"layers without devices": {LayerDevices: []string{"Vulkan0", "Vulkan0"}},
		"a layer too few":        {Devices: []backends.Device{vulkan}, LayerDevices: []string{"Vulkan0"}},
		"an unknown device":      {Devices: []backends.Device{vulkan}, LayerDevices: []string{"Vulkan0", "Vulkan9"}},
	} {
		if _, err := engine.NewDraft(fits.draft, e, opt); !errors.Is(err, engine.ErrOption) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, f := range map[string]*gguf.File{
		"no draft":            parse(t, tinymodel.Config{}),
		"the target itself":   parse(t, target),
		"of another width":    assistant(func(c *tinymodel.Config) { c.Embd = 128 }, nil).draft,
		"of other tokens":     assistant(func(c *tinymodel.Config) { c.Vocab = 400 }, nil).draft,
		"with its own layers": assistant(nil, map[string]gguf.Value{"attention.shared_kv_layers": gguf.ValueOf(uint32(1))}).draft,
	} {
		if _, err := engine.NewDraft(f, e, engine.DraftOptions{}); !errors.Is(err, model.ErrDraft) && !errors.Is(err, model.ErrParam) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := open(t, parse(t, tinymodel.SharedWithoutWindow(tinymodel.Config{})), opt).Engine
	const none = "kv: layer 0 shares the cache of a layer with a window of 8 tokens, but there is none such: there are 4, of layers 0 to 3"
	if got := m.mustRefuse(t, fits, full, engine.DraftOptions{}); got.Error() != none || got.Field != kv.ShareSource {
		t.Errorf("a target without windows: %v", got)
	}
	llama := open(t, parse(t, tinymodel.Config{}), engine.Options{Devices: opt.Devices})
	after := m.footprint()
	if _, err := engine.NewDraft(fits.draft, llama.Engine, engine.DraftOptions{}); !errors.Is(err, model.ErrDraft) {
		t.Errorf("a draft for a target of another family: %v", err)
	}
	if now := m.footprint(); now != after || after.buffers < before.buffers {
		t.Errorf("a draft that cannot be has left its marks: %+v, before %+v", now, after)
	}
}

func TestDraftTokensThatCannotBe(t *testing.T) {
	target := tinymodel.SharedTarget(tinymodel.Config{})
	opt := exact
	opt.Sequences = 2
	e := open(t, parse(t, target), opt).Engine
	d, err := engine.NewDraft(parse(t, tinymodel.SharedDraft(tinymodel.Config{Embd: 48}, target)), e, engine.DraftOptions{})
	must(t, err)
	defer d.Close()
	must(t, e.Decode(context.Background(), tokens(0, 0, []int32{1, 2, 3})))
	h := make([]float32, e.Params().Embd)
	for name, tok := range map[string]engine.DraftToken{
		"id":                   {ID: int32(e.Params().Vocab), Pos: 3, Hidden: h},
		"negative id":          {ID: -1, Pos: 3, Hidden: h},
		"sequence":             {ID: 1, Pos: 3, Seq: 2, Hidden: h},
		"an empty sequence":    {ID: 1, Pos: 3, Seq: 1, Hidden: h},
		"negative position":    {ID: 1, Pos: -1, Hidden: h},
		"a position too high":  {ID: 1, Pos: math.MaxInt32, Hidden: h},
		"no hidden state":      {ID: 1, Pos: 3},
		"a short hidden state": {ID: 1, Pos: 3, Hidden: h[1:]},
	} {
		var bad *engine.TokenError
		if err := d.Run(context.Background(), []engine.DraftToken{{ID: 1, Pos: 3, Hidden: h}, tok}); !errors.As(err, &bad) || bad.Index != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Run(context.Background(), nil); !errors.Is(err, engine.ErrBatch) {
		t.Errorf("no token: %v", err)
	}
	must(t, d.Run(context.Background(), []engine.DraftToken{{ID: 1, Pos: 3, Hidden: h}}))
	for _, x := range d.Logits(0) {
		if math.IsNaN(float64(x)) {
			t.Fatal("the draft says NaN")
		}
	}
	must(t, errors.Join(d.Close(), d.Close()))
	if err := d.Run(context.Background(), []engine.DraftToken{{ID: 1, Pos: 3, Hidden: h}}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// The whole cache lies where it is asked to, and the layers run where they did.
func TestCacheOnADeviceOfItsOwn(t *testing.T) {
	f := parse(t, tinymodel.Config{Layers: 4})
	text := ids(3, 20)
	want := open(t, f, exact).decode(tokens(0, 0, text))
	m := newMachine(t, newCPU(t, "inner", 0), sim.Config{Name: "Vulkan0"}, sim.Config{Name: "CPU", Mapped: true})
	opt := exact
	opt.Devices, opt.Fallback, opt.CacheDevice = m.named([]string{"Vulkan0"}), m.Device("CPU"), "CPU"
	r := open(t, f, opt)
	near(t, "cache elsewhere", r.decode(tokens(0, 0, text)), want, 0)
	for _, d := range r.Memory() {
		if (d.Device == "CPU") != (d.Cache > 0) || (d.Device == "Vulkan0") != (d.Weights > 0) {
			t.Errorf("%+v", d)
		}
	}
	opt.CacheDevice = "Vulkan1"
	if _, err := engine.New(f, opt); !errors.Is(err, engine.ErrOption) {
		t.Errorf("a cache on a device that is not there: %v", err)
	}
}
