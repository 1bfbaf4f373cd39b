package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

// fillRows writes random bytes into the rows of the sequence's last n tokens, as a run would.
func fillRows(t testing.TB, c *Cache, seq int, rng *rand.Rand) {
	t.Helper()
	err := c.eachRow(c.record(int32(seq)), func(b []byte, at func(p []byte) error) error {
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return at(b)
	}, true)
	if err != nil {
		t.Fatal(err)
	}
}

// heldBy returns positions and rows of a sequence, group by group in order of cells.
func heldBy(t testing.TB, c *Cache, seq int) ([][]int32, []byte) {
	t.Helper()
	rec := c.record(int32(seq))
	var rows []byte
	err := c.eachRow(rec, func(b []byte, at func(p []byte) error) error {
		err := at(b)
		rows = append(rows, b...)
		return err
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	return rec.pos, rows
}

// saving is a cache with layers that see everything, layers with a window and recurrent ones.
func saving(cells, seqs, snapshots int) Config {
	cfg := testConfig(cells, seqs, 16, 32, 0, 24)
	cfg.Snapshots = snapshots
	cfg.States = []StateConfig{{Layer: 90, Conv: 12, Hidden: 40, Memory: host("near", 0)}}
	return cfg
}

// grow adds n tokens to a sequence, some at a time, and fills their rows.
func grow(t testing.TB, c *Cache, seq int32, n int, rng *rand.Rand) {
	t.Helper()
	for from := c.MaxPos(int(seq)) + 1; n > 0; {
		k := min(n, 1+rng.IntN(9))
		put(t, c, tokens(seq, from, from+k))
		from, n = from+k, n-k
	}
	fillRows(t, c, int(seq), rng)
}

func saved(t testing.TB, c *Cache, seq int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.SaveSeq(&b, seq); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func load(c *Cache, file []byte, seq int) error {
	l, err := c.LoadSeq(bytes.NewReader(file), seq)
	if err != nil {
		return err
	}
	return l.Commit()
}

func TestSaveAndLoad(t *testing.T) {
	passedBy := 0
	defer func() {
		if passedBy == 0 {
			t.Error("no token was passed by")
		}
	}()
	for round := range 60 {
		rng := rand.New(rand.NewPCG(uint64(round), 41))
		c := mustNew(t, saving(300, 3, 2))
		n := []int{0, 1, 5, 24, 25, 60, 150}[rng.IntN(7)]
		grow(t, c, 1, n/2, rng)
		grow(t, c, 0, rng.IntN(30), rng)
		grow(t, c, 1, n-n/2, rng)
		if rng.IntN(2) == 0 {
			if err := c.Remove(0, 0, -1); err != nil {
				t.Fatal(err)
			}
		}
		file := saved(t, c, 1)
		pos, rows := heldBy(t, c, 1)

		// An empty cache: every token in its cell, and the next tokens where they would have come.
		other := mustNew(t, saving(300, 3, 2))
		if err := load(other, file, 1); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		gotPos, gotRows := heldBy(t, other, 1)
		if !slices.EqualFunc(gotPos, pos, slices.Equal) || !bytes.Equal(gotRows, rows) || other.MaxPos(1) != n-1 {
			t.Fatalf("round %d: what was loaded is not what was saved", round)
		}
		for i, g := range other.groups {
			checkBook(t, g)
			if !slices.Equal(other.record(1).cells[i], c.record(1).cells[i]) {
				t.Fatalf("round %d: the tokens are in other cells", round)
			}
		}
		if !bytes.Equal(saved(t, other, 1), file) {
			t.Fatalf("round %d: saved again it is another file", round)
		}
		// One in use, and smaller: in other cells.
		busy := mustNew(t, saving(240, 2, 2))
		grow(t, busy, 0, 1+rng.IntN(20), rng)
		busyPos, busyRows := heldBy(t, busy, 0)
		if err := load(busy, file, 1); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		gotPos, gotRows = heldBy(t, busy, 1)
		if len(gotPos[1]) == len(pos[1]) && (!slices.EqualFunc(gotPos, pos, slices.Equal) || !bytes.Equal(gotRows, rows)) {
			t.Fatalf("round %d: in other cells it is not what was saved", round)
		}
		if len(gotPos[1]) != len(pos[1]) { // what has expired found no room
			if want := min(n, 24); len(gotPos[1]) != want || slices.Min(gotPos[1]) != int32(n-want) || !slices.Equal(gotPos[0], pos[0]) {
				t.Fatalf("round %d: %d tokens in the window, want the last %d", round, len(gotPos[1]), want)
			}
			passedBy++
		}
		gotPos, gotRows = heldBy(t, busy, 0)
		if !slices.EqualFunc(gotPos, busyPos, slices.Equal) || !bytes.Equal(gotRows, busyRows) {
			t.Fatalf("round %d: another sequence has changed", round)
		}
		grow(t, busy, 1, 20, rng)
		grow(t, other, 1, 20, rng)
	}
}

func TestLoadRefuses(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 42))
	c := mustNew(t, saving(300, 2, 2))
	grow(t, c, 0, 100, rng)
	file := saved(t, c, 0)

	halves := saving(300, 2, 2)
	halves.TypeK = tensor.F32
	wider := saving(300, 2, 2)
	wider.Layers[0].KeyDim *= 2
	window := testConfig(300, 2, 16, 32, 0, 25)
	window.States = saving(300, 2, 2).States
	full := saving(300, 2, 2)
	full.FullWindow = true
	noStates := saving(300, 2, 2)
	noStates.States = nil
	for name, cfg := range map[string]Config{
		"another type": halves, "longer rows": wider, "another window": window, "no recurrent layer": noStates,
		"fewer snapshots": saving(300, 2, 0), "a window that keeps all": full,
	} {
		var e *SavedError
		if err := load(mustNew(t, cfg), file, 0); !errors.Is(err, ErrSaved) || !errors.As(err, &e) || e.Error() == "" {
			t.Errorf("%s: %v, want a SavedError", name, err)
		}
	}
	if err := load(mustNew(t, saving(90, 2, 2)), file, 0); !errors.Is(err, ErrFull) {
		t.Errorf("90 cells: %v, want ErrFull", err)
	}
	if err := load(c, file, 0); !errors.Is(err, ErrPos) {
		t.Errorf("a sequence in use: %v, want ErrPos", err)
	}
	for _, seq := range []int{-1, 2} {
		if err := load(c, file, seq); !errors.Is(err, ErrSeq) {
			t.Errorf("sequence %d: %v, want ErrSeq", seq, err)
		}
	}
	if err := c.Remove(0, 3, 5); err == nil { // recurrent layers forbid it
		t.Error("a gap was made")
	}
	gap := mustNew(t, testConfig(100, 1, 16, 32, 0))
	grow(t, gap, 0, 10, rng)
	if err := gap.Remove(0, 3, 5); err != nil {
		t.Fatal(err)
	}
	if err := gap.SaveSeq(io.Discard, 0); !errors.Is(err, ErrSaved) {
		t.Errorf("a gap: %v, want ErrSaved", err)
	}
	if err := gap.Add(0, 5, -1, -2); err != nil {
		t.Fatal(err)
	}
	if err := gap.SaveSeq(io.Discard, 0); !errors.Is(err, ErrSaved) {
		t.Errorf("keys that are to be rotated: %v, want ErrSaved", err)
	}

	l, err := c.LoadSeq(bytes.NewReader(file), 1)
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, tokens(0, 100, 101))
	if err := l.Commit(); !errors.Is(err, ErrStale) {
		t.Errorf("after a change: %v, want ErrStale", err)
	}
	if err := errors.Join(l.Drop(), l.Drop()); err != nil {
		t.Error(err)
	}
}

// damaged returns file with something wrong, and restores nothing: every such file is refused or loaded, and what was
// refused has changed nothing.
func checkHostile(t testing.TB, cfg Config, file []byte) {
	c := mustNew(t, cfg)
	rng := rand.New(rand.NewPCG(3, 43))
	grow(t, c, 0, 30, rng)
	pos, rows := heldBy(t, c, 0)
	before := snapshot(c)
	if err := load(c, file, 1); err == nil {
		for _, g := range c.groups {
			checkBook(t, g)
		}
		if n := c.MaxPos(1); n < 1000 { // it can be gone on with
			put(t, c, tokens(1, n+1, n+2))
		}
		return
	}
	after := snapshot(c)
	gotPos, gotRows := heldBy(t, c, 0)
	if c.MaxPos(1) != -1 || !slices.EqualFunc(gotPos, pos, slices.Equal) || !bytes.Equal(gotRows, rows) {
		t.Fatal("a file that was refused has changed the cache")
	}
	if !slices.EqualFunc(before.groups, after.groups, func(a, b group) bool { return a.used == b.used && a.top == b.top }) {
		t.Fatal("a file that was refused has taken cells")
	}
}

func hostileSeed(t testing.TB) []byte {
	c := mustNew(t, saving(120, 2, 1))
	grow(t, c, 0, 40, rand.New(rand.NewPCG(5, 44)))
	return saved(t, c, 0)
}

func TestHostileSequences(t *testing.T) {
	file := hostileSeed(t)
	rng := rand.New(rand.NewPCG(6, 45))
	for range 1500 {
		bad := bytes.Clone(file)
		switch rng.IntN(3) {
		case 0:
			bad = bad[:rng.IntN(len(bad))]
		case 1:
			bad[rng.IntN(min(len(bad), 900))] ^= 1 << rng.IntN(8)
		case 2:
			at := 4 * rng.IntN(min(len(bad), 900)/4)
			binary.LittleEndian.PutUint32(bad[at:], []uint32{0, 1, 1<<31 - 1, 1<<32 - 1, 39, 40}[rng.IntN(6)])
		}
		checkHostile(t, saving(120, 2, 1), bad)
	}
}

func FuzzLoadSeq(f *testing.F) {
	f.Add(hostileSeed(f))
	f.Fuzz(func(t *testing.T, file []byte) { checkHostile(t, saving(120, 2, 1), file) })
}
