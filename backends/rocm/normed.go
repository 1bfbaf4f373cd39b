//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import "github.com/tenon-go/tenon/tensor"

// maxNormed is how long a row may be that norm_round holds in registers.
const maxNormed = 16384

// packedRows reports whether t is F32 and its rows can be read by fours with one step from each to the next.
func packedRows(t *tensor.Tensor) bool {
	return t.Type == tensor.F32 && t.Shape[0]%4 == 0 && wide(t) && (flat(t) || t.Contiguous())
}

// rounds reports whether norm_round takes rows x, what is added to them or nil, and a gain.
func rounds(x, y, gain *tensor.Tensor) bool {
	if y != nil && (y.Shape != x.Shape || !packedRows(y)) {
		return false
	}
	return packedRows(x) && x.Shape[0] <= maxNormed && packedRows(gain) && gain.Shape == tensor.MakeShape(x.Shape[0])
}

// rowStep is how many bytes lie from a row of t to the next.
func rowStep(t *tensor.Tensor) int {
	switch {
	case t == nil || t.Shape.Rows() == 1:
		return 0
	case t.Shape[1] == 1:
		return 4 * t.Shape[0] // it is contiguous
	}
	return t.Stride[1]
}

// normRound is RMSNorm+Mul, or Add+RMSNorm+Mul if y and sum are there, over rows that threads hold in registers. Its result is
// rounded for products on the way.
func (r *recorder) normRound(norm, x, y, sum, gain, dst *tensor.Tensor) error {
	n, rows := x.Shape[0], x.Shape.Rows()
	local := r.rowLocal(n / 4)
	for rows <= maxVecs && local < n/4 && local < 1024 {
		local *= 2 // they are all there is to run
	}
	p := r.push().in(x, y, gain).out(sum).out(dst)
	keep := r.roundTo(p, dst)
	p.i(rows, n, rowStep(x), rowStep(y)).f32(norm.Op.(tensor.RMSNorm).Eps).u32(0)
	if err := r.run("norm_round", local, spec{uint32(ceilDiv(n/4, local))}, p, groupList(rows)); err != nil {
		return err
	}
	keep.done(r)
	return nil
}
