package sim

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/cpu"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// ErrConfig is matched by the error of a Config or a Fault that makes no sense.
var ErrConfig = errors.New("cannot be simulated")

// Config describes a device. Only Name is needed; the zero value of everything else is a device with
// memory of its own that the host cannot address, that runs every op, and whose time costs nothing.
type Config struct {
	Name        string // of the device and its default memory, such as "Vulkan0"
	Backend     string // Name without the digits at its end, if empty
	Description string
	Kind        backends.DeviceKind // its zero value is a CPU
	PhysicalID  string              // equal for one card behind two APIs
	Driver      string

	// Memory is how many bytes the default memory has, 0 for no limit. Shared says that they are the
	// card's: devices of one Machine with this set and the same PhysicalID take from the same bytes.
	Memory int64
	Shared bool
	// MaxBuffer is the greatest size of one buffer in bytes, 0 for no limit but Memory.
	MaxBuffer int64
	// Alignment is where tensors may start, in bytes: a power of two from 8 on; 64 if 0.
	Alignment int
	// Mapped says that the host can address the default memory.
	Mapped bool
	// Types are further kinds of memory that the device owns, such as host memory that it can read.
	Types []MemoryType
	// Reads names the devices whose memory it can use where it lies: simulated ones, and CPU devices.
	Reads []string
	// Import says that it can use memory of the host where it lies, through buffer.Import.
	Import bool
	// Heap puts memory on the Go heap, where the race detector watches it.
	Heap bool
	// PlanOnly makes memory that has a size and no bytes, so that machines can be planned for that are
	// larger than this one. What is written to it is dropped; to read it, or to run a program with
	// nodes, is ErrPlanOnly.
	PlanOnly bool

	// Rules say what the device supports; the first that matches a node counts. A node that no rule
	// matches is supported if the CPU backend supports it.
	Rules []Rule
	// Support is asked after Rules, if it is there, and returns why the device cannot run n, or "". It
	// is no part of the text form.
	Support func(n *tensor.Tensor) string

	// Submit says when submitted work is done.
	Submit SubmitMode
	// Threads is the number of CPU threads that compute, 1 if 0. With one, a device takes no
	// goroutines but the one of Async.
	Threads int
	// CPU computes instead of threads of its own, if it is there, and stays open: many devices can
	// share one. It is no part of the text form.
	CPU *cpu.Device

	// CopyLatency and CopyBandwidth, in bytes per second, are the cost of each copy between the device
	// and anywhere else; SubmitLatency and MemoryBandwidth that of each submit, by the bytes that its
	// nodes read and write. A bandwidth of 0 is infinite.
	CopyLatency     time.Duration
	CopyBandwidth   int64
	SubmitLatency   time.Duration
	MemoryBandwidth int64
	// Clock is where the cost is counted; the device has a virtual one of its own if it is nil. It is
	// no part of the text form.
	Clock *Clock

	// Seed chooses what a corrupted copy and a racing write hit.
	Seed uint64
	// Faults are injected when the device is made.
	Faults []Fault
}

// MemoryType is a kind of memory beside the default one. It is owned by the same device.
type MemoryType struct {
	Name      string // after the device's and a dot: "host" is "Vulkan0.host"
	Memory    int64  // in bytes, 0 for no limit
	MaxBuffer int64  // in bytes, 0 for no limit but Memory
	Alignment int    // in bytes, as Config.Alignment
	Mapped    bool   // the host can address it
}

// Rule allows or refuses some nodes.
type Rule struct {
	Allow bool
	// Ops are names of op kinds, such as "MatMul", and of fusions, such as "RMSNorm+Mul"; without any, the
	// rule is about all ops. A fusion that is allowed by name, and for which the CPU backend has no kernel,
	// runs node by node in memory that is not the device's own.
	Ops []string
	// Types narrows the rule: one that refuses matches a node of which a source or the result has one
	// of these types, one that allows a node of which all have.
	Types []tensor.DType
	// Reason is what the device says when it refuses.
	Reason string
}

// SubmitMode says when submitted work is done.
type SubmitMode uint8

// The modes. A scheduler that forgets to wait gets right results from Sync, wrong ones now and then from
// Async, and wrong ones each time from Deferred.
const (
	Sync     SubmitMode = iota // when Submit returns
	Async                      // some time later, on a goroutine
	Deferred                   // when somebody waits for it or copies from or to the device's buffers
)

// String returns the mode in lower case.
func (m SubmitMode) String() string {
	if m > Deferred {
		return fmt.Sprintf("SubmitMode(%d)", uint8(m))
	}
	return [...]string{"sync", "async", "deferred"}[m]
}

// check fills in what is left empty and reports what cannot be.
func (c *Config) check() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("sim: device %q %w: %s", c.Name, ErrConfig, fmt.Sprintf(format, a...))
	}
	if c.Name == "" {
		return bad("it has no name")
	}
	if c.Backend == "" {
		c.Backend = backendOf(c.Name)
	}
	if c.Alignment == 0 {
		c.Alignment = buffer.HostAlignment
	}
	if c.Shared && c.PhysicalID == "" {
		return bad("it shares the memory of a card without a physical id")
	}
	if c.Threads < 0 || c.CopyLatency < 0 || c.CopyBandwidth < 0 || c.SubmitLatency < 0 || c.MemoryBandwidth < 0 {
		return bad("a number of threads, latency or bandwidth is negative")
	}
	if c.Kind > backends.IntegratedGPU {
		return bad("its kind is %s", c.Kind)
	}
	if c.Submit > Deferred {
		return bad("its mode of submitting is %s", c.Submit)
	}
	names := map[string]bool{}
	for _, t := range append([]MemoryType{{Memory: c.Memory, MaxBuffer: c.MaxBuffer, Alignment: c.Alignment}}, c.Types...) {
		if names[t.Name] {
			return bad("two kinds of memory are called %q", t.Name)
		}
		names[t.Name] = true
		if t.Memory < 0 || t.MaxBuffer < 0 {
			return bad("a size of %s is negative", t.label(c.Name))
		}
		if t.Alignment != 0 && (t.Alignment < 8 || bits.OnesCount(uint(t.Alignment)) != 1) {
			return bad("the alignment of %s is %d, want a power of two from 8 on", t.label(c.Name), t.Alignment)
		}
	}
	for _, r := range c.Rules {
		if err := r.check(); err != nil {
			return bad("%v", err)
		}
	}
	return nil
}

// label returns the full name of memory t of the given device.
func (t *MemoryType) label(device string) string {
	if t.Name == "" {
		return device
	}
	return device + "." + t.Name
}

// backendOf returns name without the digits at its end, or name itself if it is nothing else.
func backendOf(name string) string {
	if b := strings.TrimRight(name, "0123456789"); b != "" {
		return b
	}
	return name
}
