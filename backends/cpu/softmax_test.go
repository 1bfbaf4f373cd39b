package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/tensor"
)

func TestSoftMax(t *testing.T) {
	devs := devices(t)
	for i, c := range []struct {
		s, m    tensor.Shape
		bias    float32
		sinks   bool
		maskTyp tensor.DType
	}{
		{s: tensor.Shape{37, 5, 3, 2}},
		{s: tensor.Shape{1, 5, 3, 2}, sinks: true},
		{s: tensor.Shape{21, 3, 6, 2}, m: tensor.Shape{21, 3, 1, 2}, bias: 8},
		{s: tensor.Shape{21, 3, 6, 2}, m: tensor.Shape{21, 8, 3, 1}, sinks: true, maskTyp: tensor.F16},
		{s: tensor.Shape{21, 3, 5, 1}, m: tensor.Shape{21, 3, 5, 1}, bias: 4, sinks: true},
		{s: tensor.Shape{1500, 2, 2, 1}, m: tensor.Shape{1500, 2, 1, 1}, maskTyp: tensor.F16},
		{s: tensor.Shape{0, 2, 2, 1}},
		{s: tensor.Shape{9, 0, 2, 1}, m: tensor.Shape{9, 4, 1, 1}},
	} {
		for layout := range layouts {
			t.Run(fmt.Sprintf("%d/%d", i, layout), func(t *testing.T) {
				r := newRig(t, uint64(i))
				op := tensor.SoftMax{Scale: 0.3, MaxBias: c.bias}
				x := r.strided(tensor.F32, c.s, layout)
				var mask, sinks *tensor.Tensor
				var m, k []float64
				if c.m[0] > 0 {
					mask = r.strided(c.maskTyp, c.m, (layout+1)%layouts)
					r.hide(mask)
					m = r.input(mask)
				}
				if c.sinks {
					sinks = r.random(tensor.F32, tensor.MakeShape(c.s[2]))
					k = r.input(sinks)
				}
				want := r.input(x)
				for j := range c.s.Rows() {
					row := want[j*c.s[0] : (j+1)*c.s[0]]
					i1, i2, i3 := j%c.s[1], j/c.s[1]%c.s[2], j/c.s[1]/c.s[2]
					for i := range row {
						row[i] *= float64(op.Scale)
						if mask != nil {
							row[i] += slopeOf(i2, c.s[2], float64(c.bias)) *
								m[i+c.m[0]*(i1+c.m[1]*(i2%c.m[2]+c.m[2]*(i3%c.m[3])))]
						}
					}
					sink := math.Inf(-1)
					if sinks != nil {
						sink = k[i2]
					}
					softMaxOf(row, sink)
				}
				r.expect(devs, r.Apply(op, x, mask, sinks), want, 1e-6)
			})
		}
	}
}

// hide makes about a third of a tensor's elements -Inf, and the whole of its first row.
func (r *rig) hide(t *tensor.Tensor) {
	_, size := t.Type.Block()
	data := r.contents[t.Root()]
	for i := 0; i < len(data); i += size {
		if r.rand.IntN(3) == 0 {
			r.put(t, i, math.Inf(-1))
		}
	}
	for i := range t.Shape[0] {
		r.put(t, t.Offset+i*t.Stride[0], math.Inf(-1))
	}
}

// put sets the element at a byte offset of t's leaf.
func (r *rig) put(t *tensor.Tensor, off int, v float64) {
	_, size := t.Type.Block()
	encode(t.Type, r.contents[t.Root()][off:off+size], []float32{float32(v)})
}

// slopeOf is a head's factor of the mask as the source of ALiBi gives it: a geometric series for a power
// of two of heads, and every other term of the next one for the heads that are left.
func slopeOf(head, heads int, bias float64) float64 {
	if bias == 0 {
		return 1
	}
	p := 1 << int(math.Log2(float64(heads)))
	if head < p {
		return math.Pow(math.Pow(2, -bias/float64(p)), float64(head+1))
	}
	return math.Pow(math.Pow(2, -bias/2/float64(p)), float64(2*(head-p)+1))
}

func softMaxOf(row []float64, sink float64) {
	most := sink
	for _, v := range row {
		most = math.Max(most, v)
	}
	total := math.Exp(sink - most)
	for i, v := range row {
		row[i] = math.Exp(v - most)
		total += row[i]
	}
	for i := range row {
		row[i] /= total
		if math.IsInf(most, -1) {
			row[i] = 0
		}
	}
}

func TestSoftMaxExtremes(t *testing.T) {
	devs := devices(t)
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct{ x, want []float64 }{
		{[]float64{1e30, 1e30, -1e30}, []float64{0.5, 0.5, 0}},
		{[]float64{-1e30, -1e30, -inf}, []float64{0.5, 0.5, 0}},
		{[]float64{-inf, -inf}, []float64{0, 0}},
		{[]float64{-inf, nan, -inf}, []float64{0, nan, 0}},
		{[]float64{1, nan}, []float64{nan, nan}},
		{[]float64{nan, 1}, []float64{nan, nan}},
		{[]float64{inf, 1}, []float64{nan, nan}},
	} {
		r := newRig(t, 1)
		v := make([]float32, len(c.x))
		for i := range v {
			v[i] = float32(c.x[i])
		}
		r.expect(devs, r.SoftMax(r.values(tensor.F32, tensor.MakeShape(len(v)), v), nil, 1), c.want, 1e-7)
	}
}
