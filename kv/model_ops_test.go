package kv

import (
	"errors"
	"math"
	"math/bits"
	"reflect"
)

func (d *driver) remove() error {
	seq := d.src.pick(d.cfg.MaxSeqs+1) - 1
	p0, p1 := d.someRange(max(seq, 0))
	return d.removeRange(seq, p0, p1)
}

func (d *driver) removeTail() error {
	seq := d.src.pick(d.cfg.MaxSeqs)
	top := d.maxPos(seq)
	return d.removeRange(seq, max(0, top-d.src.pick(6)), -1)
}

// someRange returns positions, often those of the sequence.
func (d *driver) someRange(seq int) (p0, p1 int) {
	top := d.maxPos(seq) + 2
	p0 = d.src.pick(top + 1)
	p1 = p0 + d.src.pick(top-p0+1)
	switch d.src.pick(4) {
	case 0:
		p0 = -1
	case 1:
		p1 = -1
	}
	return p0, p1
}

func ends(p0, p1 int) (int, int) {
	if p1 < 0 {
		p1 = math.MaxInt
	}
	return max(p0, 0), p1
}

func (d *driver) scope(seq int) []int {
	if seq >= 0 {
		return []int{seq}
	}
	var all []int
	for s := range d.seqs {
		all = append(all, s)
	}
	return all
}

func (d *driver) removeRange(seq, p0, p1 int) error {
	a, b := ends(p0, p1)
	after := map[int]map[int]*token{}
	for _, s := range d.scope(seq) {
		after[s] = map[int]*token{}
		for p, tok := range d.seqs[s] {
			if p < a || p >= b {
				after[s][p] = tok
			}
		}
		if top := d.maxPos(s); !d.exact() && a > 0 && b <= top {
			return nil // a window that has lost the hole's edges cannot tell exactly
		}
	}
	can := seq >= 0 && p1 < 0 && d.c.CanRollback(seq, p0)
	was := snapshot(d.c)
	err := d.c.Remove(seq, p0, p1)
	for i, g := range was.groups {
		for s, lost := range g.lost { // a range that is cut ends where no token may be
			d.vague[s] = d.vague[s] || lost != d.c.groups[i].lost[s]
		}
	}
	if seq >= 0 && p1 < 0 && can != (err == nil) {
		d.t.Fatalf("CanRollback(%d, %d) is %v, Remove says %v", seq, p0, can, err)
	}
	return d.accept(err, after, -1)
}

// accept makes after the state of its sequences, or checks that err refuses it with reason: a token that
// would be seen next is gone. Sequence from, if not -1, brings its own tokens.
func (d *driver) accept(err error, after map[int]map[int]*token, from int) error {
	if err == nil {
		for s, m := range after {
			d.seqs[s] = m
		}
		return nil
	}
	if !errors.Is(err, ErrRollback) {
		d.t.Fatal(err)
	}
	d.refused++
	for s, m := range after {
		for i, g := range d.c.groups {
			if !g.expires {
				continue
			}
			for p, tok := range m {
				if p > maxKey(m)+1-int(g.window) && !d.holds(i, s, tok) && (from < 0 || !d.holds(i, from, tok)) {
					return err
				}
			}
			if d.vague[s] {
				return err
			}
		}
	}
	d.t.Fatalf("refused although every group has what is needed: %v", err)
	return err
}

// holds reports whether group i still has tok for sequence s.
func (d *driver) holds(i, s int, tok *token) bool {
	for b, w := range d.c.groups[i].member[s] {
		for ; w != 0; w &= w - 1 {
			if d.cell[i][b*blockCells+bits.TrailingZeros64(w)] == tok {
				return true
			}
		}
	}
	return false
}

func (d *driver) copySeq() error {
	src, dst := d.src.pick(d.cfg.MaxSeqs), d.src.pick(d.cfg.MaxSeqs)
	p0, p1 := d.someRange(src)
	a, b := ends(p0, p1)
	lo, hi := math.MaxInt, -1
	after := map[int]*token{}
	for p, tok := range d.seqs[dst] {
		after[p] = tok
	}
	for p, tok := range d.seqs[src] {
		if p >= a && p < b {
			lo, hi = min(lo, p), max(hi, p)
			after[p] = tok
		}
	}
	taken := false
	for p, tok := range d.seqs[dst] {
		taken = taken || p >= lo && p <= hi && d.seqs[src][p] != tok
	}
	if taken && !d.exact() {
		return nil
	}
	for _, g := range d.c.groups {
		known := d.exact() && (g.lost[src].empty() || len(d.seqs[dst]) == 0) && g.lost[dst].empty()
		d.vague[dst] = d.vague[dst] || d.vague[src] || !known
	}
	err := d.c.CopySeq(src, dst, p0, p1)
	if taken && src != dst || !d.exact() && errors.Is(err, ErrPos) {
		if !errors.Is(err, ErrPos) {
			d.t.Fatalf("CopySeq(%d, %d, %d, %d): %v, want %v", src, dst, p0, p1, err, ErrPos)
		}
		return err
	}
	return d.accept(err, map[int]map[int]*token{dst: after}, src)
}

func (d *driver) add() error {
	seq := d.src.pick(d.cfg.MaxSeqs+1) - 1
	p0, p1 := d.someRange(max(seq, 0))
	return d.addRange(seq, p0, p1, d.src.pick(21)-10)
}

// shiftContext removes a part of a sequence and closes the gap, as a full context is handled.
func (d *driver) shiftContext() error {
	seq := d.src.pick(d.cfg.MaxSeqs)
	top := d.maxPos(seq)
	if top < 4 || !d.exact() {
		return nil
	}
	from := d.src.pick(top / 2)
	n := 1 + d.src.pick(top/2)
	if err := d.removeRange(seq, from, from+n); err != nil {
		return err
	}
	d.check()
	before := snapshot(d.c)
	err := d.addRange(seq, from+n, -1, -n)
	if err != nil && !reflect.DeepEqual(before, snapshot(d.c)) {
		d.t.Fatalf("the cache has changed although it said: %v", err)
	}
	return nil
}

func (d *driver) addRange(seq, p0, p1, delta int) error {
	a, b := ends(p0, p1)
	after := map[int]map[int]*token{}
	moved := map[*token]bool{}
	bad := false
	for _, s := range d.scope(seq) {
		m := map[int]*token{}
		stay, lo, hi := []int{}, math.MaxInt, -1
		for p, tok := range d.seqs[s] {
			if p < a || p >= b {
				m[p] = tok
				stay = append(stay, p)
				continue
			}
			m[p+delta] = tok
			moved[tok] = true
			lo, hi = min(lo, p), max(hi, p)
			for o := range d.seqs {
				bad = bad || seq >= 0 && o != s && d.seqs[o][p] == tok
			}
		}
		bad = bad || hi >= 0 && lo+delta < 0
		for _, p := range stay {
			bad = bad || hi >= 0 && (p < lo && p >= lo+delta || p > hi && p <= hi+delta)
		}
		after[s] = m
	}
	if bad && !d.exact() {
		return nil
	}
	err := d.c.Add(seq, p0, p1, delta)
	if bad && delta != 0 || !d.exact() && (errors.Is(err, ErrPos) || errors.Is(err, ErrSeq)) {
		if !errors.Is(err, ErrPos) && !errors.Is(err, ErrSeq) {
			d.t.Fatalf("Add(%d, %d, %d, %d): %v, want an error of order", seq, p0, p1, delta, err)
		}
		return err
	}
	if err == nil {
		for tok := range moved {
			for g := range tok.shift {
				tok.shift[g] += delta
			}
		}
	}
	return d.accept(err, after, -1)
}
