package kv

import (
	"errors"
	"math"
	"slices"
	"testing"
)

// seen returns the cells of group i that token t of s sees.
func seen(t *testing.T, c *Cache, s *Slots, i, tok int) []int {
	t.Helper()
	n := c.ReadCells(i)
	mask := make([]float32, n*s.Tokens())
	if err := c.FillMask(i, mask, s, n); err != nil {
		t.Fatal(err)
	}
	var cells []int
	for j, v := range mask[tok*n : (tok+1)*n] {
		if v == 0 {
			cells = append(cells, j)
		} else if !math.IsInf(float64(v), -1) {
			t.Fatalf("mask %v", v)
		}
	}
	return cells
}

func wantSeen(t *testing.T, c *Cache, s *Slots, i, tok int, want ...int) {
	t.Helper()
	if got := seen(t, c, s, i, tok); !slices.Equal(got, want) {
		t.Errorf("group %d: token %d sees cells %v, want %v", i, tok, got, want)
	}
}

func TestMasksOfSeveralSequences(t *testing.T) {
	c := mustNew(t, testConfig(64, 3, 8, 0, 0, 3))
	put(t, c, tokens(0, 0, 4)) // cells 0 to 3
	s := put(t, c, Batch{
		Pos: []int32{4, 0, 1, 5, 7, 2}, // cells 4 to 9
		Seq: []int32{0, 1, 1, 0, 2, 1},
	})
	wantSeen(t, c, s, 0, 0, 0, 1, 2, 3, 4)
	wantSeen(t, c, s, 0, 1, 5)
	wantSeen(t, c, s, 0, 2, 5, 6)
	wantSeen(t, c, s, 0, 3, 0, 1, 2, 3, 4, 7)
	wantSeen(t, c, s, 0, 4, 8)
	wantSeen(t, c, s, 0, 5, 5, 6, 9)
	wantSeen(t, c, s, 1, 0, 2, 3, 4)
	wantSeen(t, c, s, 1, 3, 3, 4, 7)
	wantSeen(t, c, s, 1, 5, 5, 6, 9)
	if c.MinPos(0) != 0 || c.MinPos(2) != 7 || c.MaxPos(2) != 7 {
		t.Errorf("positions from %d, %d to %d", c.MinPos(0), c.MinPos(2), c.MaxPos(2))
	}
}

func TestNonCausal(t *testing.T) {
	c := mustNew(t, testConfig(64, 2, 8, 0, 0, 2))
	b := tokens(0, 0, 4)
	b.NonCausal = true
	s := put(t, c, b)
	wantSeen(t, c, s, 0, 0, 0, 1, 2, 3)
	wantSeen(t, c, s, 0, 3, 0, 1, 2, 3)
	wantSeen(t, c, s, 1, 0, 0, 1)
	wantSeen(t, c, s, 1, 2, 1, 2, 3)
}

func TestCopyThenRemove(t *testing.T) {
	c := mustNew(t, testConfig(64, 3, 8, 0, 0))
	put(t, c, tokens(0, 0, 6))
	if err := c.CopySeq(0, 1, 0, 4); err != nil {
		t.Fatal(err)
	}
	if c.Used(0) != 6 || c.MaxPos(1) != 3 {
		t.Errorf("%d cells used, sequence 1 ends at %d", c.Used(0), c.MaxPos(1))
	}
	if err := c.Remove(0, -1, -1); err != nil {
		t.Fatal(err)
	}
	if c.Used(0) != 4 || c.MaxPos(0) != -1 || c.MinPos(0) != -1 {
		t.Errorf("%d cells used, sequence 0 ends at %d", c.Used(0), c.MaxPos(0))
	}
	s := put(t, c, tokens(1, 4, 5))
	wantSeen(t, c, s, 0, 0, 0, 1, 2, 3, 4)
	put(t, c, tokens(2, 0, 2))
	if err := c.CopySeq(1, 2, 0, -1); !errors.Is(err, ErrPos) {
		t.Errorf("a copy over other tokens: %v", err)
	}
	if err := c.CopySeq(1, 2, 2, -1); err != nil {
		t.Errorf("a copy behind them: %v", err)
	}
	for _, bad := range [][2]int{{3, 0}, {0, -1}} {
		if err := c.CopySeq(bad[0], bad[1], 0, -1); !errors.Is(err, ErrSeq) {
			t.Errorf("CopySeq(%v): %v", bad, err)
		}
	}
}

func TestKeepAndClear(t *testing.T) {
	c := mustNew(t, testConfig(64, 3, 8, 0, 0, 4))
	put(t, c, tokens(0, 0, 3))
	put(t, c, tokens(1, 0, 5))
	if err := c.CopySeq(1, 2, 0, 2); err != nil {
		t.Fatal(err)
	}
	if err := c.Keep(2); err != nil {
		t.Fatal(err)
	}
	if c.Used(0) != 2 || c.MaxPos(0) != -1 || c.MaxPos(1) != -1 || c.MaxPos(2) != 1 {
		t.Errorf("%d cells used, ends %v", c.Used(0), c.last)
	}
	if err := c.Keep(3); !errors.Is(err, ErrSeq) {
		t.Errorf("Keep(3): %v", err)
	}
	c.Clear()
	if c.Used(0) != 0 || c.Used(1) != 0 || c.MaxPos(2) != -1 || c.ReadCells(0) != 32 {
		t.Errorf("%d cells used after Clear", c.Used(0))
	}
}

func TestRemoveFromAll(t *testing.T) {
	c := mustNew(t, testConfig(64, 2, 8, 0, 0))
	put(t, c, tokens(0, 0, 5))
	put(t, c, tokens(1, 0, 3))
	if err := c.Remove(-1, 2, -1); err != nil {
		t.Fatal(err)
	}
	if c.Used(0) != 4 || c.MaxPos(0) != 1 || c.MaxPos(1) != 1 {
		t.Errorf("%d cells used, ends %v", c.Used(0), c.last)
	}
	for _, seq := range []int{-2, 2} {
		if err := c.Remove(seq, 0, -1); !errors.Is(err, ErrSeq) {
			t.Errorf("Remove(%d): %v", seq, err)
		}
		if err := c.Add(seq, 0, -1, 1); !errors.Is(err, ErrSeq) {
			t.Errorf("Add(%d): %v", seq, err)
		}
		if c.MaxPos(seq) != -1 || c.MinPos(seq) != -1 || c.CanRollback(seq, 0) {
			t.Errorf("sequence %d exists", seq)
		}
	}
}

func TestAddShifts(t *testing.T) {
	c := mustNew(t, testConfig(64, 3, 8, 0, 0))
	put(t, c, tokens(0, 0, 8))
	if err := c.Remove(0, 2, 5); err != nil {
		t.Fatal(err)
	}
	if _, any := c.PendingShift(0); any {
		t.Error("a shift is pending after Remove")
	}
	if err := c.Add(0, 5, -1, -3); err != nil {
		t.Fatal(err)
	}
	shift, any := c.PendingShift(0)
	if want := []int32{0, 0, 0, 0, 0, -3, -3, -3}; !any || !slices.Equal(shift[:8], want) {
		t.Errorf("shift %v, want %v", shift[:8], want)
	}
	if c.MaxPos(0) != 4 {
		t.Errorf("MaxPos %d, want 4", c.MaxPos(0))
	}
	s := put(t, c, tokens(0, 5, 6)) // cell 2
	wantSeen(t, c, s, 0, 0, 0, 1, 2, 5, 6, 7)
	if err := c.Add(0, 2, 5, 3); !errors.Is(err, ErrPos) {
		t.Errorf("Add onto another token: %v", err)
	}
	if err := c.Add(0, 0, -1, -1); !errors.Is(err, ErrPos) {
		t.Errorf("Add below 0: %v", err)
	}
	if err := c.Add(0, 0, -1, math.MaxInt); !errors.Is(err, ErrPos) {
		t.Errorf("Add above the end: %v", err)
	}
	if err := c.CopySeq(0, 1, 0, -1); err != nil {
		t.Fatal(err)
	}
	if err := c.Add(0, 2, -1, 1); !errors.Is(err, ErrSeq) {
		t.Errorf("Add of shared cells: %v", err)
	}
	if err := c.Add(-1, 5, -1, 7); err != nil {
		t.Errorf("Add to all that share: %v", err)
	}
	if c.MaxPos(0) != 12 || c.MaxPos(1) != 12 {
		t.Errorf("ends %v", c.last)
	}
	// What moves back needs no rotation.
	if err := c.Add(-1, 2, 5, 3); err != nil {
		t.Fatal(err)
	}
	if shift, _ := c.PendingShift(0); shift[5] != 0 || shift[2] != 7 {
		t.Errorf("shift %v", shift[:8])
	}
	c.ClearShift(0)
	if _, any := c.PendingShift(0); any {
		t.Error("a shift is pending after ClearShift")
	}
}

func TestCellsExpireAndAreReused(t *testing.T) {
	// The group of window 10 has 10*2+4 rounded up to 24 cells.
	c := mustNew(t, testConfig(400, 2, 4, 8, 0, 10))
	if c.Group(1).Cells != 24 {
		t.Fatalf("%d cells", c.Group(1).Cells)
	}
	for p := range 200 {
		s := put(t, c, tokens(0, p, p+1))
		if got, want := len(seen(t, c, s, 1, 0)), min(p+1, 10); got != want {
			t.Fatalf("position %d sees %d tokens, want %d", p, got, want)
		}
		if n := c.ReadCells(1); n > 16 {
			t.Fatalf("position %d: %d cells to read for a window of 10", p, n)
		}
	}
	if c.ReadCells(0) != 200 || c.MinPos(0) < 180 || c.MaxPos(0) != 199 {
		t.Errorf("%d cells to read, positions %d to %d", c.ReadCells(0), c.MinPos(0), c.MaxPos(0))
	}
	if !c.CanRollback(0, 199) || c.CanRollback(0, 100) || !c.CanRollback(0, 0) {
		t.Error("rollback: by one must work, far back must not, to nothing must")
	}
	var lost *RollbackError
	if err := c.Remove(0, 100, -1); !errors.As(err, &lost) || !errors.Is(err, ErrRollback) || lost.End != 99 || lost.Window != 10 {
		t.Errorf("Remove: %v", err)
	}
	if err := c.CopySeq(0, 1, 0, 100); !errors.Is(err, ErrRollback) {
		t.Errorf("a branch in the past: %v", err)
	}
	if err := c.CopySeq(0, 1, 0, -1); err != nil {
		t.Errorf("a branch at the end: %v", err)
	}
	s := put(t, c, Batch{Pos: []int32{200, 200}, Seq: []int32{0, 1}})
	if len(seen(t, c, s, 1, 0)) != 10 || len(seen(t, c, s, 1, 1)) != 10 {
		t.Error("a branch does not see its window")
	}
	// Closing a gap must not bring back what the window has lost.
	if err := c.Remove(0, 5, 199); err != nil {
		t.Fatal(err)
	}
	if err := c.Remove(1, 0, -1); err != nil {
		t.Fatal(err)
	}
	if err := c.Add(0, 199, -1, -194); !errors.Is(err, ErrRollback) {
		t.Errorf("Add: %v", err)
	}
	if err := c.Remove(0, 0, -1); err != nil {
		t.Fatal(err)
	}
	if c.Used(0) != 0 || c.Used(1) != 0 || c.Free() != 24 {
		t.Errorf("%d, %d used, %d free", c.Used(0), c.Used(1), c.Free())
	}
}

func TestFullWindowRollsBackAnywhere(t *testing.T) {
	cfg := testConfig(100, 1, 4, 8, 0, 10)
	cfg.FullWindow = true
	c := mustNew(t, cfg)
	for p := range 100 {
		put(t, c, tokens(0, p, p+1))
	}
	if _, err := c.Find(tokens(0, 100, 101)); !errors.Is(err, ErrFull) {
		t.Errorf("Find: %v", err)
	}
	if err := c.Remove(0, 50, -1); err != nil {
		t.Fatal(err)
	}
	s := put(t, c, tokens(0, 50, 51))
	wantSeen(t, c, s, 1, 0, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50)
}
