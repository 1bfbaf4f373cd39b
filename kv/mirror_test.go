package kv

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/buffer"
)

var errBroken = errors.New("the device is broken")

// remote is memory that the host cannot address, whose writes can be made to fail.
type remote struct {
	*buffer.Host
	failAt int // writes from now on that succeed; -1 is all
}

type remoteBuffer struct {
	buffer.Buffer
	of *remote
}

func (r *remote) Alloc(size int64) (buffer.Buffer, error) {
	b, err := r.Host.Alloc(size)
	if err != nil {
		return nil, err
	}
	return &remoteBuffer{b, r}, nil
}

func (b *remoteBuffer) Type() buffer.Type { return b.of }

func (b *remoteBuffer) WriteAt(p []byte, at int64) (int, error) {
	if b.of.failAt == 0 {
		return 0, errBroken
	}
	if b.of.failAt > 0 {
		b.of.failAt--
	}
	return b.Buffer.WriteAt(p, at)
}

// One copy serves all layers of the borrower that read it in one memory; another memory has its own.
func TestOneCopyForEachMemory(t *testing.T) {
	cfg, _, far := sharedConfig()
	c := newCache(t, cfg)
	a, b := host("A", 0), host("B", 0)
	l, _ := c.Layer(1)
	size := int64(l.K.Bytes() + l.V.Bytes())
	layer := func(i int, m buffer.Type) ShareLayer {
		return ShareLayer{Layer: i, Source: 1 + i%2*2, HeadsKV: 2, KeyDim: 16, ValueDim: 8, Rotation: l.Rotation, Memory: m}
	}
	m, err := NewMirror(c, ShareConfig{Layers: []ShareLayer{layer(0, a), layer(1, a), layer(2, b), layer(3, a)}})
	must(t, err)
	if a.Used() != size || b.Used() != size || m.Bytes() != 2*size || m.BytesOn(a.Owner()) != size || m.BytesOn(far.Owner()) != 0 {
		t.Errorf("%d and %d bytes of %d, want %d in each", a.Used(), b.Used(), m.Bytes(), size)
	}
	first, _ := m.Layer(0)
	for i, same := range []bool{true, true, false, true} {
		x, _ := m.Layer(i)
		if (x.K == first.K && x.V == first.V) != same {
			t.Errorf("layer %d reads %v", i, x.K)
		}
		if x.Source != 1 || x.Group != l.Group || x.K.Shape != l.K.Shape || x.K.Type != l.K.Type || x.K.Role != l.K.Role {
			t.Errorf("layer %d reads %+v, want what is like %+v", i, x, l)
		}
	}
	fill(t, c, 0, 5)
	row := int64(l.K.Stride[1] + l.V.Stride[1])
	if sent, err := m.Sync(); sent != 2*5*row || err != nil {
		t.Errorf("Sync: %d bytes, %v; want %d", sent, err, 2*5*row)
	}
	must(t, m.Close())
	if a.Used() != 0 || b.Used() != 0 || m.Bytes() != 0 || far.Used() == 0 {
		t.Errorf("after Close %d and %d bytes are left, Bytes %d", a.Used(), b.Used(), m.Bytes())
	}
}

// Guesses that were taken back before the next Sync are not sent.
func TestRejectedRowsAreNotSent(t *testing.T) {
	cfg, near, _ := sharedConfig()
	c := newCache(t, cfg)
	w := wants(near, near)
	w.Layers = w.Layers[1:]
	m, err := NewMirror(c, w)
	must(t, err)
	defer m.Close()
	l, _ := c.Layer(1)
	row := int64(l.K.Stride[1] + l.V.Stride[1])
	sync := func(rows int64) {
		t.Helper()
		if sent, err := m.Sync(); sent != rows*row || err != nil {
			t.Errorf("Sync: %d bytes, %v; want %d rows of %d", sent, err, rows, row)
		}
	}
	fill(t, c, 0, 10)
	sync(10)
	sync(0)
	fill(t, c, 10, 4) // one token and three guesses, of which one is right
	must(t, c.Remove(0, 12, -1))
	sync(2)
	fill(t, c, 12, 2)
	sync(2)
	must(t, c.CopySeq(0, 1, -1, -1)) // moves nothing
	must(t, c.Remove(1, 3, -1))
	sync(0)
	slots, err := c.Find(Batch{Pos: []int32{14}, Seq: []int32{0}})
	must(t, err)
	must(t, c.Apply(slots))
	must(t, c.Undo(slots))
	sync(0)
	must(t, c.Remove(1, -1, -1))
	must(t, c.Remove(0, 0, 4))
	must(t, c.Add(0, 4, -1, -4))
	sync(0) // what moves has not been turned yet
	c.ClearShift(l.Group)
	sync(10)
	c.Clear()
	sync(0)
}

func TestMirrorWithoutRoomFreesWhatItHad(t *testing.T) {
	cfg, near, far := sharedConfig()
	c := newCache(t, cfg)
	had := near.Used() + far.Used()
	a := host("A", 0)
	l, _ := c.Layer(1)
	sizes := []int64{int64(l.K.Bytes()), int64(l.V.Bytes())}
	for _, limit := range []int64{1, sizes[0], sizes[0] + sizes[1] - 1} {
		b := host("B", limit)
		_, err := NewMirror(c, wants(a, b))
		var none *buffer.AllocError
		if !errors.As(err, &none) || none.Type != "B" {
			t.Errorf("limit %d: %v", limit, err)
		}
		if a.Used() != 0 || b.Used() != 0 || near.Used()+far.Used() != had || len(c.borrowers) != 0 || len(c.mirrors) != 0 {
			t.Errorf("limit %d: %d and %d bytes are left, lent to %v", limit, a.Used(), b.Used(), c.borrowers)
		}
	}
}

// A Sync that fails leaves everything unsent: the next one sends it all.
func TestFailedSyncSendsAgain(t *testing.T) {
	for _, source := range []buffer.Type{host("near", 0), &remote{Host: host("near", 0), failAt: -1}} {
		cfg, _, _ := sharedConfig()
		cfg.Layers[0].Memory, cfg.Layers[1].Memory = source, source
		for ok := range 4 { // K and V of two layers
			c := newCache(t, cfg)
			to := &remote{Host: host("to", 0), failAt: -1}
			m, err := NewMirror(c, wants(to, to))
			must(t, err)
			fill(t, c, 0, 9)
			to.failAt = ok
			sent, err := m.Sync()
			if !errors.Is(err, errBroken) {
				t.Fatalf("Sync: %v", err)
			}
			var want, before int64
			for i, x := range m.copies {
				want += 9 * int64(x.from.Stride[1])
				if i < ok {
					before = want
				}
			}
			if sent != before {
				t.Errorf("%d bytes are said to be sent, want %d", sent, before)
			}
			to.failAt = -1
			if sent, err := m.Sync(); sent != want || err != nil {
				t.Errorf("Sync again: %d bytes, %v; want %d", sent, err, want)
			}
			must(t, m.Close())
		}
	}
}

func TestSyncDoesNotAllocate(t *testing.T) {
	near, far := &remote{Host: host("near", 0), failAt: -1}, &remote{Host: host("far", 0), failAt: -1}
	for _, memories := range [][2]buffer.Type{{near, far}, {host("a", 0), host("b", 0)}} {
		cfg := testConfig(1024, 1, 8, 32, 0, 40)
		cfg.Layers[0].Memory, cfg.Layers[1].Memory = memories[0], memories[0]
		c := newCache(t, cfg)
		m, err := NewMirror(c, borrowers(cfg, 2, memories[1]))
		must(t, err)
		s, err := Share(c, borrowers(cfg, 1))
		must(t, err)
		pos, seq, mask := []int32{0}, []int32{0}, make([]float32, 1024)
		fill(t, c, 0, 20)
		next := int32(20)
		if n := testing.AllocsPerRun(100, func() {
			pos[0] = next
			slots, err := c.Find(Batch{Pos: pos, Seq: seq})
			if err == nil {
				err = c.Apply(slots)
			}
			if err == nil {
				_, err = m.Sync()
			}
			n := s.ReadCells(0)
			if err == nil {
				err = s.FillMask(0, mask[:n], pos, seq, n)
			}
			if err != nil {
				t.Fatal(err)
			}
			next++
		}); n != 0 {
			t.Errorf("a step allocates %v times", n)
		}
		must(t, errors.Join(m.Close(), s.Close()))
	}
}

func TestRunsOf(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 500 {
		set := make([]uint64, r.IntN(5))
		for b := range set {
			set[b] = []uint64{0, ^uint64(0), r.Uint64(), 1, 1 << 63, r.Uint64() & r.Uint64() & r.Uint64()}[r.IntN(6)]
		}
		checkRuns(t, set)
	}
}

func FuzzRunsOf(f *testing.F) {
	f.Add(uint64(0), uint64(1)<<63, ^uint64(0))
	f.Add(^uint64(0), ^uint64(0), uint64(1))
	f.Add(uint64(0x5555), uint64(0), uint64(0xf000000000000000))
	f.Fuzz(func(t *testing.T, a, b, c uint64) { checkRuns(t, []uint64{a, b, c}) })
}

// checkRuns checks that the runs of a set are its members, in order, and as long as they can be.
func checkRuns(t *testing.T, set []uint64) {
	t.Helper()
	got := make([]uint64, len(set))
	end := -1
	must(t, runsOf(set, func(from, to int) error {
		if from <= end || to <= from || to > len(set)*blockCells {
			t.Fatalf("run %d to %d after %d of %#x", from, to, end, set)
		}
		for i := from; i < to; i++ {
			got[i/blockCells] |= 1 << (i % blockCells)
		}
		end = to
		return nil
	}))
	if !slices.Equal(got, set) {
		t.Fatalf("runs of %#x are %#x", set, got)
	}
	stop := errors.New("stop")
	if err := runsOf(set, func(int, int) error { return stop }); (err == stop) != (end >= 0) {
		t.Fatalf("an error of the caller's is %v", err)
	}
}
