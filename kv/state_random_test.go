package kv

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// stateDriver does the same to a Cache and to lists of tokens. What a row would hold in memory is, in
// rows, all tokens that went into it.
type stateDriver struct {
	t       testing.TB
	c       *Cache
	r       *rand.Rand
	rows    []string
	seqs    [][]string // tokens of each sequence
	first   []int      // position of each sequence's first token
	next    int
	refused int
}

func newStateDriver(t testing.TB, cfg Config, r *rand.Rand) *stateDriver {
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &stateDriver{t: t, c: c, r: r, rows: make([]string, cfg.stateRows()), seqs: make([][]string, cfg.MaxSeqs), first: make([]int, cfg.MaxSeqs)}
}

func (d *stateDriver) close() {
	if err := d.c.Close(); err != nil {
		d.t.Fatal(err)
	}
}

// batch finds and applies n new tokens of each of some sequences, and does to rows what a run would.
func (d *stateDriver) batch(seqs []int32, n int) (*Slots, [][]string) {
	d.t.Helper()
	var b Batch
	added := make([][]string, len(seqs))
	for i, q := range seqs {
		for j := range n {
			b.Pos = append(b.Pos, int32(d.first[q]+len(d.seqs[q])+j))
			b.Seq = append(b.Seq, q)
			added[i] = append(added[i], fmt.Sprintf("%d,", d.next))
			d.next++
		}
	}
	before := d.books()
	s, err := d.c.Find(b)
	if err != nil {
		d.t.Fatal(err)
	}
	if !reflect.DeepEqual(before, d.books()) {
		d.t.Fatal("Find has changed the books")
	}
	if err := d.c.Apply(s); err != nil {
		d.t.Fatal(err)
	}
	kept := d.c.StatesKept(n)
	if s.Sequences() != len(seqs) || len(s.StateReads()) != len(seqs) || len(s.StateWrites()) != kept*len(seqs) {
		d.t.Fatalf("%d sequences, reads %v, writes %v", s.Sequences(), s.StateReads(), s.StateWrites())
	}
	var states []string
	for i, q := range seqs {
		state := d.rows[s.StateReads()[i]]
		if want := strings.Join(d.seqs[q], ""); state != want {
			d.t.Fatalf("sequence %d reads the state after %q, want %q", q, state, want)
		}
		states = append(states, state)
	}
	for k, row := range s.StateWrites() {
		i, back := k%len(seqs), k/len(seqs)
		if row == 0 || slices.Contains(s.StateReads(), row) {
			d.t.Fatalf("row %d is written, read are %v", row, s.StateReads())
		}
		d.rows[row] = states[i] + strings.Join(added[i][:n-back], "")
	}
	return s, added
}

func (d *stateDriver) run(seqs []int32, n int) {
	d.t.Helper()
	_, added := d.batch(seqs, n)
	for i, q := range seqs {
		d.seqs[q] = append(d.seqs[q], added[i]...)
	}
	d.check()
}

// fail is a run that is undone.
func (d *stateDriver) fail(seqs []int32, n int) {
	s, _ := d.batch(seqs, n)
	for _, row := range s.StateWrites() {
		d.rows[row] = "half of it"
	}
	if err := d.c.Undo(s); err != nil {
		d.t.Fatal(err)
	}
	d.check()
}

func (d *stateDriver) remove(q, p0, p1 int) error {
	err := d.c.Remove(q, p0, p1)
	if err == nil {
		if n := max(0, p0-d.first[q]); n < len(d.seqs[q]) && (p1 < 0 || p1 >= d.first[q]+len(d.seqs[q])) {
			d.seqs[q] = slices.Clone(d.seqs[q][:n])
		}
	}
	d.check()
	return err
}

// books returns all that the cache knows.
func (d *stateDriver) books() any {
	b := d.c.states
	var held [][]stateAt
	for _, h := range b.held {
		held = append(held, slices.Clone(h))
	}
	return []any{held, slices.Clone(b.refs), slices.Clone(d.c.last)}
}

// check compares the books with the lists and with themselves.
func (d *stateDriver) check() {
	d.t.Helper()
	b := d.c.states
	refs := make([]int32, len(b.refs))
	refs[0] = 1
	for q, held := range b.held {
		n := len(d.seqs[q])
		if want := d.first[q] + n - 1; n > 0 && d.c.MaxPos(q) != want || n == 0 && d.c.MaxPos(q) != -1 {
			d.t.Fatalf("sequence %d ends at %d, want %d", q, d.c.MaxPos(q), want)
		}
		if (len(held) == 0) != (n == 0) || len(held) > b.keep+1 || n > 0 && int(held[len(held)-1].pos) != d.c.MaxPos(q) {
			d.t.Fatalf("sequence %d of %d tokens holds %v", q, n, held)
		}
		for _, at := range held {
			refs[at.row]++
			if want := strings.Join(d.seqs[q][:int(at.pos)-d.first[q]+1], ""); d.rows[at.row] != want {
				d.t.Fatalf("sequence %d: row %d is the state after %q, want %q", q, at.row, d.rows[at.row], want)
			}
		}
	}
	if !slices.Equal(refs, b.refs) {
		d.t.Fatalf("rows are held %v times, counted %v", refs, b.refs)
	}
}

// unchanged checks that a refusal has changed nothing.
func (d *stateDriver) unchanged(err error, before any) {
	if !errors.Is(err, ErrRollback) && !errors.Is(err, ErrPos) {
		d.t.Fatal(err)
	}
	d.refused++
	if !reflect.DeepEqual(before, d.books()) {
		d.t.Fatalf("the books have changed although they said: %v", err)
	}
}

func (d *stateDriver) step() {
	q := d.r.IntN(len(d.seqs))
	n := len(d.seqs[q])
	before := d.books()
	switch d.r.IntN(12) {
	case 0, 1:
		p0 := d.first[q] + max(0, n-d.r.IntN(6))
		can := d.c.CanRollback(q, p0)
		err := d.remove(q, p0, -1)
		if can != (err == nil) {
			d.t.Fatalf("CanRollback(%d, %d) is %v, Remove says %v", q, p0, can, err)
		}
		if err != nil {
			d.unchanged(err, before)
		}
	case 2:
		p0 := d.r.IntN(n + 2)
		if err := d.remove(q, p0, p0+d.r.IntN(n+2)); err != nil {
			d.unchanged(err, before)
		}
	case 3:
		to := d.r.IntN(len(d.seqs))
		end := d.first[q] + max(0, n-d.r.IntN(3))
		err := d.c.CopySeq(q, to, -1, end)
		switch {
		case err != nil:
			d.unchanged(err, before)
		case to != q && end > d.first[q]:
			d.seqs[to], d.first[to] = slices.Clone(d.seqs[q][:end-d.first[q]]), d.first[q]
		}
		d.check()
	case 4:
		delta := d.r.IntN(5) - min(2, d.first[q])
		if err := d.c.Add(q, -1, -1, delta); err == nil && n > 0 {
			d.first[q] += delta
		} else if err != nil && !errors.Is(err, ErrSeq) {
			d.t.Fatal(err)
		}
		d.check()
	case 5:
		if d.r.IntN(4) == 0 {
			if err := d.remove(q, 0, -1); err != nil {
				d.t.Fatal(err)
			}
			d.first[q] = 0
		}
	default:
		var seqs []int32
		for _, s := range d.r.Perm(len(d.seqs))[:1+d.r.IntN(len(d.seqs))] {
			seqs = append(seqs, int32(s))
		}
		per := 1 + d.r.IntN(max(1, d.c.MaxBatch()/len(seqs)))
		switch {
		case d.c.Free() < per*len(seqs):
			d.c.Clear()
			clear(d.seqs)
			clear(d.first)
			d.check()
		case d.r.IntN(4) == 0:
			d.fail(seqs, per)
		default:
			d.run(seqs, per)
		}
	}
}

func TestRandomOperationsOnStates(t *testing.T) {
	for _, cfg := range []Config{
		hybridConfig(60, 1, 6, 0, 0),
		hybridConfig(80, 3, 9, 0, 0),
		hybridConfig(200, 4, 16, 3, 0),
		hybridConfig(120, 3, 12, 2, 0, 12),
	} {
		refused := 0
		for seed := range uint64(10) {
			d := newStateDriver(t, cfg, rand.New(rand.NewPCG(seed, 3)))
			for range 400 {
				d.step()
			}
			refused += d.refused
			d.close()
		}
		t.Logf("%d sequences, %d snapshots: %d changes were refused", cfg.MaxSeqs, cfg.Snapshots, refused)
		if refused < 100 {
			t.Error("the operations do not reach what they should")
		}
	}
}
