package spec

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// machine is what a control meets: costs in milliseconds, and how often guesses are right.
type machine struct {
	row, guess float64 // of another row of the target's run, and of a guess; the first row is 10
	right      float64
	hit        float64 // how often the drafter has anything
	noise      float64
}

func (m machine) verify(rows int) float64 { return 10 + m.row*float64(rows-1) }

// run takes a control through rounds, and returns the time and the tokens of those from the first on.
func (m machine) run(c *control, r *rand.Rand, rounds, first, most int) (ms float64, tokens int) {
	jitter := func(v float64) float64 { return v * (1 + m.noise*r.Float64()) }
	took := func(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
	for round := range rounds {
		plain := c.begin()
		depth, length, accepted := 0, 0, 0
		var drafting float64
		if !plain {
			depth = c.depth(0, 1, most)
		}
		if depth > 0 {
			drafting = jitter(m.guess * float64(depth))
			c.drafted(0, depth, took(drafting))
			if r.Float64() < m.hit {
				length = depth
				for accepted < length && r.Float64() < m.right {
					accepted++
				}
			}
			c.judged(0, depth, length, accepted)
		}
		verify := jitter(m.verify(1 + length))
		if round < 8 {
			verify *= 5 // graphs are built
		}
		c.verified(1, 1+length, took(verify))
		if round >= first {
			ms += drafting + verify
			tokens += 1 + accepted
		}
	}
	return ms, tokens
}

// ideal returns the tokens in a millisecond at the best fixed depth.
func (m machine) ideal(most int) (rate float64, depth int) {
	for n := range most + 1 {
		tokens, p := 1.0, m.hit
		for range n {
			p *= m.right
			tokens += p
		}
		cost := m.verify(1) + m.guess*float64(n) + m.hit*m.row*float64(n)
		if x := tokens / cost; x > rate {
			rate, depth = x, n
		}
	}
	return rate, depth
}

// TestDepthPays compares what a control comes to with the best fixed depth, and with none.
func TestDepthPays(t *testing.T) {
	for _, m := range []machine{
		{row: 1, guess: 1, right: 0, hit: 1},
		{row: 1, guess: 1, right: 0.02, hit: 1},
		{row: 10, guess: 3, right: 0.5, hit: 1},
		{row: 0.5, guess: 1, right: 0.9, hit: 1},
		{row: 0.5, guess: 1, right: 0.6, hit: 1},
		{row: 5, guess: 0.5, right: 0.8, hit: 1},
		{row: 2, guess: 0, right: 0.7, hit: 0.1}, // a look-up that finds little
		{row: 2, guess: 2, right: 0.9, hit: 0.05},
		{row: 0.2, guess: 8, right: 0.9, hit: 1}, // drafting is nearly as slow as the target
	} {
		for _, noise := range []float64{0, 0.1} {
			m.noise = noise
			t.Run(fmt.Sprintf("%+v", m), func(t *testing.T) {
				const most, warm, rounds = 8, 100, 4000
				c := newControl(1, most, false)
				ms, tokens := m.run(c, rand.New(rand.NewPCG(1, 2)), rounds, warm, most)
				rate := float64(tokens) / ms * (1 + noise/2)
				ideal, depth := m.ideal(most)
				plain := 1 / m.verify(1)
				t.Logf("%.4f tokens/ms; %.4f at the best depth, %d; %.4f plain", rate, ideal, depth, plain)
				if rate < 0.97*plain {
					t.Errorf("slower than plain decoding: %.3f of it", rate/plain)
				}
				if rate < 0.9*ideal {
					t.Errorf("%.3f of the best depth's rate", rate/ideal)
				}
			})
		}
	}
}

// TestDepthFollows has acceptance change on the way.
func TestDepthFollows(t *testing.T) {
	const most = 6
	c := newControl(1, most, false)
	r := rand.New(rand.NewPCG(3, 4))
	good, bad := machine{row: 0.5, guess: 0.5, right: 0.9, hit: 1}, machine{row: 2, guess: 1, right: 0, hit: 1}
	for round, m := range []machine{good, bad, good, bad, good} {
		ms, tokens := m.run(c, r, 3000, 1500, most)
		ideal, _ := m.ideal(most)
		if rate := float64(tokens) / ms; rate < 0.9*ideal {
			t.Errorf("stretch %d: %.3f of the best depth's rate", round, rate/ideal)
		}
	}
}

// TestProbesGrowRare counts what is tried in vain.
func TestProbesGrowRare(t *testing.T) {
	c := newControl(1, 4, false)
	m := machine{row: 5, guess: 5, right: 0, hit: 1}
	r := rand.New(rand.NewPCG(1, 2))
	m.run(c, r, 2000, 0, 4)
	asked := 0
	for range 10000 {
		if !c.begin() && c.depth(0, 1, 4) > 0 {
			asked++
			c.drafted(0, 1, 5*time.Millisecond)
			c.judged(0, 1, 1, 0)
			c.verified(1, 2, 15*time.Millisecond)
			continue
		}
		c.verified(1, 1, 10*time.Millisecond)
	}
	if asked == 0 || asked > 60 {
		t.Errorf("%d of 10000 rounds tried a draft, want a few", asked)
	}
}

// TestFirstRunsSayNothing: that the first run of each shape is slow keeps nobody from the depth that is best.
func TestFirstRunsSayNothing(t *testing.T) {
	const most, rounds = 3, 12
	c := newControl(1, most, false)
	first := map[string]bool{}
	took := func(what string, n int, ms float64) time.Duration {
		if key := fmt.Sprint(what, n); !first[key] {
			first[key] = true
			ms *= 20
		}
		return time.Duration(ms * float64(time.Millisecond))
	}
	var depths []int
	for range rounds {
		depth := 0
		if !c.begin() {
			if depth = c.depth(0, 1, most); depth > 0 {
				c.drafted(0, depth, took("draft", 1, float64(depth)))
				c.judged(0, depth, depth, depth)
			}
		}
		c.verified(1, 1+depth, took("verify", 1+depth, 10+float64(depth)))
		depths = append(depths, depth)
	}
	deep := 0
	for _, d := range depths {
		if d == most {
			deep++
		}
	}
	if deep < rounds-warmUp-1 { // one plain round comes in between
		t.Errorf("%v guesses are asked for, want %d in all rounds but the first %d and one", depths, most, warmUp)
	}
}

// TestFixedDepth asks for all guesses at once and always.
func TestFixedDepth(t *testing.T) {
	c := newControl(1, 3, true)
	for range 100 {
		if c.begin() || c.depth(0, 1, 3) != 3 || c.depth(0, 1, 2) != 2 || c.depth(0, 1, 0) != 0 {
			t.Fatal("a fixed depth changed")
		}
		c.drafted(0, 3, time.Second)
		c.judged(0, 3, 3, 0)
		c.verified(1, 4, time.Second)
	}
}

func TestCurve(t *testing.T) {
	var c curve
	if got := c.at(3); got != 0 {
		t.Errorf("unmeasured: %g", got)
	}
	c.add(2, 100, true)
	if got := c.at(2); got != 0 {
		t.Errorf("the first of a count says %g", got)
	}
	c.add(2, 4, true)
	c.add(6, 80, true)
	c.add(6, 8, true)
	for _, x := range []struct {
		at   int
		want float64
	}{{1, 4}, {2, 4}, {3, 5}, {4, 6}, {6, 8}, {9, 8}} {
		if got := c.at(x.at); got != x.want {
			t.Errorf("at %d: %g, want %g", x.at, got, x.want)
		}
	}
	for _, v := range []float64{5, 90, 3, 4} { // a single outlier
		c.add(2, v, true)
	}
	if got := c.at(2); got != 4 {
		t.Errorf("the median is %g, want 4", got)
	}
	c = curve{linear: true}
	c.add(4, 2, false)
	c.add(4, 8, false)
	c.add(4, 6, false)
	for _, x := range []struct {
		at   int
		want float64
	}{{0, 0}, {1, 1.5}, {2, 3}, {4, 6}, {8, 12}} {
		if got := c.at(x.at); got != x.want {
			t.Errorf("linear at %d: %g, want %g", x.at, got, x.want)
		}
	}
}
