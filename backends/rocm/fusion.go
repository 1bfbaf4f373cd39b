//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

// Between launches a device runs empty, for a token of a small model longer than it computes: so nodes are fused for what that
// saves, more than for the way of what is inner to memory and back.

// fusion is how groups of one kind are computed.
type fusion struct {
	// refuses returns why nodes cannot be one kernel on d although each can run, or "". It is nil where card.RefusesFusion says all.
	refuses func(d *Device, n []*tensor.Tensor) string
	// record adds the launches of the group. What is inner has no memory.
	record func(r *recorder, n []*tensor.Tensor) error
}

var fusions map[backends.Fusion]fusion

func init() { // as kernels
	fusions = map[backends.Fusion]fusion{
		backends.RMSNormMul:    {record: recordNormMul},
		backends.AddRMSNormMul: {record: recordNormMul},
		backends.RoPESetRows:   {record: recordTurnedRows},
		backends.SoftCap:       {record: recordSoftCap},
		backends.MatMulGLU:     {refusesGated, recordGated},
		backends.MatMulIDGLU:   {refusesGated, recordGated},
		backends.MatMulAdd:     {refusesMatMulAdd, recordMatMulAdd},
	}
}

// Fuses reports why nodes cannot be run as one here.
func (d *Device) Fuses(f backends.Fusion, nodes []*tensor.Tensor) error {
	why := ""
	if k, ok := fusions[f]; !ok {
		why = "there is no kernel for it"
	} else if broken, ok := d.broken.Load(f); ok {
		why = broken.(string)
	} else if why = card.RefusesFusion(f, nodes); why == "" && k.refuses != nil {
		why = k.refuses(d, nodes)
	}
	if why == "" {
		return nil
	}
	last := nodes[len(nodes)-1]
	return &backends.UnsupportedError{Device: d.owner.Device, Node: last.Name, Op: last.Op.Kind(), Fusion: f.String(), Reason: why}
}

// fused makes the launches of a group.
func (r *recorder) fused(g backends.Group) error {
	nodes := r.graph.Nodes[g.From:g.To]
	inner := map[*tensor.Tensor]bool{}
	for i, n := range nodes {
		for _, t := range append([]*tensor.Tensor{n}, n.Src...) {
			if t == nil || inner[t.Root()] || t == n && g.Fusion.Inner(i) {
				continue
			}
			if _, err := r.address(t); err != nil {
				return err
			}
		}
		inner[n] = g.Fusion.Inner(i)
	}
	if err := fusions[g.Fusion].record(r, nodes); err != nil {
		return fmt.Errorf("rocm: %v (%s): %w", nodes[len(nodes)-1], g.Fusion, err)
	}
	return nil
}

func recordNormMul(r *recorder, n []*tensor.Tensor) error {
	norm, mul := n[len(n)-2], n[len(n)-1]
	x, w := norm.Src[0], mul.Src[1]
	var b, sum *tensor.Tensor
	add := uint32(0)
	if len(n) == 3 {
		sum = n[0]
		x, b = sum.Src[0], sum.Src[1]
		add = 1 + uint32(b.Type)
	}
	if len(n) == 2 && rounds(x, nil, w) {
		if done, err := r.tail(x, normTail{norm, w, mul}); done || err != nil {
			return err
		}
	}
	if rounds(x, b, w) {
		return r.normRound(norm, x, b, sum, w, mul)
	}
	rows := mul.Shape.Rows()
	p := r.push().in(x, b, w).out(sum).out(mul).i(rows).shape(mul.Shape).strides(x).step(b, 0, 1, 2, 3).strides(w)
	p.f32(norm.Op.(tensor.RMSNorm).Eps).u32(uint32(w.Type), add)
	return r.run("norm_mul", r.rowLocal(mul.Shape[0]), nil, p, groupList(rows))
}

func recordSoftCap(r *recorder, n []*tensor.Tensor) error {
	x, y := n[0].Src[0], n[2]
	in, out := n[0].Op.(tensor.Scale), n[2].Op.(tensor.Scale)
	count := y.Shape.Elems()
	p := r.push().in(x).out(y).i(count).shape(y.Shape).strides(x).f32(in.Scale, in.Bias, out.Scale, out.Bias)
	p.u32(funcSoftCap, uint32(y.Type), flag(x.Contiguous()))
	return r.run("unary", elementGroup, nil, p, r.linear(count, elementGroup))
}

var _ backends.Fuser = (*Device)(nil)
