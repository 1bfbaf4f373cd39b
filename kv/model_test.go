package kv

import (
	"errors"
	"math"
	"math/bits"
	"reflect"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// A driver does the same to a Cache and to a model of maps, and compares them after each step.

// choices gives the decisions of a run; it may end.
type choices interface {
	pick(n int) int // 0 to n-1
	more() bool
}

type token struct {
	id    int
	shift []int // for each group, by which K must still be rotated
}

type driver struct {
	t    testing.TB
	cfg  Config
	c    *Cache
	src  choices
	seqs []map[int]*token // for each sequence, position to token
	cell [][]*token       // for each group, the token written last into each cell
	next int

	full, refused, applied int // how often that was met
}

func newDriver(t testing.TB, cfg Config, src choices) *driver {
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{t: t, cfg: cfg, c: c, src: src, seqs: make([]map[int]*token, cfg.MaxSeqs)}
	for s := range d.seqs {
		d.seqs[s] = map[int]*token{}
	}
	for g := range c.Groups() {
		d.cell = append(d.cell, make([]*token, c.Group(g).Cells))
	}
	return d
}

// testConfig returns a cache of one layer for each window.
func testConfig(cells, seqs, batch, pad int, windows ...int) Config {
	mem := buffer.NewHost(buffer.Owner{Backend: "test", Device: "test0"}, 0)
	cfg := Config{Cells: cells, MaxSeqs: seqs, MaxBatch: batch, Pad: pad, TypeK: tensor.F16, TypeV: tensor.F16}
	for i, w := range windows {
		cfg.Layers = append(cfg.Layers, LayerConfig{Layer: i, HeadsKV: 1, KeyDim: 4, ValueDim: 4, Window: w, Reuse: -1, Memory: mem})
	}
	return cfg
}

// exact reports whether some group knows all tokens, so that the cache notices every broken order.
func (d *driver) exact() bool { return !d.c.groups[0].expires }

func (d *driver) maxPos(s int) int { return maxKey(d.seqs[s]) }

func maxKey(m map[int]*token) int {
	top := -1
	for p := range m {
		top = max(top, p)
	}
	return top
}

func (d *driver) step() {
	var before *book
	var err error
	d.c.changes++ // so that no step can use slots of the step before
	before = snapshot(d.c)
	op := d.src.pick(16)
	defer func() {
		if d.t.Failed() {
			d.t.Logf("op %d", op)
		}
	}()
	switch op {
	case 0:
		err = d.remove()
	case 1:
		err = d.removeTail()
	case 2:
		err = d.copySeq()
	case 3:
		err = d.add()
	case 4:
		err = d.shiftContext()
	case 5:
		d.rare()
	default:
		err = d.batch()
	}
	if err != nil && !reflect.DeepEqual(before, snapshot(d.c)) {
		d.t.Fatalf("the cache has changed although it said: %v", err)
	}
	d.check()
}

func (d *driver) rare() {
	switch d.src.pick(8) {
	case 0:
		d.c.Clear()
		for s := range d.seqs {
			d.seqs[s] = map[int]*token{}
		}
	case 1:
		keep := d.src.pick(d.cfg.MaxSeqs)
		if err := d.c.Keep(keep); err != nil {
			d.t.Fatal(err)
		}
		for s := range d.seqs {
			if s != keep {
				d.seqs[s] = map[int]*token{}
			}
		}
	default:
		for g := range d.cell {
			d.c.ClearShift(g)
			for _, s := range d.seqs {
				for _, tok := range s {
					tok.shift[g] = 0
				}
			}
		}
	}
}

func (d *driver) batch() error {
	b, want := d.makeBatch()
	slots, err := d.c.Find(b)
	if want != nil {
		if !errors.Is(err, want) {
			d.t.Fatalf("Find(%v): %v, want %v", b, err, want)
		}
		return err
	}
	fits, sure := d.fits(len(b.Pos))
	if err != nil {
		if !errors.Is(err, ErrFull) || fits {
			d.t.Fatalf("Find of %d tokens: %v, but they fit", len(b.Pos), err)
		}
		d.full++
		return err
	}
	if !fits && sure {
		d.t.Fatalf("Find has found cells for %d tokens that do not fit", len(b.Pos))
	}
	if err := d.c.Apply(slots); err != nil {
		d.t.Fatal(err)
	}
	d.applied++
	added := d.write(b, slots)
	d.checkMasks(b, slots)
	if d.src.pick(8) == 0 {
		if err := d.c.Undo(slots); err != nil {
			d.t.Fatal(err)
		}
		for t := range added {
			for _, s := range seqsOf(b, t) {
				delete(d.seqs[s], int(b.Pos[t]))
			}
		}
	}
	return nil
}

func seqsOf(b Batch, t int) []int32 {
	if b.Seq != nil {
		return b.Seq[t : t+1]
	}
	return b.Seqs[t]
}

// makeBatch returns a batch and the error that it deserves before cells are looked for.
func (d *driver) makeBatch() (Batch, error) {
	n := 1 + d.src.pick(d.cfg.MaxBatch)
	b := Batch{NonCausal: d.src.pick(6) == 0}
	last := make([]int, d.cfg.MaxSeqs)
	for s := range last {
		last[s] = d.maxPos(s)
	}
	several := d.src.pick(3) == 0
	only := d.src.pick(2 * d.cfg.MaxSeqs) // often a batch of one sequence
	var want error
	for range n {
		s := only
		if s >= d.cfg.MaxSeqs {
			s = d.src.pick(d.cfg.MaxSeqs)
		}
		pos, seqs := last[s]+1, []int32{int32(s)}
		switch d.src.pick(64) {
		case 0, 1, 2:
			pos += d.src.pick(5)
		case 3:
			pos -= 1 + d.src.pick(3)
			if want == nil {
				want = ErrPos
			}
		case 4:
			seqs[0] = int32(d.cfg.MaxSeqs)
			if want == nil {
				want = ErrSeq
			}
		}
		for o := 0; several && o < d.cfg.MaxSeqs; o++ {
			if o != s && d.src.pick(2) == 0 && (last[o] == last[s] || d.src.pick(64) == 0) {
				if last[o] != last[s] && want == nil {
					want = ErrSeq
				}
				seqs = append(seqs, int32(o))
			}
		}
		if want == nil {
			for _, q := range seqs {
				last[q] = pos
			}
		}
		b.Pos = append(b.Pos, int32(pos))
		b.Seq = append(b.Seq, seqs[0])
		b.Seqs = append(b.Seqs, seqs)
	}
	if several {
		b.Seq = nil
	} else {
		b.Seqs = nil
	}
	return b, want
}

// fits reports whether n more tokens find cells, and whether a "no" is sure: an expired cell that was
// given up before a rollback is not counted by the model.
func (d *driver) fits(n int) (fits, sure bool) {
	fits = true
	for _, g := range d.c.groups {
		live := map[int]bool{}
		for s := range d.seqs {
			top := d.maxPos(s)
			for p, tok := range d.seqs[s] {
				if !g.expires || p > top-int(g.window) {
					live[tok.id] = true
				}
			}
		}
		if len(live)+n > g.cells {
			fits = false
			sure = sure || !g.expires
		}
	}
	return fits, sure
}

// write puts the tokens of b into the model and returns them.
func (d *driver) write(b Batch, slots *Slots) []*token {
	var added []*token
	for t, pos := range b.Pos {
		tok := &token{id: d.next, shift: make([]int, len(d.cell))}
		d.next++
		added = append(added, tok)
		for _, s := range seqsOf(b, t) {
			d.seqs[s][int(pos)] = tok
		}
		for g := range d.cell {
			d.cell[g][slots.Indices(g)[t]] = tok
		}
	}
	return added
}

// checkMasks compares what each token of b sees with what the model says.
func (d *driver) checkMasks(b Batch, slots *Slots) {
	for g := range d.cell {
		n := d.c.ReadCells(g)
		if d.src.pick(4) == 0 {
			n = d.c.Group(g).Cells
		}
		mask, half := make([]float32, n*len(b.Pos)), make([]uint16, n*len(b.Pos))
		for i := range mask {
			mask[i], half[i] = 7, 7
		}
		if err := errors.Join(d.c.FillMask(g, mask, slots, n), d.c.FillMaskF16(g, half, slots, n)); err != nil {
			d.t.Fatal(err)
		}
		for t, pos := range b.Pos {
			seq := seqsOf(b, t)[0]
			var seen []int
			for i, v := range mask[t*n : (t+1)*n] {
				hidden := math.IsInf(float64(v), -1)
				if !hidden && v != 0 || hidden != (half[t*n+i] == 0xfc00) || !hidden && half[t*n+i] != 0 {
					d.t.Fatalf("group %d, token %d, cell %d: mask %v, F16 bits %#x", g, t, i, v, half[t*n+i])
				}
				if !hidden {
					seen = append(seen, d.cell[g][i].id)
				}
			}
			want := d.sees(int(seq), int(pos), d.c.Group(g).Window, b.NonCausal)
			slices.Sort(seen)
			if !slices.Equal(seen, want) {
				d.t.Fatalf("group %d (window %d), sequence %d, position %d sees tokens\n%v, want\n%v", g, d.c.Group(g).Window, seq, pos, seen, want)
			}
		}
	}
}

func (d *driver) sees(seq, pos, window int, nonCausal bool) []int {
	var ids []int
	for p, tok := range d.seqs[seq] {
		behind := pos - p
		if behind < 0 && !nonCausal || window > 0 && max(behind, -behind) >= window {
			continue
		}
		ids = append(ids, tok.id)
	}
	slices.Sort(ids)
	return ids
}

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
	err := d.c.Remove(seq, p0, p1)
	if seq >= 0 && p1 < 0 && can != (err == nil) {
		d.t.Fatalf("CanRollback(%d, %d) is %v, Remove says %v", seq, p0, can, err)
	}
	return d.accept(err, after)
}

// accept makes after the state of its sequences, or checks that err refuses it with reason.
func (d *driver) accept(err error, after map[int]map[int]*token) error {
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
				if p > maxKey(m)+1-int(g.window) && !d.holds(i, s, tok) {
					return err
				}
			}
			if d.seqs[s][int(g.lost[s].hi)] == nil && !g.lost[s].empty() {
				return err // the group remembers a position that was removed since
			}
		}
	}
	for s, m := range after {
		for i, g := range d.c.groups {
			d.t.Logf("seq %d group %d: lost %v last %d after %d others %v", s, i, g.lost[s], d.c.last[s], maxKey(m), g.lost)
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
	err := d.c.CopySeq(src, dst, p0, p1)
	if taken && src != dst || !d.exact() && errors.Is(err, ErrPos) {
		if !errors.Is(err, ErrPos) {
			d.t.Fatalf("CopySeq(%d, %d, %d, %d): %v, want %v", src, dst, p0, p1, err, ErrPos)
		}
		return err
	}
	return d.accept(err, map[int]map[int]*token{dst: after})
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
	return d.accept(err, after)
}

// check compares the books of the cache with the model, and with themselves.
func (d *driver) check() {
	for i, g := range d.c.groups {
		checkBook(d.t, g)
		for s, m := range d.seqs {
			held := 0
			for b, w := range g.member[s] {
				for ; w != 0; w &= w - 1 {
					cell := b*blockCells + bits.TrailingZeros64(w)
					tok := d.cell[i][cell]
					if m[int(g.pos[cell])] != tok {
						d.t.Fatalf("group %d, sequence %d: cell %d holds a token at position %d that is not there", i, s, cell, g.pos[cell])
					}
					if int(g.shift[cell]) != tok.shift[i] {
						d.t.Fatalf("group %d, cell %d: shift %d, want %d", i, cell, g.shift[cell], tok.shift[i])
					}
					held++
				}
			}
			if !g.expires && held != len(m) {
				d.t.Fatalf("group %d, sequence %d: %d tokens, want %d", i, s, held, len(m))
			}
		}
	}
	for s, m := range d.seqs {
		if got, want := d.c.MaxPos(s), maxKey(m); got != want {
			d.t.Fatalf("MaxPos(%d) = %d, want %d", s, got, want)
		}
	}
}

// checkBook checks that what the group counts is so.
func checkBook(t testing.TB, g *group) {
	t.Helper()
	used, top, shifted := 0, -1, 0
	lo, hi := make([]int32, len(g.lo)), make([]int32, len(g.hi))
	for b := range lo {
		lo[b], hi[b] = math.MaxInt32, -1
	}
	for i := range g.cells {
		b, bit := i/blockCells, uint64(1)<<(i%blockCells)
		refs := 0
		for s := range g.member {
			if g.member[s][b]&bit != 0 {
				refs++
			}
		}
		if refs != int(g.refs[i]) || (refs == 0) != (g.unused[b]&bit != 0) {
			t.Fatalf("cell %d: %d sequences, counted %d, free %v", i, refs, g.refs[i], g.unused[b]&bit != 0)
		}
		if refs > 0 {
			used, top = used+1, i
			lo[b], hi[b] = min(lo[b], g.pos[i]), max(hi[b], g.pos[i])
		}
		if g.shift[i] != 0 {
			shifted++
		}
	}
	if used != g.used || top != g.top || shifted != g.shifted || !slices.Equal(lo, g.lo) || !slices.Equal(hi, g.hi) {
		t.Fatalf("used %d top %d shifted %d, want %d %d %d; bounds %v %v, want %v %v",
			g.used, g.top, g.shifted, used, top, shifted, g.lo, g.hi, lo, hi)
	}
	for b := range g.bottom {
		if g.unused[b] != 0 {
			t.Fatalf("block %d has free cells, the search begins at %d", b, g.bottom)
		}
	}
}

// book is all that a call which returns an error must leave alone.
type book struct {
	last   []int32
	groups []group
}

func snapshot(c *Cache) *book {
	k := &book{last: slices.Clone(c.last)}
	for _, g := range c.groups {
		h := group{used: g.used, top: g.top, shifted: g.shifted}
		h.refs, h.shift, h.unused = slices.Clone(g.refs), slices.Clone(g.shift), slices.Clone(g.unused)
		h.lo, h.hi, h.lost = slices.Clone(g.lo), slices.Clone(g.hi), slices.Clone(g.lost)
		h.pos = slices.Clone(g.pos)
		for _, m := range g.member {
			h.member = append(h.member, slices.Clone(m))
		}
		k.groups = append(k.groups, h)
	}
	return k
}
