//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

func recordCopy(r *recorder, n *tensor.Tensor) error {
	x := n.Src[0]
	from, to := x.Type, n.Type
	if bytes := n.Bytes(); from == to && n.Contiguous() && x.Contiguous() && bytes%16 == 0 && r.aligned16(n, x) {
		return r.run("copy_words", elementGroup, nil, r.push().in(x).out(n).i(bytes/16), r.linear(bytes/16, elementGroup))
	}
	unit := 1 // elements that a thread takes
	switch {
	case from == to:
		from, _ = card.SizeType(from)
		to = from
		unit, _ = n.Type.Block()
	case to.Quantized():
		unit, _ = to.Block()
	case from.Quantized():
		unit = 4
	}
	return r.move(n, x, n.Shape, unit, from, to, false, 0)
}

// move copies x to a part of n that begins at offset bytes and has shape s.
func (r *recorder) move(n, x *tensor.Tensor, s tensor.Shape, unit int, from, to tensor.DType, repeat bool, offset int) error {
	count := s
	count[0] /= unit
	xn := x.Shape
	xn[0] = max(1, xn[0]/unit)
	total := count.Elems()
	p := r.push().in(x).outAt(n, offset).i(total).shape(count).shape(xn).strides(x)
	for _, st := range n.Stride {
		p.i(st)
	}
	if from != to && card.Superblock(to) {
		return r.run("copy_k", 64, nil, p.u32(spec{uint32(from), uint32(to)}...), r.linear(total, 64))
	}
	return r.run("copy", elementGroup, nil, p.u32(spec{uint32(from), uint32(to), flag(repeat)}...), r.linear(total, elementGroup))
}

func recordRepeat(r *recorder, n *tensor.Tensor) error {
	t, _ := card.SizeType(n.Type)
	return r.move(n, n.Src[0], n.Shape, 1, t, t, true, 0)
}

func recordConcat(r *recorder, n *tensor.Tensor) error {
	t, _ := card.SizeType(n.Type)
	dim := n.Op.(tensor.Concat).Dim
	at := 0
	for _, x := range n.Src {
		if x.Shape.Elems() > 0 {
			if err := r.move(n, x, x.Shape, 1, t, t, false, at*n.Stride[dim]); err != nil {
				return err
			}
		}
		at += x.Shape[dim]
	}
	return nil
}
