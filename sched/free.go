package sched

// placeFree places the nodes that neither memory nor a pin has placed: on their layer's device, or
// where most of their sources lie, or where they are read.
func (p *planner) placeFree(w *wish) error {
	waiting := 0
	for i := range p.nodes {
		if p.nodes[i].dev >= 0 {
			continue
		}
		placed, err := p.placeBySources(i, w, false)
		if err != nil {
			return err
		}
		if !placed {
			waiting++
		}
	}
	if waiting == 0 {
		return nil
	}
	if err := p.placeByReaders(w); err != nil {
		return err
	}
	for i := range p.nodes {
		if p.nodes[i].dev < 0 {
			if _, err := p.placeBySources(i, w, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// placeBySources places node i by its layer or its sources. It leaves the node alone if neither says
// anything, unless must is set.
func (p *planner) placeBySources(i int, w *wish, must bool) (bool, error) {
	n := &p.nodes[i]
	w.clear(p, n.t)
	decided := p.layerDevice(n.t) >= 0
	if p.scoreSources(i, w) {
		decided = true
	}
	if !decided && !must && !n.update && !p.roots[n.root].written {
		return false, nil
	}
	order := w.rank()
	if !p.choose(i, order) {
		return false, p.noDevice(i)
	}
	best := order[0]
	s := w.score[best]
	switch {
	case s.update > 0:
		r := p.tensorReason(RuleUpdate, best, n.root)
		p.because(i, best, r)
	case s.layer > 0:
		p.because(i, best, Reason{Rule: RuleLayer, Device: p.names[best], Layer: int32(n.t.Layer)})
	case s.source > 0:
		p.because(i, best, Reason{Rule: RuleSources, Device: p.names[best], Bytes: p.saved(w, best)})
	default:
		p.because(i, best, Reason{Rule: RuleFirst, Device: p.names[best]})
	}
	n.free = !n.update && !p.roots[n.root].written
	return true, nil
}

// scoreSources counts for each device the bytes of results that it can read where they lie, and
// reports whether there are any. A node that writes into a result goes where that lies.
func (p *planner) scoreSources(i int, w *wish) bool {
	n := &p.nodes[i]
	found := false
	for _, rd := range p.reads[n.reads[0]:n.reads[1]] {
		dev := p.resultDevice(rd.root)
		if dev < 0 {
			continue
		}
		found = true
		for d := range w.score {
			if p.canUse(p.arena[dev], int32(d)) {
				w.score[d].source += rd.hi - rd.lo
			}
		}
		w.score[dev].owner = 1
	}
	if n.update {
		if dev := p.resultDevice(n.root); dev >= 0 {
			w.score[dev].update = 1
		}
	}
	return found
}

// resultDevice returns the device that computes root id, or -1 for a leaf or a node without a device.
func (p *planner) resultDevice(id int32) int32 {
	if at := p.roots[id].node; at >= 0 {
		return p.nodes[at].dev
	}
	return -1
}

// saved returns how many source bytes need no copy because of dev, against the worst device.
func (p *planner) saved(w *wish, dev int32) int64 {
	least := w.score[dev].source
	for _, s := range w.score {
		least = min(least, s.source)
	}
	return w.score[dev].source - least
}

// placeByReaders places nodes over nothing but inputs where their results are read, the last first.
func (p *planner) placeByReaders(w *wish) error {
	want := make([]int64, len(p.roots)*len(p.devices)) // bytes that each device reads of each root
	for i := len(p.nodes) - 1; i >= 0; i-- {
		n := &p.nodes[i]
		if n.dev < 0 {
			w.clear(p, n.t)
			most := int64(0)
			for d := range w.score {
				w.score[d].source = want[int(n.root)*len(p.devices)+d]
				most = max(most, w.score[d].source)
			}
			if most > 0 {
				order := w.rank()
				if !p.choose(i, order) {
					return p.noDevice(i)
				}
				p.because(i, order[0], Reason{Rule: RuleReaders, Device: p.names[order[0]], Bytes: p.saved(w, order[0])})
				n.free = !p.roots[n.root].written
			}
		}
		if n.dev < 0 {
			continue
		}
		for _, rd := range p.reads[n.reads[0]:n.reads[1]] {
			want[int(rd.root)*len(p.devices)+int(n.dev)] += rd.hi - rd.lo
		}
	}
	return nil
}
