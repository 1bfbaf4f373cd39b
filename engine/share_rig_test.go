package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/gguf"
	"github.com/tenon-go/tenon/internal/tinymodel"
	"github.com/tenon-go/tenon/kv"
	"github.com/tenon-go/tenon/sched"
)

// pair is a target and a draft that reads its cache, and what they say on one device.
type pair struct {
	target, draft *gguf.File
	text          []int32
	alone         *session

	// fault, if it is there, is called before each run of the draft. A run that fails is tried again.
	fault  func()
	failed int // runs
}

// newPair writes the models and runs them on one CPU device.
func newPair(t testing.TB, target, draft tinymodel.Config, opt engine.Options) *pair {
	t.Helper()
	target = tinymodel.SharedTarget(target)
	p := &pair{target: parse(t, target), draft: parse(t, tinymodel.SharedDraft(draft, target)), text: ids(11, 40)}
	opt.Devices, opt.Sequences = []backends.Device{newCPU(t, "alone", 0)}, 2
	e := open(t, p.target, opt)
	d, err := engine.NewDraft(p.draft, e.Engine, engine.DraftOptions{})
	must(t, err)
	p.alone = p.run(t, e.Engine, d)
	must(t, d.Close())
	if len(p.alone.rows) == 0 || p.alone.copied != nil {
		t.Fatal("one device does not do what it should")
	}
	return p
}

// session is what a target and its draft say when they are taken through a text.
type session struct {
	rows   [][]float32 // logits of target and draft, and the draft's hidden states
	copied []int64     // bytes that each step of the draft copies that copies any
}

// sessionSteps are how many tokens the target takes before the draft runs, and how many of these are
// taken back again, as guesses are that were wrong.
var sessionSteps = []struct{ take, back int }{{14, 0}, {1, 0}, {4, 2}, {3, 3}, {2, 0}}

// run takes the target through the text, and the draft two steps further after each step; then two
// sequences at a time, and on after the first tokens were dropped and the others moved down.
func (p *pair) run(t testing.TB, e *engine.Engine, d *engine.Draft) *session {
	t.Helper()
	r := &runner{t, p, e, d, &session{}}
	pos := 0
	var hidden []float32
	for _, step := range sessionSteps {
		kept := step.take - step.back
		hidden = r.target(tokens(0, int32(pos), p.text[pos:pos+step.take]))[max(kept, 1)-1]
		pos += kept
		if step.back > 0 {
			must(t, e.Cache().Remove(0, pos, -1))
		}
		for k := range 2 {
			hidden = r.step(engine.DraftToken{ID: p.text[pos+k], Pos: int32(pos), Hidden: hidden})[0]
		}
	}
	must(t, e.Cache().CopySeq(0, 1, -1, -1))
	both := r.target(append(tokens(1, int32(pos), p.text[:2]), tokens(0, int32(pos), p.text[5:6])...))
	both = r.step(
		engine.DraftToken{ID: 7, Pos: int32(pos + 2), Seq: 1, Hidden: both[1]},
		engine.DraftToken{ID: 8, Pos: int32(pos + 1), Seq: 0, Hidden: both[2]},
	)
	must(t, errors.Join(e.Cache().Keep(0), e.Cache().Remove(0, 0, 5), e.Cache().Add(0, 5, -1, -5)))
	r.step(engine.DraftToken{ID: 9, Pos: int32(pos - 4), Hidden: both[1]})
	return r.session
}

// runner keeps what a target and its draft say.
type runner struct {
	t testing.TB
	p *pair
	e *engine.Engine
	d *engine.Draft
	*session
}

func (r *runner) keep(row []float32) []float32 {
	row = slices.Clone(row)
	r.rows = append(r.rows, row)
	return row
}

// target takes tokens through the target and returns their hidden states.
func (r *runner) target(tokens []engine.Token) (hidden [][]float32) {
	r.t.Helper()
	must(r.t, r.e.DecodeHidden(context.Background(), tokens, false))
	for i := range r.e.Outputs() {
		r.keep(r.e.Logits(i))
		hidden = append(hidden, slices.Clone(r.e.Hidden(i)))
	}
	return hidden
}

// step takes tokens through the draft and returns what it gives for its next step.
func (r *runner) step(tokens ...engine.DraftToken) (hidden [][]float32) {
	r.t.Helper()
	if r.p.fault != nil {
		r.p.fault()
	}
	before := r.d.Stats().Copied
	err := r.d.Run(context.Background(), tokens)
	if errors.Is(err, sim.ErrInjected) {
		r.p.failed++
		err = r.d.Run(context.Background(), tokens)
	}
	must(r.t, err)
	if n := r.d.Stats().Copied - before; n > 0 {
		r.copied = append(r.copied, n)
	}
	for i := range tokens {
		r.keep(r.d.Logits(i))
		hidden = append(hidden, r.keep(r.d.Hidden(i)))
	}
	return hidden
}

// machine is a set of simulated devices that one CPU device computes for.
type machine struct {
	*sim.Machine
	t testing.TB
}

func newMachine(t testing.TB, inner *cpu.Device, configs ...sim.Config) *machine {
	t.Helper()
	for i := range configs {
		configs[i].CPU = inner
	}
	m, err := sim.NewMachine(configs...)
	must(t, err)
	t.Cleanup(func() {
		for _, d := range m.Devices() {
			if s := d.Stats(); s.Live != 0 || s.Buffers != 0 || s.Programs != 0 {
				t.Errorf("%s: %d bytes, %d buffers and %d programs are left", d.Config().Name, s.Live, s.Buffers, s.Programs)
			}
		}
		must(t, m.Close())
	})
	return &machine{m, t}
}

// named returns the devices of the given names, or nil for none.
func (m *machine) named(names []string) []backends.Device {
	var all []backends.Device
	for _, n := range names {
		d := m.Device(n)
		if d == nil {
			m.t.Fatalf("there is no device %q", n)
		}
		all = append(all, d)
	}
	return all
}

// footprint is what was ever made on the devices of a machine.
type footprint struct{ allocs, buffers, compiles, writes int64 }

func (m *machine) footprint() (f footprint) {
	for _, d := range m.Devices() {
		s := d.Stats()
		f.allocs += s.Allocs
		f.buffers += s.Buffers
		f.compiles += s.Compiles
		f.writes += s.Writes.N
	}
	return f
}

// mustRefuse opens a draft that cannot be, and returns why: before anything is made on any device, and
// with the target as it was.
func (m *machine) mustRefuse(t testing.TB, p *pair, e *engine.Engine, opt engine.DraftOptions) *kv.ShareError {
	t.Helper()
	before := m.footprint()
	d, err := engine.NewDraft(p.draft, e, opt)
	if err == nil {
		t.Fatalf("the draft was opened: %v", d.Close())
	}
	var refused *kv.ShareError
	if !errors.As(err, &refused) || !errors.Is(err, kv.ErrShare) || errors.Is(err, sched.ErrPlacement) {
		t.Fatalf("%v, want a ShareError", err)
	}
	if after := m.footprint(); after != before {
		t.Errorf("a draft that was refused has left its marks: %+v, before %+v", after, before)
	}
	return refused
}

// mustEqual runs target and draft and compares with one device, bit for bit.
func (p *pair) mustEqual(t testing.TB, e *engine.Engine, opt engine.DraftOptions) *session {
	t.Helper()
	d, err := engine.NewDraft(p.draft, e, opt)
	must(t, err)
	got := p.run(t, e, d)
	for i, want := range p.alone.rows {
		if !slices.Equal(got.rows[i], want) {
			t.Fatalf("row %d of %d differs from that of one device, by %.3g", i, len(p.alone.rows), distance(t, got.rows[i:i+1], p.alone.rows[i:i+1]))
		}
	}
	var lent *kv.BorrowedError
	if err := e.Close(); !errors.As(err, &lent) {
		t.Errorf("closing a target that is read: %v", err)
	}
	must(t, d.Close())
	e.Cache().Clear()
	return got
}
