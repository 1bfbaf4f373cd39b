// Package backends is the contract that a compute backend fulfils, and the registry of those that are
// linked in. It holds no implementation.
//
// A backend offers Devices. A device says which memory it owns and can use, and which ops it supports;
// it never says "yes" to what it cannot run. A Fuser says which groups of nodes it runs as one kernel, too. The scheduler asks before anything is allocated and hands
// each device a Subgraph to compile. All methods may be called concurrently, except that a Program is
// submitted by one goroutine at a time.
package backends

import (
	"context"
	"errors"
	"fmt"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// What can go wrong on a device. Errors of backends match one of these, or one of package buffer's.
var (
	ErrUnsupported = errors.New("not supported")
	ErrDeviceLost  = errors.New("device is lost")
	ErrIndex       = errors.New("index outside its tensor")
	ErrNoDevice    = errors.New("no such device")
)

// DeviceKind says what a device is made of.
type DeviceKind uint8

// The kinds of device.
const (
	CPU           DeviceKind = iota
	GPU                      // with memory of its own
	IntegratedGPU            // shares the host's memory
)

// String returns the kind in lower case.
func (k DeviceKind) String() string {
	if k > IntegratedGPU {
		return fmt.Sprintf("DeviceKind(%d)", uint8(k))
	}
	return [...]string{"cpu", "gpu", "integrated gpu"}[k]
}

// Info describes a device for people and for placement.
type Info struct {
	Owner       buffer.Owner // its Device is the name that users say, such as "Vulkan0"
	Description string       // such as the name of the processor or card
	Kind        DeviceKind
	MemoryTotal int64  // in bytes, 0 if unknown
	MemoryFree  int64  // in bytes, at the time of the call; 0 if unknown
	PhysicalID  string // a PCI address such as "0000:01:00.0" or what else is equal for one card behind two APIs; empty if unknown
	Driver      string // name and version
	Features    []string
}

// Device is one device of a backend.
type Device interface {
	Info() Info
	// BufferTypes returns the memory that the device owns, at least one type; the first is the default,
	// and the one that a KV cache uses. The values are the same at each call.
	BufferTypes() []buffer.Type
	// CanUse reports whether ops on this device can read and write memory of type t where it lies. It
	// holds for every type that the device owns.
	CanUse(t buffer.Type) bool
	// Supports returns nil if the device can run n, with sources and result of these types, shapes and
	// strides in memory that it can use. Otherwise it returns a *UnsupportedError with the device's name
	// and a reason; so it does for a Kind that it does not know, because ops are added later.
	Supports(n *tensor.Tensor) error
	// Compile prepares nodes for running. It fails if a node is not supported, or if the place of a tensor
	// with elements cannot be used: it has no buffer, a buffer of memory that CanUse refuses, or one that
	// ends before the tensor does. What is inner in a Group needs no place.
	Compile(g *Subgraph) (Program, error)
	// Close frees what the device holds. Its buffers and programs are closed before.
	Close() error
}

// Subgraph is what a device compiles: nodes in order, and where their tensors lie.
type Subgraph struct {
	Nodes []*tensor.Tensor
	// Groups are the parts of Nodes that run as one kernel each, in order and apart from each other. Only a
	// Fuser gets any, and of these only such as it Fuses.
	Groups []Group
	// Place returns where t begins, for each node, source and base of Nodes. Views are resolved: the
	// offset is t's own. It is the zero Storage for a tensor without elements, and for what is inner in a
	// Group.
	Place func(t *tensor.Tensor) tensor.Storage
	// Reproducible asks that what is computed for a token has the same bits whatever other tokens are beside
	// it, and however many. Only a Reproducer is asked.
	Reproducible bool
}

// Reproducer is a Device that compiles Subgraphs that are to be Reproducible.
type Reproducer interface {
	Device
	// Reproduces reports whether it does.
	Reproduces() bool
}

// Program is a compiled Subgraph, to be submitted many times.
type Program interface {
	// Submit runs the nodes in order. It may return before they are done: the device then runs what is
	// submitted later, and copies from and to its buffers, after them; an error that shows itself late
	// is returned by the next Submit or Wait. A cancelled ctx ends the run soon with ctx's error and
	// leaves results undefined; the program can be submitted again. No call allocates on the Go heap.
	//
	// The same inputs give the same bytes each time. Sources, and memory between and behind tensors, stay
	// as they were. An index outside its tensor ends the run with an error that matches ErrIndex; nothing
	// is read or written there, and the program works again once the index is right.
	Submit(ctx context.Context) error
	// Wait returns when everything submitted is done. Once it has returned, nothing more is written.
	Wait(ctx context.Context) error
	// Close frees the program; it is not submitted again.
	Close() error
}

// UnsupportedError says why a device cannot run a node, or a group. It matches ErrUnsupported.
type UnsupportedError struct {
	Device string
	Node   string // the node's name, or that of the group's last
	Op     tensor.Kind
	Fusion string // the group's, or empty for a node
	Reason string // which type, shape or limit
}

// Error returns one line.
func (e *UnsupportedError) Error() string {
	if e.Fusion != "" {
		return fmt.Sprintf("%s cannot fuse %s (%s): %s", e.Device, e.Fusion, e.Node, e.Reason)
	}
	return fmt.Sprintf("%s cannot run %s (%s): %s", e.Device, e.Op, e.Node, e.Reason)
}

// Unwrap returns ErrUnsupported.
func (e *UnsupportedError) Unwrap() error { return ErrUnsupported }

// IndexError says which row an op was asked for that its tensor does not have. It matches ErrIndex.
type IndexError struct {
	Node  string
	Op    tensor.Kind
	Index int64
	Rows  int
}

// Error returns one line.
func (e *IndexError) Error() string {
	return fmt.Sprintf("backends: %s (%s): index %d of %d rows", e.Op, e.Node, e.Index, e.Rows)
}

// Unwrap returns ErrIndex.
func (e *IndexError) Unwrap() error { return ErrIndex }
