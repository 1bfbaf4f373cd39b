package kv

import (
	"errors"
	"slices"
	"testing"
)

func mustNew(t testing.TB, cfg Config) *Cache {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// tokens returns a batch of positions from to to-1 of one sequence.
func tokens(seq int32, from, to int) Batch {
	var b Batch
	for p := from; p < to; p++ {
		b.Pos, b.Seq = append(b.Pos, int32(p)), append(b.Seq, seq)
	}
	return b
}

// put finds and takes cells for b.
func put(t testing.TB, c *Cache, b Batch) *Slots {
	t.Helper()
	s, err := c.Find(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFindRefuses(t *testing.T) {
	c := mustNew(t, testConfig(64, 3, 8, 0, 0, 10))
	put(t, c, tokens(0, 0, 5))
	before := snapshot(c)
	for _, tc := range []struct {
		name string
		b    Batch
		want error
	}{
		{"empty", Batch{Pos: []int32{}, Seq: []int32{}}, ErrBatch},
		{"too long", tokens(1, 0, 9), ErrBatch},
		{"no sequences", Batch{Pos: []int32{0}}, ErrBatch},
		{"both", Batch{Pos: []int32{9}, Seq: []int32{0}, Seqs: [][]int32{{0}}}, ErrBatch},
		{"lengths", Batch{Pos: []int32{9, 10}, Seq: []int32{0}}, ErrBatch},
		{"no sequence", Batch{Pos: []int32{9}, Seqs: [][]int32{{}}}, ErrBatch},
		{"negative sequence", Batch{Pos: []int32{9}, Seq: []int32{-1}}, ErrSeq},
		{"sequence", Batch{Pos: []int32{9}, Seq: []int32{3}}, ErrSeq},
		{"twice", Batch{Pos: []int32{9}, Seqs: [][]int32{{0, 0}}}, ErrSeq},
		{"not at one position", Batch{Pos: []int32{9}, Seqs: [][]int32{{0, 1}}}, ErrSeq},
		{"position", Batch{Pos: []int32{4}, Seq: []int32{0}}, ErrPos},
		{"negative position", Batch{Pos: []int32{-1}, Seq: []int32{1}}, ErrPos},
		{"last position", Batch{Pos: []int32{1<<31 - 1}, Seq: []int32{1}}, ErrPos},
		{"position in the batch", Batch{Pos: []int32{5, 6, 6}, Seq: []int32{0, 0, 0}}, ErrPos},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := c.Find(tc.b); !errors.Is(err, tc.want) {
				t.Errorf("Find: %v, want %v", err, tc.want)
			}
			if !slices.Equal(before.last, snapshot(c).last) {
				t.Errorf("the cache has changed")
			}
		})
	}
	var pos *PosError
	if _, err := c.Find(Batch{Pos: []int32{5, 2}, Seq: []int32{0, 0}}); !errors.As(err, &pos) || *pos != (PosError{0, 1, 2, pos.Reason}) {
		t.Errorf("Find: %v", err)
	}
}

func TestFullCache(t *testing.T) {
	c := mustNew(t, testConfig(10, 2, 8, 0, 0))
	put(t, c, tokens(0, 0, 8))
	_, err := c.Find(tokens(1, 0, 3))
	var full *FullError
	if !errors.As(err, &full) || !errors.Is(err, ErrFull) || *full != (FullError{0, 0, 3, 2, 10}) {
		t.Fatalf("Find: %v", err)
	}
	if c.Free() != 2 || c.Used(0) != 8 {
		t.Errorf("%d free, %d used", c.Free(), c.Used(0))
	}
	if err := c.Remove(0, 3, 4); err != nil {
		t.Fatal(err)
	}
	// The lowest free cell first: the one that was freed, then those at the end.
	s := put(t, c, tokens(1, 0, 3))
	if want := []int64{3, 8, 9}; !slices.Equal(s.Indices(0), want) {
		t.Errorf("cells %v, want %v", s.Indices(0), want)
	}
	if c.Free() != 0 || c.ReadCells(0) != 10 {
		t.Errorf("%d free, %d to read", c.Free(), c.ReadCells(0))
	}
}

func TestSlotsGoOutOfDate(t *testing.T) {
	c := mustNew(t, testConfig(64, 2, 8, 0, 0))
	other := mustNew(t, testConfig(64, 2, 8, 0, 0))
	mask := make([]float32, 64)
	s, err := c.Find(tokens(0, 0, 2))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(s); !errors.Is(err, ErrStale) {
		t.Errorf("Undo before Apply: %v", err)
	}
	if err := c.FillMask(0, mask, s, 32); !errors.Is(err, ErrStale) {
		t.Errorf("FillMask before Apply: %v", err)
	}
	if err := other.Apply(s); !errors.Is(err, ErrStale) {
		t.Errorf("Apply to another cache: %v", err)
	}
	if err := c.Apply(s); err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(s); !errors.Is(err, ErrStale) {
		t.Errorf("second Apply: %v", err)
	}
	for _, size := range [][2]int{{16, 32}, {96, 192}, {32, 63}} {
		var bad *MaskError
		if err := c.FillMask(0, make([]float32, size[1]), s, size[0]); !errors.As(err, &bad) || !errors.Is(err, ErrMask) {
			t.Errorf("FillMask of %d cells, %d elements: %v", size[0], size[1], err)
		}
	}
	if err := c.Remove(0, 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(s); !errors.Is(err, ErrStale) {
		t.Errorf("Undo after a change: %v", err)
	}
	if s, err = c.Find(tokens(1, 0, 1)); err != nil {
		t.Fatal(err)
	}
	c.Clear()
	if err := c.Apply(s); !errors.Is(err, ErrStale) {
		t.Errorf("Apply after a change: %v", err)
	}
	if _, err = c.Find(tokens(1, -1, 1)); err == nil {
		t.Fatal("a negative position was accepted")
	}
	if err := c.Apply(s); !errors.Is(err, ErrStale) {
		t.Errorf("Apply after a Find that failed: %v", err)
	}
}

func TestUndoGivesCellsBack(t *testing.T) {
	c := mustNew(t, testConfig(64, 3, 8, 0, 0, 10))
	put(t, c, tokens(0, 0, 5))
	if err := c.CopySeq(0, 1, 0, -1); err != nil {
		t.Fatal(err)
	}
	before := snapshot(c)
	s := put(t, c, Batch{Pos: []int32{5, 6, 0}, Seqs: [][]int32{{0, 1}, {1}, {2}}})
	if c.MaxPos(0) != 5 || c.MaxPos(1) != 6 || c.MaxPos(2) != 0 {
		t.Errorf("positions %d %d %d", c.MaxPos(0), c.MaxPos(1), c.MaxPos(2))
	}
	if err := c.Undo(s); err != nil {
		t.Fatal(err)
	}
	after := snapshot(c)
	if !slices.Equal(before.last, after.last) {
		t.Errorf("positions %v, want %v", after.last, before.last)
	}
	for i := range c.groups {
		checkBook(t, c.groups[i])
		if !slices.Equal(before.groups[i].refs, after.groups[i].refs) {
			t.Errorf("group %d: %v, want %v", i, after.groups[i].refs, before.groups[i].refs)
		}
	}
	if err := c.Undo(s); !errors.Is(err, ErrStale) {
		t.Errorf("second Undo: %v", err)
	}
}

// TestDecodeAllocatesNothing decodes past the end of a window, so that cells expire on the way.
func TestDecodeAllocatesNothing(t *testing.T) {
	c := mustNew(t, testConfig(20_000, 2, 64, 0, 0, 300))
	put(t, c, tokens(0, 0, 64))
	b := tokens(0, 0, 1)
	pos := int32(64)
	mask, half := make([]float32, 20_000), make([]uint16, 20_000)
	step := func() {
		b.Pos[0] = pos
		pos++
		s, err := c.Find(b)
		if err == nil {
			err = c.Apply(s)
		}
		for g := 0; g < 2 && err == nil; g++ {
			n := c.ReadCells(g)
			if err = c.FillMask(g, mask[:n], s, n); err == nil {
				err = c.FillMaskF16(g, half[:n], s, n)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(5000, step); n != 0 {
		t.Errorf("%v allocations for a token", n)
	}
	if c.groups[1].lost[0].empty() {
		t.Error("nothing has expired")
	}
	// A draft that is rejected is removed at each step of speculative decoding.
	if n := testing.AllocsPerRun(100, func() {
		step()
		step()
		if err := c.Remove(0, int(pos)-1, -1); err != nil {
			t.Fatal(err)
		}
		pos--
	}); n != 0 {
		t.Errorf("%v allocations for a rejected token", n)
	}
}

// TestApart holds that a token's cell follows from its sequence and position, and that a sequence ends with
// its cells.
func TestApart(t *testing.T) {
	cfg := testConfig(40, 2, 8, 0, 0, 10)
	cfg.FullWindow, cfg.Apart = true, 20
	c := mustNew(t, cfg)
	for i := range 20 {
		s := put(t, c, Batch{Pos: []int32{int32(i), int32(i)}, Seq: []int32{1, 0}})
		if got := s.Indices(0); !slices.Equal(got, []int64{int64(20 + i), int64(i)}) {
			t.Fatalf("position %d lies in cells %v", i, got)
		}
	}
	var full *FullError
	if _, err := c.Find(Batch{Pos: []int32{20}, Seq: []int32{0}}); !errors.As(err, &full) {
		t.Errorf("error %v, want a *FullError", err)
	}
	cfg.FullWindow = false
	if _, err := Plan(cfg); !errors.Is(err, ErrConfig) {
		t.Errorf("apart without FullWindow: error %v", err)
	}
}
