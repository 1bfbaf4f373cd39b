package sched

import (
	"cmp"
	"slices"
)

// allocate gives every slot its place and counts the memory of each type.
func (p *planner) allocate() error {
	for typ := range p.types {
		var ids []int32
		for s := range p.slots {
			if p.slots[s].typ == int32(typ) {
				ids = append(ids, int32(s))
			}
		}
		if len(ids) == 0 {
			continue
		}
		a := arena{slots: p.slots, align: int64(p.types[typ].Alignment()), max: p.types[typ].MaxSize()}
		if at := a.fill(ids); at >= 0 {
			s := &p.slots[at]
			return &TooLargeError{p.roots[s.root].t.String(), p.names[slices.Index(p.arena, int32(typ))], s.bytes, a.max}
		}
		m := Arena{Device: p.names[slices.Index(p.arena, int32(typ))], BufferType: p.types[typ].Name(), LargestLive: a.largest}
		for _, c := range a.chunks {
			m.Buffers = append(m.Buffers, c.size)
			m.Bytes += c.size
		}
		p.memory = append(p.memory, m)
		p.arenas = append(p.arenas, int32(typ))
	}
	return nil
}

// arena gives places to slots in the order in which they come alive, each in the smallest hole that
// holds it. Where slots do not fit in one buffer it opens another.
type arena struct {
	slots   []slot
	align   int64
	max     int64 // bytes of one buffer
	chunks  []chunk
	live    int64
	largest int64
}

// chunk is one buffer: its holes below top, by offset, and the bytes that it needs.
type chunk struct {
	holes []hole
	top   int64
	size  int64
}

type hole struct{ lo, hi int64 }

// fill places the slots ids. It returns the first that is too large for a buffer, or -1.
func (a *arena) fill(ids []int32) int32 {
	slices.SortFunc(ids, func(x, y int32) int {
		s, t := &a.slots[x], &a.slots[y]
		return cmp.Or(cmp.Compare(s.start, t.start), cmp.Compare(t.bytes, s.bytes), cmp.Compare(x, y))
	})
	ending := slices.Clone(ids)
	slices.SortFunc(ending, func(x, y int32) int {
		return cmp.Or(cmp.Compare(a.slots[x].end, a.slots[y].end), cmp.Compare(x, y))
	})
	for _, id := range ids {
		for a.slots[ending[0]].end < a.slots[id].start {
			a.free(&a.slots[ending[0]])
			ending = ending[1:]
		}
		if a.slots[id].bytes > a.max {
			return id
		}
		a.take(&a.slots[id])
	}
	return -1
}

// take places s.
func (a *arena) take(s *slot) {
	a.live += s.bytes
	a.largest = max(a.largest, a.live)
	size := a.round(s.bytes)
	at, which := -1, -1
	for c := range a.chunks {
		for h, x := range a.chunks[c].holes {
			if x.hi-x.lo >= size && s.bytes <= a.max-x.lo && (at < 0 || x.hi-x.lo < a.hole(at, which)) {
				at, which = c, h
			}
		}
	}
	if at >= 0 {
		c := &a.chunks[at]
		s.chunk, s.offset = int32(at), c.holes[which].lo
		c.holes[which].lo += size
		if c.holes[which].lo == c.holes[which].hi {
			c.holes = slices.Delete(c.holes, which, which+1)
		}
		c.size = max(c.size, s.offset+s.bytes)
		return
	}
	a.extend(s, size)
}

func (a *arena) hole(chunk, which int) int64 {
	h := a.chunks[chunk].holes[which]
	return h.hi - h.lo
}

// extend places s at the end of the first buffer that may grow so far, or in a new one.
func (a *arena) extend(s *slot, size int64) {
	for i := range a.chunks {
		c := &a.chunks[i]
		lo := c.top
		last := len(c.holes) - 1
		if last >= 0 && c.holes[last].hi == c.top {
			lo = c.holes[last].lo
		}
		if s.bytes > a.max-lo {
			continue
		}
		if lo < c.top {
			c.holes = c.holes[:last]
		}
		s.chunk, s.offset = int32(i), lo
		c.top = lo + size
		c.size = max(c.size, lo+s.bytes)
		return
	}
	s.chunk, s.offset = int32(len(a.chunks)), 0
	a.chunks = append(a.chunks, chunk{top: size, size: s.bytes})
}

// free makes the place of s a hole, and one with the holes beside it.
func (a *arena) free(s *slot) {
	a.live -= s.bytes
	c := &a.chunks[s.chunk]
	lo, hi := s.offset, s.offset+a.round(s.bytes)
	i, _ := slices.BinarySearchFunc(c.holes, lo, func(h hole, lo int64) int { return cmp.Compare(h.lo, lo) })
	if i > 0 && c.holes[i-1].hi == lo {
		i--
		lo = c.holes[i].lo
		c.holes = slices.Delete(c.holes, i, i+1)
	}
	if i < len(c.holes) && c.holes[i].lo == hi {
		hi = c.holes[i].hi
		c.holes = slices.Delete(c.holes, i, i+1)
	}
	c.holes = slices.Insert(c.holes, i, hole{lo, hi})
}

// round returns n as a whole number of alignments.
func (a *arena) round(n int64) int64 { return (n + a.align - 1) &^ (a.align - 1) }
