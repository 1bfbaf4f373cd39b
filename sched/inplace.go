package sched

import "github.com/tenon-go/tenon/tensor"

// inPlace returns the slot that the result of node i may take over from one of its sources, or -1: the
// op permits it, the source lies in memory of dev as a packed result of the same type and shape, and
// nothing reads it afterwards or by another way.
func (p *planner) inPlace(i, dev int32) int32 {
	n := &p.nodes[i]
	op, ok := n.t.Op.(tensor.InPlacer)
	if !ok {
		return -1
	}
	k := op.InPlace()
	if k < 0 || k >= len(n.t.Src) || n.t.Src[k] == nil {
		return -1
	}
	src := n.t.Src[k]
	if src.Type != n.t.Type || src.Shape != n.t.Shape || src.Stride != n.t.Stride {
		return -1
	}
	base, uses, id := src.Root(), 0, int32(-1)
	for _, rd := range p.reads[n.reads[0]:n.reads[1]] {
		if p.roots[rd.root].t == base {
			id = rd.root
			uses++
		}
	}
	if uses != 1 {
		return -1
	}
	r := &p.roots[id]
	if r.node < 0 || r.bytes != p.roots[n.root].bytes || r.last != i || r.home < 0 || p.slots[r.home].typ != p.arena[dev] {
		return -1
	}
	return r.home
}
