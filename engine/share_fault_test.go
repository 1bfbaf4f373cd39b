package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/sim"
	"github.com/tenon-go/tenon/engine"
	"github.com/tenon-go/tenon/internal/tinymodel"
)

// faultRig is a target on Vulkan0 and a draft that is to run on ROCm0, whose memory nobody else can use.
func faultRig(t *testing.T) (*pair, *machine, *engine.Engine, engine.DraftOptions) {
	inner := newCPU(t, "inner", 0)
	opt := engine.Options{Exact: true, ExactCache: true, Context: 48, Sequences: 2}
	p := newPair(t, tinymodel.Config{Layers: 5}, tinymodel.Config{Embd: 48, Layers: 3}, opt)
	m := newMachine(t, inner, sim.Config{Name: "Vulkan0"}, sim.Config{Name: "ROCm0"}, sim.Config{Name: "CPU", Mapped: true, Import: true})
	opt.Devices, opt.Fallback = m.named([]string{"Vulkan0"}), m.Device("CPU")
	return p, m, open(t, p.target, opt).Engine, engine.DraftOptions{Devices: m.named([]string{"ROCm0"}), Mirror: true}
}

// A draft whose n-th allocation or copy fails is not opened, leaves nothing on its device, and leaves its
// target alone.
func TestDraftThatFailsToOpenLeavesNothing(t *testing.T) {
	p, m, e, opt := faultRig(t)
	rocm := m.Device("ROCm0")
	for name, fault := range map[string]func(n int) sim.Fault{"allocation": sim.FailAlloc, "copy": sim.FailCopy} {
		failed := 0
		for n := 1; ; n++ {
			must(t, rocm.Inject(fault(n)))
			d, err := engine.NewDraft(p.draft, e, opt)
			if err == nil {
				must(t, d.Close())
				break
			}
			failed++
			if !errors.Is(err, sim.ErrInjected) {
				t.Fatalf("%s %d: %v", name, n, err)
			}
			if s := rocm.Stats(); s.Live != 0 || s.Buffers != 0 || s.Programs != 0 {
				t.Fatalf("%s %d: %d bytes, %d buffers and %d programs are left", name, n, s.Live, s.Buffers, s.Programs)
			}
		}
		rocm.Heal()
		t.Logf("%s: calls that fail one after the other: %d", name, failed)
		if failed < 2 {
			t.Errorf("%s: %d calls were needed", name, failed)
		}
	}
	p.mustEqual(t, e, opt)
	p.mustEqual(t, e, engine.DraftOptions{})
}

// A run of the draft that fails at any copy or submit can be tried again: what was not sent to the mirror
// is sent then.
func TestDraftGoesOnAfterAFault(t *testing.T) {
	p, m, e, opt := faultRig(t)
	rocm := m.Device("ROCm0")
	want := p.mustEqual(t, e, opt).copied
	for name, fault := range map[string]func(n int) sim.Fault{"copy": sim.FailCopy, "submit": sim.FailSubmit} {
		p.failed = 0
		for n := 1; n <= 6; n++ {
			p.fault = func() {
				rocm.Heal()
				must(t, rocm.Inject(fault(n)))
			}
			// What is sent in vain is not counted, so that the sums stay.
			if got := p.mustEqual(t, e, opt).copied; !slices.Equal(got, want) {
				t.Errorf("%s %d: the steps copy %v bytes, want %v", name, n, got, want)
			}
			rocm.Heal()
		}
		p.fault = nil
		t.Logf("%s: %d runs failed", name, p.failed)
		if p.failed < 5 {
			t.Errorf("%s: %d runs failed", name, p.failed)
		}
	}
}

// A lost device of the draft's is an error of the draft: the target goes on, and can be closed after it.
func TestLostDraftDevice(t *testing.T) {
	p, m, e, opt := faultRig(t)
	d, err := engine.NewDraft(p.draft, e, opt)
	must(t, err)
	ctx := context.Background()
	must(t, e.DecodeHidden(ctx, tokens(0, 0, p.text[:4]), false))
	token := []engine.DraftToken{{ID: p.text[4], Pos: 4, Hidden: slices.Clone(e.Hidden(3))}}
	must(t, d.Run(ctx, token))
	m.Device("ROCm0").Lose()
	if err := d.Run(ctx, token); !errors.Is(err, backends.ErrDeviceLost) {
		t.Errorf("Run on a lost device: %v", err)
	}
	must(t, e.Decode(ctx, tokens(0, 4, p.text[4:6])))
	if err := d.Close(); err != nil && !errors.Is(err, backends.ErrDeviceLost) {
		t.Error(err)
	}
	e.Cache().Clear()
	p.mustEqual(t, e, engine.DraftOptions{})
}
