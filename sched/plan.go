package sched

import (
	"encoding/json"
	"reflect"
	"regexp"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// Options steers placement. The zero Options lets nodes follow their weights, caches and sources.
type Options struct {
	// Layers names the preferred device of each model layer. A layer beyond its end, or with an empty
	// name, prefers none, and neither does a node without a layer.
	Layers []string
	// Pins names the device of some nodes. The first pin that matches counts, and one that cannot be
	// fulfilled is a *PlacementError.
	Pins []Pin
	// WeightPins name the device of the nodes that read some weights: where a user has put them. The
	// first whose pattern matches a weight's name counts, and one that cannot be fulfilled is a
	// *PlacementError: without it the scheduler would copy such a weight elsewhere in each run.
	WeightPins []Pin
	// KeepInputs keeps the memory of inputs to the end of a run, so that what is written once serves
	// several runs. Without it inputs are written before each run.
	KeepInputs bool
	// Reproducible asks devices for results that do not depend on what is beside them in a batch; see
	// backends.Subgraph. Each device is then a backends.Reproducer.
	Reproducible bool
	// NoFusion are the fusions that are turned off: what they would take together runs node by node.
	NoFusion []backends.Fusion
}

// Pin says where nodes run whose name matches, or that read weights whose name does.
type Pin struct {
	Pattern *regexp.Regexp
	Device  string
}

// Plan says where each node of a graph runs, and why, what is copied, and what memory it takes.
// It is not changed after NewPlan.
type Plan struct {
	Nodes  []Placement `json:"nodes"`  // in the order of the graph
	Splits []Split     `json:"splits"` // in the order in which they run
	// Groups are the nodes that are fused, and Unfused those that would fit a fusion of their device and
	// are not, with the reason. What a group has taken fits no other.
	Groups  []Group `json:"groups,omitempty"`
	Unfused []Group `json:"unfused,omitempty"`
	Slots   []Slot  `json:"slots"`  // as Placement.Slot and Copy.Slot number them
	Memory  []Arena `json:"memory"` // of each kind of memory that the plan takes
	Copied  int64   `json:"copied"` // bytes copied between devices, each run
	// Written is how many bytes of inputs the caller writes: what several devices read counts for each,
	// because it is written to each, and not copied from one to the next.
	Written int64 `json:"written"`

	graph      *tensor.Graph
	devices    []backends.Device
	layout     layout
	keepInputs bool

	reproducible bool
}

// Placement is where one node runs.
type Placement struct {
	Node    string    `json:"node"`
	Op      string    `json:"op"`
	Device  string    `json:"device"`
	Reason  Reason    `json:"reason"`
	Refused []Refusal `json:"refused,omitempty"` // by the devices that would have been better
	// Slot is the place of the result in Plan.Slots, or -1 if it lies in another tensor, has no elements,
	// or is not stored because it is used inside a group alone.
	Slot    int  `json:"slot"`
	InPlace bool `json:"inPlace,omitempty"` // the result takes its source's slot over
}

// Split is a run of nodes on one device.
type Split struct {
	Device string `json:"device"`
	From   int    `json:"from"` // the first node
	To     int    `json:"to"`   // after the last node
	// Waits are the devices whose earlier work must be done before this split starts, because both
	// use the same memory.
	Waits  []string `json:"waits,omitempty"`
	Copies []Copy   `json:"copies,omitempty"` // made before the split
}

// Copy is one copy before a split: the bytes of a tensor, or of the part of it that the split reads.
type Copy struct {
	Tensor string `json:"tensor"`
	From   string `json:"from"` // owner of the memory that is read
	To     string `json:"to"`   // device
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes"`
	Slot   int    `json:"slot"` // in Plan.Slots, where the copy lies
	// After is how many of the split's Waits are over when the copy is made; the devices of the others
	// still compute.
	After int `json:"after"`
}

// Slot is a piece of memory for a part of the run. Two slots may share bytes if their times do not
// overlap.
type Slot struct {
	Tensor string `json:"tensor"` // the first that lies in it
	Use    string `json:"use"`    // "input", "node" or "copy"
	Device string `json:"device"`
	Buffer int    `json:"buffer"` // which of the arena's buffers
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes"`
	From   int    `json:"from"` // the node before which it is written, -1 for an input
	To     int    `json:"to"`   // the last node that uses it; the number of nodes if it is read after the run
}

// Arena is the memory that a plan takes of one type.
type Arena struct {
	Device     string  `json:"device"`
	BufferType string  `json:"bufferType"`
	Bytes      int64   `json:"bytes"`
	Buffers    []int64 `json:"buffers"` // the bytes of each buffer
	// LargestLive is the most bytes that are in use at a time. No plan takes fewer.
	LargestLive int64 `json:"largestLive"`
}

// Ratio returns Bytes over LargestLive: 1 is the least that is possible.
func (a Arena) Ratio() float64 {
	if a.LargestLive == 0 {
		return 1
	}
	return float64(a.Bytes) / float64(a.LargestLive)
}

// MarshalJSON writes the ratio as well.
func (a Arena) MarshalJSON() ([]byte, error) {
	type plain Arena
	return json.Marshal(struct {
		plain
		Ratio float64 `json:"ratio"`
	}{plain(a), a.Ratio()})
}

// layout is what an Exec needs of a plan: places as numbers.
type layout struct {
	roots  []place
	ids    map[*tensor.Tensor]int32 // of roots
	types  []buffer.Type
	splits []splitLayout
	moves  map[int32][]move
	more   map[int32][]int32 // slots of inputs that they are written to beside place.first
	arenas []int32           // the type of each of Plan.Memory
	slots  []slot
}

// place is where a root lies. A root is a tensor with memory of its own: a leaf, or a node that is no
// view.
type place struct {
	t     *tensor.Tensor
	first int32 // slot in which it begins, or -1
	last  int32 // slot in which it ends: another if an update moved it
	input int32 // number among the inputs that have a slot, or -1
	keep  bool  // it can be read after the run
	inner bool  // of a group: it lies nowhere
}

// move says that a root that an update has moved lies in slot from the given split on.
type move struct{ split, slot int32 }

type splitLayout struct {
	dev    int32
	waits  []int32
	copies []copyLayout
	local  []local
	groups []backends.Group // counted from the split's first node
}

// copyLayout is a copy of bytes lo to hi of a root, out of slot from (or its bound memory, if that is
// -1) into slot to.
type copyLayout struct {
	root, from, to int32
	lo, hi         int64
	after          int32 // as Copy.After
}

// local says that a split finds bytes lo to hi of a root in a slot that holds a copy.
type local struct {
	root, slot int32
	lo, hi     int64
}

// NewPlan plans g on devices, which stand in the order of preference. Weights and caches must be
// bound; inputs and results get memory of the device that first uses them.
//
// Errors: *PlacementError, *TooLargeError, a tensor.ErrBind for a weight or cache without memory, a
// backends.ErrNoDevice for options that name a device which is not there, a *tensor.GraphError.
func NewPlan(g *tensor.Graph, devices []backends.Device, opt Options) (*Plan, error) {
	p, err := newPlanner(g, devices, opt)
	if err != nil {
		return nil, err
	}
	if err := p.collect(); err != nil {
		return nil, err
	}
	if err := p.place(); err != nil {
		return nil, err
	}
	p.fuse()
	p.cut()
	if err := p.allocate(); err != nil {
		return nil, err
	}
	return p.plan(), nil
}

// Equal reports whether p and q place and lay out everything alike.
func (p *Plan) Equal(q *Plan) bool {
	return p.Copied == q.Copied && p.Written == q.Written && reflect.DeepEqual(p.Nodes, q.Nodes) && reflect.DeepEqual(p.Splits, q.Splits) &&
		reflect.DeepEqual(p.Groups, q.Groups) && reflect.DeepEqual(p.Unfused, q.Unfused) && reflect.DeepEqual(p.Slots, q.Slots) && reflect.DeepEqual(p.Memory, q.Memory)
}

// Graph returns the graph that p plans.
func (p *Plan) Graph() *tensor.Graph { return p.graph }
