package loop

import (
	"encoding/binary"
	"math"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// operand is a tensor in memory. Its strides are whatever they are: it may be permuted, or a part of
// something larger.
type operand struct {
	mem    []byte
	shape  tensor.Shape
	stride tensor.Strides
	wide   bool // its integers have 64 bits
}

// at returns where an element begins. Sources that are repeated are read modulo their shape.
func (o *operand) at(i0, i1, i2, i3 int) int {
	return i0%o.shape[0]*o.stride[0] + i1%o.shape[1]*o.stride[1] + i2%o.shape[2]*o.stride[2] + i3%o.shape[3]*o.stride[3]
}

func (o *operand) get(i0, i1, i2, i3 int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(o.mem[o.at(i0, i1, i2, i3):]))
}

func (o *operand) set(i0, i1, i2, i3 int, v float32) {
	binary.LittleEndian.PutUint32(o.mem[o.at(i0, i1, i2, i3):], math.Float32bits(v))
}

func (o *operand) index(i0, i1, i2 int) int64 {
	p := o.mem[o.at(i0, i1, i2, 0):]
	if o.wide {
		return int64(binary.LittleEndian.Uint64(p))
	}
	return int64(int32(binary.LittleEndian.Uint32(p)))
}

// kernels has what computes each kind of node.
var kernels = map[tensor.Kind]func(n *tensor.Tensor, dst operand, src []operand) step{
	tensor.Add{}.Kind():     binaryOp(func(a, b float32) float32 { return a + b }),
	tensor.Mul{}.Kind():     binaryOp(func(a, b float32) float32 { return a * b }),
	tensor.Scale{}.Kind():   scale,
	tensor.Unary{}.Kind():   unary,
	tensor.Copy{}.Kind():    copyOp,
	tensor.RMSNorm{}.Kind(): rmsNorm,
	tensor.MatMul{}.Kind():  matMul,
	tensor.SetRows{}.Kind(): setRows,
}

// functions are those of tensor.Unary that there are.
var functions = map[tensor.Func]func(x float32) float32{
	tensor.Neg:  func(x float32) float32 { return -x },
	tensor.SiLU: func(x float32) float32 { return float32(float64(x) / (1 + math.Exp(-float64(x)))) },
	tensor.Sin:  func(x float32) float32 { return float32(math.Sin(float64(x))) },
}

func binaryOp(f func(a, b float32) float32) func(*tensor.Tensor, operand, []operand) step {
	return func(_ *tensor.Tensor, dst operand, src []operand) step {
		a, b := src[0], src[1]
		return step{dst.shape, func(i1, i2, i3 int) error {
			for i := range dst.shape[0] {
				dst.set(i, i1, i2, i3, f(a.get(i, i1, i2, i3), b.get(i, i1, i2, i3)))
			}
			return nil
		}}
	}
}

// each maps every element by itself.
func each(dst, x operand, f func(x float32) float32) step {
	return step{dst.shape, func(i1, i2, i3 int) error {
		for i := range dst.shape[0] {
			dst.set(i, i1, i2, i3, f(x.get(i, i1, i2, i3)))
		}
		return nil
	}}
}

func scale(n *tensor.Tensor, dst operand, src []operand) step {
	op := n.Op.(tensor.Scale)
	return each(dst, src[0], func(x float32) float32 { return x*op.Scale + op.Bias })
}

func unary(n *tensor.Tensor, dst operand, src []operand) step {
	return each(dst, src[0], functions[n.Op.(tensor.Unary).Func])
}

// copyOp moves bytes: a NaN keeps its bits.
func copyOp(_ *tensor.Tensor, dst operand, src []operand) step {
	x := src[0]
	return step{dst.shape, func(i1, i2, i3 int) error {
		for i := range dst.shape[0] {
			copy(dst.mem[dst.at(i, i1, i2, i3):][:4], x.mem[x.at(i, i1, i2, i3):])
		}
		return nil
	}}
}

func rmsNorm(n *tensor.Tensor, dst operand, src []operand) step {
	x, eps := src[0], float64(n.Op.(tensor.RMSNorm).Eps)
	return step{dst.shape, func(i1, i2, i3 int) error {
		sum := 0.0
		for i := range x.shape[0] {
			v := float64(x.get(i, i1, i2, i3))
			sum += v * v
		}
		factor := 1 / math.Sqrt(sum/float64(x.shape[0])+eps)
		for i := range x.shape[0] { // the row is read to its end before dst, which may be x, is written
			dst.set(i, i1, i2, i3, float32(float64(x.get(i, i1, i2, i3))*factor))
		}
		return nil
	}}
}

// matMul multiplies row i1 of b by all rows of a, in whose planes several of b's share.
func matMul(_ *tensor.Tensor, dst operand, src []operand) step {
	a, b := src[0], src[1]
	return step{dst.shape, func(i1, i2, i3 int) error {
		a2, a3 := i2/(b.shape[2]/a.shape[2]), i3/(b.shape[3]/a.shape[3])
		for i := range dst.shape[0] {
			sum := 0.0
			for k := range a.shape[0] {
				sum += float64(a.get(k, i, a2, a3)) * float64(b.get(k, i1, i2, i3))
			}
			dst.set(i, i1, i2, i3, float32(sum))
		}
		return nil
	}}
}

// setRows writes the rows of x where the indices say, into the cache, which dst is.
func setRows(n *tensor.Tensor, dst operand, src []operand) step {
	x, idx := src[1], src[2]
	return step{x.shape, func(i1, i2, i3 int) error {
		to := idx.index(i1, i2, i3)
		if to < 0 || to >= int64(dst.shape[1]) {
			return &backends.IndexError{Node: n.Name, Op: n.Op.Kind(), Index: to, Rows: dst.shape[1]}
		}
		for i := range x.shape[0] {
			dst.set(i, int(to), i2, i3, x.get(i, i1, i2, i3))
		}
		return nil
	}}
}
