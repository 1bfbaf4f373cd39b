package ref

import "github.com/tenon-go/tenon/tensor"

func ssmConv(n *tensor.Tensor, src []Value) Value {
	x, w := &src[0], &src[1]
	out := newValue(n.Type, n.Shape).withMag()
	k := w.Shape[0]
	out.Terms = k
	for s := range n.Shape[2] {
		for t := range n.Shape[1] {
			for c := range n.Shape[0] {
				i := at(&n.Shape, c, t, s, 0)
				out.F[i], out.Mag[i] = dot(w.row(c), x.row(c + x.Shape[1]*s)[t:t+k])
			}
		}
	}
	return out
}
