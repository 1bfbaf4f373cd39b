package sched

import (
	"encoding/binary"
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// operand is a tensor and its bytes.
type operand struct {
	t   *tensor.Tensor
	mem []byte
}

func (o *operand) at(i [tensor.MaxDims]int) int {
	n := 0
	for d, x := range i {
		n += x % o.t.Shape[d] * o.t.Stride[d]
	}
	return n
}

// get returns the element at i, whose indices wrap round: that is broadcasting.
func (o *operand) get(i [tensor.MaxDims]int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(o.mem[o.at(i):]))
}

func (o *operand) put(i [tensor.MaxDims]int, x float32) {
	binary.LittleEndian.PutUint32(o.mem[o.at(i):], math.Float32bits(x))
}

func (o *operand) index(i [tensor.MaxDims]int) int {
	return int(int32(binary.LittleEndian.Uint32(o.mem[o.at(i):])))
}

// each calls f for each index of s.
func each(s tensor.Shape, f func(i [tensor.MaxDims]int)) {
	for i3 := range s[3] {
		for i2 := range s[2] {
			for i1 := range s[1] {
				for i0 := range s[0] {
					f([tensor.MaxDims]int{i0, i1, i2, i3})
				}
			}
		}
	}
}

// call is an op over memory: args are the result and the sources.
type call struct {
	op   tensor.Op
	args []operand
}

func (c *call) run() {
	if c.op == nil {
		for i := range c.args[0].mem {
			c.args[0].mem[i] = 0xFF // NaN
		}
		return
	}
	if c.args[0].t.Bytes() > 0 {
		kernels[c.op.Kind()](c.op, c.args[0], c.args[1:])
	}
}

var kernels = map[tensor.Kind]func(op tensor.Op, dst operand, src []operand){
	tensor.Add{}.Kind(): func(_ tensor.Op, dst operand, src []operand) {
		each(dst.t.Shape, func(i [4]int) { dst.put(i, src[0].get(i)+src[1].get(i)) })
	},
	tensor.Mul{}.Kind(): func(_ tensor.Op, dst operand, src []operand) {
		each(dst.t.Shape, func(i [4]int) { dst.put(i, src[0].get(i)*src[1].get(i)) })
	},
	tensor.RMSNorm{}.Kind(): func(op tensor.Op, dst operand, src []operand) {
		n := dst.t.Shape[0]
		each(tensor.Shape{1, dst.t.Shape[1], dst.t.Shape[2], dst.t.Shape[3]}, func(i [4]int) {
			sum := op.(tensor.RMSNorm).Eps
			for i[0] = range n {
				sum += src[0].get(i) * src[0].get(i) / float32(n)
			}
			for i[0] = range n {
				dst.put(i, src[0].get(i)/float32(math.Sqrt(float64(sum))))
			}
		})
	},
	tensor.RoPE{}.Kind(): func(_ tensor.Op, dst operand, src []operand) { // whole rows of neighbours
		each(dst.t.Shape, func(i [4]int) {
			if i[0]%2 == 1 {
				return
			}
			next := i
			next[0]++
			sin, cos := math.Sincos(float64(src[1].index([4]int{i[2]})) / float64(i[0]+1))
			a, b := float64(src[0].get(i)), float64(src[0].get(next))
			dst.put(i, float32(a*cos-b*sin))
			dst.put(next, float32(a*sin+b*cos))
		})
	},
	tensor.GLU{}.Kind(): func(_ tensor.Op, dst operand, src []operand) { // ReLU
		each(dst.t.Shape, func(i [4]int) { dst.put(i, max(src[0].get(i), 0)*src[1].get(i)) })
	},
	tensor.Scale{}.Kind(): func(op tensor.Op, dst operand, src []operand) {
		s := op.(tensor.Scale)
		each(dst.t.Shape, func(i [4]int) { dst.put(i, src[0].get(i)*s.Scale+s.Bias) })
	},
	tensor.Unary{}.Kind(): func(_ tensor.Op, dst operand, src []operand) {
		each(dst.t.Shape, func(i [4]int) { dst.put(i, float32(math.Tanh(float64(src[0].get(i))))) })
	},
	tensor.Copy{}.Kind(): func(_ tensor.Op, dst operand, src []operand) {
		each(dst.t.Shape, func(i [4]int) { dst.put(i, src[0].get(i)) })
	},
	tensor.MatMul{}.Kind(): func(_ tensor.Op, dst operand, src []operand) {
		each(dst.t.Shape, func(i [4]int) {
			sum := float32(0)
			for k := range src[0].t.Shape[0] {
				sum += src[0].get([4]int{k, i[0], 0, 0}) * src[1].get([4]int{k, i[1], i[2], i[3]})
			}
			dst.put(i, sum)
		})
	},
	tensor.GetRows{}.Kind(): func(_ tensor.Op, dst operand, src []operand) {
		each(dst.t.Shape, func(i [4]int) { dst.put(i, src[0].get([4]int{i[0], src[1].index([4]int{i[1]}), i[2], i[3]})) })
	},
	tensor.SetRows{}.Kind(): func(_ tensor.Op, dst operand, src []operand) {
		each(src[1].t.Shape, func(i [4]int) { dst.put([4]int{i[0], src[2].index([4]int{i[1]}), i[2], i[3]}, src[1].get(i)) })
	},
}
