//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import "github.com/tenon-go/tenon/tensor"

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

func recordMatMul(r *recorder, n *tensor.Tensor) error {
	return r.product(product{n: n, a: n.Src[0], b: n.Src[1], exact: n.Op.(tensor.MatMul).Exact})
}

func recordMatMulID(r *recorder, n *tensor.Tensor) error {
	return r.product(product{n: n, a: n.Src[0], b: n.Src[1], ids: n.Src[2], exact: n.Op.(tensor.MatMulID).Exact})
}

// product is a MatMul or MatMulID, with what is fused into it.
type product struct {
	n      *tensor.Tensor // the result
	a, b   *tensor.Tensor
	ids    *tensor.Tensor // of experts, or nil
	exact  bool
	a2     *tensor.Tensor // a second first factor, or nil: the result is glu of both products
	glu    tensor.GLU
	addend *tensor.Tensor // or nil
}

// columns returns how many rows of b a product has, each expert's choices counted.
func (p *product) columns() int {
	if p.ids != nil {
		return p.n.Shape[1] * p.n.Shape[2]
	}
	return p.b.Shape[1]
}

// product chooses among the kernels.
func (r *recorder) product(p product) error {
	switch {
	case p.matVec() != "":
		return r.recordMatVec(&p)
	case p.tiled() && p.halves():
		return r.recordHalves(&p)
	case p.tiled():
		return r.recordTiled(&p)
	case p.ids == nil:
		return r.recordMatMulAny(&p)
	}
	return r.recordMatMulIDAny(&p)
}

// recordMatMulAny is the product of any types, strides and sizes: what no faster kernel takes.
func (r *recorder) recordMatMulAny(p *product) error {
	n, a, b := p.n, p.a, p.b
	local, rows := r.rowGroup()
	m, cols := n.Shape[0], n.Shape[1]
	perGroup := 1 // or 4, so that there are few kernels to compile
	if cols > 1 {
		perGroup = 4
	}
	groups, colGroups, planes := ceilDiv(m, rows), ceilDiv(cols, perGroup), n.Shape[2]*n.Shape[3]
	ps := r.push().in(a, b).out(n).i(m, cols, a.Shape[0], groups, colGroups, b.Shape[2], b.Shape[2]/a.Shape[2], b.Shape[3]/a.Shape[3]).strides(a).strides(b)
	return r.run("matmul", local, spec{uint32(a.Type), uint32(b.Type), uint32(perGroup)}, ps, groupList(groups*colGroups*planes))
}

func (r *recorder) recordMatMulIDAny(p *product) error {
	n, a, b, ids := p.n, p.a, p.b, p.ids
	local, rows := r.rowGroup()
	m, used, tok := n.Shape[0], n.Shape[1], n.Shape[2]
	groups := ceilDiv(m, rows)
	ps := r.push().in(a, b, ids).out(n).faults(n).i(m, a.Shape[0], a.Shape[2], used, b.Shape[1], groups)
	ps.step(a, 0, 1, 2).step(b, 0, 1, 2).step(ids, 0, 1)
	return r.run("matmul_id", local, spec{uint32(a.Type), uint32(b.Type)}, ps, groupList(groups*used*tok))
}
