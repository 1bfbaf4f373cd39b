//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

func recordGetRows(r *recorder, n *tensor.Tensor) error {
	x, idx := n.Src[0], n.Src[1]
	width, size := n.Shape[0], 0
	if card.IsInteger(x.Type) {
		_, size = x.Type.Block()
	} else if x.Type.Quantized() {
		width /= 4
	}
	p := r.push().in(x, idx).out(n).faults(n).i(n.Shape[0], x.Shape[1], n.Shape[1], n.Shape[2], n.Shape[3], width).strides(x).step(idx, 0, 1, 2)
	return r.run("get_rows", elementGroup, nil, p.u32(spec{uint32(x.Type), uint32(idx.Type), uint32(size)}...), r.linear(width*n.Shape.Rows(), elementGroup))
}

// lastRows finds out which of k rows in each plane of idx are the last that go to their place: with one row there is nothing to
// find. Layers store by the same indices, so that it is kept.
func (r *recorder) lastRows(idx *tensor.Tensor, k, in2, in3 int) (area, error) {
	if k <= 1 {
		return area{}, nil
	}
	count := k * in2 * in3
	return r.keep(card.Last, idx, 4*int64(count), func(to area) error {
		p := r.push().in(idx).outArea(to).i(k, in2, in3).step(idx, 0, 1, 2).u32(uint32(idx.Type))
		return r.run("set_rows_last", elementGroup, nil, p, r.linear(count, elementGroup))
	})
}

func recordSetRows(r *recorder, n *tensor.Tensor) error {
	x, idx := n.Src[1], n.Src[2]
	if x.Shape.Elems() == 0 {
		return nil
	}
	if done, err := r.setWithTurns(n); done || err != nil {
		return err
	}
	k, in2, in3 := x.Shape[1], idx.Shape[1], idx.Shape[2]
	last, err := r.lastRows(idx, k, in2, in3)
	if err != nil {
		return err
	}
	elems, _ := n.Type.Block()
	width := n.Shape[0] / elems
	p := r.push().out(n).in(x, idx)
	if k > 1 {
		p.inArea(last)
	} else {
		p.u64(0)
	}
	p.faults(n).i(width, n.Shape[1], k, x.Shape[2], x.Shape[3], in2, in3).strides(n).strides(x).step(idx, 0, 1, 2)
	if card.Superblock(n.Type) {
		return r.run("set_rows_k", 64, nil, p.u32(uint32(idx.Type), uint32(n.Type)), r.linear(width*x.Shape.Rows(), 64))
	}
	return r.run("set_rows", 64, nil, p.u32(spec{uint32(n.Type), uint32(idx.Type), flag(k > 1)}...), r.linear(width*x.Shape.Rows(), 64))
}

func recordAddID(r *recorder, n *tensor.Tensor) error {
	a, b, ids := n.Src[0], n.Src[1], n.Src[2]
	p := r.push().in(a, b, ids).out(n).faults(n).i(n.Shape[0], n.Shape[1], n.Shape[2], b.Shape[1]).strides(a).step(b, 0, 1).step(ids, 0, 1)
	return r.run("add_id", elementGroup, nil, p, r.linear(n.Shape.Elems(), elementGroup))
}
