package sample

import (
	"cmp"
	"math/bits"
	"slices"
)

// Selection finds the best part of a list without sorting the whole. The order is total (score, then id), so that the set
// that is found depends on the list's elements alone and not on their order.

// smallSort is the length below which sorting is quicker than another partition.
const smallSort = 24

// selectTop moves the n best elements of a to its front, in any order. 0 < n <= len(a).
func selectTop(a []cand, n int) {
	for rounds := 2 * bits.Len(uint(len(a))); n < len(a); rounds-- {
		if len(a) <= smallSort || rounds == 0 { // after bad luck with pivots sorting bounds the cost
			slices.SortFunc(a, compare)
			return
		}
		m := partition(a)
		switch {
		case n <= m:
			a = a[:m]
		case n == m+1:
			return
		default:
			a, n = a[m+1:], n-m-1
		}
	}
}

// selectMass moves the smallest set of best elements whose weights sum to at least goal to the front of a, and returns
// its size, which is len(a) if all weights together stay below goal.
func selectMass(a []cand, goal float64) int {
	done, sum := 0, 0.0 // elements known to be in the set, and their weight, which is below goal
	for rounds := 2 * bits.Len(uint(len(a))); ; rounds-- {
		if len(a) <= smallSort || rounds == 0 {
			slices.SortFunc(a, compare)
			for i, c := range a {
				if sum += c.w; sum >= goal {
					return done + i + 1
				}
			}
			return done + len(a)
		}
		m := partition(a)
		left := sum
		for _, c := range a[:m] {
			left += c.w
		}
		if left >= goal {
			a = a[:m]
			continue
		}
		if sum = left + a[m].w; sum >= goal {
			return done + m + 1
		}
		a, done = a[m+1:], done+m+1
	}
}

// partition picks a pivot, moves what ranks before it to a[:m] and what ranks after it to a[m+1:], and returns m.
// It wants at least three elements.
func partition(a []cand) int {
	last := len(a) - 1
	// The median of three goes to the end, which keeps lists in order from being the worst case.
	mid := last / 2
	if a[mid].before(a[0]) {
		a[0], a[mid] = a[mid], a[0]
	}
	if a[last].before(a[mid]) {
		a[mid], a[last] = a[last], a[mid]
		if a[mid].before(a[0]) {
			a[0], a[mid] = a[mid], a[0]
		}
	}
	a[mid], a[last] = a[last], a[mid]
	pivot := a[last]
	m := 0
	for i := range a[:last] {
		if c := a[i]; c.before(pivot) {
			a[i], a[m] = a[m], c
			m++
		}
	}
	a[m], a[last] = pivot, a[m]
	return m
}

// worst returns the element of a that ranks last.
func worst(a []cand) cand {
	w := a[0]
	for _, c := range a[1:] {
		if w.before(c) {
			w = c
		}
	}
	return w
}

func compare(a, b cand) int {
	if c := cmp.Compare(b.score, a.score); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}
