package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// Compile prepares g. Errors: *backends.UnsupportedError, *FaultError of FailCompile, *LostError, or
// what is wrong with a place.
func (d *Device) Compile(g *backends.Subgraph) (backends.Program, error) {
	p := &program{
		dev: d, generation: d.generation.Load(), nodes: len(g.Nodes),
		ready: make(chan struct{}, 1), abort: make(chan error, 1),
	}
	if err := d.alive("compile", p.generation); err != nil {
		return nil, err
	}
	if err := g.CheckGroups(); err != nil {
		return nil, fmt.Errorf("sim: %s: %w", d.cfg.Name, err)
	}
	c := &compiler{program: p, place: g.Place, alike: g.Reproducible, imported: map[buffer.Buffer]buffer.Buffer{}, inner: map[*tensor.Tensor]buffer.Buffer{}}
	if err := c.fill(g); err != nil {
		return nil, errors.Join(err, p.drop())
	}
	d.stats.compiled(1)
	return p, nil
}

// fill makes c's program that of g.
func (c *compiler) fill(g *backends.Subgraph) error {
	d := c.dev
	groups, err := c.group(g)
	if err != nil {
		return err
	}
	bytes := int64(0)
	for _, n := range g.Nodes {
		if err := d.Supports(n); err != nil {
			return err
		}
		op := n.Op.Kind().String()
		if f := d.faults.find(failCompile, op); f.kind != noFault {
			return &FaultError{Device: d.cfg.Name, Call: fmt.Sprintf("compile of %s (%s)", op, n.Name), Fault: f}
		}
		if err := c.check(n); err != nil {
			return err
		}
		bytes += c.traffic(n)
	}
	c.cost = cost(d.cfg.SubmitLatency, d.cfg.MemoryBandwidth, bytes)
	if d.cfg.PlanOnly {
		return nil
	}
	return c.compile(g.Nodes, groups)
}

// group notes which results of g are inner, and returns the groups that the CPU backend has a kernel for. The
// inner results of the others get memory, because their nodes run one by one.
func (c *compiler) group(g *backends.Subgraph) ([]backends.Group, error) {
	var groups []backends.Group
	for _, x := range g.Groups {
		nodes := g.Nodes[x.From:x.To]
		if err := c.dev.Fuses(x.Fusion, nodes); err != nil {
			return nil, err
		}
		whole := c.dev.inner.Fuses(x.Fusion, nodes) == nil
		if whole {
			groups = append(groups, x)
		}
		for i, n := range nodes {
			if !x.Fusion.Inner(i) {
				continue
			}
			c.inner[n] = nil
			if whole || c.dev.cfg.PlanOnly {
				continue
			}
			b, err := c.dev.inner.Memory().Alloc(int64(n.Bytes()))
			if err != nil {
				return nil, err
			}
			c.between, c.inner[n] = append(c.between, b), b
		}
	}
	return groups, nil
}

// isInner reports whether t lies in a result that is inner in a group.
func (c *compiler) isInner(t *tensor.Tensor) bool {
	_, ok := c.inner[t.Root()]
	return ok
}

// compiler finds the places of a program's tensors.
type compiler struct {
	*program
	alike    bool // Subgraph.Reproducible
	place    func(*tensor.Tensor) tensor.Storage
	imported map[buffer.Buffer]buffer.Buffer  // what the CPU backend sees of each buffer
	inner    map[*tensor.Tensor]buffer.Buffer // results of groups that have no place, but for the CPU backend
}

// check reports what is wrong with the places of n and its sources, and notes their buffers.
func (c *compiler) check(n *tensor.Tensor) error {
	if err := c.checkPlace(n); err != nil {
		return err
	}
	for _, s := range n.Src {
		if s == nil {
			continue
		}
		if err := c.checkPlace(s); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) checkPlace(t *tensor.Tensor) error {
	n := int64(t.Bytes())
	if n == 0 || c.isInner(t) {
		return nil
	}
	d := c.dev
	at := c.place(t)
	if !at.Bound() {
		return fmt.Errorf("sim: %s: %v has no place", d.cfg.Name, t)
	}
	if typ := at.Buffer.Type(); !d.CanUse(typ) {
		return fmt.Errorf("sim: %s cannot use %v, which lies in %s memory of %s", d.cfg.Name, t, typ.Name(), typ.Owner())
	}
	if err := buffer.CheckRange(at.Buffer.Size(), at.Offset, n); err != nil {
		return fmt.Errorf("sim: %s: %v: %w", d.cfg.Name, t, err)
	}
	if _, ok := c.imported[at.Buffer]; ok {
		return nil
	}
	b := bufOf(at.Buffer)
	if b == nil {
		return c.see(at.Buffer, buffer.HostBytes(at.Buffer))
	}
	if err := b.usable("compile", 0, 0); err != nil {
		return fmt.Errorf("sim: %s: %v: %w", d.cfg.Name, t, err)
	}
	if b.typ.dev.cfg.PlanOnly != d.cfg.PlanOnly {
		return fmt.Errorf("sim: %s: %v: %w", d.cfg.Name, t, ErrPlanOnly)
	}
	return c.see(at.Buffer, b.mem)
}

// see notes that the program uses b, whose bytes are mem.
func (c *compiler) see(b buffer.Buffer, mem []byte) error {
	if s := bufOf(b); s != nil {
		c.bufs = append(c.bufs, s)
	} else if mem == nil {
		return fmt.Errorf("sim: %s: %w", c.dev.cfg.Name, buffer.ErrClosed)
	} else {
		c.foreign = append(c.foreign, b)
	}
	in, err := c.dev.inner.Memory().Import(mem)
	c.imported[b] = in
	return err
}

// storage returns where t lies for the CPU backend.
func (c *compiler) storage(t *tensor.Tensor) tensor.Storage {
	if t.Bytes() == 0 {
		return tensor.Storage{}
	}
	if b, ok := c.inner[t.Root()]; ok {
		if b == nil {
			return tensor.Storage{}
		}
		return tensor.Storage{Buffer: b, Offset: int64(t.Offset)}
	}
	at := c.place(t)
	return tensor.Storage{Buffer: c.imported[at.Buffer], Offset: at.Offset}
}

// compile makes the parts: one for each run of nodes without a bug, and one for each node with one. A bug in a
// group shows in its last result.
func (c *compiler) compile(nodes []*tensor.Tensor, groups []backends.Group) error {
	from, first := 0, 0
	for i, at := 0, 0; i < len(nodes); {
		to := i + 1
		grouped := at < len(groups) && groups[at].From == i
		if grouped {
			to = groups[at].To
			at++
		}
		bug, last := c.bugOf(nodes[i:to]), nodes[to-1]
		if bug == noBug || last.Bytes() == 0 {
			i = to
			continue
		}
		before := at
		if grouped {
			before--
		}
		if err := c.part(nodes[from:i], shifted(groups[first:before], from), c.storage, nil); err != nil {
			return err
		}
		wrong, place := mutate(bug, last, c.storage)
		one := append(slices.Clone(nodes[i:to-1]), wrong)
		if err := c.part(one, shifted(groups[before:at], i), place, newBroken(c, bug, last)); err != nil {
			return err
		}
		from, first, i = to, at, to
	}
	return c.part(nodes[from:], shifted(groups[first:], from), c.storage, nil)
}

// bugOf returns the bug of the first of nodes that has one.
func (c *compiler) bugOf(nodes []*tensor.Tensor) Bug {
	for _, n := range nodes {
		if f := c.dev.faults.find(breakOp, n.Op.Kind().String()); f.kind != noFault {
			return f.bug
		}
	}
	return noBug
}

// shifted returns groups as they are counted in nodes that begin with node from.
func shifted(groups []backends.Group, from int) []backends.Group {
	out := slices.Clone(groups)
	for i := range out {
		out[i].From -= from
		out[i].To -= from
	}
	return out
}

func (c *compiler) part(nodes []*tensor.Tensor, groups []backends.Group, place func(*tensor.Tensor) tensor.Storage, b *broken) error {
	if len(nodes) == 0 {
		return nil
	}
	in, err := c.dev.inner.Compile(&backends.Subgraph{Nodes: nodes, Groups: groups, Place: place, Reproducible: c.alike})
	if err != nil {
		return fmt.Errorf("sim: %s: %w", c.dev.cfg.Name, err)
	}
	c.parts = append(c.parts, part{in, b})
	return nil
}

// traffic returns the bytes that n reads and writes, as far as they are known without its indices.
func (c *compiler) traffic(n *tensor.Tensor) int64 {
	bytes, all := int64(n.Bytes()), int64(0)
	if c.isInner(n) {
		bytes = 0
	}
	for i, s := range n.Src {
		if s == nil || c.isInner(s) {
			continue
		}
		size := int64(s.Bytes())
		all += size
		switch n.Op.(type) {
		case tensor.GetRows: // as much of the table as the result has
			if i == 0 {
				size = min(size, int64(n.Shape.Rows())*int64(s.Type.RowBytes(s.Shape[0])))
			}
		case tensor.SetRows: // as much of the cache as is written
			if i == 0 {
				bytes, size = int64(n.Src[1].Shape.Rows())*int64(s.Type.RowBytes(s.Shape[0])), 0
			}
		case tensor.MatMulID: // the experts that can be used
			if i == 0 && s.Shape[2] > 0 {
				size = size / int64(s.Shape[2]) * int64(min(s.Shape[2], n.Src[2].Shape.Elems()))
			}
		}
		bytes += size
	}
	return bytes
}
