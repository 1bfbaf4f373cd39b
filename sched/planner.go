package sched

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// planner holds what NewPlan works on. Tensors, devices and types are numbers in it, so that the
// passes are loops over slices.
type planner struct {
	g       *tensor.Graph
	opt     Options
	devices []backends.Device
	names   []string // of devices
	layers  []int32  // device of each layer, or -1

	types   []buffer.Type
	typeIDs map[buffer.Type]int32
	use     []bool  // [type*len(devices)+device]: CanUse
	owner   []int32 // device that owns each type, or -1
	arena   []int32 // default type of each device

	roots []root
	ids   map[*tensor.Tensor]int32
	nodes []node
	reads []read // of all nodes, one after the other
	moves map[int32][]move
	more  map[int32][]int32 // slots of inputs that they are written to beside the first

	placed []Placement // what is known of the nodes for Plan.Nodes

	groups  []group
	unfused []Group

	answers []answer // of Supports, [node*len(devices)+device]
	refusal map[int]Refusal

	slots  []slot
	splits []splitLayout
	bounds []int32 // first node of each split, and the number of nodes at the end
	memory []Arena
	arenas []int32 // type of each of memory
}

// root is a tensor with memory of its own.
type root struct {
	t       *tensor.Tensor
	bytes   int64
	typ     int32 // type of the memory it is bound to, or -1
	node    int32 // that computes it, or -1
	last    int32 // last node that uses it, the number of nodes for an output
	written bool  // by an update: a node whose result lies in it
	input   int32
	keep    bool
	inner   bool  // of a group: it has no memory
	pin     int32 // of Options.WeightPins, or -1

	// How far the cut has come.
	first   int32    // slot
	home    int32    // slot that holds the newest bytes, or -1
	version int32    // number of updates so far
	wanted  [2]int32 // the split that last had to copy it, and the order there
}

type node struct {
	t       *tensor.Tensor
	root    int32
	reads   [2]int32 // range in planner.reads
	dev     int32
	update  bool // the result lies in a root that exists already
	free    bool // a cheaper place may be found for it
	inPlace bool
	slot    int32
	group   int32 // or -1
}

// read is the bytes of a root that a node reads.
type read struct {
	root   int32
	lo, hi int64
}

type answer uint8

const (
	unasked answer = iota
	yes
	no
)

func newPlanner(g *tensor.Graph, devices []backends.Device, opt Options) (*planner, error) {
	p := &planner{
		g: g, devices: devices, opt: opt,
		typeIDs: map[buffer.Type]int32{},
		ids:     make(map[*tensor.Tensor]int32, 2*len(g.Nodes)),
		roots:   make([]root, 0, 2*len(g.Nodes)),
		nodes:   make([]node, 0, len(g.Nodes)),
		placed:  make([]Placement, len(g.Nodes)),
		moves:   map[int32][]move{},
		more:    map[int32][]int32{},
		reads:   make([]read, 0, 3*len(g.Nodes)),
		answers: make([]answer, len(g.Nodes)*len(devices)),
		refusal: map[int]Refusal{},
	}
	if len(devices) == 0 {
		return nil, fmt.Errorf("sched: %w: the list of devices is empty", backends.ErrNoDevice)
	}
	for i, d := range devices {
		name := d.Info().Owner.Device
		if j := p.device(name); j >= 0 {
			return nil, fmt.Errorf("sched: devices %d and %d are both called %q", j, i, name)
		}
		p.names = append(p.names, name)
	}
	for _, d := range devices {
		p.arena = append(p.arena, p.typeID(d.BufferTypes()[0]))
	}
	for i, name := range opt.Layers {
		d := p.device(name)
		if d < 0 && name != "" {
			return nil, fmt.Errorf("sched: layer %d: %w: %q; there are %s", i, backends.ErrNoDevice, name, strings.Join(p.names, ", "))
		}
		p.layers = append(p.layers, d)
	}
	for _, pins := range [...][]Pin{opt.Pins, opt.WeightPins} {
		if err := p.checkPins(pins); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// checkPins reports a pin without a pattern or on a device that is not there.
func (p *planner) checkPins(pins []Pin) error {
	for i, pin := range pins {
		if pin.Pattern == nil {
			return fmt.Errorf("sched: pin %d, on %q, has no pattern", i, pin.Device)
		}
		if p.device(pin.Device) < 0 {
			reason := "is not among " + strings.Join(p.names, ", ")
			return &PlacementError{Pin: pin.Pattern.String(), Reasons: []Refusal{{pin.Device, reason, backends.ErrNoDevice}}}
		}
	}
	return nil
}

// device returns the number of the device called name, or -1.
func (p *planner) device(name string) int32 {
	for i, n := range p.names {
		if n == name {
			return int32(i)
		}
	}
	return -1
}

// typeID returns the number of t, which it asks all devices about when it is new.
func (p *planner) typeID(t buffer.Type) int32 {
	if id, ok := p.typeIDs[t]; ok {
		return id
	}
	id := int32(len(p.types))
	p.typeIDs[t] = id
	p.types = append(p.types, t)
	p.owner = append(p.owner, p.device(t.Owner().Device))
	for _, d := range p.devices {
		p.use = append(p.use, d.CanUse(t))
	}
	return id
}

// canUse reports whether ops on dev can use memory of type typ.
func (p *planner) canUse(typ, dev int32) bool { return p.use[int(typ)*len(p.devices)+int(dev)] }

// supports reports whether dev can run node i. Each pair is asked once.
func (p *planner) supports(i int, dev int32) bool {
	at := i*len(p.devices) + int(dev)
	if p.answers[at] == unasked {
		p.answers[at] = yes
		if err := p.devices[dev].Supports(p.nodes[i].t); err != nil {
			p.answers[at] = no
			p.refusal[at] = Refusal{p.names[dev], refusalText(err), err}
		}
	}
	return p.answers[at] == yes
}

// refused returns why dev cannot run node i, after supports has said so.
func (p *planner) refused(i int, dev int32) Refusal { return p.refusal[i*len(p.devices)+int(dev)] }

// refuse keeps, once, that dev would have been a better place for node i.
func (p *planner) refuse(i int, dev int32) {
	n := &p.placed[i]
	for _, have := range n.Refused {
		if have.Device == p.names[dev] {
			return
		}
	}
	n.Refused = append(n.Refused, p.refused(i, dev))
}

// refusalText returns the reason alone where the device gives one: its name and the op's are known.
func refusalText(err error) string {
	var u *backends.UnsupportedError
	if errors.As(err, &u) {
		return u.Reason
	}
	return err.Error()
}

// collect gives numbers to the roots and finds what each node reads.
func (p *planner) collect() error {
	for i, n := range p.g.Nodes {
		if n == nil || n.Op == nil || n.IsView() {
			return &tensor.GraphError{Node: n.String(), Reason: "is a leaf or a view, no node"}
		}
		from := int32(len(p.reads))
		for _, s := range n.Src {
			if s == nil {
				continue
			}
			if err := p.collectRead(i, n, s); err != nil {
				return err
			}
		}
		nd := node{t: n, dev: -1, slot: -1, group: -1, reads: [2]int32{from, int32(len(p.reads))}}
		if n.Base != nil {
			id, err := p.rootOf(n, n)
			if err != nil {
				return err
			}
			nd.root, nd.update = id, true
			r := &p.roots[id]
			r.written, r.last = true, int32(i)
		} else {
			if _, twice := p.ids[n]; twice {
				return &tensor.GraphError{Node: n.String(), Reason: "is listed twice"}
			}
			nd.root = p.addRoot(root{t: n, bytes: int64(n.Bytes()), typ: -1, node: int32(i), last: int32(i)})
		}
		p.nodes = append(p.nodes, nd)
	}
	return p.collectEnds()
}

// collectEnds finds the inputs and outputs.
func (p *planner) collectEnds() error {
	for _, in := range p.g.Inputs {
		if in == nil || in.Op != nil {
			return &tensor.GraphError{Node: in.String(), Reason: "is no leaf, but an input"}
		}
		if _, err := p.rootOf(in, in); err != nil {
			return err
		}
	}
	for _, o := range p.g.Outputs {
		if o == nil {
			return &tensor.GraphError{Node: "output", Reason: "is absent"}
		}
		id, err := p.rootOf(o, o)
		if err != nil {
			return err
		}
		p.roots[id].keep, p.roots[id].last = true, int32(len(p.nodes))
	}
	inputs := int32(0)
	for i := range p.roots {
		if r := &p.roots[i]; r.node < 0 && r.typ < 0 && r.bytes > 0 {
			r.input = inputs
			inputs++
		}
	}
	return nil
}

func (p *planner) collectRead(i int, n, s *tensor.Tensor) error {
	id, err := p.rootOf(n, s)
	if err != nil {
		return err
	}
	r := &p.roots[id]
	size := int64(s.Bytes())
	if size == 0 {
		return nil
	}
	r.last = int32(i)
	p.reads = append(p.reads, read{id, int64(s.Offset), int64(s.Offset) + size})
	return nil
}

func (p *planner) addRoot(r root) int32 {
	id := int32(len(p.roots))
	r.first, r.home, r.input, r.pin, r.wanted[0] = -1, -1, -1, -1, -1
	if r.t.Role == tensor.Weight {
		r.pin = int32(matching(p.opt.WeightPins, r.t.Name))
	}
	p.roots = append(p.roots, r)
	p.ids[r.t] = id
	return id
}

// rootOf returns the number of the root that t lies in, for node n that uses t.
func (p *planner) rootOf(n, t *tensor.Tensor) (int32, error) {
	root := t.Root()
	id, ok := p.ids[root]
	if !ok {
		if root.Op != nil {
			return 0, &tensor.GraphError{Node: n.String(), Reason: fmt.Sprintf("uses %v before it is computed", root)}
		}
		var err error
		if id, err = p.addLeaf(n, root); err != nil {
			return 0, err
		}
	}
	if size := int64(t.Bytes()); t != root && (t.Offset < 0 || size > p.roots[id].bytes-int64(t.Offset)) {
		return 0, &tensor.GraphError{Node: n.String(), Reason: fmt.Sprintf("bytes %d to %d lie outside the %d of %v",
			t.Offset, int64(t.Offset)+size, p.roots[id].bytes, root)}
	}
	return id, nil
}

// addLeaf adds leaf t, which node n uses, and checks that its memory is some device's.
func (p *planner) addLeaf(n, t *tensor.Tensor) (int32, error) {
	r := root{t: t, bytes: int64(t.Bytes()), typ: -1, node: -1, last: -1}
	switch {
	case t.Role == tensor.Node:
		return 0, &tensor.GraphError{Node: t.String(), Reason: "is a leaf without a role"}
	case r.bytes == 0:
	case t.Storage.Bound():
		if err := buffer.CheckRange(t.Storage.Buffer.Size(), t.Storage.Offset, r.bytes); err != nil {
			return 0, fmt.Errorf("sched: %s %s: %w", t.Role, t.Name, err)
		}
		r.typ = p.typeID(t.Storage.Buffer.Type())
		if err := p.checkReach(n, &r); err != nil {
			return 0, err
		}
	case t.Role != tensor.Input:
		return 0, fmt.Errorf("sched: %w: %s %s, which %s uses, has no memory", tensor.ErrBind, t.Role, t.Name, n.Name)
	}
	return p.addRoot(r), nil
}

// checkReach reports that no device can use the memory of leaf r, which node n uses.
func (p *planner) checkReach(n *tensor.Tensor, r *root) error {
	for d := range p.devices {
		if p.canUse(r.typ, int32(d)) {
			return nil
		}
	}
	e := p.memoryError(n, r)
	for d := range p.devices {
		e.Reasons = append(e.Reasons, p.unreachable(r, int32(d)))
	}
	return e
}

// memoryError begins the error of node n, which the memory of leaf r keeps from running.
func (p *planner) memoryError(n *tensor.Tensor, r *root) *PlacementError {
	t := p.types[r.typ]
	e := &PlacementError{Node: n.Name, Tensor: r.t.Role.String() + " " + r.t.Name, BufferType: t.Name(), Owner: t.Owner()}
	if n.Op != nil {
		e.Op = n.Op.Kind().String()
	} else {
		e.Op = "output"
	}
	return e
}

func (p *planner) unreachable(r *root, dev int32) Refusal {
	return Refusal{Device: p.names[dev], Reason: "cannot use " + p.types[r.typ].Name() + " memory"}
}
