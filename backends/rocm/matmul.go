//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

// decodable reports whether dequant.h knows t, or it is a float.
func decodable(t tensor.DType) bool {
	switch t {
	case tensor.Q4_0, tensor.Q4_1, tensor.Q5_0, tensor.Q5_1, tensor.Q8_0, tensor.Q8_1,
		tensor.Q2_K, tensor.Q3_K, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.Q8_K, tensor.IQ4_NL, tensor.IQ4_XS, tensor.MXFP4:
		return true
	}
	return isFloat(t)
}

func supportsMatMul(_ *Device, n *tensor.Tensor) string {
	if a := n.Src[0]; !decodable(a.Type) {
		return fmt.Sprintf("%s is %s, which no kernel decodes", label(a), a.Type)
	}
	return ""
}

// rowGroup returns the size of a group in which each wave has a row: eight of them, or as many as fit.
func (r *recorder) rowGroup() (local, rows int) {
	wave := r.s.dev.phys.Wave
	rows = max(1, min(8, 256/wave))
	return rows * wave, rows
}

// groupList returns n groups, to be numbered by linearGroup.
func groupList(n int) [3]uint32 {
	if n == 0 {
		return [3]uint32{}
	}
	x := min(n, 32768)
	return [3]uint32{uint32(x), uint32((n + x - 1) / x), 1}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// recordMatMul is the product of any types, strides and sizes: what no faster kernel takes.
func recordMatMul(r *recorder, n *tensor.Tensor) error {
	a, b := n.Src[0], n.Src[1]
	if !n.Op.(tensor.MatMul).Exact && r.dots(a) {
		return recordMatVec(r, n)
	}
	local, rows := r.rowGroup()
	m, cols := n.Shape[0], n.Shape[1]
	perGroup := 1 // or 4, so that there are few kernels to compile
	if cols > 1 {
		perGroup = 4
	}
	groups, colGroups, planes := ceilDiv(m, rows), ceilDiv(cols, perGroup), n.Shape[2]*n.Shape[3]
	p := r.push().in(a, b).out(n).i(m, cols, a.Shape[0], groups, colGroups, b.Shape[2], b.Shape[2]/a.Shape[2], b.Shape[3]/a.Shape[3]).strides(a).strides(b)
	return r.run("matmul", local, spec{uint32(a.Type), uint32(b.Type), uint32(perGroup)}, p, groupList(groups*colGroups*planes))
}

// recordMatMulID is the same for experts.
func recordMatMulID(r *recorder, n *tensor.Tensor) error {
	a, b, ids := n.Src[0], n.Src[1], n.Src[2]
	if !n.Op.(tensor.MatMulID).Exact && r.dots(a) {
		return recordMatVecID(r, n)
	}
	local, rows := r.rowGroup()
	m, used, tok := n.Shape[0], n.Shape[1], n.Shape[2]
	groups := ceilDiv(m, rows)
	p := r.push().in(a, b, ids).out(n).faults(n).i(m, a.Shape[0], a.Shape[2], used, b.Shape[1], groups)
	p.step(a, 0, 1, 2).step(b, 0, 1, 2).step(ids, 0, 1)
	return r.run("matmul_id", local, spec{uint32(a.Type), uint32(b.Type)}, p, groupList(groups*used*tok))
}

// dots reports whether kernel matvec takes a: it knows the type, rows are packed, and words are aligned.
func (r *recorder) dots(a *tensor.Tensor) bool {
	align := uint64(2)
	switch a.Type {
	case tensor.Q4_K, tensor.Q5_K:
		align = 4
	case tensor.Q4_0, tensor.Q8_0, tensor.Q6_K:
	default:
		return false
	}
	at, err := r.address(a)
	_, size := a.Type.Block()
	low := at | uint64(a.Stride[1]) | uint64(a.Stride[2]) | uint64(a.Stride[3])
	return err == nil && a.Stride[0] == size && low%align == 0
}

// activationBytes is the size of Activation in dot4.h.
const activationBytes = 40

// recordMatVec makes activations of eight bits of b, and multiplies them with the weights as they are.
func recordMatVec(r *recorder, n *tensor.Tensor) error {
	a, b := n.Src[0], n.Src[1]
	x, err := r.activations(b)
	if err != nil {
		return err
	}
	local, rows := r.rowGroup()
	m, cols := n.Shape[0], n.Shape[1]
	perGroup := min(power(cols), 8)
	groups, colGroups, planes := ceilDiv(m, rows), ceilDiv(cols, perGroup), n.Shape[2]*n.Shape[3]
	p := r.push().in(a).inArea(x).out(n).i(m, cols, a.Shape[0]/32, groups, colGroups, b.Shape[2], b.Shape[2]/a.Shape[2], b.Shape[3]/a.Shape[3]).strides(a)
	return r.run("matvec", local, spec{uint32(a.Type), uint32(perGroup)}, p, groupList(groups*colGroups*planes))
}

// activations makes eight-bit activations of b, in scratch memory.
func (r *recorder) activations(b *tensor.Tensor) (area, error) {
	count := b.Shape.Elems()
	x := r.area(int64(count) / 32 * activationBytes)
	p := r.push().in(b).outArea(x).i(count).shape(b.Shape).strides(b).u32(uint32(b.Type))
	return x, r.run("quantize_q8", elementGroup, nil, p, r.linear(count, elementGroup))
}

// recordMatVecID is the same for experts.
func recordMatVecID(r *recorder, n *tensor.Tensor) error {
	a, b, ids := n.Src[0], n.Src[1], n.Src[2]
	x, err := r.activations(b)
	if err != nil {
		return err
	}
	local, rows := r.rowGroup()
	m, used, tok := n.Shape[0], n.Shape[1], n.Shape[2]
	groups := ceilDiv(m, rows)
	p := r.push().in(a).inArea(x).in(ids).out(n).faults(n).i(m, a.Shape[0]/32, a.Shape[2], used, b.Shape[1], groups)
	p.step(a, 0, 1, 2).step(ids, 0, 1)
	return r.run("matvec_id", local, spec{uint32(a.Type)}, p, groupList(groups*used*tok))
}
