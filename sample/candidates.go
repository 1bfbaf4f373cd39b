package sample

import (
	"math"
	"slices"
)

var negInf = float32(math.Inf(-1))

// cand is a token that a stage selects from.
type cand struct {
	w     float64 // weight: probability times candidates.total
	score float32 // what it ranks by, higher first: the logit, except within typical-p
	id    int32
}

// before is the rank order. No score is NaN.
func (c cand) before(d cand) bool {
	return c.score > d.score || c.score == d.score && c.id < d.id
}

// candidates are the tokens that can still be drawn, in order of ids from the first stage to the draw: stages find the
// last one to keep and then drop what ranks after it. Their logits lie side by side, and so do their weights, so
// that kernels may run over them.
type candidates struct {
	ids   []int32   // by place; nil while no token was dropped: then a place is an id
	score []float32 // logits by place
	w     []float64 // weights by place, as large as score; valid if weighted
	best  float32   // the highest logit

	weighted bool    // w is that of score at invT
	summed   bool    // sums and total are those of w
	invT     float64 // 1/temperature
	sums     []float64
	total    float64 // the sum of sums, in order

	topped []float32 // room.tops is that of this row; nil if of none
	room   room
}

// room is the memory of candidates, which New allocates.
type room struct {
	ids   []int32
	score []float32
	w     []float64
	sums  []float64 // by block of sumBlock places

	// Of whichever stage runs:
	rank  []float32 // by place
	tops  []float32 // by block of topBlock places, or of logits
	order []float32 // a copy of tops
	tmp   []cand
}

// newCandidates has room for size of nVocab tokens, and for ranks if a stage needs them.
func newCandidates(size, nVocab int, ranks bool) candidates {
	tops := (nVocab + topBlock - 1) / topBlock
	c := candidates{room: room{
		ids: make([]int32, size), score: make([]float32, size), w: make([]float64, size),
		sums: make([]float64, (size+sumBlock-1)/sumBlock),
		tops: make([]float32, tops), order: make([]float32, tops), tmp: make([]cand, 0, size),
	}}
	if ranks {
		c.room.rank = make([]float32, size)
	}
	return c
}

func (c *candidates) len() int { return len(c.score) }

func (c *candidates) id(place int) int32 {
	if c.ids == nil {
		return int32(place)
	}
	return c.ids[place]
}

// clear leaves no candidate.
func (c *candidates) clear() { c.resize(0) }

// resize makes the first n places the candidates, with whatever is there.
func (c *candidates) resize(n int) {
	c.ids, c.score, c.w = c.room.ids[:n], c.room.score[:n], c.room.w[:n]
	c.weighted, c.summed, c.topped = false, false, nil
}

// weigh sets each weight to exp((logit-best)/T) and adds them up, if that is not so already. The best has weight 1, so
// that total is at least 1 and nothing overflows.
func (c *candidates) weigh(invT float64) {
	if !c.weighted || c.invT != invT {
		c.weighted, c.summed, c.invT = true, true, invT
		c.addUp(func(lo, hi int) float64 { return expBlock(c.w[lo:hi], c.score[lo:hi], float64(c.best), invT) })
		return
	}
	if !c.summed {
		c.summed = true
		c.addUp(func(lo, hi int) float64 { return sumWeights(c.w[lo:hi]) })
	}
}

// addUp sets sums to what block gives for the places lo to hi-1 of each block, and total.
func (c *candidates) addUp(block func(lo, hi int) float64) {
	c.sums, c.total = c.room.sums[:0], 0
	for lo := 0; lo < c.len(); lo += sumBlock {
		s := block(lo, min(lo+sumBlock, c.len()))
		c.sums = append(c.sums, s)
		c.total += s
	}
}

// keepTop keeps the n best.
func (c *candidates) keepTop(n int) {
	if n < c.len() {
		c.keepThrough(c.score, c.nth(c.score, n))
	}
}

// keepThrough drops what ranks after last, by rank.
func (c *candidates) keepThrough(rank []float32, last cand) {
	byScore := &rank[0] == &c.score[0]
	// Up to last's place its equals are kept, and after it, where ids are higher, they are not.
	tops, place := c.topsOf(rank), c.placeOf(last.id)
	n := c.keepFrom(0, rank, tops, 0, place, last.score)
	n = c.keepFrom(n, rank, tops, place, len(rank), math.Nextafter32(last.score, float32(math.Inf(1))))
	if n == c.len() {
		return
	}
	c.ids, c.score, c.w = c.room.ids[:n], c.room.score[:n], c.room.w[:n]
	c.summed, c.topped = false, nil
	if byScore {
		return // and the best is the first to be kept
	}
	best := negInf
	for _, v := range c.score {
		best = max(best, v)
	}
	// Weights are relative to the best; without it they might be too small to be exact.
	c.weighted = c.weighted && best == c.best
	c.best = best
}

// placeOf returns the number of candidates whose id is at most id.
func (c *candidates) placeOf(id int32) int {
	if c.ids == nil {
		return min(int(id), c.len()-1) + 1
	}
	n, found := slices.BinarySearch(c.ids, id)
	if found {
		n++
	}
	return n
}

// keepFrom moves the candidates at places lo to hi-1 whose rank is at least low to place n and after, and returns the
// place after them. To keep or not is a coin's toss for a processor, so that there is no branch.
func (c *candidates) keepFrom(n int, rank, tops []float32, lo, hi int, low float32) int {
	ids, score, w := c.room.ids, c.room.score, c.room.w
	for lo < hi {
		end := min(lo&^(topBlock-1)+topBlock, hi)
		if tops[lo/topBlock] >= low {
			for i := lo; i < end; i++ {
				r := rank[i]
				ids[n], score[n], w[n] = c.id(i), c.score[i], c.w[i]
				n += count(r >= low)
			}
		}
		lo = end
	}
	return n
}

func count(b bool) int {
	n := 0
	if b {
		n = 1
	}
	return n
}

// draw returns the first token at which the cumulative weight exceeds u times the total; u is in [0, 1).
func (c *candidates) draw(u float64) int32 {
	goal, sum := float64(u*c.total), 0.0
	for b, s := range c.sums {
		if sum+s <= goal {
			sum += s
			continue
		}
		at := -1
		for i := b * sumBlock; i < min((b+1)*sumBlock, c.len()); i++ {
			if c.w[i] == 0 {
				continue
			}
			at = i
			if sum += c.w[i]; sum > goal {
				break
			}
		}
		// One by one the weights may round to less than the block's sum. Then it is the last of them.
		return c.id(at)
	}
	// The sum ends at total, which u*total is below for every u of the generator.
	panic("sample: draw beyond the total weight")
}
