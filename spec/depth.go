package spec

import "time"

const (
	// firstGuess is how likely a first guess is taken to be right before anything was measured.
	firstGuess = 0.7
	// memory is what a measurement of acceptance keeps of its weight with each that follows.
	memory = 0.97
	// margin is how much better than plain decoding a depth must look to be taken: what is measured is
	// never exact, and plain decoding is certain.
	margin = 1.02
	// warmUp is how many plain rounds come first, so that there is something to compare with. The first
	// run of a shape builds its graph, and says nothing.
	warmUp = 2
	// A depth that does not look best is tried again after leastGap rounds, and then after twice as many
	// each time, up to mostGap.
	leastGap, mostGap = 8, 512
	// probeRounds is how long such a trial lasts: the first has to catch up with what was committed.
	probeRounds = 2
)

// control decides how many guesses to ask a drafter for: as many as promise the most tokens for the
// time that they take,
//
//	tokens(n) = 1 + sum over i of P(draft has i guesses) * P(the first i are right)
//	cost(n)   = verification of as many rows + drafting
//
// which are all measured as decoding goes on. None at all is always among the choices.
type control struct {
	fixed    bool
	verify   curve // by rows of the target's run
	drafters []drafterControl

	rounds   int
	sincePly int // rounds since the last plain one
	plainGap int
}

// drafterControl is what was measured of a drafter.
type drafterControl struct {
	length []share // by position: drafts that were long enough, among those that were asked to be
	right  []share // by position: guesses that were right, among those that were reached
	cost   curve   // by guesses asked for

	asked int // the round in which it was asked last
	last  int // depth that looked best then
	since int // rounds since the last probe
	gap   int // between probes
	probe int // rounds left of this one
}

func newControl(drafters, most int, fixed bool) *control {
	c := &control{fixed: fixed, drafters: make([]drafterControl, drafters), plainGap: leastGap}
	for i := range c.drafters {
		d := &c.drafters[i]
		d.length, d.right, d.gap, d.cost.linear = make([]share, most), make([]share, most), leastGap, true
		d.asked = -1
	}
	return c
}

// begin starts a round and reports whether it is to be plain.
func (c *control) begin() bool {
	c.rounds++
	if c.fixed {
		return false
	}
	if c.rounds <= warmUp {
		return true
	}
	if c.sincePly++; c.sincePly > c.plainGap {
		c.plainGap = min(2*c.plainGap, mostGap)
		return true
	}
	return false
}

// depth returns how many guesses to ask drafter i for, at most most, in a round of several sequences.
func (c *control) depth(i, seqs, most int) int {
	if c.fixed || most <= 0 {
		return max(most, 0)
	}
	d := &c.drafters[i]
	best := c.best(d, seqs, most)
	if best > d.last {
		d.gap = leastGap
	}
	d.last = best
	if best == most {
		return best
	}
	if d.since++; d.probe == 0 && d.since >= d.gap {
		d.probe = probeRounds
	}
	if d.probe == 0 {
		return best
	}
	if d.probe--; d.probe == 0 {
		d.since, d.gap = 0, min(2*d.gap, mostGap)
	}
	return best + 1
}

// best returns the depth that promises most.
func (c *control) best(d *drafterControl, seqs, most int) int {
	tokens, cost := 1.0, c.verify.at(seqs)
	best, bestRate := 0, margin/cost
	right, length, all := firstGuess, 1.0, 1.0
	for n := 1; n <= most; n++ {
		length = d.length[n-1].value(length)
		right = d.right[n-1].value(right)
		all *= right
		tokens += length * all
		cost += length * max(0, c.verify.at(seqs*(n+1))-c.verify.at(seqs*n))
		if rate := tokens / (cost + d.cost.at(n)); rate > bestRate {
			best, bestRate = n, rate
		}
	}
	return best
}

// drafted notes that drafter i was asked for n guesses, and how long it took. Catching up with what it
// was not told to draft for takes longer than it usually does, and is not counted as usual.
func (c *control) drafted(i, n int, took time.Duration) {
	d := &c.drafters[i]
	d.cost.add(n, took.Seconds(), d.asked == c.rounds-1)
	d.asked = c.rounds
}

// judged notes that drafter i was asked for asked guesses, gave length, and that accepted were right.
func (c *control) judged(i, asked, length, accepted int) {
	d := &c.drafters[i]
	for n := range asked {
		d.length[n].add(n < length)
		if n < length && n <= accepted {
			d.right[n].add(n < accepted)
		}
	}
}

// verified notes how long the target took for a round.
func (c *control) verified(seqs, rows int, took time.Duration) {
	c.verify.add(rows, took.Seconds(), true)
	if rows == seqs {
		c.sincePly = 0
	}
}

// share is how often something was so, where later counts more.
type share struct{ so, tried float64 }

func (s *share) add(so bool) {
	s.so, s.tried = memory*s.so, memory*s.tried+1
	if so {
		s.so++
	}
}

// value returns the share, with one observation's weight to what was expected of it.
func (s *share) value(expected float64) float64 { return (s.so + expected) / (s.tried + 1) }

// curve is a time in seconds that depends on a count, known where it was measured.
type curve struct {
	linear bool // from 0 at 0 on
	points []point
}

// point is what was measured for one count.
type point struct {
	seen   int
	first  float64    // what there is before anything usual was measured
	latest [5]float64 // of which the median counts: single outliers are common
	n      int        // of latest, in all
}

// add adds a measurement. The first of a count says nothing: it builds what the others use. Of those that are not
// usual the best counts until there is a usual one.
func (c *curve) add(x int, v float64, usual bool) {
	for x >= len(c.points) {
		c.points = append(c.points, point{})
	}
	p := &c.points[x]
	p.seen++
	if p.seen > 1 && usual {
		p.latest[p.n%len(p.latest)] = v
		p.n++
		return
	}
	if p.seen <= 2 || v < p.first {
		p.first = v
	}
}

// known reports whether p says anything.
func (p *point) known() bool { return p.seen > 1 }

// value returns the median of the latest.
func (p *point) value() float64 {
	n := min(p.n, len(p.latest))
	if n == 0 {
		return p.first
	}
	sorted := p.latest
	for i := 1; i < n; i++ {
		for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	return sorted[n/2]
}

// at returns the time for x: on the line between its neighbours where it was not measured itself. Beyond
// them it takes the best for granted, so that it will be measured.
func (c *curve) at(x int) float64 {
	below, above := min(x, len(c.points)-1), x
	for below > 0 && !c.points[below].known() {
		below--
	}
	for above < len(c.points) && !c.points[above].known() {
		above++
	}
	known := below > 0
	var low float64
	if known {
		low = c.points[below].value()
	}
	switch {
	case known && below == x:
		return low
	case above < len(c.points) && (known || c.linear):
		high := c.points[above].value()
		if !known {
			below = 0
		}
		return low + (high-low)*float64(x-below)/float64(above-below)
	case above < len(c.points):
		return c.points[above].value()
	case known && c.linear:
		return low * float64(x) / float64(below)
	}
	return low
}

// plain returns what a round without guesses takes; 0 if there was none.
func (c *control) plain(seqs int) time.Duration {
	if seqs >= len(c.verify.points) || c.verify.points[seqs].seen == 0 {
		return 0
	}
	return time.Duration(c.verify.points[seqs].value() * float64(time.Second))
}
