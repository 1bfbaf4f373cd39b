package sched

import (
	"cmp"
	"slices"
)

// allocate gives every slot its place and counts the memory of each type.
func (p *planner) allocate() error {
	b := bank{slots: p.slots, seen: make([]int32, len(p.slots)), calendar: make([]int32, len(p.nodes)+2)}
	byType := make([][]int32, len(p.types))
	for s := range p.slots {
		typ := p.slots[s].typ
		byType[typ] = append(byType[typ], int32(s))
	}
	for typ, ids := range byType {
		if len(ids) == 0 {
			continue
		}
		device := p.names[slices.Index(p.arena, int32(typ))]
		b.align, b.max = int64(p.types[typ].Alignment()), p.types[typ].MaxSize()
		for _, id := range ids {
			if s := &p.slots[id]; s.bytes > b.max {
				return &TooLargeError{p.roots[s.root].t.String(), device, s.bytes, b.max}
			}
		}
		m := Arena{Device: device, BufferType: p.types[typ].Name(), LargestLive: b.largest(ids)}
		m.Buffers, m.Bytes = b.best(ids, m.LargestLive)
		p.memory = append(p.memory, m)
		p.arenas = append(p.arenas, int32(typ))
	}
	return nil
}

// bank gives places to slots: the largest first, each at the lowest offset that is free while it is in
// use. In the order of time instead, large results that alternate with small ones leave gaps that no
// later one fits.
type bank struct {
	slots []slot
	align int64
	max   int64 // bytes of one buffer

	// calendar says for each time, from -1 on, which entry is the last of the placed slots that are in
	// use then, -1 if there is none. Those of long use are not there, but once in long.
	calendar []int32
	entries  []entry
	long     []int32
	seen     []int32 // the slot for which each was last found to be a neighbour, plus 1
	near     []span
}

// longUse is the number of nodes from which a slot is of long use.
const longUse = 64

// entry is a slot at one time, and the entry before it of the same time.
type entry struct{ slot, before int32 }

// span is where a placed slot lies.
type span struct {
	chunk  int32
	lo, hi int64
}

// largest returns the most bytes that slots ids take at a time.
func (b *bank) largest(ids []int32) int64 {
	change := make([]int64, len(b.calendar)+1)
	for _, id := range ids {
		s := &b.slots[id]
		change[s.start+1] += s.bytes
		change[s.end+2] -= s.bytes
	}
	live, most := int64(0), int64(0)
	for _, c := range change {
		live += c
		most = max(most, live)
	}
	return most
}

// orders are in what order slots of one size are placed: the earlier first, the longer in use first, or the
// later first. None is best for all plans.
var orders = [...]func(s, t *slot) int{
	func(s, t *slot) int { return cmp.Compare(s.start, t.start) },
	func(s, t *slot) int { return cmp.Compare(t.end-t.start, s.end-s.start) },
	func(s, t *slot) int { return cmp.Compare(t.end, s.end) },
}

// best places slots ids in the order that takes the least memory, and returns the sizes of the buffers and
// their sum. It ends with the first order that takes hardly more than must be: each takes time.
func (b *bank) best(ids []int32, least int64) (sizes []int64, sum int64) {
	best := 0
	for k := range orders {
		now := b.fill(ids, k)
		bytes := int64(0)
		for _, size := range now {
			bytes += size
		}
		if k == 0 || bytes < sum {
			best, sizes, sum = k, now, bytes
		}
		if sum <= least+least/256 {
			return sizes, sum
		}
	}
	if best < len(orders)-1 {
		sizes = b.fill(ids, best)
	}
	return sizes, sum
}

// fill places slots ids and returns the sizes of the buffers.
func (b *bank) fill(ids []int32, order int) []int64 {
	for t := range b.calendar {
		b.calendar[t] = -1
	}
	clear(b.seen)
	b.entries, b.long = b.entries[:0], b.long[:0]
	slices.SortFunc(ids, func(x, y int32) int {
		s, t := &b.slots[x], &b.slots[y]
		return cmp.Or(cmp.Compare(t.bytes, s.bytes), orders[order](s, t), cmp.Compare(x, y))
	})
	var sizes []int64
	for _, id := range ids {
		s := &b.slots[id]
		b.neighbours(id)
		s.chunk, s.offset = b.lowest(s.bytes)
		if int(s.chunk) == len(sizes) {
			sizes = append(sizes, 0)
		}
		sizes[s.chunk] = max(sizes[s.chunk], s.offset+s.bytes)
		if s.end-s.start >= longUse {
			b.long = append(b.long, id)
			continue
		}
		for t := s.start; t <= s.end; t++ {
			b.entries = append(b.entries, entry{id, b.calendar[t+1]})
			b.calendar[t+1] = int32(len(b.entries) - 1)
		}
	}
	return sizes
}

// neighbours sets near to where the placed slots lie that are in use together with slot id, in order.
func (b *bank) neighbours(id int32) {
	s := &b.slots[id]
	b.near = b.near[:0]
	for _, other := range b.long {
		if o := &b.slots[other]; o.start <= s.end && s.start <= o.end {
			b.near = append(b.near, span{o.chunk, o.offset, o.offset + o.bytes})
		}
	}
	for t := s.start; t <= s.end; t++ {
		for e := b.calendar[t+1]; e >= 0; e = b.entries[e].before {
			other := b.entries[e].slot
			if b.seen[other] != id+1 {
				b.seen[other] = id + 1
				o := &b.slots[other]
				b.near = append(b.near, span{o.chunk, o.offset, o.offset + o.bytes})
			}
		}
	}
	slices.SortFunc(b.near, func(x, y span) int {
		return cmp.Or(cmp.Compare(x.chunk, y.chunk), cmp.Compare(x.lo, y.lo))
	})
}

// lowest returns the first place for n bytes beside near.
func (b *bank) lowest(n int64) (chunk int32, offset int64) {
	for _, x := range b.near {
		for ; chunk < x.chunk; chunk, offset = chunk+1, 0 { // the rest of that buffer is free
			if n <= b.max-offset {
				return chunk, offset
			}
		}
		if n <= x.lo-offset {
			return chunk, offset
		}
		offset = max(offset, (x.hi+b.align-1)&^(b.align-1))
	}
	if n <= b.max-offset {
		return chunk, offset
	}
	return chunk + 1, 0
}
