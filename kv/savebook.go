package kv

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/tenon-go/tenon/tensor"
)

// ErrSaved is matched by the error of a saved sequence that a cache cannot take.
var ErrSaved = errors.New("the saved sequence does not fit")

// SavedError says what of a saved sequence does not fit, or that a sequence cannot be saved. It matches ErrSaved.
type SavedError struct {
	What       string
	Have, Want string // of the saved sequence, of the cache
}

// Error returns one line with both sides.
func (e *SavedError) Error() string {
	return fmt.Sprintf("kv: %s is %s, want %s", e.What, e.Have, e.Want)
}

// Unwrap returns ErrSaved.
func (e *SavedError) Unwrap() error { return ErrSaved }

func typeName(id int64) string {
	if id <= math.MaxUint8 && tensor.DType(id).Valid() {
		return tensor.DType(id).String()
	}
	return fmt.Sprintf("type %d", id)
}

// check returns what is wrong with b: positions from 0 to last, each at most once, all of them where nothing expires and
// otherwise those that the next token sees; a state after the last token.
func (b *record) check(c *Cache) error {
	if b.last < -1 || b.last > maxPos {
		return &SavedError{"the last position", strconv.Itoa(int(b.last)), fmt.Sprintf("-1 to %d", maxPos)}
	}
	for i, g := range c.groups {
		if err := b.checkGroup(g, i); err != nil {
			return err
		}
	}
	if c.states == nil || len(b.states) == 0 && b.last < 0 {
		return nil
	}
	before := int32(-1)
	for _, at := range b.states {
		if at.pos <= before || at.pos > b.last {
			return &SavedError{"the position of a state", strconv.Itoa(int(at.pos)), fmt.Sprintf("%d to %d", before+1, b.last)}
		}
		before = at.pos
	}
	if before != b.last {
		return &SavedError{"the position of the last state", strconv.Itoa(int(before)), strconv.Itoa(int(b.last))}
	}
	return nil
}

func (b *record) checkGroup(g *group, i int) error {
	first := int32(0) // of those that must be there
	if g.expires {
		first = max(0, b.last-g.window+1)
	}
	before := int32(-1)
	for k, cell := range b.cells[i] {
		if cell <= before {
			return &SavedError{"a cell", strconv.Itoa(int(cell)), fmt.Sprintf("above %d, as they rise", before)}
		}
		before = cell
		if pos := b.pos[i][k]; pos < 0 || pos > b.last {
			return &SavedError{"a position", strconv.Itoa(int(pos)), fmt.Sprintf("0 to %d", b.last)}
		}
	}
	pos := slices.Sorted(slices.Values(b.pos[i]))
	n := len(pos)
	if len(slices.Compact(pos)) != n {
		return &SavedError{"a position", "there twice", "each once"}
	}
	if want := int(b.last-first) + 1; n < want || want > 0 && pos[n-want] != first {
		return &SavedError{
			"what is there of a sequence", fmt.Sprintf("%d tokens", n), fmt.Sprintf("all of positions %d to %d", first, b.last),
		}
	}
	return nil
}

// place moves b to cells and rows that are free: those that it names if all of a group's are, else the lowest.
// with fewer snapshots takes the latest states.
func (b *record) place(c *Cache) error {
	for i, g := range c.groups {
		if b.free(g, i) {
			continue
		}
		n, free := len(b.cells[i]), g.cells-g.used
		if free < n && g.expires {
			n = b.pass(i, b.last-g.window+1)
		}
		if free < n && g.expires {
			g.expire(c.last)
			c.changes++
			free = g.cells - g.used
		}
		if free < n {
			return &FullError{Group: i, Window: int(g.window), Need: n, Free: free, Cells: g.cells}
		}
		cells := g.lowest(nil, n, nil)
		for k := range b.cells[i] {
			if b.cells[i][k] != passed {
				b.cells[i][k], cells = int32(cells[0]), cells[1:]
			}
		}
	}
	if c.states == nil {
		return nil
	}
	row := int32(0)
	for k := range b.states {
		for row < int32(len(c.states.refs)) && c.states.refs[row] != 0 {
			row++
		}
		if most := c.states.keep + 1; len(b.states) > most || int(row) == len(c.states.refs) {
			return &SavedError{"the number of states", strconv.Itoa(len(b.states)), fmt.Sprintf("at most %d: open the model with more snapshots", most)}
		}
		b.states[k].row = row
		row++
	}
	return nil
}

// passed stands for the cell of a token that is not taken.
const passed = -1

// pass passes by the tokens of group i before position first, which the next token does not see, and returns how
// many are left.
func (b *record) pass(i int, first int32) int {
	n := 0
	for k, pos := range b.pos[i] {
		if pos < first {
			b.cells[i][k] = passed
			continue
		}
		n++
	}
	return n
}

// free reports whether all cells of b in group i are.
func (b *record) free(g *group, i int) bool {
	for _, cell := range b.cells[i] {
		if int(cell) >= g.cells || g.unused[cell/blockCells]>>(cell%blockCells)&1 == 0 {
			return false
		}
	}
	return true
}

// lost returns the positions of group i that have expired.
func (b *record) lost(i int) span {
	var pos []int32
	for k, p := range b.pos[i] {
		if b.cells[i][k] != passed {
			pos = append(pos, p)
		}
	}
	slices.Sort(pos)
	lost := span{0, b.last}
	for _, p := range pos {
		if p != lost.lo {
			break
		}
		lost.lo++
	}
	for _, p := range slices.Backward(pos) {
		if p != lost.hi {
			break
		}
		lost.hi--
	}
	if lost.empty() {
		return noSpan
	}
	return lost
}
