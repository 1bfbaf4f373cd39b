package kv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
)

// lender is a driver whose cache is read by several while it changes. Each cell's rows hold a number of
// their own that grows with each write, so that a copy that is old is noticed.
type lender struct {
	*driver
	version uint64
	shared  *Shared
	mirrors []*follower
	synced  int   // how often a mirror was brought up to date
	sent    int64 // bytes
}

// follower is a mirror and what must be sent to it.
type follower struct {
	*Mirror
	cfg     ShareConfig
	pending []map[int]bool // by group, the cells written since the last Sync
	copies  int            // of each layer: in how many memories
}

// borrowers returns what a borrower of all layers of cfg wants: several of its layers on each of the
// source's, in the given memories.
func borrowers(cfg Config, each int, memories ...buffer.Type) ShareConfig {
	w := ShareConfig{Borrower: "a draft", Cells: cfg.Cells, MaxSeqs: cfg.MaxSeqs, TypeK: &cfg.TypeK, TypeV: &cfg.TypeV}
	for i, l := range cfg.Layers {
		for k := range each {
			memory := l.Memory
			if len(memories) > 0 {
				memory = memories[(i+k)%len(memories)]
			}
			w.Layers = append(w.Layers, ShareLayer{
				Layer: i*each + k, Source: l.Layer, HeadsKV: l.HeadsKV, KeyDim: l.KeyDim, ValueDim: l.ValueDim, Window: l.Window, Memory: memory,
			})
		}
	}
	return w
}

func newLender(t testing.TB, cfg Config, src choices) *lender {
	t.Helper()
	l := &lender{driver: newDriver(t, cfg, src)}
	l.wrote = l.write
	var err error
	l.shared, err = Share(l.c, borrowers(cfg, 2))
	must(t, err)
	for _, memories := range [][]buffer.Type{{host("A", 0)}, {host("A", 0), host("B", 0)}} {
		l.mirrors = append(l.mirrors, l.follow(borrowers(cfg, 2, memories...), len(memories)))
	}
	return l
}

// follow opens a mirror, which has never been sent anything.
func (l *lender) follow(cfg ShareConfig, copies int) *follower {
	f := &follower{cfg: cfg, copies: copies}
	var err error
	f.Mirror, err = NewMirror(l.c, cfg)
	must(l.t, err)
	for _, g := range l.c.groups {
		held := map[int]bool{}
		for i := range g.cells {
			if g.refs[i] > 0 {
				held[i] = true
			}
		}
		f.pending = append(f.pending, held)
	}
	return f
}

// write gives the rows of a cell contents that were never there before.
func (l *lender) write(group, cell int) {
	l.version++
	for _, layer := range l.c.layers {
		if layer.Group != group {
			continue
		}
		for k, x := range []*tensor.Tensor{layer.K, layer.V} {
			row := make([]byte, x.Stride[1])
			for i := 0; i+8 <= len(row); i += 8 {
				binary.LittleEndian.PutUint64(row[i:], l.version<<1|uint64(k))
			}
			_, err := x.Storage.Buffer.WriteAt(row, x.Storage.Offset+int64(cell)*int64(len(row)))
			must(l.t, err)
		}
	}
	for _, f := range l.mirrors {
		f.pending[group][cell] = true
	}
}

// step changes the cache, and then has one of those that read it do so.
func (l *lender) step() {
	l.driver.step()
	switch k := l.src.pick(6); k {
	case 0, 1:
		l.sync(l.mirrors[k])
	case 2:
		l.reopen(l.src.pick(len(l.mirrors)))
	case 3:
		l.look(l.shared)
	case 4:
		l.look(l.mirrors[0])
	}
}

func (l *lender) reopen(i int) {
	old := l.mirrors[i]
	must(l.t, old.Close())
	l.mirrors[i] = l.follow(old.cfg, old.copies)
}

// sync brings a mirror up to date: exactly the rows that must be sent are, and then all is equal.
func (l *lender) sync(f *follower) {
	var want int64
	for g, cells := range f.pending {
		for cell := range cells {
			if l.c.groups[g].refs[cell] == 0 {
				continue
			}
			for _, layer := range l.c.layers {
				if layer.Group == g {
					want += int64(f.copies) * int64(layer.K.Stride[1]+layer.V.Stride[1])
				}
			}
		}
		clear(cells)
	}
	got, err := f.Sync()
	must(l.t, err)
	if got != want {
		l.t.Fatalf("%d bytes were sent, want %d", got, want)
	}
	l.synced++
	l.sent += got
	l.compare(f)
}

func (l *lender) compare(f *follower) {
	for _, want := range f.cfg.Layers {
		from, _ := l.c.Layer(want.Source)
		to, ok := f.Layer(want.Layer)
		if !ok || to.K.Storage.Buffer.Type() != want.Memory || to.K == from.K {
			l.t.Fatalf("layer %d reads %+v", want.Layer, to)
		}
		for i, x := range []*tensor.Tensor{from.K, from.V} {
			y := []*tensor.Tensor{to.K, to.V}[i]
			a, b := contents(l.t, x), contents(l.t, y)
			row := x.Stride[1]
			for cell, refs := range l.c.groups[from.Group].refs {
				if at := cell * row; refs > 0 && !bytes.Equal(a[at:at+row], b[at:at+row]) {
					l.t.Fatalf("%s, cell %d: the copy is %x, want %x", y.Name, cell, b[at:at+row], a[at:at+row])
				}
			}
		}
	}
}

func contents(t testing.TB, x *tensor.Tensor) []byte {
	t.Helper()
	p := make([]byte, x.Bytes())
	_, err := x.Storage.Buffer.ReadAt(p, x.Storage.Offset)
	must(t, err)
	return p
}

// look compares what tokens that are not in the cache see with what the model says.
func (l *lender) look(r Reader) {
	var pos, seqs []int32
	for range 1 + l.src.pick(3) {
		q := l.src.pick(l.cfg.MaxSeqs)
		seqs = append(seqs, int32(q))
		pos = append(pos, int32(max(0, l.maxPos(q)-3+l.src.pick(8))))
	}
	for g := range r.Groups() {
		n := r.ReadCells(g)
		if l.src.pick(4) == 0 {
			n = r.Group(g).Cells
		}
		mask := make([]float32, n*len(pos))
		for i := range mask {
			mask[i] = 7
		}
		must(l.t, r.FillMask(g, mask, pos, seqs, n))
		for t, p := range pos {
			var seen []int
			for i, v := range mask[t*n : (t+1)*n] {
				switch {
				case v == 0:
					seen = append(seen, l.cell[g][i].id)
				case !math.IsInf(float64(v), -1):
					l.t.Fatalf("group %d, token %d, cell %d: mask %v", g, t, i, v)
				}
			}
			slices.Sort(seen)
			want := l.sees(int(seqs[t]), int(p), r.Group(g).Window, false)
			if l.c.groups[g].expires && int(p) <= l.maxPos(int(seqs[t])) {
				// What a token in the past saw may be gone by now.
				want = slices.DeleteFunc(want, func(id int) bool { return !slices.Contains(seen, id) })
			}
			if !slices.Equal(seen, want) {
				l.t.Fatalf("group %d, sequence %d, position %d sees tokens\n%v, want\n%v", g, seqs[t], p, seen, want)
			}
		}
	}
}

// end checks everybody once more and closes all, the source last.
func (l *lender) end() {
	l.look(l.shared)
	for _, f := range l.mirrors {
		l.look(f)
		l.sync(f)
		if again, err := f.Sync(); again != 0 || err != nil {
			l.t.Fatalf("a second Sync sends %d bytes, %v", again, err)
		}
		must(l.t, f.Close())
		for _, x := range f.cfg.Layers {
			if n := x.Memory.(*buffer.Host).Used(); n != 0 {
				l.t.Fatalf("%d bytes of copies are left", n)
			}
		}
	}
	must(l.t, l.shared.Close())
	must(l.t, l.c.Close())
}

func TestRandomOperationsUnderSharing(t *testing.T) {
	for i, cfg := range propertyConfigs() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			synced, sent := 0, int64(0)
			for seed := range uint64(3) {
				l := newLender(t, cfg, &randomChoices{rand.New(rand.NewPCG(seed, uint64(i)+100)), 500})
				for l.src.more() {
					l.step()
				}
				l.end()
				synced, sent = synced+l.synced, sent+l.sent
			}
			t.Logf("%d times in step again, %d bytes sent", synced, sent)
			if synced < 200 || sent == 0 {
				t.Error("the operations do not reach what they should")
			}
		})
	}
}

func FuzzShare(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range propertyConfigs() {
		data := make([]byte, 300)
		for j := range data {
			data[j] = byte(r.Uint32())
		}
		f.Add(uint8(i), data)
	}
	f.Fuzz(func(t *testing.T, config uint8, data []byte) {
		if len(data) > 4096 {
			t.Skip("long runs find nothing new")
		}
		configs := propertyConfigs()
		l := newLender(t, configs[int(config)%len(configs)], &byteChoices{data})
		for l.src.more() {
			l.step()
		}
		l.end()
	})
}
