package engine_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/model"
	"github.com/tenon-go/tenon/tensor"
)

// ownOptions are those of a target whose file holds a draft with a cache of its own.
var ownOptions = engine.Options{Exact: true, ExactCache: true, Context: 96, Batch: 16, Sequences: 2, Snapshots: 3}

// ownModel returns a model that holds its own draft.
func ownModel(t testing.TB) *gguf.File {
	return parse(t, tinymodel.Qwen35(tinymodel.Config{Layers: 4}))
}

// follower gives a draft what its target was given.
type follower struct {
	t      testing.TB
	d      *engine.Draft
	before map[int32][]float32 // the target's hidden state before the next token of each sequence
	rows   [][]float32         // what the draft said
}

func follow(t testing.TB, d *engine.Draft) *follower {
	return &follower{t: t, d: d, before: map[int32][]float32{}}
}

// batch returns tokens as the draft takes them, after e has taken them.
func (f *follower) batch(e *engine.Engine, tokens []engine.Token) []engine.DraftToken {
	f.t.Helper()
	must(f.t, e.DecodeHidden(context.Background(), tokens, true))
	var batch []engine.DraftToken
	for i, x := range tokens {
		before := f.before[x.Seq]
		if x.Pos == 0 {
			before = make([]float32, f.d.HiddenWidth())
		}
		batch = append(batch, engine.DraftToken{ID: x.ID, Pos: x.Pos, Seq: x.Seq, Hidden: before, Feed: !x.Output})
		f.before[x.Seq] = slices.Clone(e.Hidden(i))
	}
	return batch
}

// run takes a batch through the draft and keeps what it says. A run that a fault ends is tried again.
func (f *follower) run(batch []engine.DraftToken) (hidden [][]float32) {
	f.t.Helper()
	err := f.d.Run(context.Background(), batch)
	if errors.Is(err, errLost) || errors.Is(err, sim.ErrInjected) {
		err = f.d.Run(context.Background(), batch)
	}
	must(f.t, err)
	n := 0
	for _, x := range batch {
		if !x.Feed {
			f.rows = append(f.rows, slices.Clone(f.d.Logits(n)), slices.Clone(f.d.Hidden(n)))
			hidden = append(hidden, slices.Clone(f.d.Hidden(n)))
			n++
		}
	}
	return hidden
}

// text takes a text of two sequences through e and the draft, n tokens of each at a time, and drafts two
// tokens after each part.
func (f *follower) text(e *engine.Engine, n int) [][]float32 {
	f.t.Helper()
	const length = 30
	texts := [2][]int32{ids(1, length), ids(2, length)}
	for from := 0; from < length; from += n {
		to := min(from+n, length)
		var all []engine.DraftToken
		for seq, text := range texts {
			part := tokens(int32(seq), int32(from), text[from:to])
			for i := range part {
				part[i].Output = i == len(part)-1
			}
			all = append(all, f.batch(e, part)...)
		}
		hidden := f.run(all)
		for i := range int32(2) {
			var step []engine.DraftToken
			for seq := range texts {
				step = append(step, engine.DraftToken{ID: 5 + i, Pos: int32(to) + i, Seq: int32(seq), Hidden: hidden[seq]})
			}
			hidden = f.run(step)
		}
		for seq := range texts {
			must(f.t, f.d.Truncate(int32(seq), int32(to)))
		}
	}
	return f.rows
}

func openOwn(t testing.TB, f *gguf.File, e *engine.Engine, opt engine.DraftOptions) *engine.Draft {
	t.Helper()
	d, err := engine.NewDraft(f, e, opt)
	must(t, err)
	t.Cleanup(func() { must(t, d.Close()) })
	if !d.OwnsCache() {
		t.Fatal("the draft reads its target's cache")
	}
	return d
}

// A text in parts of any length gives what it gives at once.
func TestOwnDraftInParts(t *testing.T) {
	f := ownModel(t)
	last := func(n int) [][]float32 {
		e := open(t, f, ownOptions)
		rows := follow(t, openOwn(t, f, e.Engine, engine.DraftOptions{})).text(e.Engine, n)
		return rows[len(rows)-12:] // logits and states of two sequences, after the text and of two guesses
	}
	want := last(30) // more than a run takes
	for _, n := range []int{1, 3, 7, 16} {
		near(t, "parts", last(n), want, tolerance)
	}
}

// What the draft holds is what it reports and what it was planned for; what the target has is not loaded
// again; the target stays open as long as the draft.
func TestOwnDraftMemory(t *testing.T) {
	f := ownModel(t)
	dev := cpu.New(cpu.Options{Name: "CPU", Threads: 2})
	opt := ownOptions
	opt.Devices = []backends.Device{dev}
	e := open(t, f, opt)
	before := dev.Memory().Used()
	reserved := e.Memory()[0].Compute
	d := openOwn(t, f, e.Engine, engine.DraftOptions{})
	grown := e.Memory()[0].Compute - reserved // for the hidden states of all tokens
	m := d.Memory()
	if used := dev.Memory().Used() - before - grown; len(m) != 1 || m[0].Total() != used || m[0].Cache == 0 || m[0].Compute == 0 {
		t.Errorf("%+v reported, %d bytes allocated", m, used)
	}
	follow(t, d).text(e.Engine, 7)
	if used := dev.Memory().Used() - before - grown; m[0].Total() != used {
		t.Errorf("%d bytes after a text, %d before", used, m[0].Total())
	}
	var lent *engine.BorrowedError
	if err := e.Close(); !errors.As(err, &lent) || !errors.Is(err, kv.ErrBorrowed) || !strings.Contains(err.Error(), "tiny.gguf") {
		t.Errorf("closing the target first: %v", err)
	}
	must(t, d.Close())
	if err := d.Run(context.Background(), nil); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a run of a closed draft: %v", err)
	}
	if err := d.Truncate(0, 0); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a closed draft: %v", err)
	}
}

// The draft runs on any devices, and says the same to the bit. Weights that its devices cannot read are
// loaded again; beside its target it has all that it needs.
func TestOwnDraftOnOtherDevices(t *testing.T) {
	f := ownModel(t)
	want := follow(t, nil)
	{
		e := open(t, f, ownOptions)
		want.d = openOwn(t, f, e.Engine, engine.DraftOptions{})
		want.text(e.Engine, 9)
	}
	inner := newCPU(t, "inner", 0)
	m := newMachine(t, inner, sim.Config{Name: "A"}, sim.Config{Name: "B"}, sim.Config{Name: "C"}, sim.Config{Name: "CPU", Mapped: true, Import: true})
	opt := ownOptions
	opt.Devices, opt.Fallback = m.named([]string{"A", "B"}), m.Device("CPU")
	copied := func(d *engine.Draft) (devices int, bytes int64) {
		for _, x := range d.Memory() {
			if x.Weights > 0 {
				devices++
			}
			bytes += x.Weights
		}
		return devices, bytes
	}
	var alone int64
	none := 0
	for i, o := range []engine.DraftOptions{
		{},
		{Devices: m.named([]string{"B"})},
		{Devices: m.named([]string{"A"})},
		{Devices: m.named([]string{"C"})},
		{Placement: engine.Placement{DeviceLayers: &none}},
	} {
		var names []string
		for _, dev := range o.Devices {
			names = append(names, dev.Info().Owner.Device)
		}
		e := open(t, f, opt)
		d := openOwn(t, f, e.Engine, o)
		devices, bytes := copied(d)
		switch {
		case o.Placement.DeviceLayers != nil:
			for _, x := range d.Memory() {
				if (x.Cache > 0) != (x.Device == "CPU") {
					t.Errorf("all layers are on the CPU, but %+v", x)
				}
			}
		case i == 0:
			alone = bytes
			if on := d.Memory()[0].Device; on != "B" || devices != 1 {
				t.Errorf("with nothing said it is on %s, its weights on %d devices", on, devices)
			}
		case bytes <= alone:
			t.Errorf("on %v %d bytes are loaded, %d beside the target", names, bytes, alone)
		}
		got := follow(t, d)
		got.text(e.Engine, 9)
		for i := range want.rows {
			if !slices.Equal(got.rows[i], want.rows[i]) {
				t.Fatalf("on %v: row %d is off by %.3g", names, i, distance(t, got.rows[i:i+1], want.rows[i:i+1]))
			}
		}
		must(t, d.Close())
		must(t, e.Close())
	}
}

// A draft that fails to open, at any allocation or copy, leaves nothing; one that fails to run, at any
// submit, can be tried again. Neither is noticed by the target.
func TestOwnDraftFaults(t *testing.T) {
	f := ownModel(t)
	inner := newCPU(t, "inner", 0)
	m := newMachine(t, inner, sim.Config{Name: "A"}, sim.Config{Name: "B"}, sim.Config{Name: "CPU", Mapped: true, Import: true})
	opt := ownOptions
	opt.Devices, opt.Fallback = m.named([]string{"A"}), m.Device("CPU")
	e, b := open(t, f, opt), m.Device("B")
	want := follow(t, openOwn(t, f, e.Engine, engine.DraftOptions{Devices: m.named([]string{"B"})}))
	want.text(e.Engine, 9)
	must(t, want.d.Close())
	e.Cache().Clear()
	for name, fault := range map[string]func(n int) sim.Fault{"allocation": sim.FailAlloc, "copy": sim.FailCopy} {
		failed := 0
		for {
			must(t, b.Inject(fault(failed+1)))
			d, err := engine.NewDraft(f, e.Engine, engine.DraftOptions{Devices: m.named([]string{"B"})})
			b.Heal()
			if err == nil {
				must(t, d.Close())
				break
			}
			if !errors.Is(err, sim.ErrInjected) {
				t.Fatalf("%s %d: %v", name, failed, err)
			}
			if s := b.Stats(); s.Live != 0 || s.Buffers != 0 || s.Programs != 0 {
				t.Fatalf("%s %d: %d bytes, %d buffers and %d programs are left", name, failed, s.Live, s.Buffers, s.Programs)
			}
			failed++
		}
		if t.Logf("%s: %d failed openings", name, failed); failed == 0 {
			t.Errorf("no %s failed", name)
		}
	}
	for n := 1; n <= 5; n++ {
		for _, fault := range []func(n int) sim.Fault{sim.FailCopy, sim.FailSubmit} {
			d := openOwn(t, f, e.Engine, engine.DraftOptions{Devices: m.named([]string{"B"})})
			must(t, b.Inject(fault(n)))
			got := follow(t, d)
			got.text(e.Engine, 9)
			near(t, "after a fault", got.rows, want.rows, 0)
			b.Heal()
			must(t, d.Close())
			e.Cache().Clear()
		}
	}
}

// What cannot be is refused with both sides named.
func TestOwnDraftRefusals(t *testing.T) {
	f := ownModel(t)
	e := open(t, f, ownOptions)
	i8 := tensor.I8
	for name, x := range map[string]struct {
		opt   engine.DraftOptions
		match error
		says  string
	}{
		"mirror":        {engine.DraftOptions{Mirror: true}, engine.ErrOption, "Mirror"},
		"depth":         {engine.DraftOptions{Depth: 4}, engine.ErrOption, "Snapshots is 3, want 4"},
		"weights":       {engine.DraftOptions{Placement: engine.Placement{HostExperts: 1}}, engine.ErrOption, "Placement"},
		"layers twice":  {engine.DraftOptions{LayerDevices: []string{"CPU"}, Placement: engine.Placement{Split: []float64{1}}}, engine.ErrOption, "LayerDevices"},
		"layer devices": {engine.DraftOptions{LayerDevices: []string{"nowhere"}}, engine.ErrOption, "nowhere"},
		"context":       {engine.DraftOptions{Context: -1}, kv.ErrConfig, "Cells"},
		"sequences":     {engine.DraftOptions{Sequences: -1}, kv.ErrConfig, "MaxSeqs"},
		"type":          {engine.DraftOptions{TypeK: &i8}, kv.ErrConfig, "TypeK"},
	} {
		if _, err := engine.NewDraft(f, e.Engine, x.opt); !errors.Is(err, x.match) || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	few := ownOptions
	few.Snapshots = 0
	if _, err := engine.NewDraft(f, open(t, f, few).Engine, engine.DraftOptions{}); !errors.Is(err, engine.ErrOption) {
		t.Errorf("a target without snapshots: %v", err)
	}
	plain := parse(t, tinymodel.Config{})
	if _, err := engine.NewDraft(plain, open(t, plain, exact).Engine, engine.DraftOptions{}); !errors.Is(err, model.ErrDraft) {
		t.Errorf("a model without a draft: %v", err)
	}
}

// Several blocks are heads that take turns. A file with them runs, and is refused as a draft by name.
func TestChainedHeadsAreRefused(t *testing.T) {
	f := parse(t, tinymodel.Qwen35(tinymodel.Config{Layers: 3, Meta: func(m *gguf.Metadata) { m.Set("qwen35.nextn_predict_layers", gguf.ValueOf(uint32(2))) }}))
	e := open(t, f, ownOptions)
	var param *model.ParamError
	if _, err := engine.NewDraft(f, e.Engine, engine.DraftOptions{}); !errors.As(err, &param) || !strings.Contains(param.Key, "nextn_predict_layers") {
		t.Errorf("two heads: %v", err)
	}
}

// A batch that cannot be says which token, and leaves the draft as it was; so does a cancelled one.
func TestOwnDraftWrongBatches(t *testing.T) {
	f := ownModel(t)
	e := open(t, f, ownOptions)
	d := openOwn(t, f, e.Engine, engine.DraftOptions{Context: 40, Sequences: 1})
	if d.Sequences() != 1 || d.Batch() != ownOptions.Batch {
		t.Errorf("%d sequences, runs of %d", d.Sequences(), d.Batch())
	}
	state := make([]float32, d.HiddenWidth())
	good := func(pos int32) engine.DraftToken { return engine.DraftToken{ID: 1, Pos: pos, Hidden: state} }
	ctx := context.Background()
	must(t, d.Run(ctx, []engine.DraftToken{good(0), good(1)}))
	want := slices.Clone(d.Logits(1))
	for name, change := range map[string]func(x *engine.DraftToken){
		"id":       func(x *engine.DraftToken) { x.ID = -1 },
		"high id":  func(x *engine.DraftToken) { x.ID = math.MaxInt32 },
		"sequence": func(x *engine.DraftToken) { x.Seq = 1 },
		"negative": func(x *engine.DraftToken) { x.Seq = -1 },
		"position": func(x *engine.DraftToken) { x.Pos = 2 },
		"highest":  func(x *engine.DraftToken) { x.Pos = math.MaxInt32 },
		"state":    func(x *engine.DraftToken) { x.Hidden = state[1:] },
		"none":     func(x *engine.DraftToken) { x.Hidden = nil },
	} {
		bad := good(3)
		change(&bad)
		var wrong *engine.TokenError
		if err := d.Run(ctx, []engine.DraftToken{good(2), bad}); !errors.As(err, &wrong) || wrong.Index != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := d.Run(ctx, nil); !errors.Is(err, engine.ErrBatch) {
		t.Errorf("an empty batch: %v", err)
	}
	var many []engine.DraftToken
	for pos := int32(2); pos < 41; pos++ {
		many = append(many, good(pos))
	}
	var full *kv.FullError
	if err := d.Run(ctx, many); !errors.As(err, &full) || full.Free != 38 {
		t.Errorf("more than there is room for: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := d.Run(gone, many[:20]); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run: %v", err)
	}
	must(t, d.Truncate(0, 1))
	must(t, d.Run(ctx, []engine.DraftToken{good(1)}))
	near(t, "after all of these", [][]float32{d.Logits(0)}, [][]float32{want}, tolerance)
	if err := d.Truncate(1, 0); err == nil {
		t.Error("a sequence that is not was truncated")
	}
}

// Steps of a draft, and the tokens that it is fed, allocate nothing once their shapes have been met.
func TestOwnDraftAllocatesNothing(t *testing.T) {
	f := ownModel(t)
	opt := ownOptions
	opt.Context = 1024
	e := open(t, f, opt)
	d := openOwn(t, f, e.Engine, engine.DraftOptions{})
	state := make([]float32, d.HiddenWidth())
	var batch []engine.DraftToken
	for pos := range int32(100) {
		batch = append(batch, engine.DraftToken{ID: pos, Pos: pos, Hidden: state, Feed: true})
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	must(t, d.Run(ctx, batch))
	batch = batch[:3]
	batch[2].Feed = false
	step := func() {
		for i := range batch {
			batch[i].Pos = 100 + int32(i)
		}
		if d.Run(ctx, batch) != nil || d.Truncate(0, 100) != nil {
			t.Fatal("a step failed")
		}
		_, _ = d.Logits(0), d.Hidden(0)
	}
	step()
	if per := testing.AllocsPerRun(20, step); per != 0 {
		t.Errorf("%v allocations", per)
	}
}
