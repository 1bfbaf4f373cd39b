package cpu

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/buffer"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// rig builds a graph over leaves whose contents it knows, and runs it.
type rig struct {
	testing.TB
	*tensor.Builder
	rand     *rand.Rand
	contents map[*tensor.Tensor][]byte
}

func newRig(tb testing.TB, seed uint64) *rig {
	return &rig{tb, tensor.NewBuilder(), rand.New(rand.NewPCG(seed, 7)), map[*tensor.Tensor][]byte{}}
}

// leaf adds an input of the given bytes.
func (r *rig) leaf(t tensor.DType, s tensor.Shape, data []byte) *tensor.Tensor {
	r.Helper()
	x, err := tensor.NewLeaf(tensor.Input, fmt.Sprintf("leaf%d", len(r.contents)), t, s)
	if err != nil {
		r.Fatal(err)
	}
	if len(data) != x.Bytes() {
		r.Fatalf("%v: %d bytes, want %d", x, len(data), x.Bytes())
	}
	r.contents[x] = data
	return x
}

// values adds an input of the given numbers, rounded to t.
func (r *rig) values(t tensor.DType, s tensor.Shape, v []float32) *tensor.Tensor {
	r.Helper()
	data := make([]byte, s.Rows()*t.RowBytes(s[0]))
	if err := quant.Encode(t, data, v, nil); err != nil {
		r.Fatal(err)
	}
	return r.leaf(t, s, data)
}

// ints adds an I32 input.
func (r *rig) ints(s tensor.Shape, v []int) *tensor.Tensor {
	data := make([]byte, 0, 4*len(v))
	for _, i := range v {
		data = binary.LittleEndian.AppendUint32(data, uint32(int32(i)))
	}
	return r.leaf(tensor.I32, s, data)
}

// normal returns n numbers of a normal distribution.
func (r *rig) normal(n int, size float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.rand.NormFloat64() * size)
	}
	return v
}

// blocks returns some encoded blocks of t. Encoding is slow for some types, so it is done once.
func blocks(t tensor.DType) []byte {
	if p, ok := blockPool.Load(t); ok {
		return p.([]byte)
	}
	r := rand.New(rand.NewPCG(9, uint64(t)))
	elems, bytes := t.Block()
	v := make([]float32, 16*elems)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	p := make([]byte, 16*bytes)
	if err := quant.Encode(t, p, v, nil); err != nil {
		panic(err)
	}
	blockPool.Store(t, p)
	return p
}

var blockPool sync.Map

// random adds an input of normal numbers.
func (r *rig) random(t tensor.DType, s tensor.Shape) *tensor.Tensor {
	r.Helper()
	if t.Quantized() {
		pool := blocks(t)
		_, bytes := t.Block()
		var data []byte
		for range s.Rows() * t.RowBytes(s[0]) / bytes {
			data = append(data, pool[r.rand.IntN(16)*bytes:][:bytes]...)
		}
		return r.leaf(t, s, data)
	}
	size := 1.0
	switch t {
	case tensor.I8, tensor.I16, tensor.I32, tensor.I64:
		size = 50
	}
	return r.values(t, s, r.normal(s.Elems(), size))
}

// layouts is how many ways strided knows to lay out a tensor.
const layouts = 5

// strided adds an input of shape s that is, by layout: packed, rows with gaps, a part at an offset in
// every dimension, permuted, or transposed (unless t is quantized).
func (r *rig) strided(t tensor.DType, s tensor.Shape, layout int) *tensor.Tensor {
	r.Helper()
	elems, _ := t.Block()
	switch layout {
	case 1:
		wide := s
		wide[0] += 2 * elems
		return r.Slice(r.random(t, wide), 0, elems, elems+s[0])
	case 2:
		wide := s
		for d := 1; d < 4; d++ {
			wide[d] += 2
		}
		x := r.random(t, wide)
		for d := 1; d < 4; d++ {
			x = r.Slice(x, d, 1, 1+s[d])
		}
		return x
	case 3:
		return r.Permute(r.random(t, tensor.Shape{s[0], s[2], s[3], s[1]}), 0, 3, 1, 2)
	case 4:
		if elems == 1 {
			return r.Permute(r.random(t, tensor.Shape{s[2], s[0], s[1], s[3]}), 1, 2, 0, 3)
		}
	}
	return r.random(t, s)
}

// bound is a compiled graph with its memory.
type bound struct {
	rig    *rig
	prog   backends.Program
	mem    buffer.Buffer
	places map[*tensor.Tensor]int // of each root
	over   map[*tensor.Tensor]bool
}

const (
	guard     = 64 // bytes around each tensor, of which guardByte fills what no tensor uses
	guardByte = 0xA5
)

// bind compiles what computes outs. If inPlace, each node that may lie over its source does.
func (r *rig) bind(dev *Device, inPlace bool, outs ...*tensor.Tensor) (*bound, error) {
	r.Helper()
	g, err := r.Build(outs...)
	if err != nil {
		r.Fatal(err)
	}
	b := &bound{rig: r, places: map[*tensor.Tensor]int{}, over: map[*tensor.Tensor]bool{}}
	size := guard
	place := func(t *tensor.Tensor) {
		if _, ok := b.places[t]; !ok {
			b.places[t] = size
			size = (size+t.Bytes()+63)/64*64 + guard
		}
	}
	for _, n := range g.Nodes {
		for _, s := range n.Src {
			if s != nil {
				place(s.Root())
			}
		}
		if op, ok := n.Op.(tensor.InPlacer); ok && inPlace {
			if s := n.Src[op.InPlace()]; s.Type == n.Type && s.Shape == n.Shape && s.Contiguous() {
				b.places[n] = b.places[s.Root()] + s.Offset
				b.over[s.Root()] = true
			}
		}
		if n.Base != nil {
			b.over[n.Base] = true
		}
		place(n.Root())
	}
	for _, o := range outs {
		place(o.Root())
	}
	if b.mem, err = dev.Memory().Alloc(int64(size)); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { b.mem.Close() })
	b.reset()
	b.prog, err = dev.Compile(&backends.Subgraph{Nodes: g.Nodes, Place: func(t *tensor.Tensor) tensor.Storage {
		if t.Bytes() == 0 {
			return tensor.Storage{}
		}
		return tensor.Storage{Buffer: b.mem, Offset: int64(b.places[t.Root()] + t.Offset)}
	}})
	return b, err
}

// reset writes the leaves, and guards everywhere else.
func (b *bound) reset() {
	mem := buffer.HostBytes(b.mem)
	for i := range mem {
		mem[i] = guardByte
	}
	for t, at := range b.places {
		copy(mem[at:], b.rig.contents[t])
	}
}

// check fails if a byte outside the results has changed.
func (b *bound) check() {
	b.rig.Helper()
	mem := bytes.Clone(buffer.HostBytes(b.mem))
	for t, at := range b.places {
		if data, leaf := b.rig.contents[t]; leaf && !b.over[t] && !bytes.Equal(data, mem[at:at+len(data)]) {
			b.rig.Errorf("%v was changed", t)
		}
		for i := range t.Bytes() {
			mem[at+i] = guardByte
		}
	}
	for i, v := range mem {
		if v != guardByte {
			b.rig.Fatalf("byte %d lies outside all tensors and was changed", i)
		}
	}
}

// raw returns the bytes of t from its first to its last.
func (b *bound) raw(t *tensor.Tensor) []byte {
	at := b.places[t.Root()] + t.Offset
	return buffer.HostBytes(b.mem)[at : at+t.Bytes()]
}

// read returns the elements of t in the order of its shape.
func (b *bound) read(t *tensor.Tensor) []float64 { return elementsOf(t, b.raw(t)) }

// elementsOf returns the elements of t, whose memory is p, in the order of its shape.
func elementsOf(t *tensor.Tensor, p []byte) []float64 {
	elems, size := t.Type.Block()
	block := make([]float32, elems)
	var v []float64
	for i3 := range t.Shape[3] {
		for i2 := range t.Shape[2] {
			for i1 := range t.Shape[1] {
				for i0 := range t.Shape[0] {
					off := i0/elems*t.Stride[0] + i1*t.Stride[1] + i2*t.Stride[2] + i3*t.Stride[3]
					if t.Type == tensor.I64 { // float32 would round it
						v = append(v, float64(int64(binary.LittleEndian.Uint64(p[off:]))))
						continue
					}
					if i0%elems == 0 {
						if err := quant.Decode(t.Type, block, p[off:off+size]); err != nil {
							panic(err)
						}
					}
					v = append(v, float64(block[i0%elems]))
				}
			}
		}
	}
	return v
}

// input returns the elements of a leaf or a view of one, before any run.
func (r *rig) input(t *tensor.Tensor) []float64 {
	if t.Shape.Elems() == 0 {
		return nil
	}
	return elementsOf(t, r.contents[t.Root()][t.Offset:])
}

// teams is how many workers tests use: alone, the usual, and more than there are chunks or processors.
var teams = []int{1, 2, 5}

// devices returns a device of each size.
func devices(tb testing.TB) []*Device {
	var all []*Device
	for _, n := range teams {
		d := New(Options{Threads: n})
		tb.Cleanup(func() { d.Close() })
		all = append(all, d)
	}
	return all
}

// expect computes out on each device, with and without writing in place, and compares it with want: the
// results of all are equal bytes, and each element is within tol of want, relatively above 1.
func (r *rig) expect(devs []*Device, out *tensor.Tensor, want []float64, tol float64) {
	r.Helper()
	var first []byte
	for _, dev := range devs {
		for _, inPlace := range []bool{false, true} {
			if inPlace && !mayLieOver(out) {
				continue
			}
			b, err := r.bind(dev, inPlace, out)
			if err != nil {
				r.Fatal(err)
			}
			if err := b.prog.Submit(context.Background()); err != nil {
				r.Fatal(err)
			}
			b.check()
			if first == nil {
				first = bytes.Clone(b.raw(out))
				r.compare(out, b.read(out), want, tol)
			} else if !bytes.Equal(first, b.raw(out)) {
				r.Fatalf("%v differs with %d workers, in place: %v", out, dev.team.size, inPlace)
			}
			if err := b.mem.Close(); err != nil {
				r.Fatal(err)
			}
		}
	}
}

// mayLieOver reports whether an op of t's graph permits to write over its source.
func mayLieOver(t *tensor.Tensor) bool {
	if t == nil || t.Op == nil {
		return false
	}
	_, ok := t.Op.(tensor.InPlacer)
	return ok || slices.ContainsFunc(t.Src, mayLieOver)
}

func (r *rig) compare(t *tensor.Tensor, have, want []float64, tol float64) {
	r.Helper()
	if len(have) != len(want) {
		r.Fatalf("%v: %d elements, want %d", t, len(have), len(want))
	}
	for i, w := range want {
		h := have[i]
		if h == w || math.IsNaN(h) && math.IsNaN(w) {
			continue
		}
		if d := math.Abs(h - w); !(d <= tol*max(1, math.Abs(w))) {
			r.Fatalf("%v: element %d is %g, want %g: off by %.3g, tolerance %.3g", t, i, h, w, d, tol)
		}
	}
}
