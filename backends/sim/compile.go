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
	c := &compiler{program: p, place: g.Place, imported: map[buffer.Buffer]buffer.Buffer{}, inner: map[*tensor.Tensor]bool{}}
	for _, x := range g.Groups {
		if err := d.Fuses(x.Fusion, g.Nodes[x.From:x.To]); err != nil {
			return nil, err
		}
		for i, n := range g.Nodes[x.From:x.To] {
			c.inner[n] = x.Fusion.Inner(i)
		}
	}
	bytes := int64(0)
	for _, n := range g.Nodes {
		if err := d.Supports(n); err != nil {
			return nil, err
		}
		op := n.Op.Kind().String()
		if f := d.faults.find(failCompile, op); f.kind != noFault {
			return nil, &FaultError{Device: d.cfg.Name, Call: fmt.Sprintf("compile of %s (%s)", op, n.Name), Fault: f}
		}
		if err := c.check(n); err != nil {
			return nil, err
		}
		bytes += c.traffic(n)
	}
	p.cost = cost(d.cfg.SubmitLatency, d.cfg.MemoryBandwidth, bytes)
	if !d.cfg.PlanOnly {
		if err := c.compile(g.Nodes, g.Groups); err != nil {
			return nil, errors.Join(err, p.drop())
		}
	}
	d.stats.compiled(1)
	return p, nil
}

// compiler finds the places of a program's tensors.
type compiler struct {
	*program
	place    func(*tensor.Tensor) tensor.Storage
	imported map[buffer.Buffer]buffer.Buffer // what the CPU backend sees of each buffer
	inner    map[*tensor.Tensor]bool         // results of groups that have no place
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
	if n == 0 || c.inner[t.Root()] {
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
	if t.Bytes() == 0 || c.inner[t.Root()] {
		return tensor.Storage{}
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
	in, err := c.dev.inner.Compile(&backends.Subgraph{Nodes: nodes, Groups: groups, Place: place})
	if err != nil {
		return fmt.Errorf("sim: %s: %w", c.dev.cfg.Name, err)
	}
	c.parts = append(c.parts, part{in, b})
	return nil
}

// traffic returns the bytes that n reads and writes, as far as they are known without its indices.
func (c *compiler) traffic(n *tensor.Tensor) int64 {
	bytes, all := int64(n.Bytes()), int64(0)
	if c.inner[n] {
		bytes = 0
	}
	for i, s := range n.Src {
		if s == nil || c.inner[s.Root()] {
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
