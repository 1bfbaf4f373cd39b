package sched

import (
	"fmt"
	"slices"

	"github.com/tenon-go/tenon/backends"
)

// Group is a run of nodes that a device computes by one kernel, or could have.
type Group struct {
	Fusion string `json:"fusion"`
	From   int    `json:"from"` // the first node
	To     int    `json:"to"`   // after the last node
	// Reason is why the nodes run one by one after all. It is empty for what is fused.
	Reason string `json:"reason,omitempty"`
}

// group is a Group of which the plan is made.
type group struct {
	fusion   backends.Fusion
	from, to int32
}

// fuse finds the groups, from the first node on and for each the longest that can be: what is in one
// group is in no other. It decides nothing about placement.
func (p *planner) fuse() {
	fusers := make([]backends.Fuser, len(p.devices))
	for d := range p.devices {
		fusers[d], _ = p.devices[d].(backends.Fuser)
	}
	fusions := backends.Fusions()
	for i := int32(0); int(i) < len(p.nodes); {
		f := fusers[p.nodes[i].dev]
		if f == nil {
			i++
			continue
		}
		i = p.fuseAt(i, f, fusions)
	}
}

// fuseAt looks for a group that begins with node i, and returns the node after it, or after i.
func (p *planner) fuseAt(i int32, dev backends.Fuser, fusions []backends.Fusion) int32 {
	for _, f := range fusions {
		g := group{f, i, i + int32(f.Len())}
		if int(g.to) > len(p.nodes) || !f.Match(p.g.Nodes[g.from:g.to]) {
			continue
		}
		if why := p.apart(g, dev); why != "" {
			p.unfused = append(p.unfused, Group{f.String(), int(g.from), int(g.to), why})
			continue
		}
		for k := g.from; k < g.to; k++ {
			p.nodes[k].group = int32(len(p.groups))
			p.roots[p.nodes[k].root].inner = f.Inner(int(k - g.from))
		}
		p.groups = append(p.groups, g)
		return g.to
	}
	return i + 1
}

// apart returns why the nodes of g run one by one, or "".
func (p *planner) apart(g group, dev backends.Fuser) string {
	if slices.Contains(p.opt.NoFusion, g.fusion) {
		return "it is turned off"
	}
	for i := g.from; i < g.to; i++ {
		n := &p.nodes[i]
		switch {
		case n.dev != p.nodes[g.from].dev:
			return fmt.Sprintf("%s runs on %s", n.t.Name, p.names[n.dev])
		case n.t.Bytes() == 0:
			return n.t.Name + " has no elements"
		case n.update && p.uses(g, n.root) != 1: // its own place is one of its sources
			return n.t.Name + " writes where others read"
		}
		if g.fusion.Inner(int(i - g.from)) {
			if why := p.outside(g, n.root); why != "" {
				return n.t.Name + " " + why
			}
		}
	}
	if err := dev.Fuses(g.fusion, p.g.Nodes[g.from:g.to]); err != nil {
		return p.names[p.nodes[g.from].dev] + " refuses: " + refusalText(err)
	}
	return p.dearer(g)
}

// dearer returns how much memory g takes more as one kernel than node by node, or "". Sources that are last
// read early in a group must stay to its end, where several results are stored; for a single one that takes
// no more than the first inner result would have.
func (p *planner) dearer(g group) string {
	stored := 0
	for i := range g.fusion.Len() {
		if !g.fusion.Inner(i) {
			stored++
		}
	}
	if stored < 2 {
		return ""
	}
	held := p.sourcesOf(g)
	if more := p.together(g, held) - p.oneByOne(g, held); more > 0 {
		return fmt.Sprintf("it takes %s more", count(int(more), "byte"))
	}
	return ""
}

// outside returns what the result root id of a node of g is used for besides g, or "".
func (p *planner) outside(g group, id int32) string {
	r := &p.roots[id]
	switch {
	case r.keep:
		return "is read after the run"
	case r.last >= g.to:
		return "is read by " + p.nodes[r.last].t.Name
	}
	return ""
}

// uses returns how often nodes of g read root id.
func (p *planner) uses(g group, id int32) int {
	n := 0
	for _, rd := range p.reads[p.nodes[g.from].reads[0]:p.nodes[g.to-1].reads[1]] {
		if rd.root == id {
			n++
		}
	}
	return n
}

// end returns until which node what node i uses is in use: the last of its group.
func (p *planner) end(i int32) int32 {
	if g := p.nodes[i].group; g >= 0 {
		return p.groups[g].to - 1
	}
	return i
}

// together returns the bytes that the sources of g and its stored results take when they are computed by
// one kernel.
func (p *planner) together(g group, held []source) int64 {
	bytes := int64(0)
	for _, s := range held {
		bytes += s.bytes
	}
	var taken []int32
	for i := g.from; i < g.to; i++ {
		n := &p.nodes[i]
		if n.update || g.fusion.Inner(int(i-g.from)) {
			continue
		}
		if id := p.overtaken(g, i, taken); id >= 0 && p.resultDevice(id) == n.dev && !p.roots[id].written {
			taken = append(taken, id)
			continue
		}
		bytes += p.roots[n.root].bytes
	}
	return bytes
}

// oneByOne returns the most bytes that the sources of g and its results take at a time when they are
// computed one after the other.
func (p *planner) oneByOne(g group, held []source) int64 {
	most := int64(0)
	for at := g.from; at < g.to; at++ {
		bytes := int64(0)
		for _, s := range held {
			if s.last >= at {
				bytes += s.bytes
			}
		}
		for i := g.from; i <= at; i++ {
			if n := &p.nodes[i]; !n.update && p.roots[n.root].last >= at {
				bytes += p.roots[n.root].bytes
			}
		}
		if id := p.inPlaceOf(at); id >= 0 && p.resultDevice(id) == p.nodes[at].dev {
			bytes -= p.roots[id].bytes
		}
		most = max(most, bytes)
	}
	return most
}

// source is memory of a group's device that holds what the group reads, until node last.
type source struct {
	bytes int64
	last  int32
}

// sourcesOf returns the sources of g that take memory of its device: results there, inputs, and copies of
// what lies elsewhere. Where it is open at which of its places a tensor will be read, it counts as a copy.
func (p *planner) sourcesOf(g group) []source {
	dev := p.nodes[g.from].dev
	var seen []int32
	var all []source
	for _, rd := range p.reads[p.nodes[g.from].reads[0]:p.nodes[g.to-1].reads[1]] {
		r := &p.roots[rd.root]
		if r.node >= g.from || slices.Contains(seen, rd.root) {
			continue
		}
		seen = append(seen, rd.root)
		typ, maker := r.typ, p.resultDevice(rd.root)
		if maker >= 0 {
			typ = p.arena[maker]
		}
		switch {
		case maker == dev && !r.written:
			all = append(all, source{r.bytes, r.last})
		case typ < 0 || r.written && r.typ < 0 || !p.canUse(typ, dev):
			all = append(all, source{rd.hi - rd.lo, p.lastOn(dev, rd.root, g.from)})
		}
	}
	return all
}

// lastOn returns the last node from node from on that reads root id on dev as it is now: a node that writes into
// it makes copies void.
func (p *planner) lastOn(dev, id, from int32) int32 {
	last := from
	for i := from; i <= p.roots[id].last && int(i) < len(p.nodes); i++ {
		n := &p.nodes[i]
		if n.dev == dev && slices.ContainsFunc(p.reads[n.reads[0]:n.reads[1]], func(rd read) bool { return rd.root == id }) {
			last = i
		}
		if n.update && n.root == id {
			break
		}
	}
	return last
}
