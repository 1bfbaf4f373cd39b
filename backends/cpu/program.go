package cpu

import (
	"context"
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// kernel is how ops of one kind are run.
type kernel struct {
	// refuses returns why n cannot be run although its op's Infer accepts it, or "". May be nil.
	refuses func(n *tensor.Tensor) string
	// compile adds the steps that compute c.dst from c.src.
	compile func(c *compiler)
}

// kernels is filled by the init functions of the kernels' files.
var kernels = map[tensor.Kind]kernel{}

// register says how ops like op are run.
func register(op tensor.Op, compile func(c *compiler), refuses ...func(n *tensor.Tensor) string) {
	k := kernel{compile: compile}
	if len(refuses) > 0 {
		k.refuses = refuses[0]
	}
	kernels[op.Kind()] = k
}

// compiler collects the steps of a program, node by node.
type compiler struct {
	dev   *Device
	u     *units
	alike bool // results do not depend on how many tokens there are
	place func(*tensor.Tensor) tensor.Storage

	// The present node, or the last of the present group: its operands, resolved to memory. Those of absent
	// sources have a nil t.
	node *tensor.Tensor
	dst  operand
	src  []operand

	steps  []step
	own    int // floats of each worker's scratch that the present node has
	floats int // and that the widest node needs
	used   int // bytes of the shared scratch that the present node has
	shared int // bytes of it that the widest node needs
}

// step adds what each worker does next. f must not allocate.
func (c *compiler) step(f step) { c.steps = append(c.steps, f) }

// scratch asks for n floats of each worker's own for the present node's steps, and returns where they
// begin in w.floats.
func (c *compiler) scratch(n int) (offset int) {
	offset = c.own
	c.own += (n + 15) &^ 15
	c.floats = max(c.floats, c.own)
	return offset
}

// common asks for n bytes that all workers share from this node's first step to its last, and returns
// where they begin in w.shared.
func (c *compiler) common(n int) (offset int) {
	offset = c.used
	c.used += (n + 63) &^ 63
	c.shared = max(c.shared, c.used)
	return offset
}

// Compile prepares g's nodes.
func (d *Device) Compile(g *backends.Subgraph) (backends.Program, error) {
	if err := g.CheckGroups(); err != nil {
		return nil, fmt.Errorf("cpu: %w", err)
	}
	c := &compiler{dev: d, u: d.units, alike: g.Reproducible, place: g.Place}
	groups := g.Groups
	for i := 0; i < len(g.Nodes); i++ {
		var err error
		if len(groups) > 0 && groups[0].From == i {
			err = c.fused(groups[0].Fusion, g.Nodes[i:groups[0].To])
			i, groups = groups[0].To-1, groups[1:]
		} else {
			err = c.single(g.Nodes[i])
		}
		if err != nil {
			return nil, err
		}
	}
	d.team.reserve(c.floats, c.shared)
	return &program{dev: d, steps: c.steps}, nil
}

// single adds the steps of node n.
func (c *compiler) single(n *tensor.Tensor) error {
	if err := c.dev.Supports(n); err != nil {
		return err
	}
	var err error
	c.node, c.src, c.used, c.own = n, make([]operand, len(n.Src)), 0, 0
	if c.dst, err = c.operand(n); err != nil {
		return err
	}
	for i, s := range n.Src {
		if s == nil {
			continue
		}
		if c.src[i], err = c.operand(s); err != nil {
			return err
		}
	}
	// Indices into nothing are errors of the run, too.
	if _, writes := n.Op.(tensor.SetRows); writes || n.Shape.Elems() > 0 {
		kernels[n.Op.Kind()].compile(c)
	}
	return nil
}

// operand resolves t to its memory.
func (c *compiler) operand(t *tensor.Tensor) (operand, error) {
	o := operand{t: t, u: c.dev.units}
	n := t.Bytes()
	if n == 0 {
		return o, nil
	}
	at := c.place(t)
	if !at.Bound() {
		return o, fmt.Errorf("cpu: %v has no place", t)
	}
	if !c.dev.CanUse(at.Buffer.Type()) {
		return o, fmt.Errorf("cpu: %s cannot use %v, which lies in memory of %s", c.dev.owner, t, at.Buffer.Type().Owner())
	}
	mem := buffer.HostBytes(at.Buffer)
	if err := buffer.CheckRange(int64(len(mem)), at.Offset, int64(n)); err != nil {
		return o, fmt.Errorf("cpu: %v: %w", t, err)
	}
	o.p = mem[at.Offset : at.Offset+int64(n)]
	return o, nil
}

type program struct {
	dev   *Device
	w0    worker
	steps []step
}

// Submit runs the program to its end: the host's work is done when it returns.
func (p *program) Submit(ctx context.Context) error {
	return p.dev.team.submit(ctx, &p.w0, p.steps, &p.dev.closed)
}

// Wait has nothing to wait for.
func (p *program) Wait(context.Context) error { return nil }

// Close lets go of the steps.
func (p *program) Close() error {
	p.steps = nil
	return nil
}
