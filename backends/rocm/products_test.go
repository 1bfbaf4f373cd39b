//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/internal/hipemu"
	"github.com/tenon-go/tenon/tensor"
)

// Architectures have their instructions for matrices in the waves that they run by default, and in no other.
func TestFormOf(t *testing.T) {
	for _, x := range []struct {
		arch string
		wave int
		want matrixForm
	}{
		{"gfx900", 64, plain64},
		{"gfx906:sramecc+:xnack-", 64, plain64},
		{"gfx908", 64, mfma},
		{"gfx90a:sramecc+:xnack-", 64, mfma},
		{"gfx90c", 64, plain64},
		{"gfx942", 64, mfma},
		{"gfx950", 64, mfma},
		{"gfx1030", 32, plain32},
		{"gfx1100", 32, wmma},
		{"gfx1151", 32, wmma},
		{"gfx1100", 64, plain64},
		{"gfx1201", 32, wmma12},
		{"gfx000", 32, plain32},
	} {
		if got := formOf(x.arch, x.wave, tensor.Q4_K); got != x.want || got.wave() != x.wave {
			t.Errorf("%s by %d: got %d, want %d", x.arch, x.wave, got, x.want)
		}
	}
}

// What has halves alone multiplies BF16 by hand.
func TestFormOfBF16(t *testing.T) {
	for arch, want := range map[string]matrixForm{"gfx908": plain64, "gfx90a": mfma, "gfx1100": wmma, "gfx1030": plain32} {
		if got := formOf(arch, want.wave(), tensor.BF16); got != want {
			t.Errorf("%s: got %d, want %d", arch, got, want)
		}
	}
}

// Every shape of tile divides evenly among its threads: see the static_assert of matmul_halves.
func TestTiles(t *testing.T) {
	for _, wave := range []int{32, 64} {
		for _, x := range tiles(wave) {
			threads := x.waves() * wave
			if threads > 256 || x.bm*64/32%threads != 0 || x.bn*64/8%threads != 0 || x.bm%x.wm != 0 || x.bn%x.wn != 0 {
				t.Errorf("%+v by waves of %d has %d threads", x, wave, threads)
			}
		}
	}
}

// A tile fits the rows of b, and rows are shared where there are few blocks.
func TestTileOf(t *testing.T) {
	for _, x := range []struct {
		m, cols, each int
		want          tile
	}{
		{4096, 9, 9, tile{64, 16, 32, 16}},
		{4096, 17, 17, tile{64, 32, 32, 32}},
		{4096, 512, 512, tile{128, 64, 64, 32}},
		{16384, 512, 512, tile{128, 128, 64, 64}},
		{2048, 128, 128, tile{64, 64, 64, 32}},
		{1024, 4096, 20, tile{64, 32, 32, 32}}, // of experts with few rows each
		{1 << 20, 1 << 20, 2, tile{64, 16, 32, 16}},
	} {
		if got := tileOf(64, x.m, x.cols, x.each); got != x.want {
			t.Errorf("%d by %d, %d each: got %v, want %v", x.m, x.cols, x.each, got, x.want)
		}
	}
	for _, x := range [][4]int{{2048, 64, 3, 704}, {2048, 300, 1, 2048}, {352, 1, 1, 384}, {5632, 10, 11, 512}, {5632, 20, 10, 576}} {
		splits, each := splitOf(x[0], x[1])
		if splits != x[2] || each != x[3] || splits*each < x[0] || (splits-1)*each >= x[0] {
			t.Errorf("%d in %d blocks: got %d of %d", x[0], x[1], splits, each)
		}
	}
}

// products is a graph of products of one x, of rows of so many elements, with weights of Q8_0, and what they are.
type products struct {
	b     tensor.Builder
	row   int
	x     *tensor.Tensor
	want  map[*tensor.Tensor][]float64
	bytes map[*tensor.Tensor][]byte
}

func newProducts(row, tokens int) *products {
	p := &products{row: row, want: map[*tensor.Tensor][]float64{}, bytes: map[*tensor.Tensor][]byte{}}
	p.x = p.b.Input("x", tensor.F32, tensor.MakeShape(row, tokens))
	for i := range row * tokens {
		v := float64((i*37)%255 - 127)
		if i%32 == 5 {
			v = 127 // so that a block's scale is 1, and bytes hold it as it is
		}
		p.want[p.x] = append(p.want[p.x], v)
		p.bytes[p.x] = binary.LittleEndian.AppendUint32(p.bytes[p.x], math.Float32bits(float32(v)))
	}
	return p
}

// product adds the product of x with m rows.
func (p *products) product(m int) *tensor.Tensor {
	w := p.b.Input("w", tensor.Q8_0, tensor.MakeShape(p.row, m))
	y := p.b.MatMul(w, p.x)
	code := func(i, k int) int8 { return int8((i*31+k*7)%255 - 127) }
	for i := range m {
		for k := range p.row {
			if k%32 == 0 {
				p.bytes[w] = append(p.bytes[w], 0, 0x2c) // 1/16 as a half
			}
			p.bytes[w] = append(p.bytes[w], byte(code(i, k)))
		}
	}
	for t := range p.x.Shape[1] {
		for i := range m {
			sum := 0.0
			for k := range p.row {
				sum += float64(code(i, k)) / 16 * p.want[p.x][t*p.row+k]
			}
			p.want[y] = append(p.want[y], sum)
		}
	}
	return y
}

// run compiles the graph for d, runs it, compares the results, and returns how many launches it took.
func (p *products) run(t *testing.T, d *Device, groups []backends.Group, outs ...*tensor.Tensor) int {
	t.Helper()
	g, err := p.b.Build(outs...)
	if err != nil {
		t.Fatal(err)
	}
	at, size := map[*tensor.Tensor]int64{}, int64(0)
	place := func(x *tensor.Tensor) {
		if _, ok := at[x]; !ok {
			at[x] = size
			size += (int64(x.Bytes()) + alignment - 1) &^ (alignment - 1)
		}
	}
	for _, n := range g.Nodes {
		for _, s := range n.Src {
			place(s)
		}
		place(n)
	}
	mem, err := d.local.Alloc(size)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for x, b := range p.bytes {
		if _, err := mem.WriteAt(b, at[x]); err != nil {
			t.Fatal(err)
		}
	}
	prog, err := d.Compile(&backends.Subgraph{Nodes: g.Nodes, Groups: groups, Place: func(x *tensor.Tensor) tensor.Storage {
		return tensor.Storage{Buffer: mem, Offset: at[x]}
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{mem: mem, prog: prog}
	defer prog.Close()
	for range 3 { // what blocks count must begin anew
		for _, y := range outs {
			if _, err := mem.WriteAt(make([]byte, y.Bytes()), at[y]); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.again(); err != nil {
			t.Fatal(err)
		}
	}
	for _, y := range outs {
		got := make([]byte, y.Bytes())
		if _, err := mem.ReadAt(got, at[y]); err != nil {
			t.Fatal(err)
		}
		worst, all := 0.0, 0.0
		for i, want := range p.want[y] {
			v := float64(math.Float32frombits(binary.LittleEndian.Uint32(got[4*i:])))
			worst, all = worst+(v-want)*(v-want), all+want*want
		}
		if !(worst <= 1e-12*all) {
			t.Errorf("%v is off by %g of its squares", y, worst/all)
		}
	}
	return len(prog.(*program).launches)
}

// Products of one factor round it once and are one launch, of as many rows as each has, up to three. One that adds what
// another computes waits for it.
func TestProductsJoin(t *testing.T) {
	for name, arch := range waves {
		t.Run(name, func(t *testing.T) {
			d, _ := emulated(t, hipemu.Options{Devices: arch})
			p := newProducts(352, 1)
			if n := p.run(t, d, nil, p.product(64), p.product(7), p.product(33)); n != 2 {
				t.Errorf("three products took %d launches, want 2", n)
			}
			p = newProducts(352, 1)
			if n := p.run(t, d, nil, p.product(64), p.product(7), p.product(33), p.product(1)); n != 3 {
				t.Errorf("four products took %d launches, want 3", n)
			}
			p = newProducts(352, 1)
			y, z := p.product(48), p.product(48)
			sum := p.b.Add(z, y)
			for i := range 48 {
				p.want[sum] = append(p.want[sum], p.want[y][i]+p.want[z][i])
			}
			if n := p.run(t, d, []backends.Group{{Fusion: backends.MatMulAdd, From: 1, To: 3}}, y, sum); n != 3 {
				t.Errorf("a product and one that adds to it took %d launches, want 3", n)
			}
			for _, many := range []struct{ row, want int }{{352, 2}, {1056, 3}} { // the second is shared along its rows, and then added up
				p = newProducts(many.row, 20)
				if n := p.run(t, d, nil, p.product(64), p.product(16), p.product(33)); n != many.want {
					t.Errorf("three products of 20 tokens, rows of %d: %d launches, want %d", many.row, n, many.want)
				}
				p = newProducts(many.row, 20)
				if n := p.run(t, d, nil, p.product(64), p.product(16), p.product(33), p.product(70)); n != 2*many.want-1 {
					t.Errorf("four products of 20 tokens, rows of %d: %d launches, want %d", many.row, n, 2*many.want-1)
				}
			}
		})
	}
}

// The norm of a product is computed by the product's launch, and rounded for products of its own.
func TestProductTail(t *testing.T) {
	for name, arch := range waves {
		t.Run(name, func(t *testing.T) {
			d, _ := emulated(t, hipemu.Options{Devices: arch})
			for _, m := range []int{32, 352, 2080} {
				p := newProducts(704, 1)
				y := p.product(m)
				gain := p.b.Input("gain", tensor.F32, tensor.MakeShape(m))
				z := p.b.Mul(p.b.RMSNorm(y, 1e-5), gain)
				squares := 0.0
				for _, v := range p.want[y] {
					squares += v * v
				}
				for i, v := range p.want[y] {
					g := float32(i%9) - 3.5
					p.bytes[gain] = binary.LittleEndian.AppendUint32(p.bytes[gain], math.Float32bits(g))
					p.want[z] = append(p.want[z], v/math.Sqrt(squares/float64(m)+1e-5)*float64(g))
				}
				if n := p.run(t, d, []backends.Group{{Fusion: backends.RMSNormMul, From: 1, To: 3}}, y, z); n != 2 {
					t.Errorf("a product of %d and its norm took %d launches, want 2", m, n)
				}
			}
		})
	}
}

// Few rows of weights are shared by blocks along their length, and what is added to their product is added once.
func TestSplitProducts(t *testing.T) {
	for _, arch := range []string{"gfx1030", "gfx90a", "gfx1100", "gfx1201"} {
		t.Run(arch, func(t *testing.T) {
			d, _ := emulated(t, hipemu.Options{Devices: arch})
			for _, tokens := range []int{9, 20, 70} {
				p := newProducts(1056, tokens)
				y, z := p.product(70), p.product(70)
				sum := p.b.Add(z, y)
				for i := range p.want[y] {
					p.want[sum] = append(p.want[sum], p.want[y][i]+p.want[z][i])
				}
				if n := p.run(t, d, []backends.Group{{Fusion: backends.MatMulAdd, From: 1, To: 3}}, y, sum); n != 5 {
					t.Errorf("two products of %d tokens took %d launches, want one for both and two for each", tokens, n)
				}
			}
		})
	}
}

// What was made of a factor is kept until it is written to, or three others have come.
func TestKept(t *testing.T) {
	d, _ := emulated(t, hipemu.Options{})
	mem, err := d.local.Alloc(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	var b tensor.Builder
	var at [5]*tensor.Tensor
	for i := range at {
		at[i] = b.Input("x", tensor.F32, tensor.MakeShape(64))
	}
	r := &recorder{s: d.open, place: map[*tensor.Tensor]uint64{}, graph: &backends.Subgraph{Place: func(x *tensor.Tensor) tensor.Storage {
		for i := range at {
			if at[i] == x {
				return tensor.Storage{Buffer: mem, Offset: int64(i) * 1024}
			}
		}
		return tensor.Storage{}
	}}}
	makes := func(x *tensor.Tensor) bool {
		made := false
		if _, err := r.keep(card.Rounded, x, 96, func(area) error { made = true; return nil }); err != nil {
			t.Fatal(err)
		}
		return made
	}
	if !makes(at[0]) || makes(at[0]) {
		t.Error("a factor is not made once")
	}
	a, err := r.address(at[0])
	if err != nil {
		t.Fatal(err)
	}
	if r.scratch.Overwritten([]span{{Lo: a + 256, Hi: a + 512}, {Lo: a - 4, Hi: a}}); makes(at[0]) {
		t.Error("a write beside it makes it anew")
	}
	if r.scratch.Overwritten([]span{{Lo: a + 252, Hi: a + 256}}); !makes(at[0]) {
		t.Error("it is kept although its end was written to")
	}
	scratch := r.scratch.Size
	if !makes(at[1]) || !makes(at[2]) || makes(at[0]) || !makes(at[3]) || !makes(at[0]) || makes(at[2]) {
		t.Error("not the last three are kept")
	}
	if r.scratch.Size != scratch+3*alignment { // three others, of which one is made before another is given up
		t.Errorf("scratch memory is not used again: %d bytes more", r.scratch.Size-scratch)
	}
}

// What turns by the same angles, and a value that is stored beside it, is one launch; what stores the result of a turn waits for it.
func TestTurnsJoin(t *testing.T) {
	d, _ := emulated(t, hipemu.Options{})
	var b tensor.Builder
	const head, heads, tokens, cells = 16, 2, 1, 8
	heads3 := tensor.MakeShape(head, heads, tokens)
	q, k, v := b.Input("q", tensor.F32, heads3), b.Input("k", tensor.F32, heads3), b.Input("v", tensor.F32, tensor.MakeShape(head*heads, tokens))
	pos, idx := b.Input("pos", tensor.I32, tensor.MakeShape(tokens)), b.Input("idx", tensor.I64, tensor.MakeShape(tokens))
	kc, vc := b.Input("kc", tensor.F16, tensor.MakeShape(head*heads, cells)), b.Input("vc", tensor.F16, tensor.MakeShape(head*heads, cells))
	op := tensor.RoPE{Dims: head, Base: 10000}
	turned, key := b.Apply(op, q, pos), b.Apply(op, k, pos)
	g, err := b.Build(turned, b.SetRows(kc, b.Reshape(key, head*heads, tokens), idx), b.SetRows(vc, v, idx))
	if err != nil {
		t.Fatal(err)
	}
	mem, err := d.local.Alloc(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	at := map[*tensor.Tensor]int64{}
	place := func(x *tensor.Tensor) tensor.Storage {
		if _, ok := at[x.Root()]; !ok {
			at[x.Root()] = int64(len(at)) * 1024
		}
		return tensor.Storage{Buffer: mem, Offset: at[x.Root()] + int64(x.Offset)}
	}
	for _, x := range []struct {
		groups []backends.Group
		want   int
	}{
		{[]backends.Group{{Fusion: backends.RoPESetRows, From: 1, To: 3}}, 1},
		{nil, 3},
	} {
		prog, err := d.Compile(&backends.Subgraph{Nodes: g.Nodes, Groups: x.groups, Place: place})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(prog.(*program).launches); n != x.want {
			t.Errorf("with groups %v: %d launches, want %d", x.groups, n, x.want)
		}
		if err := prog.Close(); err != nil {
			t.Error(err)
		}
	}
}
