package backends

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tenon-go/tenon/tensor"
)

// Profiler is a Device that can tell how long its kernels take. That makes programs slower, so it has to be asked for when the device is made: how
// is the backend's to say.
type Profiler interface {
	Device
	// Profile returns where time went, the most first, and nothing unless it was asked for.
	Profile() []KernelTime
}

// KernelTime says how long the launches of a kernel over tensors of one kind took.
type KernelTime struct {
	Kernel string // kernel, op, types and shapes
	Runs   int
	Total  time.Duration
}

// Profile adds up times: what a Profiler is made of. Its methods may be called concurrently; a nil Profile is empty.
type Profile struct {
	mu      sync.Mutex
	kernels map[string]*KernelTime
	file    string
}

// NewProfile returns an empty one. Flush writes it to a file, unless its name is empty.
func NewProfile(file string) *Profile { return &Profile{kernels: map[string]*KernelTime{}, file: file} }

// KernelLabel names what a kernel computes for n.
func KernelLabel(kernel string, n *tensor.Tensor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", kernel, n.Op.Kind())
	for _, s := range n.Src {
		if s != nil {
			fmt.Fprintf(&b, " %s%v", s.Type, s.Shape)
		}
	}
	return b.String()
}

// Add counts a launch that took d.
func (p *Profile) Add(label string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.kernels[label]
	if k == nil {
		k = &KernelTime{Kernel: label}
		p.kernels[label] = k
	}
	k.Runs++
	k.Total += d
}

// Times returns what was added, the most time first.
func (p *Profile) Times() []KernelTime {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []KernelTime
	for _, k := range p.kernels {
		all = append(all, *k)
	}
	slices.SortFunc(all, func(a, b KernelTime) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Kernel, b.Kernel))
	})
	return all
}

// Flush writes the file anew: a line for each kernel, the most time first.
func (p *Profile) Flush() error {
	if p.file == "" {
		return nil
	}
	var b strings.Builder
	all := p.Times()
	var sum time.Duration
	for _, k := range all {
		sum += k.Total
	}
	for _, k := range all {
		fmt.Fprintf(&b, "%5.1f %% %12v %8d runs %12v each  %s\n", 100*float64(k.Total)/float64(max(sum, 1)), k.Total.Round(time.Microsecond),
			k.Runs, (k.Total / time.Duration(k.Runs)).Round(10*time.Nanosecond), k.Kernel)
	}
	return os.WriteFile(p.file, []byte(b.String()), 0o644)
}
