package sample

import (
	"math"
	"slices"
)

// The functions of this file find the last candidate to keep. They look at as few as they can: blocks of places whose
// highest rank is too low are passed over, and only what is near the border is selected from. What they return
// depends on ranks, ids and weights alone, but for the rounding of sums.

// fewPlaces is the number of candidates up to which all of them are looked at.
const fewPlaces = 1024

// nth returns the n-th best by rank. 0 < n <= len.
func (c *candidates) nth(rank []float32, n int) cand {
	floor := negInf
	if c.len() > fewPlaces {
		floor = c.lowerBound(c.topsOf(rank), n)
	}
	tmp := c.gather(rank, floor, math.MaxFloat32)
	selectTop(tmp, n)
	return worst(tmp[:n])
}

// topsOf returns the highest of each block of topBlock ranks.
func (c *candidates) topsOf(rank []float32) []float32 {
	if len(rank) != len(c.topped) || &rank[0] != &c.topped[0] {
		blockTops(c.room.tops[:topBlocks(len(rank))], rank)
		c.topped = rank
	}
	return c.room.tops[:topBlocks(len(rank))]
}

func topBlocks(n int) int { return (n + topBlock - 1) / topBlock }

// lowerBound returns a value that at least n values of the blocks with these tops reach.
func (c *candidates) lowerBound(tops []float32, n int) float32 {
	if n > len(tops) {
		return negInf
	}
	order := append(c.room.order[:0], tops...)
	return nthLargest(order, n)
}

// gather returns the candidates whose rank is from low to high.
func (c *candidates) gather(rank []float32, low, high float32) []cand {
	tmp, n := c.room.tmp[:len(rank)], 0
	for b, top := range c.topsOf(rank) {
		if top < low {
			continue
		}
		lo := b * topBlock
		for i, r := range rank[lo:min(lo+topBlock, len(rank))] {
			tmp[n] = cand{w: c.w[lo+i], score: r, id: c.id(lo + i)}
			n += count(r >= low) & count(r <= high)
		}
	}
	return tmp[:n]
}

// throughMass returns the last of the smallest set of best candidates by rank whose weights sum to at least goal, which is
// above 0, or the last of all if these stay below goal. The set has least candidates at least, if there are so many. The
// candidates are weighed.
func (c *candidates) throughMass(rank []float32, goal float64, least int) cand {
	least = min(least, c.len())
	last, n := c.throughGoal(rank, goal)
	if n < least {
		if other := c.nth(rank, least); last.before(other) {
			return other
		}
	}
	return last
}

// throughGoal returns the last of the set, and a number of candidates that it has at least.
func (c *candidates) throughGoal(rank []float32, goal float64) (last cand, n int) {
	if c.len() <= fewPlaces {
		return massOf(c.gather(rank, negInf, math.MaxFloat32), goal)
	}
	// A model is sure as a rule, and some dozens of tokens have it all.
	tops := c.topsOf(rank)
	low := c.lowerBound(tops, min(64, len(tops)))
	tmp := c.gather(rank, low, math.MaxFloat32)
	above := weightOf(tmp)
	if above >= goal {
		return massOf(tmp, goal)
	}
	b := border{low: negInf, high: math.Nextafter32(low, negInf), above: above}
	n = len(tmp)
	c.narrow(&b, rank, goal)
	last, _ = massOf(c.gather(rank, b.low, b.high), goal-b.above)
	return last, n
}

// border says between which ranks the last candidate of a set is, and what those above weigh.
type border struct {
	low, high float32
	above     float64
}

const (
	borderSample = 1024 // candidates that narrow looks at for ranks to try
	borderRounds = 2    // each reads all candidates and leaves about a fifth of them
)

// narrow moves the ends of b towards each other: to ranks of a sample of the candidates, which it tries four at a time.
func (c *candidates) narrow(b *border, rank []float32, goal float64) {
	step := (c.len() + borderSample - 1) / borderSample
	try := c.room.order[:0]
	for i := step / 2; i < c.len() && len(try) < cap(try); i += step {
		if rank[i] <= b.high && rank[i] > negInf {
			try = append(try, rank[i])
		}
	}
	slices.Sort(try)
	for range borderRounds {
		if len(try) < 4 {
			return
		}
		var t [4]float32
		for k := range t {
			t[k] = try[(k+1)*len(try)/5]
		}
		from, to := 0, len(try)
		for k, sum := range c.sumsAbove(rank, t) { // by rising t, so falling sums
			at := (k + 1) * len(try) / 5
			if sum < goal {
				b.high, b.above, to = t[k], sum, at
				break
			}
			b.low, from = math.Nextafter32(t[k], math.MaxFloat32), at+1
		}
		try = try[min(from, to):to]
	}
}

// sumsAbove returns for each of four ranks what the candidates above it weigh.
func (c *candidates) sumsAbove(rank []float32, t [4]float32) (sums [4]float64) {
	for lo := 0; lo < c.len(); lo += sumBlock {
		hi := min(lo+sumBlock, c.len())
		for k, s := range sumsAbove(c.w[lo:hi], rank[lo:hi], t) {
			sums[k] += s
		}
	}
	return sums
}

// atLeast returns how many candidates have a rank of at least low.
func (c *candidates) atLeast(rank []float32, low float32) int {
	n := 0
	for b, top := range c.topsOf(rank) {
		if top < low {
			continue
		}
		lo := b * topBlock
		for _, r := range rank[lo:min(lo+topBlock, len(rank))] {
			n += count(r >= low)
		}
	}
	return n
}

func massOf(a []cand, goal float64) (last cand, n int) {
	n = selectMass(a, goal)
	return worst(a[:n]), n
}

func weightOf(a []cand) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i].w
	}
	return sum
}

// nthLargest returns the n-th largest of a, which holds no NaN, and changes the order of a. 0 < n <= len(a).
func nthLargest(a []float32, n int) float32 {
	for rounds := 64; ; rounds-- {
		if len(a) <= smallSort || rounds == 0 {
			slices.Sort(a)
			return a[len(a)-n]
		}
		pivot := median(a[0], a[len(a)/2], a[len(a)-1])
		above, i, end := 0, 0, len(a) // a[:above] > pivot, a[above:i] == pivot, a[end:] < pivot
		for i < end {
			switch v := a[i]; {
			case v > pivot:
				a[i], a[above] = a[above], v
				above++
				i++
			case v < pivot:
				end--
				a[i], a[end] = a[end], v
			default:
				i++
			}
		}
		switch {
		case n <= above:
			a = a[:above]
		case n <= end:
			return pivot
		default:
			a, n = a[end:], n-end
		}
	}
}

func median(a, b, c float32) float32 {
	return max(min(a, b), min(max(a, b), c))
}
