package sched

import (
	"cmp"
	"slices"
)

// slot is a piece of memory for a part of the run, as Slot.
type slot struct {
	root       int32
	typ        int32
	start, end int32
	bytes      int64
	copied     bool
	lo         int64 // where in the root a copy begins
	chunk      int32
	offset     int64
}

// need is a part of a root that a split has to copy, and the last node that reads it.
type need struct {
	root, last int32
	lo, hi     int64
	order      int32 // of the root's first need in the split
	whole      bool  // a node of the split writes into the root
}

// cutter walks through the nodes in order and knows where every root lies.
type cutter struct {
	*planner
	needs   []need
	direct  []bool   // types that the split at hand touches
	pending [][]bool // [device][type] touched by work that nobody has waited for
	newest  []int32  // the last split of each device
	held    map[int32][]held
}

// held is a copy of a root that still lies on a device.
type held struct {
	slot, version int32
	lo, hi        int64
}

// cut makes the splits: maximal runs of nodes on one device, what is copied before each, and when each
// slot is in use.
func (p *planner) cut() {
	c := cutter{planner: p, direct: make([]bool, len(p.types)), pending: make([][]bool, len(p.devices)), newest: make([]int32, len(p.devices)), held: map[int32][]held{}}
	for d := range c.pending {
		c.pending[d] = make([]bool, len(p.types))
	}
	p.slots = make([]slot, 0, len(p.nodes))
	for from := 0; from < len(p.nodes); {
		to := from + 1
		for to < len(p.nodes) && p.nodes[to].dev == p.nodes[from].dev {
			to++
		}
		p.bounds = append(p.bounds, int32(from))
		c.split(int32(from), int32(to))
		from = to
	}
	p.bounds = append(p.bounds, int32(len(p.nodes)))
	c.ends()
}

// split lays out nodes from to to, which run on one device.
func (c *cutter) split(from, to int32) {
	dev := c.nodes[from].dev
	c.needs = c.needs[:0]
	clear(c.direct)
	for i := from; i < to; i++ {
		c.node(i, dev)
	}
	s := splitLayout{dev: dev}
	slices.SortFunc(c.needs, func(a, b need) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.lo, b.lo), cmp.Compare(a.hi, b.hi))
	})
	for k := 0; k < len(c.needs); {
		n := c.needs[k]
		for k++; k < len(c.needs) && c.needs[k].root == n.root && c.needs[k].lo <= n.hi; k++ {
			n.hi, n.last = max(n.hi, c.needs[k].hi), max(n.last, c.needs[k].last)
			n.whole = n.whole || c.needs[k].whole
		}
		c.fetch(&s, n, from)
	}
	c.wait(&s)
	c.splits = append(c.splits, s)
}

// node notes what node i reads and writes, and gives its result a slot. All of that is in use to the end of
// the node's group.
func (c *cutter) node(i, dev int32) {
	n, end := &c.nodes[i], c.end(i)
	for _, rd := range c.reads[n.reads[0]:n.reads[1]] {
		if !c.roots[rd.root].inner && !c.reach(rd.root, dev, end) {
			c.want(need{root: rd.root, last: end, lo: rd.lo, hi: rd.hi})
		}
	}
	r := &c.roots[n.root]
	switch {
	case r.bytes == 0 || r.inner:
	case !n.update:
		if s := c.inPlace(i, dev); s >= 0 {
			n.inPlace = true
			c.slots[s].end = end
			r.first, r.home = s, s
		} else {
			r.home = c.newSlot(slot{root: n.root, typ: c.arena[dev], start: i, end: end, bytes: r.bytes})
			r.first = r.home
		}
		n.slot = r.home
		c.direct[c.slots[r.home].typ] = true
	case c.reach(n.root, dev, end):
		r.version++
	default: // the root moves to dev
		c.want(need{root: n.root, last: end, lo: 0, hi: r.bytes, whole: true})
	}
}

// reach reports whether ops on dev can use root id where it lies, and notes that node i does. An input
// that lies nowhere yet gets its slot there.
func (c *cutter) reach(id, dev, i int32) bool {
	r := &c.roots[id]
	typ := r.typ
	if typ < 0 {
		if r.home < 0 {
			c.openInput(id, dev)
		}
		typ = c.slots[r.home].typ
	}
	if !c.canUse(typ, dev) {
		return false
	}
	c.direct[typ] = true
	if r.home >= 0 {
		c.slots[r.home].end = max(c.slots[r.home].end, i)
	}
	return true
}

func (c *cutter) openInput(id, dev int32) {
	r := &c.roots[id]
	r.home = c.newSlot(slot{root: id, typ: c.arena[dev], start: -1, end: -1, bytes: r.bytes})
	r.first = r.home
}

func (c *cutter) newSlot(s slot) int32 {
	c.slots = append(c.slots, s)
	return int32(len(c.slots) - 1)
}

// want notes what has to be copied, in the order in which the split first wants something of each root.
func (c *cutter) want(n need) {
	r := &c.roots[n.root]
	if at := int32(len(c.splits)); r.wanted[0] != at {
		r.wanted = [2]int32{at, int32(len(c.needs))}
	}
	n.order = r.wanted[1]
	c.needs = append(c.needs, n)
}

// fetch makes n available to split s, which begins at node from: by a copy that the device has kept, or
// a new one.
func (c *cutter) fetch(s *splitLayout, n need, from int32) {
	r := &c.roots[n.root]
	at := int32(-1)
	for _, h := range c.held[n.root] {
		if h.version == r.version && h.lo <= n.lo && n.hi <= h.hi && c.canUse(c.slots[h.slot].typ, s.dev) {
			at = h.slot
			break
		}
	}
	if at < 0 && c.writable(r) {
		at = c.newSlot(slot{root: n.root, typ: c.arena[s.dev], start: -1, bytes: n.hi - n.lo, copied: true, lo: n.lo})
		c.more[n.root] = append(c.more[n.root], at)
		c.held[n.root] = append(c.held[n.root], held{at, r.version, n.lo, n.hi})
	}
	if at < 0 {
		at = c.newSlot(slot{root: n.root, typ: c.arena[s.dev], start: from, bytes: n.hi - n.lo, copied: true, lo: n.lo})
		s.copies = append(s.copies, copyLayout{root: n.root, from: r.home, to: at, lo: n.lo, hi: n.hi})
		c.held[n.root] = append(c.held[n.root], held{at, r.version, n.lo, n.hi})
		if r.home >= 0 {
			c.slots[r.home].end = max(c.slots[r.home].end, from)
		}
	}
	sl := &c.slots[at]
	sl.end = max(sl.end, n.last)
	c.direct[sl.typ] = true
	s.local = append(s.local, local{n.root, at, sl.lo, sl.lo + sl.bytes})
	if n.whole {
		r.home = at
		r.version++
		c.moves[n.root] = append(c.moves[n.root], move{int32(len(c.splits)), at})
	}
}

// writable reports whether a device that wants input r can get it from whoever writes it, which saves
// the way over another device: nothing has changed it yet, and if it is to last for several runs
// nothing does.
func (c *cutter) writable(r *root) bool {
	return r.input >= 0 && r.version == 0 && !(c.opt.KeepInputs && r.written)
}

// source returns the type of the memory that cp reads.
func (c *cutter) source(cp copyLayout) int32 {
	if cp.from >= 0 {
		return c.slots[cp.from].typ
	}
	return c.roots[cp.root].typ
}

// wait finds the devices whose pending work uses memory that split s uses, in the order in which that
// was submitted. Copies read and write mapped memory past the device's own order, so that they wait for
// the split's device as well.
func (c *cutter) wait(s *splitLayout) {
	for _, cp := range s.copies {
		c.direct[c.source(cp)] = true
	}
	for d, touched := range c.pending {
		if int32(d) == s.dev && len(s.copies) == 0 {
			continue
		}
		for t, on := range touched {
			if on && c.direct[t] {
				s.waits = append(s.waits, int32(d))
				break
			}
		}
	}
	slices.SortStableFunc(s.waits, func(a, b int32) int { return cmp.Compare(c.newest[a], c.newest[b]) })
	c.hasten(s)
	for _, d := range s.waits {
		clear(c.pending[d])
	}
	for t, on := range c.direct {
		c.pending[s.dev][t] = c.pending[s.dev][t] || on
	}
	c.newest[s.dev] = int32(len(c.splits))
}

// hasten finds for each copy of s how many of the waits it comes after, and sorts the copies by that: one
// whose ends no pending work uses any more is made while the other devices still compute.
func (c *cutter) hasten(s *splitLayout) {
	for k := range s.copies {
		cp := &s.copies[k]
		from, to := c.source(*cp), c.slots[cp.to].typ
		for w, d := range s.waits {
			if c.pending[d][from] || c.pending[d][to] {
				cp.after = int32(w + 1)
			}
		}
	}
	slices.SortStableFunc(s.copies, func(a, b copyLayout) int { return cmp.Compare(a.after, b.after) })
}

// ends keeps alive what is read after the run, and gives a place to inputs that no node uses.
func (c *cutter) ends() {
	n := int32(len(c.nodes))
	for id := range c.roots {
		r := &c.roots[id]
		if r.input >= 0 && r.home < 0 {
			c.openInput(int32(id), 0)
		}
		if r.keep && r.home >= 0 {
			c.slots[r.home].end = n
		}
		if r.input >= 0 && c.opt.KeepInputs {
			c.slots[r.first].end = n
			for _, at := range c.more[int32(id)] {
				c.slots[at].end = n
			}
		}
	}
}
