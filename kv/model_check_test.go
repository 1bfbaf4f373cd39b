package kv

import (
	"math"
	"math/bits"
	"slices"
	"testing"
)

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
		d.vague[s] = d.vague[s] && len(m) > 0
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
