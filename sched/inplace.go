package sched

import (
	"slices"

	"github.com/tenon-go/tenon/tensor"
)

// inPlace returns the slot that the result of node i may take over from one of the sources, or -1: the op
// or the fusion permits it, and the source lies in memory of dev.
func (p *planner) inPlace(i, dev int32) int32 {
	id := int32(-1)
	if at := p.nodes[i].group; at >= 0 {
		g := p.groups[at]
		var taken []int32
		for k := g.from; k <= i; k++ { // as peak counts
			if p.nodes[k].update || p.roots[p.nodes[k].root].inner {
				continue
			}
			if id = p.overtaken(g, k, taken); id >= 0 {
				taken = append(taken, id)
			}
		}
	} else {
		id = p.inPlaceOf(i)
	}
	if id < 0 {
		return -1
	}
	if r := &p.roots[id]; r.home >= 0 && p.slots[r.home].typ == p.arena[dev] {
		return r.home
	}
	return -1
}

// inPlaceOf returns the root that the result of node i may lie over when it runs by itself, or -1.
func (p *planner) inPlaceOf(i int32) int32 {
	op, ok := p.nodes[i].t.Op.(tensor.InPlacer)
	if !ok {
		return -1
	}
	return p.over(i, i, op.InPlace(), i, i)
}

// overtaken returns the root that the result of node i may lie over when g runs as one, or -1: one that
// another result of g has not taken.
func (p *planner) overtaken(g group, i int32, taken []int32) int32 {
	for _, at := range g.fusion.Over() {
		id := p.over(i, g.from+int32(at[0]), at[1], g.from, g.to-1)
		if id >= 0 && !slices.Contains(taken, id) {
			return id
		}
	}
	return -1
}

// over returns the root of source k of node of, if the result of node i can lie over it: it is a packed
// result of the same type and shape, on the same device, which nodes from to to read once and no later
// node reads. Otherwise it returns -1.
func (p *planner) over(i, of int32, k int, from, to int32) int32 {
	n, reader := &p.nodes[i], &p.nodes[of]
	if k < 0 || k >= len(reader.t.Src) || reader.t.Src[k] == nil {
		return -1
	}
	src := reader.t.Src[k]
	if src.Type != n.t.Type || src.Shape != n.t.Shape || src.Stride != n.t.Stride {
		return -1
	}
	base, uses, id := src.Root(), 0, int32(-1)
	for _, rd := range p.reads[p.nodes[from].reads[0]:p.nodes[to].reads[1]] {
		if p.roots[rd.root].t == base {
			id = rd.root
			uses++
		}
	}
	if uses != 1 {
		return -1
	}
	r := &p.roots[id]
	if r.node < 0 || r.inner || r.bytes != p.roots[n.root].bytes || r.last < of || r.last > to {
		return -1
	}
	return id
}
