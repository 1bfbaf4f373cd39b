//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"fmt"

	"github.com/tenon-go/tenon/tensor"
)

func recordSSMConv(r *recorder, n *tensor.Tensor) error {
	x, w := n.Src[0], n.Src[1]
	p := r.push().in(x, w).out(n).i(n.Shape.Elems(), w.Shape[0]).shape(n.Shape).step(x, 0, 1, 2, 3).step(w, 0, 1)
	return r.run("ssm_conv", elementGroup, nil, p, r.linear(n.Shape.Elems(), elementGroup))
}

// maxRowPart is how many elements of a row of a state a thread keeps at most.
const maxRowPart = 64

func supportsDeltaNet(d *Device, n *tensor.Tensor) string {
	if dk := n.Src[1].Shape[0]; ceilDiv(dk, d.phys.Wave) > maxRowPart {
		return fmt.Sprintf("keys have %d elements, more than %d", dk, maxRowPart*d.phys.Wave)
	}
	return ""
}

func recordDeltaNet(r *recorder, n *tensor.Tensor) error {
	q, k, v, g, beta, state := n.Src[0], n.Src[1], n.Src[2], n.Src[3], n.Src[4], n.Src[5]
	dk, headsK, dv, heads, tokens, seqs := k.Shape[0], k.Shape[1], v.Shape[0], v.Shape[1], v.Shape[2], v.Shape[3]
	local, rows := r.rowGroup()
	groups := ceilDiv(dv, rows)
	p := r.push().in(q, k, v, g, beta, state).out(n)
	p.i(dk, headsK, dv, heads, tokens, seqs, n.Op.(tensor.GatedDeltaNet).States, g.Shape[0], groups)
	for _, t := range []*tensor.Tensor{q, k, v, g, beta, state} {
		p.strides(t)
	}
	return r.run("delta_net", local, spec{uint32(power(ceilDiv(dk, r.s.dev.phys.Wave)))}, p, groupList(groups*heads*seqs))
}
