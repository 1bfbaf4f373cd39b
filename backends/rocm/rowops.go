//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import "github.com/tenon-go/tenon/tensor"

// rowLocal returns the size of a group that computes a row of n elements.
func (r *recorder) rowLocal(n int) int {
	wave := r.s.dev.phys.Wave
	local := wave
	for local < n && 2*local <= 256 {
		local *= 2
	}
	return local
}

func recordNorm(r *recorder, n *tensor.Tensor) error {
	x := n.Src[0]
	kind, eps := uint32(0), float32(0)
	switch op := n.Op.(type) {
	case tensor.RMSNorm:
		kind, eps = 0, op.Eps
	case tensor.LayerNorm:
		kind, eps = 1, op.Eps
	case tensor.L2Norm:
		kind, eps = 2, op.Eps
	case tensor.SumRows:
		kind = 3
	}
	rows := x.Shape.Rows()
	p := r.push().in(x).out(n).i(rows).shape(x.Shape).strides(x).f32(eps)
	return r.run("norm", r.rowLocal(x.Shape[0]), nil, p.u32(spec{kind}...), groupList(rows))
}

// maskSpec is the parameter for a mask: 0 for none.
func maskSpec(mask *tensor.Tensor) uint32 {
	if mask == nil {
		return 0
	}
	return 1 + uint32(mask.Type)
}

// planes returns how many planes a mask has in dimensions 2 and 3, at least one each.
func planes(mask *tensor.Tensor) (p2, p3 int) {
	if mask == nil {
		return 1, 1
	}
	return max(1, mask.Shape[2]), max(1, mask.Shape[3])
}

// pow2 returns the greatest power of two up to n.
func pow2(n int) int {
	p := 1
	for 2*p <= n {
		p *= 2
	}
	return p
}

func recordSoftMax(r *recorder, n *tensor.Tensor) error {
	op := n.Op.(tensor.SoftMax)
	x, mask, sinks := n.Src[0], src(n, 1), src(n, 2)
	m2, m3 := planes(mask)
	p := r.push().in(x, mask, sinks).out(n).shape(n.Shape).strides(x).i(m2, m3).step(mask, 0, 1, 2, 3).step(sinks, 0)
	p.f32(op.Scale, op.MaxBias).i(pow2(n.Shape[2]))
	sp := spec{maskSpec(mask), flag(sinks != nil), flag(op.MaxBias > 0)}
	return r.run("softmax", r.rowLocal(n.Shape[0]), nil, p.u32(sp...), groupList(n.Shape.Rows()))
}

func recordSort(r *recorder, n *tensor.Tensor) error {
	x := n.Src[0]
	k, descending := x.Shape[0], true
	switch op := n.Op.(type) {
	case tensor.TopK:
		k = op.K
	case tensor.ArgSort:
		descending = op.Descending
	}
	local := r.rowLocal(x.Shape[0])
	groups := ceilDiv(x.Shape[0], local)
	p := r.push().in(x).out(n).i(k, groups).shape(x.Shape).strides(x)
	return r.run("sort", local, nil, p.u32(spec{flag(descending)}...), groupList(groups*x.Shape.Rows()))
}

func recordArgMax(r *recorder, n *tensor.Tensor) error {
	x := n.Src[0]
	p := r.push().in(x).out(n).i(x.Shape[1]).shape(x.Shape).strides(x)
	return r.run("argmax", r.rowLocal(x.Shape[0]), nil, p, groupList(x.Shape[1]))
}
