package sched

import (
	"slices"

	"github.com/tenon-go/tenon/backends"
)

// plan returns what the passes have found as a Plan.
func (p *planner) plan() *Plan {
	pl := &Plan{
		Nodes: p.placed, Splits: make([]Split, len(p.splits)), Slots: make([]Slot, len(p.slots)),
		Memory: p.memory, keepInputs: p.opt.KeepInputs, reproducible: p.opt.Reproducible, graph: p.g, devices: slices.Clone(p.devices),
		layout: layout{
			roots: make([]place, len(p.roots)), ids: p.ids, types: p.types, splits: p.splits, arenas: p.arenas, moves: p.moves, more: p.more, slots: p.slots,
		},
	}
	for i := range p.nodes {
		n := &p.nodes[i]
		out := &pl.Nodes[i]
		out.Node, out.Op, out.Device = n.t.Name, n.t.Op.Kind().String(), p.names[n.dev]
		out.Slot, out.InPlace = int(n.slot), n.inPlace
	}
	p.assignGroups(pl)
	for i := range p.splits {
		pl.Splits[i] = p.splitOf(i)
		for _, c := range pl.Splits[i].Copies {
			pl.Copied += c.Bytes
		}
	}
	for i := range p.slots {
		p.describe(&pl.Slots[i], &p.slots[i])
	}
	for i := range p.roots {
		r := &p.roots[i]
		pl.layout.roots[i] = place{t: r.t, first: r.first, last: r.home, input: r.input, keep: r.keep, inner: r.inner}
		pl.Written += pl.writtenOf(int32(i))
	}
	return pl
}

// assignGroups lists the groups in pl, and with their splits.
func (p *planner) assignGroups(pl *Plan) {
	pl.Unfused = p.unfused
	split := 0
	for _, g := range p.groups {
		pl.Groups = append(pl.Groups, Group{Fusion: g.fusion.String(), From: int(g.from), To: int(g.to)})
		for p.bounds[split+1] <= g.from {
			split++
		}
		s, first := &p.splits[split], p.bounds[split]
		s.groups = append(s.groups, backends.Group{Fusion: g.fusion, From: int(g.from - first), To: int(g.to - first)})
	}
}

// writtenOf returns how many bytes are written of root id, 0 if it is no input.
func (p *Plan) writtenOf(id int32) int64 {
	r := &p.layout.roots[id]
	if r.input < 0 {
		return 0
	}
	n := p.Slots[r.first].Bytes
	for _, at := range p.layout.more[id] {
		n += p.Slots[at].Bytes
	}
	return n
}

func (p *planner) splitOf(i int) Split {
	s := &p.splits[i]
	out := Split{Device: p.names[s.dev], From: int(p.bounds[i]), To: int(p.bounds[i+1])}
	for _, d := range s.waits {
		out.Waits = append(out.Waits, p.names[d])
	}
	for _, c := range s.copies {
		typ := p.roots[c.root].typ
		if c.from >= 0 {
			typ = p.slots[c.from].typ
		}
		out.Copies = append(out.Copies, Copy{
			Tensor: p.roots[c.root].t.Name, From: p.types[typ].Owner().Device, To: out.Device,
			Offset: c.lo, Bytes: c.hi - c.lo, Slot: int(c.to), After: int(c.after),
		})
	}
	return out
}

func (p *planner) describe(out *Slot, s *slot) {
	out.Use = "node"
	switch {
	case s.start < 0:
		out.Use = "input"
	case s.copied:
		out.Use = "copy"
	}
	out.Tensor, out.Device = p.roots[s.root].t.Name, p.names[slices.Index(p.arena, s.typ)]
	out.Buffer, out.Offset, out.Bytes = int(s.chunk), s.offset, s.bytes
	out.From, out.To = int(s.start), int(s.end)
}
