//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

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

// ropePairs returns how many pairs of a row turn.
func ropePairs(op tensor.RoPE) int {
	if op.Mode == tensor.RoPEVision {
		return int(op.Dims)
	}
	return int(op.Dims) / 2
}

// angles adds what rope.h calls so.
func (p *push) angles(op tensor.RoPE, pos, freq *tensor.Tensor) *push {
	// The exponent's first part has so few bits that its product with a pair's number is exact.
	exponent := math.Log2(float64(op.Base)) * 2 / float64(op.Dims)
	hi := float64(math.Float32frombits(math.Float32bits(float32(exponent)) &^ 0xfff))
	stretch, size := float64(op.Scale), float64(op.YaRN.AttnFactor)
	if stretch == 0 {
		stretch = 1
	}
	if size == 0 {
		size = 1
	}
	yarn := op.YaRN.ExtFactor != 0
	low, ramp := 0.0, 1.0
	if yarn {
		low, ramp = yarnRamp(op)
		if op.Scale != 0 {
			size *= 1 + 0.1*math.Log(1/float64(op.Scale))
		}
	}
	p.i(ropePairs(op)).step(pos, 0).step(freq, 0)
	p.f32(float32(hi), float32(exponent-hi), float32(stretch), op.YaRN.ExtFactor, float32(low), float32(ramp), float32(size))
	p.u32(uint32(op.Mode), flag(yarn), flag(freq != nil), flag(op.Inverse))
	end := int32(0)
	for _, s := range op.Sections {
		end += s
		p.u32(uint32(max(end, 0)))
	}
	return p
}

func recordRoPE(r *recorder, n *tensor.Tensor) error {
	op := n.Op.(tensor.RoPE)
	x, pos, freq := n.Src[0], n.Src[1], src(n, 2)
	p := r.push().in(x, pos, freq).out(n).shape(n.Shape).strides(x).angles(op, pos, freq).u32(uint32(n.Type))
	width := n.Shape[0] - ropePairs(op)
	return r.run("rope", elementGroup, nil, p, r.linear(width*n.Shape.Rows(), elementGroup))
}

// yarnRamp returns where the pairs begin that are stretched in part, and over how many they go. Source: arXiv:2309.00071.
func yarnRamp(op tensor.RoPE) (low, ramp float64) {
	corner := func(turns float32) float64 {
		return float64(op.Dims) * math.Log(float64(op.YaRN.OrigCtx)/(float64(turns)*2*math.Pi)) / (2 * math.Log(float64(op.Base)))
	}
	low = math.Max(0, math.Floor(corner(op.YaRN.BetaFast)))
	high := math.Min(float64(op.Dims-1), math.Ceil(corner(op.YaRN.BetaSlow)))
	return low, math.Max(0.001, high-low)
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
