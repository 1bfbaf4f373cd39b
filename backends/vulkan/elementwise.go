//go:build cgo && linux && (amd64 || arm64)

package vulkan

import "github.com/tenon-go/tenon/tensor"

// elementGroup is how many elements a group of an element-wise kernel has.
const elementGroup = 256

// The numbers of shader unary for what is no tensor.Func.
const (
	funcScale   = 100
	funcClamp   = 101
	funcSoftCap = 102
)

func recordUnary(r *recorder, n *tensor.Tensor) error {
	x := n.Src[0]
	f, p0, p1 := uint32(0), float32(0), float32(0)
	switch op := n.Op.(type) {
	case tensor.Unary:
		f = uint32(op.Func)
	case tensor.Scale:
		f, p0, p1 = funcScale, op.Scale, op.Bias
	case tensor.Clamp:
		f, p0, p1 = funcClamp, op.Min, op.Max
	}
	count := n.Shape.Elems()
	p := r.push().in(x).out(n).i(count).shape(n.Shape).strides(x).f32(p0, p1, 0, 0)
	return r.run("unary", elementGroup, spec{f, uint32(n.Type), flag(x.Contiguous())}, p, r.linear(count, elementGroup))
}

func recordBinary(r *recorder, n *tensor.Tensor) error {
	a, b := n.Src[0], n.Src[1]
	op := map[tensor.Kind]uint32{tensor.Add{}.Kind(): 0, tensor.Sub{}.Kind(): 1, tensor.Mul{}.Kind(): 2, tensor.Div{}.Kind(): 3}[n.Op.Kind()]
	flat := a.Contiguous() && b.Contiguous() && a.Shape == b.Shape
	count := n.Shape.Elems()
	p := r.push().in(a, b).out(n).i(count).shape(n.Shape).strides(a).shape(b.Shape).strides(b)
	return r.run("binary", elementGroup, spec{op, uint32(a.Type), uint32(b.Type), flag(flat)}, p, r.linear(count, elementGroup))
}

func recordGLU(r *recorder, n *tensor.Tensor) error {
	op := n.Op.(tensor.GLU)
	gate, up := n.Src[0], n.Src[1]
	count := n.Shape.Elems()
	p := r.push().in(gate, up).out(n).i(count).shape(n.Shape).strides(gate).strides(up).f32(op.Alpha, op.Limit)
	sp := spec{uint32(op.Act), uint32(n.Type), flag(op.OAI), flag(gate.Contiguous() && up.Contiguous())}
	return r.run("glu", elementGroup, sp, p, r.linear(count, elementGroup))
}
