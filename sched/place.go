package sched

import "github.com/tenon-go/tenon/tensor"

// place gives every node a device: first those that memory or a pin decides about, then the others.
func (p *planner) place() error {
	w := wish{score: make([]score, len(p.devices)), order: make([]int32, 0, len(p.devices))}
	for i := range p.nodes {
		if err := p.placeBound(i, &w); err != nil {
			return err
		}
	}
	if err := p.placeFree(&w); err != nil {
		return err
	}
	p.fewerCopies()
	return nil
}

// score says how much speaks for a device: what stands first counts more.
type score struct {
	update        int8  // what the node writes into lies there
	cache, weight int64 // bytes that it can read where they lie
	layer         int8  // the node's layer prefers it
	source        int64 // bytes of results that it can read where they lie
	owner         int8  // it owns some of what is read
}

// before reports whether a is better than b.
func (a *score) before(b *score) bool {
	switch {
	case a.update != b.update:
		return a.update > b.update
	case a.cache != b.cache:
		return a.cache > b.cache
	case a.weight != b.weight:
		return a.weight > b.weight
	case a.layer != b.layer:
		return a.layer > b.layer
	case a.source != b.source:
		return a.source > b.source
	}
	return a.owner > b.owner
}

// wish ranks the devices for one node. It is kept from node to node to save its memory.
type wish struct {
	score []score
	order []int32
}

// clear makes all devices equal, but for the one that the layer of n prefers.
func (w *wish) clear(p *planner, n *tensor.Tensor) {
	for d := range w.score {
		w.score[d] = score{}
	}
	if d := p.layerDevice(n); d >= 0 {
		w.score[d].layer = 1
	}
}

// rank returns the devices, the best first; the earlier device comes before an equal one.
func (w *wish) rank() []int32 {
	w.order = w.order[:0]
	for d := range w.score {
		at := len(w.order)
		for at > 0 && w.score[d].before(&w.score[w.order[at-1]]) {
			at--
		}
		w.order = append(w.order, 0)
		copy(w.order[at+1:], w.order[at:])
		w.order[at] = int32(d)
	}
	return w.order
}

// layerDevice returns the device that n's layer prefers, or -1.
func (p *planner) layerDevice(n *tensor.Tensor) int32 {
	if n.Layer >= 0 && n.Layer < len(p.layers) {
		return p.layers[n.Layer]
	}
	return -1
}

// choose puts node i on the first of order that supports it and keeps the refusals of those before.
// It reports whether there is one.
func (p *planner) choose(i int, order []int32) bool {
	for _, d := range order {
		if p.supports(i, d) {
			p.nodes[i].dev = d
			return true
		}
		p.refuse(i, d)
	}
	return false
}

// because keeps r as the reason of node i, or the refusal if the device is not the one that r is about.
func (p *planner) because(i int, wanted int32, r Reason) {
	if no := p.placed[i].Refused; p.nodes[i].dev != wanted && len(no) > 0 {
		r = Reason{Rule: RuleFallback, Device: no[0].Device, Text: no[0].Reason}
	}
	p.placed[i].Reason = r
}

// noDevice returns the error of node i after choose has found none.
func (p *planner) noDevice(i int) *PlacementError {
	n := &p.nodes[i]
	return &PlacementError{Node: n.t.Name, Op: n.t.Op.Kind().String(), Reasons: p.placed[i].Refused}
}

// placeBound places node i if a pin or a bound tensor decides where it runs.
func (p *planner) placeBound(i int, w *wish) error {
	n := &p.nodes[i]
	pin, err := p.pinOf(i)
	if err != nil {
		return err
	}
	w.clear(p, n.t)
	switch {
	case n.update && p.roots[n.root].typ >= 0:
		return p.placeWriter(i, w, pin)
	case pin != nil:
		d := p.device(pin.Device)
		if !p.supports(i, d) {
			return &PlacementError{Node: n.t.Name, Op: n.t.Op.Kind().String(), Pin: pin.Pattern.String(), Reasons: []Refusal{p.refused(i, d)}}
		}
		n.dev = d
		p.placed[i].Reason = Reason{Rule: RulePin, Device: p.names[d], Text: pin.Pattern.String()}
		return nil
	}
	return p.placeReader(i, w)
}

// pinOf returns the pin of node i, or nil: that of its name comes before those of the weights it reads,
// which must agree.
func (p *planner) pinOf(i int) (*Pin, error) {
	n := &p.nodes[i]
	if at := matching(p.opt.Pins, n.t.Name); at >= 0 {
		return &p.opt.Pins[at], nil
	}
	var pin *Pin
	for _, rd := range p.reads[n.reads[0]:n.reads[1]] {
		at := p.roots[rd.root].pin
		if at < 0 {
			continue
		}
		other := &p.opt.WeightPins[at]
		if pin != nil && pin.Device != other.Device {
			return nil, &PlacementError{
				Node: n.t.Name, Op: n.t.Op.Kind().String(), Pin: pin.Pattern.String(),
				Reasons: []Refusal{{Device: other.Device, Reason: "/" + other.Pattern.String() + "/ pins another of its weights there"}},
			}
		}
		if pin == nil {
			pin = other
		}
	}
	return pin, nil
}

// matching returns the first of pins that matches name, or -1.
func matching(pins []Pin, name string) int {
	for i := range pins {
		if pins[i].Pattern.MatchString(name) {
			return i
		}
	}
	return -1
}

// placeWriter places node i, which writes into bound memory: only a device that can use it will do.
func (p *planner) placeWriter(i int, w *wish, pin *Pin) error {
	n := &p.nodes[i]
	r := &p.roots[n.root]
	if d := p.owner[r.typ]; d >= 0 {
		w.score[d].owner = 1
	}
	order := w.rank()
	if pin != nil {
		order = []int32{p.device(pin.Device)}
	}
	for _, d := range order {
		switch {
		case !p.canUse(r.typ, d):
		case !p.supports(i, d):
			p.refuse(i, d)
		case pin != nil:
			n.dev = d
			p.placed[i].Reason = Reason{Rule: RulePin, Device: p.names[d], Text: pin.Pattern.String()}
			return nil
		default:
			n.dev = d
			p.placed[i].Reason = p.tensorReason(RuleWrites, d, n.root)
			return nil
		}
	}
	e := p.memoryError(n.t, r)
	if pin != nil {
		e.Pin = pin.Pattern.String()
	}
	for _, d := range order {
		if p.canUse(r.typ, d) {
			e.Reasons = append(e.Reasons, p.refused(i, d))
		} else {
			e.Reasons = append(e.Reasons, p.unreachable(r, d))
		}
	}
	return e
}

func (p *planner) tensorReason(rule Rule, dev, id int32) Reason {
	r := &p.roots[id]
	reason := Reason{Rule: rule, Device: p.names[dev], Tensor: r.t.Name, Role: r.t.Role}
	if r.typ >= 0 {
		reason.Device = p.types[r.typ].Owner().Device
	}
	return reason
}

// placeReader places node i if it reads caches or weights, where the most bytes of them need no copy.
func (p *planner) placeReader(i int, w *wish) error {
	n := &p.nodes[i]
	bound := false
	for _, rd := range p.reads[n.reads[0]:n.reads[1]] {
		r := &p.roots[rd.root]
		if r.typ < 0 || r.t.Role == tensor.Input {
			continue
		}
		bound = true
		for d := range w.score {
			s := &w.score[d]
			switch {
			case !p.canUse(r.typ, int32(d)):
				continue
			case r.t.Role == tensor.Cache:
				s.cache += rd.hi - rd.lo
			default:
				s.weight += rd.hi - rd.lo
			}
			if p.owner[r.typ] == int32(d) {
				s.owner = 1
			}
		}
	}
	if !bound {
		return nil
	}
	order := w.rank()
	if !p.choose(i, order) {
		return p.noDevice(i)
	}
	p.because(i, order[0], Reason{})
	if at := p.largest(i, n.dev); at >= 0 {
		rule := RuleWeight
		if p.roots[at].t.Role == tensor.Cache {
			rule = RuleCache
		}
		p.placed[i].Reason = p.tensorReason(rule, n.dev, at)
	}
	return nil
}

// largest returns the cache of which node i reads most where it lies, on dev; or the weight if there is
// no such cache; or -1.
func (p *planner) largest(i int, dev int32) int32 {
	best, most, cache := int32(-1), int64(0), false
	n := &p.nodes[i]
	for _, rd := range p.reads[n.reads[0]:n.reads[1]] {
		r := &p.roots[rd.root]
		if r.typ < 0 || r.t.Role == tensor.Input || !p.canUse(r.typ, dev) {
			continue
		}
		isCache := r.t.Role == tensor.Cache
		if isCache && !cache || isCache == cache && rd.hi-rd.lo > most {
			best, most, cache = rd.root, rd.hi-rd.lo, isCache
		}
	}
	return best
}
