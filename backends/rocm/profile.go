//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"errors"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/rocm/internal/hip"
)

// profileFile is the environment variable that switches profiling on and names a file, which is written anew each time that a program is
// closed.
const profileFile = "TENON_ROCM_PROFILE"

// timing are the events of a program that is profiled: before its first launch, and behind each. Its launches are submitted one by one.
type timing struct {
	events []hip.Event
	labels []string
}

// Profile returns where time went, the most first. It is empty unless Options.Profile or the environment variable
// TENON_ROCM_PROFILE is set.
func (d *Device) Profile() []backends.KernelTime { return d.profile.Times() }

var _ backends.Profiler = (*Device)(nil)

// time makes the events.
func (p *program) time(steps []step) error {
	p.timing = &timing{}
	t := p.timing
	for i := range steps {
		t.labels = append(t.labels, backends.KernelLabel(steps[i].key.name, steps[i].node))
	}
	return p.s.with("making events", func() error {
		for range len(steps) + 1 {
			e, err := p.s.rt.NewTimedEvent()
			if err != nil {
				return err
			}
			t.events = append(t.events, e)
		}
		return nil
	})
}

// stamp records event i. The device is entered.
func (p *program) stamp(i int) error {
	if p.timing == nil {
		return nil
	}
	return p.s.rt.Record(&p.s.args, p.timing.events[i], p.s.stream)
}

// account takes the times of a run over.
func (p *program) account() {
	t := p.timing
	_ = p.s.with("reading times", func() error { // it is only a profile
		for i, label := range t.labels {
			ms, err := p.s.rt.Elapsed(t.events[i], t.events[i+1])
			if err != nil {
				return err
			}
			p.s.dev.profile.Add(label, time.Duration(float64(ms)*float64(time.Millisecond)))
		}
		return nil
	})
}

// endTiming frees the events, and writes the file.
func (p *program) endTiming() error {
	var errs []error
	for _, e := range p.timing.events {
		errs = append(errs, p.s.rt.DestroyEvent(e))
	}
	p.timing = nil
	_ = p.s.dev.profile.Flush() // it is only a profile
	return errors.Join(errs...)
}
