//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"bytes"
	"context"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/internal/hipemu"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// attended is one attention: tokens of 8 heads over 2 of the cache, of which the last hidden cells are hidden from all; typ is that of k and v.
type attended struct {
	tokens, cells, hidden int
	typ                   tensor.DType
}

const half = tensor.F16

// nodes returns the op and what is in its sources, the same for a cell and for a token whatever others there are.
func (x attended) nodes(t *testing.T) (*tensor.Tensor, map[*tensor.Tensor][]byte) {
	t.Helper()
	const d, heads, kv = 64, 8, 2
	var b tensor.Builder
	q := b.Input("q", tensor.F32, tensor.MakeShape(d, heads, x.tokens))
	k, v := b.Input("k", x.typ, tensor.MakeShape(d, kv, x.cells)), b.Input("v", x.typ, tensor.MakeShape(d, kv, x.cells))
	mask := b.Input("mask", tensor.F32, tensor.MakeShape(x.cells, x.tokens))
	n := b.FlashAttn(tensor.FlashAttn{Scale: 0.125}, q, k, v, mask, nil)
	if _, err := b.Build(n); err != nil {
		t.Fatal(err)
	}
	in := map[*tensor.Tensor][]byte{}
	for i, s := range []*tensor.Tensor{q, k, v} {
		r := rand.New(rand.NewPCG(7, uint64(i)))
		numbers := make([]float32, s.Shape.Elems())
		for i := range numbers {
			numbers[i] = float32(r.NormFloat64())
		}
		in[s] = make([]byte, s.Bytes())
		switch s.Type {
		case tensor.F32:
			for i, x := range numbers {
				binary.LittleEndian.PutUint32(in[s][4*i:], math.Float32bits(x))
			}
		case tensor.F16:
			quant.EncodeF16(in[s], numbers)
		case tensor.BF16:
			quant.EncodeBF16(in[s], numbers)
		default:
			if err := quant.Encode(s.Type, in[s], numbers, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range x.tokens {
		for c := range x.cells {
			bias := float32(0)
			if c >= x.cells-x.hidden {
				bias = float32(math.Inf(-1))
			}
			in[mask] = binary.LittleEndian.AppendUint32(in[mask], math.Float32bits(bias))
		}
	}
	return n, in
}

// run returns the first token's result, and the kernels that made it.
func (x attended) run(t *testing.T, d *Device) (first []byte, names string) {
	t.Helper()
	n, in := x.nodes(t)
	at, size := map[*tensor.Tensor]int64{}, int64(0)
	for _, s := range append([]*tensor.Tensor{n}, n.Src...) {
		if s != nil {
			at[s] = size
			size += (int64(s.Bytes()) + alignment - 1) &^ (alignment - 1)
		}
	}
	mem, err := d.local.Alloc(size)
	if err != nil {
		t.Fatal(err)
	}
	for s, p := range in {
		if _, err := mem.WriteAt(p, at[s]); err != nil {
			t.Fatal(err)
		}
	}
	p, err := d.Compile(&backends.Subgraph{Nodes: []*tensor.Tensor{n}, Place: func(s *tensor.Tensor) tensor.Storage {
		return tensor.Storage{Buffer: mem, Offset: at[s]}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second run finds what the first left in scratch memory
		if err := p.Submit(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, n.Shape[0]*n.Shape[1]*4)
		if _, err := mem.ReadAt(p, at[n]); err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(first, p) {
			t.Errorf("%+v: a second run differs", x)
		}
		first = p
	}
	used := map[string]bool{}
	d.open.modules.mu.Lock()
	for key := range d.open.modules.all {
		used[key.name] = true
	}
	d.open.modules.mu.Unlock()
	for _, name := range []string{"flash_attn", "flash_rows", "flash_tile", "flash_matrix", "flash_merge"} {
		if used[name] {
			names += name + " "
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if err := mem.Close(); err != nil {
		t.Error(err)
	}
	return first, names
}

// A token's result has the same bits whatever cells are hidden behind those it sees, in how many parts the cells are divided, and
// which tokens are beside it, as long as these are few.
func TestEmulatedAttentionBits(t *testing.T) {
	for name, arch := range waves {
		t.Run(name, func(t *testing.T) {
			d, _ := emulated(t, hipemu.Options{Devices: arch})
			want, _ := attended{1, 300, 0, half}.run(t, d)
			for _, x := range []attended{{1, 320, 20, half}, {1, 1000, 700, half}, {1, 2500, 2200, half}, {3, 300, 0, half}, {7, 400, 100, half}, {2, 5000, 4700, half}} {
				got, names := x.run(t, d)
				if !bytes.Equal(got, want) {
					t.Errorf("%+v differs", x)
				}
				kernels := "flash_rows " // the last block of each head adds up parts
				if x.cells > maxJoined*flashTile {
					kernels += "flash_merge " // there are too many
				}
				if names != kernels {
					t.Errorf("%+v was computed by %s", x, names)
				}
			}
		})
	}
}

// Many tokens go by tiles, of matrices where there are instructions for them, and over parts of the cells where there are few heads.
func TestEmulatedAttentionTiles(t *testing.T) {
	for arch, want := range map[string]string{"gfx1030": "flash_tile", "gfx90a": "flash_matrix", "gfx1100": "flash_matrix", "gfx1201": "flash_matrix"} {
		d, _ := emulated(t, hipemu.Options{Devices: arch})
		if _, names := (attended{40, 1100, 30, half}).run(t, d); names != want+" flash_merge " {
			t.Errorf("%s: 40 tokens were computed by %s", arch, names)
		}
	}
}

// What tiles compute for a token is what it gets alone, but for roundings, whatever the cache's type.
func TestEmulatedAttentionTypes(t *testing.T) {
	types := []tensor.DType{tensor.F16, tensor.F32, tensor.BF16, tensor.Q8_0, tensor.Q4_0, tensor.Q5_1}
	if testing.Short() || !hipemu.Demanded() {
		types = []tensor.DType{tensor.F32, tensor.Q8_0}
		t.Logf("without %s only %v", hipemu.Demand, types)
	}
	for _, arch := range []string{"gfx1030", "gfx90a", "gfx1100"} {
		t.Run(arch, func(t *testing.T) {
			d, _ := emulated(t, hipemu.Options{Devices: arch})
			for _, typ := range types {
				alone, _ := attended{1, 330, 20, typ}.run(t, d)
				among, _ := attended{40, 330, 20, typ}.run(t, d)
				off, size := 0.0, 0.0
				for i := 0; i < len(alone); i += 4 {
					x := float64(math.Float32frombits(binary.LittleEndian.Uint32(alone[i:])))
					y := float64(math.Float32frombits(binary.LittleEndian.Uint32(among[i:])))
					off, size = off+(x-y)*(x-y), size+x*x
				}
				if !(off <= 1e-6*size) || size == 0 {
					t.Errorf("%v: off by %g of %g", typ, off, size)
				}
			}
		})
	}
}

// How cells are divided covers them all, whatever the shapes.
func TestFlashPlans(t *testing.T) {
	var b tensor.Builder
	for _, dim := range []int{64, 80, 128, 256} {
		for _, cells := range []int{1, 127, 128, 129, 5000, 16385, 131072} {
			for _, tokens := range []int{1, 8, 9, 64, 512} {
				for _, typ := range []tensor.DType{tensor.F16, tensor.F32} {
					q := b.Input("q", tensor.F32, tensor.MakeShape(dim, 8, tokens))
					k := b.Input("k", typ, tensor.MakeShape(dim, 2, cells))
					n := b.FlashAttn(tensor.FlashAttn{Scale: 1}, q, k, k, nil, nil)
					plans := []flashPlan{planRows(n)}
					if f, ok := planTile(n); ok {
						plans = append(plans, f)
						if s := f.shared(dim, dim, typ == tensor.F16); s > sharedMemory {
							t.Errorf("%d bytes of shared memory", s)
						}
					} else if tokens >= 64 {
						t.Errorf("no tiles for %v over %v", q, k)
					}
					for _, f := range plans {
						if f.splits < 1 || f.splits > maxSplits || f.splits*f.each < cells || (f.splits-1)*f.each >= cells || f.groups*f.per < 4*tokens {
							t.Errorf("%+v for %v over %v", f, q, k)
						}
					}
				}
			}
		}
	}
}

// Kernels that are missing are compiled when a program is, with progress, and kept: the next device finds them in its cache.
func TestEmulatedCompile(t *testing.T) {
	d, _ := emulated(t, hipemu.Options{})
	var told [][2]int
	d.OnCompile(func(done, total int) { told = append(told, [2]int{done, total}) })
	newRig(t, d, 4).close(t)
	if len(told) != 3 || told[0] != [2]int{0, 2} || told[1] != [2]int{1, 2} || told[2] != [2]int{2, 2} {
		t.Errorf("progress was %v", told)
	}
	r := newRig(t, d, 4) // what is loaded is not compiled again
	r.run(t)
	r.close(t)
	if len(told) != 3 {
		t.Errorf("progress was %v", told)
	}
	again, err := Devices(d.opt)
	if err != nil {
		t.Fatal(err)
	}
	again[0].OnCompile(func(done, total int) { t.Errorf("compiled again: %d of %d", done, total) })
	r = newRig(t, again[0], 4)
	r.run(t)
	r.close(t)
	if err := again[0].Close(); err != nil {
		t.Error(err)
	}
}

// A kernel that does not compile is the reason of every op that wants it, after one attempt.
func TestEmulatedCompileFails(t *testing.T) {
	d, e := emulated(t, hipemu.Options{})
	e.Fail("hiprtcCompileProgram", 6, 0, 1<<20)
	if _, err := makeRig(d, 4); err == nil || !strings.Contains(err.Error(), "hiprtcCompileProgram") {
		t.Errorf("got %v", err)
	}
	for _, op := range []tensor.Op{tensor.Scale{}, tensor.RMSNorm{}} {
		if _, ok := d.broken.Load(op.Kind()); !ok {
			t.Errorf("%s still counts as supported", op.Kind())
		}
	}
}

// Processes that write one file of the cache at once leave a whole one.
func TestCacheTogether(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "x.hsaco")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			code := bytes.Repeat([]byte{byte(i)}, 100_000)
			for range 20 {
				writeCode(file, code)
				if got := readCode(file); len(got) != len(code) || bytes.Count(got, got[:1]) != len(code) {
					t.Errorf("got %d bytes", len(got))
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}
