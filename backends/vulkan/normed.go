//go:build cgo && linux && (amd64 || arm64)

package vulkan

import "github.com/tenon-go/tenon/tensor"

// maxNormed is how long a row may be that rms_mul holds in registers.
const maxNormed = 16384

// packedRows reports whether t is F32 and its rows can be read by fours with one step from each to the next.
func packedRows(t *tensor.Tensor) bool {
	return t.Type == tensor.F32 && t.Shape[0]%4 == 0 && wide(t) && (flat(t) || t.Contiguous())
}

// notAdded returns why rms_mul does not take a sum, or "".
func notAdded(sum *tensor.Tensor) string {
	a, b := sum.Src[0], sum.Src[1]
	if b.Shape != a.Shape || !packedRows(b) {
		return "the sum is not one of rows of F32 that lie one after the other"
	}
	return ""
}

// notNormed returns why rms_mul does not take rows, or "".
func (d *Device) notNormed(x, gain *tensor.Tensor) string {
	switch {
	case !packedRows(x) || x.Shape[0] > maxNormed:
		return "rows do not lie one after the other, or are long"
	case !packedRows(gain) || gain.Shape != tensor.MakeShape(x.Shape[0]):
		return "the factor is no row"
	case d.phys.Limits.MaxInvocations < 256 || d.phys.Limits.SubgroupOps&subgroupShuffle == 0:
		return "groups of 256 are too large for the device"
	}
	return ""
}

// rowStep is how many bytes lie from a row of t to the next.
func rowStep(t *tensor.Tensor) int {
	if t == nil || t.Shape.Rows() == 1 {
		return 0
	}
	if t.Shape[1] == 1 {
		return 4 * t.Shape[0] // it is contiguous
	}
	return t.Stride[1]
}

// normed is RMSNorm+Mul, or Add+RMSNorm+Mul if y and sum are there, over rows that invocations hold in registers.
func (r *recorder) normed(norm, x, y, sum, gain, dst *tensor.Tensor) error {
	n, rows := x.Shape[0], x.Shape.Rows()
	local := r.rowLocal(n / 4)
	p := r.push().in(x, y, gain)
	if sum != nil {
		p.out(sum)
	} else {
		p.u64(0)
	}
	p.out(dst)
	keep := r.roundTo(p, dst)
	p.i(rows, n, rowStep(x), rowStep(y)).f32(norm.Op.(tensor.RMSNorm).Eps)
	sp := spec{flag(sum != nil), flag(keep != nil), uint32(ceilDiv(n/4, local))}
	if err := r.run("rms_mul", local, sp, p, groupList(rows)); err != nil {
		return err
	}
	keep.done(r)
	return nil
}
