package kv

import (
	"errors"
	"math"
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

	// vague says for each sequence that the range of lost positions, which is all that a group
	// remembers, may hold more than what is lost.
	vague []bool

	full, refused, applied int // how often that was met

	// wrote, if it is there, is told of each cell whose contents change.
	wrote func(group, cell int)
}

func newDriver(t testing.TB, cfg Config, src choices) *driver {
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{t: t, cfg: cfg, c: c, src: src, seqs: make([]map[int]*token, cfg.MaxSeqs), vague: make([]bool, cfg.MaxSeqs)}
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
	var err error
	d.c.changes++ // so that no step can use slots of the step before
	before := snapshot(d.c)
	switch d.src.pick(16) {
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
			if deltas, _ := d.c.PendingShift(g); d.wrote != nil {
				for cell, delta := range deltas {
					if delta != 0 {
						d.wrote(g, cell)
					}
				}
			}
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
			cell := slots.Indices(g)[t]
			d.cell[g][cell] = tok
			if d.wrote != nil {
				d.wrote(g, int(cell))
			}
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
