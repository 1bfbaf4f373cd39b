//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

// maxHead is how large a head the attention kernel takes: the query lies in shared memory, the result in registers.
const maxHead = 1024

func supportsFlashAttn(_ *Device, n *tensor.Tensor) string {
	k, v := n.Src[1], n.Src[2]
	for _, t := range []*tensor.Tensor{k, v} {
		if !decodable(t.Type) {
			return fmt.Sprintf("%s is %s, which no kernel decodes", label(t), t.Type)
		}
		if t.Shape[0] > maxHead {
			return fmt.Sprintf("heads of %d, more than %d", t.Shape[0], maxHead)
		}
	}
	return ""
}

// recordFlashAttn is attention over any types and strides: what no faster kernel takes.
func recordFlashAttn(r *recorder, n *tensor.Tensor) error {
	op := n.Op.(tensor.FlashAttn)
	q, k, v, mask, sinks := n.Src[0], n.Src[1], n.Src[2], src(n, 3), src(n, 4)
	dk, dv, heads, tokens, cells := k.Shape[0], n.Shape[0], n.Shape[1], n.Shape[2], k.Shape[2]
	local := r.rowLocal(64)
	m2, m3 := planes(mask)
	p := r.push().in(q, k, v, mask, sinks).out(n).i(heads, heads/k.Shape[1], tokens, cells).strides(q).strides(k).strides(v).step(mask, 0, 1, 2, 3)
	p.i(m2, m3).step(sinks, 0).i(pow2(heads)).f32(op.Scale, op.MaxBias, op.SoftCap)
	p.u32(maskSpec(mask), flag(sinks != nil), flag(op.SoftCap != 0), flag(op.MaxBias > 0), uint32(dk), uint32(dv))
	sp := spec{uint32(k.Type), uint32(v.Type), uint32(power(ceilDiv(dv, 4*local))), uint32(max(16, power(ceilDiv(dk, 4))))}
	return r.run("flash_attn", local, sp, p, groupList(heads*tokens*n.Shape[3]))
}

// power returns the least power of two from n on: few sizes, so that there are few kernels to compile.
func power(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}
