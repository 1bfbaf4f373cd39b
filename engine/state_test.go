package engine_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/tensor"
)

func TestTokensThatCannotBe(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	opt := exact
	opt.Sequences, opt.Batch = 2, 4
	r := open(t, f, opt)
	text := ids(1, 6)
	r.decode(tokens(0, 0, text))
	ok := engine.Token{ID: 5, Pos: 6}
	for name, c := range map[string]struct {
		batch []engine.Token
		index int
	}{
		"id below 0":              {[]engine.Token{{ID: -1, Pos: 6}}, 0},
		"id above the vocabulary": {[]engine.Token{ok, {ID: 320, Pos: 7}}, 1},
		"sequence below 0":        {[]engine.Token{{Pos: 6, Seq: -1}}, 0},
		"sequence too high":       {[]engine.Token{{Pos: 6, Seq: 2}}, 0},
		"position below 0":        {[]engine.Token{{Pos: -1, Seq: 1}}, 0},
		"position without next":   {[]engine.Token{{Pos: math.MaxInt32}}, 0},
		"position in the cache":   {[]engine.Token{{Pos: 5}}, 0},
		"position twice":          {[]engine.Token{ok, ok}, 1},
		"falling, chunks later":   {append(tokens(0, 6, ids(2, 9)), engine.Token{Pos: 9}), 9},
	} {
		var e *engine.TokenError
		err := r.Decode(context.Background(), c.batch)
		if !errors.As(err, &e) || !errors.Is(err, engine.ErrBatch) || e.Index != c.index || e.Token != c.batch[c.index] {
			t.Errorf("%s: %v", name, err)
		}
		if n := len(r.Outputs()); n != 0 {
			t.Errorf("%s: %d rows of results", name, n)
		}
	}
	for _, none := range [][]engine.Token{nil, {}} {
		if err := r.Decode(context.Background(), none); !errors.Is(err, engine.ErrBatch) {
			t.Errorf("an empty batch: %v", err)
		}
	}
	fresh := open(t, f, opt)
	fresh.decode(tokens(0, 0, text))
	near(t, "after all refusals", r.decode([]engine.Token{{ID: 5, Pos: 6, Output: true}}),
		fresh.decode([]engine.Token{{ID: 5, Pos: 6, Output: true}}), 0)
}

func TestFullCacheLosesNothing(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	opt := exact
	opt.Context, opt.Batch, opt.Sequences = 32, 8, 2
	r := open(t, f, opt)
	text := ids(1, 32)
	r.decode(tokens(0, 0, text[:20]))
	for _, n := range []int{13, 40} {
		err := r.Decode(context.Background(), tokens(1, 0, ids(2, n)))
		var full *kv.FullError
		if !errors.Is(err, kv.ErrFull) || !errors.As(err, &full) || full.Need != n || full.Free != 12 || full.Cells != 32 {
			t.Errorf("%d tokens for 12 cells: %v", n, err)
		}
		if used, at := r.Cache().Used(0), r.Cache().MaxPos(1); used != 20 || at != -1 {
			t.Errorf("%d cells are in use, sequence 1 is at %d", used, at)
		}
	}
	if err := r.Fits(12); err != nil {
		t.Error(err)
	}
	got := r.decode(tokens(0, 20, text[20:]))
	near(t, "the rest of the context", got, alone(t, f, exact, [][]int32{text})[0][20:], tolerance)
	if err := r.Decode(context.Background(), tokens(0, 32, ids(3, 1))); !errors.Is(err, kv.ErrFull) {
		t.Errorf("one token too many: %v", err)
	}
}

func TestRollback(t *testing.T) {
	for _, fam := range families {
		f := parse(t, fam.config)
		text := ids(1, 30)
		opt := exact
		opt.Snapshots = 64 // recurrent layers go back no further, guesses included
		r := open(t, f, opt)
		want := r.decode(tokens(0, 0, text))
		for _, from := range []int{29, 10, 0} {
			if err := r.Cache().Remove(0, from, -1); err != nil {
				t.Fatal(err)
			}
			r.decode(tokens(0, int32(from), ids(2, 12))) // a guess that is thrown away
			if err := r.Cache().Remove(0, from, -1); err != nil {
				t.Fatal(err)
			}
			near(t, fam.name, r.decode(tokens(0, int32(from), text[from:])), want[from:], tolerance)
		}
	}
}

func TestCopiedSequenceGoesOnByItself(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	opt := exact
	opt.Sequences = 2
	r := open(t, f, opt)
	text := ids(1, 12)
	r.decode(tokens(0, 0, text))
	if err := r.Cache().CopySeq(0, 1, 0, -1); err != nil {
		t.Fatal(err)
	}
	a, b := ids(2, 8), ids(3, 8)
	got := r.decode(append(tokens(0, 12, a), tokens(1, 12, b)...))
	want := alone(t, f, exact, [][]int32{append(text[:12:12], a...), append(text[:12:12], b...)})
	near(t, "the first", got[:8], want[0][12:], tolerance)
	near(t, "its copy", got[8:], want[1][12:], tolerance)
}

// yarn stretches the context of the tiny model fourfold.
func yarn(c tinymodel.Config) tinymodel.Config {
	arch := c.Arch
	if arch == "" {
		arch = tinymodel.Default.Arch
	}
	return withMeta(c, map[string]any{
		arch + ".rope.scaling.type":                    "yarn",
		arch + ".rope.scaling.factor":                  float32(4),
		arch + ".rope.scaling.original_context_length": uint32(32),
		arch + ".rope.scaling.attn_factor":             float32(0.9),
	})
}

var shifts = []struct {
	name   string
	config tinymodel.Config
}{
	{"neighbours", tinymodel.Config{}},
	{"halves", tinymodel.Config{Arch: "qwen2"}},
	{"halves, normed", tinymodel.Config{Arch: "qwen3"}},
	{"frequency factors", tinymodel.Config{RoPEFrequencies: true}},
	{"linear", withMeta(tinymodel.Config{}, map[string]any{"llama.rope.scaling.factor": float32(3)})},
	{"half of the head", withMeta(tinymodel.Config{}, map[string]any{"llama.rope.dimension_count": uint32(8)})},
	{"yarn, neighbours", yarn(tinymodel.Config{})},
	{"yarn, halves", yarn(tinymodel.Config{Arch: "qwen2"})},
	{"yarn, frequency factors", yarn(tinymodel.Config{RoPEFrequencies: true})},
}

// A sequence that was moved goes on as if it had been there from the beginning.
func TestMovedSequence(t *testing.T) {
	for _, c := range shifts {
		t.Run(c.name, func(t *testing.T) {
			f := parse(t, c.config)
			text, next := ids(1, 20), ids(2, 6)
			opt := exact
			opt.Sequences = 2
			r, fresh := open(t, f, opt), open(t, f, opt)
			r.decode(tokens(1, 3, ids(3, 9))) // this one must stay as it is
			fresh.decode(tokens(1, 3, ids(3, 9)))
			r.decode(tokens(0, 15, text))
			fresh.decode(tokens(0, 4, text))
			for _, by := range []int{30, -45, 4} { // back and forth, 11 down in all
				if err := r.Cache().Add(0, 0, -1, by); err != nil {
					t.Fatal(err)
				}
				if by > 0 {
					r.decode(tokens(1, int32(r.Cache().MaxPos(1)+1), ids(4, 1))) // turns the keys
					fresh.decode(tokens(1, int32(fresh.Cache().MaxPos(1)+1), ids(4, 1)))
				}
			}
			near(t, "moved", r.decode(tokens(0, 24, next)), fresh.decode(tokens(0, 24, next)), 1e-4)
			near(t, "beside", r.decode(tokens(1, 20, next)), fresh.decode(tokens(1, 20, next)), 1e-4)
		})
	}
}

// In a model of one layer keys and values depend on nothing but token and position, so that tokens may
// be taken from the middle and the rest be moved together.
func TestMiddleTakenOut(t *testing.T) {
	for _, c := range shifts {
		t.Run(c.name, func(t *testing.T) {
			c.config.Layers = 1
			f := parse(t, c.config)
			for _, cache := range []struct {
				t    tensor.DType
				most float64
			}{{tensor.F32, 1e-4}, {tensor.F16, 1e-2}} {
				opt := engine.Options{Exact: true, CacheK: cache.t, CacheV: cache.t, ExactCache: cache.t == tensor.F32}
				text := ids(1, 40)
				r := open(t, f, opt)
				r.decode(tokens(0, 0, text))
				if err := r.Cache().Remove(0, 5, 22); err != nil {
					t.Fatal(err)
				}
				if err := r.Cache().Add(0, 22, -1, -17); err != nil {
					t.Fatal(err)
				}
				next := ids(2, 4)
				left := append(append(text[:5:5], text[22:]...), next...)
				want := alone(t, f, exact, [][]int32{left})[0]
				near(t, cache.t.String(), r.decode(tokens(0, 23, next)), want[23:], cache.most)
			}
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestClosed(t *testing.T) {
	r := open(t, parse(t, tinymodel.Config{}), exact)
	r.decode(tokens(0, 0, ids(1, 3)))
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	_, planErr := r.Plan(1)
	for what, err := range map[string]error{
		"Decode": r.Decode(ctx, tokens(0, 3, ids(1, 1))), "Embed": r.Embed(ctx, tokens(0, 3, ids(1, 1))), "Plan": planErr,
	} {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s after Close: %v", what, err)
		}
	}
	for _, m := range r.Memory() {
		if m.Total() != 0 || m.Mapped != 0 {
			t.Errorf("after Close: %+v", m)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	f := parse(t, tinymodel.Config{})
	d := newCPU(t, "CPU", 0)
	one := []backends.Device{d}
	for name, c := range map[string]struct {
		opt  engine.Options
		want error
	}{
		"no device":                              {engine.Options{}, engine.ErrOption},
		"a device twice":                         {engine.Options{Devices: []backends.Device{d, newCPU(t, "CPU", 0)}}, engine.ErrOption},
		"the same device twice":                  {engine.Options{Devices: []backends.Device{d, d}}, engine.ErrOption},
		"negative context":                       {engine.Options{Devices: one, Context: -1}, engine.ErrOption},
		"negative batch":                         {engine.Options{Devices: one, Batch: -1}, engine.ErrOption},
		"no sequences":                           {engine.Options{Devices: one, Sequences: -3}, engine.ErrOption},
		"too few layers":                         {engine.Options{Devices: one, LayerDevices: []string{"CPU"}}, engine.ErrOption},
		"strange device":                         {engine.Options{Devices: one, LayerDevices: []string{"CPU", "GPU"}}, engine.ErrOption},
		"two cache types":                        {engine.Options{Devices: one, ExactCache: true, CacheK: tensor.F16}, engine.ErrOption},
		"absurd context":                         {engine.Options{Devices: one, Context: math.MaxInt}, kv.ErrConfig},
		"absurd sequences":                       {engine.Options{Devices: one, Sequences: math.MaxInt}, kv.ErrConfig},
		"cache of integers":                      {engine.Options{Devices: one, CacheK: tensor.I32}, kv.ErrConfig},
		"cache of blocks that heads do not fill": {engine.Options{Devices: one, CacheK: tensor.Q8_0}, kv.ErrConfig},
	} {
		e, err := engine.New(f, c.opt)
		if e != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if n := d.Memory().Used(); n != 0 {
			t.Fatalf("%s: %d bytes stay", name, n)
		}
	}
	r := open(t, f, engine.Options{Devices: one})
	for _, n := range []int{0, -1, 1 << 30} {
		if _, err := r.Plan(n); !errors.Is(err, engine.ErrOption) {
			t.Errorf("a plan for %d tokens: %v", n, err)
		}
	}
}
