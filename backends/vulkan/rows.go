//go:build cgo && linux && (amd64 || arm64)

package vulkan

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
	return r.run("get_rows", elementGroup, spec{uint32(x.Type), uint32(idx.Type), uint32(size)}, p, r.linear(width*n.Shape.Rows(), elementGroup))
}

// lastRows finds out which of k rows in each plane of idx are the last that go to their place: with one row there is nothing to find.
func (r *recorder) lastRows(idx *tensor.Tensor, k, in2, in3 int) (area, error) {
	if k <= 1 {
		return area{}, nil
	}
	last := r.scratch.New(4 * int64(k*in2*in3))
	p := r.push().in(idx).outArea(last).i(k, in2, in3).step(idx, 0, 1, 2)
	return last, r.run("set_rows_last", elementGroup, spec{uint32(idx.Type)}, p, r.linear(k*in2*in3, elementGroup))
}

func recordSetRows(r *recorder, n *tensor.Tensor) error {
	x, idx := n.Src[1], n.Src[2]
	if x.Shape.Elems() == 0 {
		return nil
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
		p.u32(uint32(idx.Type))
		return r.run("set_rows_k", 64, spec{uint32(n.Type)}, p, r.linear(width*x.Shape.Rows(), 64))
	}
	return r.run("set_rows", 64, spec{uint32(n.Type), uint32(idx.Type), flag(k > 1)}, p, r.linear(width*x.Shape.Rows(), 64))
}

func recordAddID(r *recorder, n *tensor.Tensor) error {
	a, b, ids := n.Src[0], n.Src[1], n.Src[2]
	p := r.push().in(a, b, ids).out(n).faults(n).i(n.Shape[0], n.Shape[1], n.Shape[2], b.Shape[1]).strides(a).step(b, 0, 1).step(ids, 0, 1)
	return r.run("add_id", elementGroup, nil, p, r.linear(n.Shape.Elems(), elementGroup))
}
