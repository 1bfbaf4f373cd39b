package conformance

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// gen builds a case's graph over leaves whose content it makes up.
type gen struct {
	*tensor.Builder
	rand   *rand.Rand
	data   map[*tensor.Tensor][]byte // of each leaf
	leaves []*tensor.Tensor          // in the order in which they were made
	dry    bool                      // content is of no interest
}

func newGen(r *rand.Rand) *gen {
	return &gen{Builder: tensor.NewBuilder(), rand: r, data: map[*tensor.Tensor][]byte{}}
}

// layout is how a source lies in memory.
type layout int

const (
	packed     layout = iota
	gaps              // a part of each row, from some element on
	inside            // a part of a larger tensor in dimensions 1 to 3
	permuted          // dimensions 1 to 3 in another order
	transposed        // dimension 0 is not the fastest; packed for quantized types
	numLayouts
)

// String returns the name that ids have.
func (l layout) String() string {
	return [...]string{"packed", "gaps", "inside", "permuted", "transposed"}[l]
}

// poison returns n bytes which are NaN as F32, F16 and BF16 wherever one begins, no index of any tensor,
// and differ from place to place. They fill guards, gaps and memory that a run has to write.
func poison(n int) []byte {
	p := make([]byte, 0, n+4)
	for i := 0; len(p) < n; i++ {
		p = binary.LittleEndian.AppendUint32(p, 0x7fc1_7fc0|uint32(i&0x3f))
	}
	return p[:n]
}

// leaf adds a leaf of the given packed bytes.
func (g *gen) leaf(role tensor.Role, t tensor.DType, s tensor.Shape, data []byte) *tensor.Tensor {
	name := fmt.Sprintf("%s%d", role, len(g.leaves))
	if role == tensor.Input {
		return g.keep(g.Input(name, t, s), data)
	}
	x, err := tensor.NewLeaf(role, name, t, s)
	if err != nil {
		g.Fail(err)
		return g.Input("bad", t, s) // what a Builder that has failed returns
	}
	return g.keep(x, data)
}

// keep notes the content of leaf x.
func (g *gen) keep(x *tensor.Tensor, data []byte) *tensor.Tensor {
	if g.Err() == nil && len(data) != x.Bytes() {
		g.Fail(fmt.Errorf("conformance: %v has %d bytes, not %d", x, len(data), x.Bytes()))
	}
	g.data[x] = data
	g.leaves = append(g.leaves, x)
	return x
}

// encoded returns v as packed bytes of type t.
func (g *gen) encoded(t tensor.DType, s tensor.Shape, v []float32) []byte {
	data := make([]byte, s.Rows()*max(0, t.RowBytes(s[0])))
	if g.dry {
		return data
	}
	if err := quant.Encode(t, data, v, nil); err != nil {
		g.Fail(err)
	}
	return data
}

// values adds an input of the given numbers, rounded to t.
func (g *gen) values(t tensor.DType, s tensor.Shape, v []float32) *tensor.Tensor {
	return g.leaf(tensor.Input, t, s, g.encoded(t, s, v))
}

// ints adds an input of integers.
func (g *gen) ints(t tensor.DType, s tensor.Shape, v []int64) *tensor.Tensor {
	return g.leaf(tensor.Input, t, s, intBytes(t, v))
}

// intBytes returns v as integers of type t.
func intBytes(t tensor.DType, v []int64) []byte {
	_, size := t.Block()
	var data []byte
	for _, i := range v {
		data = append(data, binary.LittleEndian.AppendUint64(nil, uint64(i))[:size]...)
	}
	return data
}

// indices adds an input of random indices below rows.
func (g *gen) indices(t tensor.DType, s tensor.Shape, rows int) *tensor.Tensor {
	v := make([]int64, s.Elems())
	for i := range v {
		v[i] = g.rand.Int64N(int64(rows))
	}
	return g.ints(t, s, v)
}

// normal returns n normally distributed numbers.
func (g *gen) normal(n int, size float64) []float32 {
	v := make([]float32, n)
	if g.dry {
		return v
	}
	for i := range v {
		v[i] = float32(g.rand.NormFloat64() * size)
	}
	return v
}

// random adds a packed input of normal numbers.
func (g *gen) random(t tensor.DType, s tensor.Shape) *tensor.Tensor { return g.laid(t, s, packed) }

// laid adds an input of normal numbers that lies in memory as l says.
func (g *gen) laid(t tensor.DType, s tensor.Shape, l layout) *tensor.Tensor {
	size := 1.0
	switch t {
	case tensor.I8, tensor.I16, tensor.I32, tensor.I64:
		size = 40
	}
	return g.put(t, s, l, g.normal(max(0, s.Elems()), size))
}

// put adds an input with the elements v, in the order of s, that lies in memory as l says. What belongs
// to its leaf and not to it is poison.
func (g *gen) put(t tensor.DType, s tensor.Shape, l layout, v []float32) *tensor.Tensor {
	rows := g.encoded(t, s, v)
	elems, size := t.Block()
	if l == packed || l == transposed && elems > 1 || g.Err() != nil {
		return g.leaf(tensor.Input, t, s, rows)
	}
	x := g.view(t, s, l)
	if g.Err() != nil {
		return x
	}
	mem := g.data[x.Root()]
	for r := range s.Rows() {
		i1, i2, i3 := r%s[1], r/s[1]%s[2], r/s[1]/s[2]
		for b := range s[0] / elems {
			off := x.Offset + b*x.Stride[0] + i1*x.Stride[1] + i2*x.Stride[2] + i3*x.Stride[3]
			copy(mem[off:off+size], rows)
			rows = rows[size:]
		}
	}
	return x
}

// view adds a leaf of poison, and returns a view of shape s of it.
func (g *gen) view(t tensor.DType, s tensor.Shape, l layout) *tensor.Tensor {
	elems, _ := t.Block()
	base := s
	switch l {
	case gaps:
		base[0] += 2 * elems
	case inside:
		for d := 1; d < tensor.MaxDims; d++ {
			base[d] += 2
		}
	case permuted:
		base = tensor.Shape{s[0], s[2], s[3], s[1]}
	case transposed:
		base = tensor.Shape{s[2], s[0], s[1], s[3]}
	}
	x := g.leaf(tensor.Input, t, base, poison(base.Rows()*t.RowBytes(base[0])))
	switch l {
	case gaps:
		return g.Slice(x, 0, elems, elems+s[0])
	case inside:
		for d := 1; d < tensor.MaxDims; d++ {
			x = g.Slice(x, d, 1, 1+s[d])
		}
		return x
	case permuted:
		return g.Permute(x, 0, 3, 1, 2)
	}
	return g.Permute(x, 1, 2, 0, 3)
}

// weight adds a weight of normal numbers. To find the best scales of a block takes long, so that a large
// weight of a block format has some rows several times, in no order.
func (g *gen) weight(t tensor.DType, s tensor.Shape, size float64) *tensor.Tensor {
	const different = 48
	if !t.Quantized() || s.Rows() <= different {
		return g.leaf(tensor.Weight, t, s, g.encoded(t, s, g.normal(s.Elems(), size)))
	}
	rows := g.encoded(t, tensor.MakeShape(s[0], different), g.normal(s[0]*different, size))
	n := t.RowBytes(s[0])
	var data []byte
	for range s.Rows() {
		data = append(data, rows[g.rand.IntN(different)*n:][:n]...)
	}
	return g.leaf(tensor.Weight, t, s, data)
}

// masked adds a mask: about a third is hidden, the first row whole, the second not at all, and the rest
// is a small bias.
func (g *gen) masked(t tensor.DType, s tensor.Shape, l layout) *tensor.Tensor {
	v := g.normal(s.Elems(), 0.5)
	hide := float32(math.Inf(-1))
	for i := range v {
		row := i / max(1, s[0]) % max(1, s[1])
		if row == 0 && s[1] > 1 || row != 1 && g.rand.IntN(3) == 0 {
			v[i] = hide
		}
	}
	return g.put(t, s, l, v)
}

// special returns n numbers in which every corner of float arithmetic comes up: zeros of both signs,
// halves, the ends of the range, infinities and NaN. tiny adds numbers below the least normal one, and
// huge those that no angle can be computed of.
func (g *gen) special(n int, tiny, huge bool) []float32 {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	negZero := float32(math.Copysign(0, -1))
	all := []float32{
		0, negZero, nan, inf, -inf, 1, -1, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3, -3, 0.49999997, -0.49999997,
		1e-3, -1e-3, 1e-6, -1e-6, 6, -6, 10, -10, 17, -17, 40, -40, 1000, -1000, 2047.5, -4096,
	}
	if huge {
		all = append(all, 88, -88, 88.8, -88.8, 104, -104, 8388609, -8388609, 65504, -65504, 70000, -70000, 1e10, -1e10,
			1e19, -1e19, 1e30, -1e30, math.MaxFloat32, -math.MaxFloat32)
	}
	if tiny {
		all = append(all, 1e-30, -1e-30, 0x1p-126, -0x1p-126, 1e-40, -1e-40, math.SmallestNonzeroFloat32)
	}
	v := make([]float32, n)
	for i := range v {
		if i < len(all) {
			v[i] = all[i]
		} else {
			v[i] = all[g.rand.IntN(len(all))]
		}
	}
	return v
}

// as makes the leaf under x one of another role, and returns x.
func (g *gen) as(role tensor.Role, x *tensor.Tensor) *tensor.Tensor {
	if g.Err() == nil {
		x.Root().Role = role
	}
	return x
}

// Build is the Builder's, without the inputs that have become weights or caches.
func (g *gen) Build(outs ...*tensor.Tensor) (*tensor.Graph, error) {
	graph, err := g.Builder.Build(outs...)
	if err == nil {
		graph.Inputs = slices.DeleteFunc(graph.Inputs, func(x *tensor.Tensor) bool { return x.Role != tensor.Input })
	}
	return graph, err
}
