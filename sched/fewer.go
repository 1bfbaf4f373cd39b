package sched

// maxSweeps bounds how often nodes are looked at for a cheaper place. Each move saves bytes, so that
// the sweeps end anyway; nearly all end after the first.
const maxSweeps = 8

// fewerCopies moves nodes that nothing ties to their device to where fewer bytes are copied: what lies
// between nodes of one device goes there as a whole, and then each node by itself.
func (p *planner) fewerCopies() {
	if len(p.devices) < 2 {
		return
	}
	p.moveRegions()
	c := counter{p: p, readers: make([]int32, len(p.roots)*len(p.devices))}
	for i := range p.nodes {
		c.count(i, p.nodes[i].dev, 1)
	}
	for sweep := range maxSweeps {
		moved := false
		for k := range p.nodes {
			i := k
			if sweep%2 == 1 {
				i = len(p.nodes) - 1 - k
			}
			if p.nodes[i].free && c.improve(i) {
				moved = true
			}
		}
		if !moved {
			return
		}
	}
}

// counter knows how many reads of each root there are on each device.
type counter struct {
	p       *planner
	readers []int32 // [root*devices+device]
}

func (c *counter) at(root, dev int32) *int32 {
	return &c.readers[int(root)*len(c.p.devices)+int(dev)]
}

func (c *counter) count(i int, dev int32, by int32) {
	n := &c.p.nodes[i]
	for _, rd := range c.p.reads[n.reads[0]:n.reads[1]] {
		*c.at(rd.root, dev) += by
	}
}

// improve moves node i to the device where the fewest bytes are copied for it, and reports whether it
// moved. Equal costs move nothing.
func (c *counter) improve(i int) bool {
	p := c.p
	n := &p.nodes[i]
	was := n.dev
	c.count(i, was, -1)
	defer func() { c.count(i, n.dev, 1) }()
	now := c.cost(i, was)
	best, least := was, now
	if now == 0 {
		return false
	}
	for d := range int32(len(p.devices)) {
		if d == was {
			continue
		}
		cost := c.cost(i, d)
		if cost >= least {
			continue
		}
		if !p.supports(i, d) {
			p.refuse(i, d)
			continue
		}
		best, least = d, cost
	}
	if best == was {
		return false
	}
	n.dev = best
	rule := RuleReaders
	if c.reads(i, best) {
		rule = RuleSources
	}
	p.placed[i].Reason = Reason{Rule: rule, Device: p.names[best], Bytes: now - least}
	return true
}

// cost returns the bytes that are copied because node i, whose own reads are not counted, is on dev:
// of sources that nothing else on dev needs, and of the result to each device that reads it.
func (c *counter) cost(i int, dev int32) int64 {
	p := c.p
	n := &p.nodes[i]
	cost := int64(0)
	for _, rd := range p.reads[n.reads[0]:n.reads[1]] {
		from := p.resultDevice(rd.root)
		if from >= 0 && !p.canUse(p.arena[from], dev) && *c.at(rd.root, dev) == 0 {
			cost += rd.hi - rd.lo
		}
	}
	for d := range int32(len(p.devices)) {
		if *c.at(n.root, d) > 0 && !p.canUse(p.arena[dev], d) {
			cost += p.roots[n.root].bytes
		}
	}
	return cost
}

// reads reports whether node i reads a result that lies on dev.
func (c *counter) reads(i int, dev int32) bool {
	p := c.p
	n := &p.nodes[i]
	for _, rd := range p.reads[n.reads[0]:n.reads[1]] {
		if from := p.resultDevice(rd.root); from >= 0 && p.canUse(p.arena[from], dev) {
			return true
		}
	}
	return false
}

// moveRegions finds the regions of free nodes that hang together on one device, and moves those whose
// neighbours are all on one other device there. A node by itself would not go: in the middle of a
// chain it costs as much on either side.
func (p *planner) moveRegions() {
	r := regions{p: p, parent: make([]int32, len(p.nodes))}
	for i := range r.parent {
		r.parent[i] = int32(i)
	}
	r.edges(func(from, to int32, _ int64) {
		if a, b := &p.nodes[from], &p.nodes[to]; a.free && b.free && a.dev == b.dev {
			r.parent[r.find(to)] = r.find(from)
		}
	})
	r.rim = make([]rim, len(p.nodes))
	for i := range r.rim {
		r.rim[i].dev = -1
	}
	r.edges(func(from, to int32, _ int64) {
		if r.find(from) != r.find(to) {
			r.border(from, p.nodes[to].dev)
			r.border(to, p.nodes[from].dev)
		}
	})
	for i := range p.nodes {
		if b := &r.rim[r.find(int32(i))]; b.moves() && !p.supports(i, b.dev) {
			p.refuse(i, b.dev)
			b.mixed = true
		}
	}
	r.saved()
	for i := range p.nodes {
		if b := &r.rim[r.find(int32(i))]; b.moves() {
			p.nodes[i].dev = b.dev
			p.placed[i].Reason = Reason{Rule: RuleBetween, Device: p.names[b.dev], Bytes: b.bytes}
		}
	}
}

// regions are sets of nodes, each known by one of its nodes.
type regions struct {
	p      *planner
	parent []int32
	rim    []rim // of each region
}

// rim is what is known of a region's neighbours.
type rim struct {
	dev   int32 // of all of them, or -1 if there are none
	home  int32 // device of the region
	mixed bool  // they are on several devices, or one of the nodes must stay
	apart bool  // some bytes between the region and them are copied
	bytes int64 // how many
}

// moves reports whether the region goes to dev.
func (b *rim) moves() bool { return !b.mixed && b.apart && b.dev >= 0 && b.dev != b.home }

func (r *regions) find(i int32) int32 {
	for r.parent[i] != i {
		r.parent[i] = r.parent[r.parent[i]]
		i = r.parent[i]
	}
	return i
}

// edges calls f for each read of a node's result by another node.
func (r *regions) edges(f func(from, to int32, bytes int64)) {
	for i := range r.p.nodes {
		n := &r.p.nodes[i]
		for _, rd := range r.p.reads[n.reads[0]:n.reads[1]] {
			if from := r.p.roots[rd.root].node; from >= 0 {
				f(from, int32(i), rd.hi-rd.lo)
			}
		}
	}
}

// border notes that node i has a neighbour on dev outside its region.
func (r *regions) border(i, dev int32) {
	p := r.p
	if !p.nodes[i].free {
		return
	}
	b := &r.rim[r.find(i)]
	b.home = p.nodes[i].dev
	b.apart = b.apart || !p.canUse(p.arena[b.home], dev) || !p.canUse(p.arena[dev], b.home)
	b.mixed = b.mixed || b.dev >= 0 && b.dev != dev
	b.dev = dev
}

// saved counts the bytes that are no longer copied because of the regions that move: each tensor once
// into a region and once out of it.
func (r *regions) saved() {
	type crossing struct{ region, root int32 }
	seen := map[crossing]bool{}
	r.edges(func(from, to int32, bytes int64) {
		for _, at := range [...]int32{r.find(from), r.find(to)} {
			b := &r.rim[at]
			c := crossing{at, r.p.nodes[from].root}
			if r.find(from) != r.find(to) && b.moves() && !seen[c] {
				seen[c] = true
				b.bytes += bytes
			}
		}
	})
}
