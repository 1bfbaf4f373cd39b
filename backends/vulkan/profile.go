//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
)

// profileFile is the environment variable that switches profiling on and names a file, which is written anew each
// time that a program is closed.
const profileFile = "TENON_VULKAN_PROFILE"

// timedPiece are the time stamps of a command buffer: before its first dispatch, and behind each. Barriers stand between all dispatches
// then, so that each has its own.
type timedPiece struct {
	q      *vk.Queries
	labels []string
}

// Profile returns where time went, the most first. It is empty unless Options.Profile or the environment variable
// TENON_VULKAN_PROFILE is set.
func (d *Device) Profile() []backends.KernelTime { return d.profile.Times() }

var _ backends.Profiler = (*Device)(nil)

// time begins the time stamps of a piece.
func (p *program) time(c *vk.Commands, steps []step) error {
	q, err := p.s.vk.NewQueries(len(steps) + 1)
	if err != nil {
		return p.s.failed("making time stamps", err)
	}
	t := timedPiece{q: q}
	for i := range steps {
		t.labels = append(t.labels, backends.KernelLabel(steps[i].shader, steps[i].node))
	}
	p.timed = append(p.timed, t)
	p.stamp(c, 0)
	return nil
}

// stamp adds time stamp i of the last piece, if there is one.
func (p *program) stamp(c *vk.Commands, i int) {
	if p.timed != nil {
		c.Time(p.timed[len(p.timed)-1].q, i)
	}
}

// account takes the times of a run over.
func (p *program) account() {
	for _, t := range p.timed {
		at, err := p.s.vk.Results(t.q)
		if err != nil {
			return // it is only a profile
		}
		for i, label := range t.labels {
			p.s.dev.profile.Add(label, time.Duration(at[i+1]-at[i]))
		}
	}
}

// endTiming frees the time stamps, and writes the file.
func (p *program) endTiming() {
	for _, t := range p.timed {
		p.s.vk.DestroyQueries(t.q)
	}
	p.timed = nil
	_ = p.s.dev.profile.Flush() // it is only a profile
}
