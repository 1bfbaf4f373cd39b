//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/tensor"
)

// profileFile is the environment variable that switches profiling on and names a file, which is written anew each
// time that a program is closed.
const profileFile = "TENON_VULKAN_PROFILE"

// KernelTime says how long the dispatches of a kernel over tensors of one kind took.
type KernelTime struct {
	Kernel string // shader, op, types and shapes
	Runs   int
	Total  time.Duration
}

// profile adds times up. Barriers stand between all dispatches then, so that each has its own.
type profile struct {
	mu      sync.Mutex
	kernels map[string]*KernelTime
	file    string
}

// timedPiece are the time stamps of a command buffer: before its first dispatch, and behind each.
type timedPiece struct {
	q      *vk.Queries
	labels []string
}

// Profile returns where time went, the most first. It is empty unless Options.Profile or the environment variable
// TENON_VULKAN_PROFILE is set.
func (d *Device) Profile() []KernelTime {
	if d.profile == nil {
		return nil
	}
	d.profile.mu.Lock()
	defer d.profile.mu.Unlock()
	var all []KernelTime
	for _, k := range d.profile.kernels {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b KernelTime) int { return cmp.Compare(b.Total, a.Total) })
	return all
}

// kernelLabel names what a dispatch computes.
func kernelLabel(shader string, n *tensor.Tensor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", shader, n.Op.Kind())
	for _, s := range n.Src {
		if s != nil {
			fmt.Fprintf(&b, " %s%v", s.Type, s.Shape)
		}
	}
	return b.String()
}

// time begins the time stamps of a piece.
func (p *program) time(c *vk.Commands, steps []step) error {
	q, err := p.s.vk.NewQueries(len(steps) + 1)
	if err != nil {
		return p.s.failed("making time stamps", err)
	}
	t := timedPiece{q: q}
	for i := range steps {
		t.labels = append(t.labels, kernelLabel(steps[i].shader, steps[i].node))
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
	d := p.s.dev.profile
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range p.timed {
		at, err := p.s.vk.Results(t.q)
		if err != nil {
			return // it is only a profile
		}
		for i, label := range t.labels {
			k := d.kernels[label]
			if k == nil {
				k = &KernelTime{Kernel: label}
				d.kernels[label] = k
			}
			k.Runs++
			k.Total += time.Duration(at[i+1] - at[i])
		}
	}
}

// endTiming frees the time stamps, and writes the file.
func (p *program) endTiming() {
	for _, t := range p.timed {
		p.s.vk.DestroyQueries(t.q)
	}
	p.timed = nil
	if p.s.dev.profile.file == "" {
		return
	}
	var b strings.Builder
	all := p.s.dev.Profile()
	var sum time.Duration
	for _, k := range all {
		sum += k.Total
	}
	for _, k := range all {
		fmt.Fprintf(&b, "%5.1f %% %12v %8d runs %12v each  %s\n", 100*float64(k.Total)/float64(max(sum, 1)), k.Total.Round(time.Microsecond),
			k.Runs, (k.Total / time.Duration(k.Runs)).Round(10*time.Nanosecond), k.Kernel)
	}
	_ = os.WriteFile(p.s.dev.profile.file, []byte(b.String()), 0o644) // it is only a profile
}
