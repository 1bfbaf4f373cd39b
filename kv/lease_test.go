package kv

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// What a borrower holds has no method by which the source could be changed.
func TestSharedOnlyReads(t *testing.T) {
	reads := []string{"Close", "FillMask", "Group", "Groups", "Layer", "ReadCells", "Sync"}
	methods := func(x any) []string {
		var names []string
		for i, typ := 0, reflect.TypeOf(x); i < typ.NumMethod(); i++ {
			names = append(names, typ.Method(i).Name)
		}
		return names
	}
	if got := methods((*Shared)(nil)); !slices.Equal(got, reads) {
		t.Errorf("Shared has the methods %v, want %v", got, reads)
	}
	if got, want := methods((*Mirror)(nil)), append([]string{"Bytes", "BytesOn"}, reads...); !slices.Equal(got, want) {
		t.Errorf("Mirror has the methods %v, want %v", got, want)
	}
	for typ := range map[reflect.Type]bool{reflect.TypeFor[Shared](): true, reflect.TypeFor[Mirror](): true} {
		for _, f := range reflect.VisibleFields(typ) {
			if f.IsExported() {
				t.Errorf("%s shows its field %s", typ, f.Name)
			}
		}
	}
}

func TestLentSourceCannotBeClosed(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}} {
		cfg, near, far := sharedConfig()
		c, err := New(cfg)
		must(t, err)
		copies := host("CPU", 0)
		var all []Reader
		for i := range 3 {
			w := wants(near, far)
			w.Borrower = fmt.Sprintf("draft %d", i)
			var r Reader
			if i == 1 {
				w.Layers[0].Memory, w.Layers[1].Memory = copies, copies
				r, err = NewMirror(c, w)
			} else {
				r, err = Share(c, w)
			}
			must(t, err)
			all = append(all, r)
		}
		for done, i := range order {
			err := c.Close()
			var lent *BorrowedError
			if !errors.As(err, &lent) || !errors.Is(err, ErrBorrowed) || len(lent.Borrowers) != 3-done {
				t.Fatalf("Close: %v", err)
			}
			for _, name := range lent.Borrowers {
				if !strings.Contains(err.Error(), name) {
					t.Errorf("%v does not name %s", err, name)
				}
			}
			if !slices.Contains(lent.Borrowers, fmt.Sprintf("draft %d", i)) {
				t.Errorf("draft %d is not among %v", i, lent.Borrowers)
			}
			must(t, errors.Join(all[i].Close(), all[i].Close()))
		}
		if copies.Used() != 0 {
			t.Errorf("%d bytes of copies are left", copies.Used())
		}
		must(t, c.Close())
		if n := near.Used() + far.Used(); n != 0 {
			t.Errorf("%d bytes are left", n)
		}
	}
}

func TestUseAfterClose(t *testing.T) {
	cfg, near, far := sharedConfig()
	c, err := New(cfg)
	must(t, err)
	s, err := Share(c, wants(near, far))
	must(t, err)
	m, err := NewMirror(c, wants(near, far))
	must(t, err)
	must(t, errors.Join(s.Close(), m.Close()))
	for _, r := range []Reader{s, m} {
		if _, err := r.Sync(); !errors.Is(err, ErrClosed) {
			t.Errorf("Sync: %v", err)
		}
		if err := r.FillMask(0, make([]float32, 64), []int32{0}, []int32{0}, 64); !errors.Is(err, ErrClosed) {
			t.Errorf("FillMask: %v", err)
		}
		if _, ok := r.Layer(0); ok {
			t.Error("there is still a layer")
		}
	}
	must(t, c.Close())
	for _, share := range []func() error{
		func() error { _, err := Share(c, wants(near, far)); return err },
		func() error { _, err := NewMirror(c, wants(near, far)); return err },
	} {
		if err := share(); !errors.Is(err, ErrClosed) {
			t.Errorf("sharing a closed cache: %v", err)
		}
	}
}

// fill takes n tokens of sequence 0 into c.
func fill(t testing.TB, c *Cache, from, n int) {
	t.Helper()
	for p := from; p < from+n; p++ {
		s, err := c.Find(Batch{Pos: []int32{int32(p)}, Seq: []int32{0}})
		must(t, err)
		must(t, c.Apply(s))
	}
}

// A full source still serves, and its borrower sees what it sees.
func TestFullSourceStillServes(t *testing.T) {
	cfg, near, far := sharedConfig()
	c := newCache(t, cfg)
	s, err := Share(c, wants(near, far))
	must(t, err)
	defer s.Close()
	fill(t, c, 0, cfg.Cells)
	if _, err := c.Find(Batch{Pos: []int32{64}, Seq: []int32{0}}); !errors.Is(err, ErrFull) {
		t.Fatalf("the cache is not full: %v", err)
	}
	for g, want := range []int{64, 9} { // the window's ten hold the token itself
		n := s.ReadCells(g)
		mask := make([]float32, n)
		must(t, s.FillMask(g, mask, []int32{64}, []int32{0}, n))
		seen := 0
		for _, v := range mask {
			if v == 0 {
				seen++
			}
		}
		if seen != want {
			t.Errorf("group %d: %d cells are seen, want %d", g, seen, want)
		}
	}
}

func TestFillMaskErrors(t *testing.T) {
	cfg, near, far := sharedConfig()
	c := newCache(t, cfg)
	s, err := Share(c, wants(near, far))
	must(t, err)
	defer s.Close()
	fill(t, c, 0, 40)
	for _, tc := range []struct {
		name     string
		size, n  int
		pos, seq []int32
		want     error
	}{
		{"too few cells", 32, 32, []int32{40}, []int32{0}, ErrMask},
		{"too many cells", 65, 65, []int32{40}, []int32{0}, ErrMask},
		{"short", 63, 64, []int32{40}, []int32{0}, ErrMask},
		{"a sequence missing", 128, 64, []int32{40, 41}, []int32{0}, ErrMask},
		{"sequence", 64, 64, []int32{40}, []int32{2}, ErrSeq},
		{"negative sequence", 64, 64, []int32{40}, []int32{-1}, ErrSeq},
		{"negative position", 64, 64, []int32{-1}, []int32{0}, ErrPos},
		{"position too high", 64, 64, []int32{math.MaxInt32}, []int32{0}, ErrPos},
	} {
		if err := s.FillMask(0, make([]float32, tc.size), tc.pos, tc.seq, tc.n); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
	mask := make([]float32, 64)
	must(t, s.FillMask(0, mask, []int32{maxPos}, []int32{0}, 64))
	if mask[0] != 0 || mask[39] != 0 || mask[40] == 0 {
		t.Error("the highest position does not see what is there")
	}
}
