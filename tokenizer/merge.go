package tokenizer

import (
	"math"
	"slices"
)

// noRank is the rank of two symbols that do not merge.
const noRank = math.MaxUint32

// part is a part of a word: first a character or byte, later what merging made of some.
type part struct {
	lo, hi     int32 // bytes of the word
	prev, next int32 // neighbours, -1 for none; only in long words
	id         int32 // the symbol that it is, or none
	rank       uint32
	into       int32 // what it becomes with its right neighbour, in the order of rank
}

// shortWord is the number of parts up to which looking at all of them beats a heap.
const shortWord = 24

// pairRanker says in which order two neighbouring parts merge, the lowest rank first, and into what.
type pairRanker interface {
	rank(word []byte, a, b *part) (rank uint32, into int32)
}

// mergeParts merges neighbours, always the two of the lowest rank and of those the leftmost, until none
// merge. It returns the parts that are left, in order.
func mergeParts(sc *scratch, ranker pairRanker, word []byte, parts []part) []part {
	if len(parts) < 2 {
		return parts
	}
	last := len(parts) - 1
	for i := range last {
		parts[i].rank, parts[i].into = ranker.rank(word, &parts[i], &parts[i+1])
	}
	parts[last].rank = noRank
	if len(parts) <= shortWord {
		return mergeShort(ranker, word, parts)
	}
	return mergeLong(sc, ranker, word, parts)
}

func mergeShort(ranker pairRanker, word []byte, parts []part) []part {
	for {
		best, at := uint32(noRank), -1
		for i := range parts {
			if parts[i].rank < best {
				best, at = parts[i].rank, i
			}
		}
		if at < 0 {
			return parts
		}
		p := &parts[at]
		p.id, p.hi = p.into, parts[at+1].hi
		parts = append(parts[:at+1], parts[at+2:]...)
		p.rank = noRank
		if at+1 < len(parts) {
			p.rank, p.into = ranker.rank(word, p, &parts[at+1])
		}
		if at > 0 {
			q := &parts[at-1]
			q.rank, q.into = ranker.rank(word, q, p)
		}
	}
}

// mergeLong takes time n log n. The heap holds rank and left part of every pair that ever could merge; an
// entry whose rank is not the one its part has now is out of date.
func mergeLong(sc *scratch, ranker pairRanker, word []byte, parts []part) []part {
	heap := slices.Grow(sc.heap[:0], len(parts))
	for i := range parts {
		parts[i].prev, parts[i].next = int32(i-1), int32(i+1)
		if rank := parts[i].rank; rank != noRank {
			heap = append(heap, pairKey(rank, int32(i)))
		}
	}
	parts[len(parts)-1].next = -1
	for i := len(heap)/2 - 1; i >= 0; i-- {
		siftDown(heap, i)
	}
	for len(heap) > 0 {
		key := heap[0]
		at := int32(key & math.MaxUint32)
		p := &parts[at]
		if p.rank != uint32(key>>32) {
			heap = popHeap(heap)
			continue
		}
		q := &parts[p.next]
		p.id, p.hi, p.next = p.into, q.hi, q.next
		q.rank, q.lo = noRank, -1
		p.rank = noRank
		if p.next >= 0 {
			parts[p.next].prev = at
			p.rank, p.into = ranker.rank(word, p, &parts[p.next])
		}
		// The entry at the top is spent: its place is the cheapest for a new one.
		if p.rank != noRank {
			heap[0] = pairKey(p.rank, at)
			siftDown(heap, 0)
		} else {
			heap = popHeap(heap)
		}
		if p.prev >= 0 {
			left := &parts[p.prev]
			left.rank, left.into = ranker.rank(word, left, p)
			if left.rank != noRank {
				heap = pushHeap(heap, pairKey(left.rank, p.prev))
			}
		}
	}
	sc.heap = heap
	kept := parts[:0]
	for _, p := range parts {
		if p.lo >= 0 {
			kept = append(kept, p)
		}
	}
	return kept
}

// pairKey orders pairs by rank and then from left to right.
func pairKey(rank uint32, left int32) uint64 { return uint64(rank)<<32 | uint64(uint32(left)) }

func pushHeap(h []uint64, key uint64) []uint64 {
	h = append(h, key)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up] <= key {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = key
	return h
}

func popHeap(h []uint64) []uint64 {
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	if last > 0 {
		siftDown(h, 0)
	}
	return h
}

func siftDown(h []uint64, i int) {
	key := h[i]
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1] < h[down] {
			down++
		}
		if key <= h[down] {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = key
}
