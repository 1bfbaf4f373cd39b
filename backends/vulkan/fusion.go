//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"fmt"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// Between dispatches that depend on each other a device runs empty, for a token longer than it computes: so
// nodes are fused for what that saves.

// fusion is how groups of one kind are run.
type fusion struct {
	refuses func(d *Device, n []*tensor.Tensor) string // why nodes cannot be run as one although each can, or ""
	record  func(r *recorder, n []*tensor.Tensor) error
}

var fusions = map[backends.Fusion]fusion{
	backends.AddRMSNormMul: {refusesAddNorm, recordAddNorm},
	backends.RMSNormMul:    {refusesNormMul, recordNormMul},
	backends.RoPESetRows:   {refusesRoPESet, recordRoPESet},
	backends.MatMulGLU:     {refusesGated, recordGated},
	backends.MatMulIDGLU:   {refusesGated, recordGated},
	backends.MatMulAdd:     {refusesMatMulAdd, recordMatMulAdd},
}

// fused adds the dispatches of a group.
func (r *recorder) fused(f backends.Fusion, nodes []*tensor.Tensor) error {
	if err := r.s.dev.Fuses(f, nodes); err != nil {
		return err
	}
	inner := map[*tensor.Tensor]bool{}
	for i, n := range nodes {
		inner[n] = f.Inner(i)
		for _, t := range append([]*tensor.Tensor{n}, n.Src...) {
			if t == nil || inner[t.Root()] {
				continue
			}
			if _, err := r.address(t); err != nil {
				return err
			}
		}
	}
	return fusions[f].record(r, nodes)
}

// Fuses reports why nodes cannot be run as one here.
func (d *Device) Fuses(f backends.Fusion, nodes []*tensor.Tensor) error {
	why := ""
	if k, ok := fusions[f]; !ok {
		why = "there is no kernel for it"
	} else {
		why = k.refuses(d, nodes)
	}
	if why == "" {
		return nil
	}
	last := nodes[len(nodes)-1]
	return &backends.UnsupportedError{Device: d.owner.Device, Node: last.Name, Op: last.Op.Kind(), Fusion: f.String(), Reason: why}
}

// maxNormed is how long a row may be that rms_mul holds in registers.
const maxNormed = 16384

// packedRows reports whether t is F32 and its rows can be read by fours with one step from each to the next.
func packedRows(t *tensor.Tensor) bool {
	return t.Type == tensor.F32 && t.Shape[0]%4 == 0 && wide(t) && (flat(t) || t.Contiguous())
}

func refusesNormMul(d *Device, n []*tensor.Tensor) string { return refusesNormed(d, n[0].Src[0], n[1].Src[1]) }

func refusesAddNorm(d *Device, n []*tensor.Tensor) string {
	a, b := n[0].Src[0], n[0].Src[1]
	if b.Shape != a.Shape || !packedRows(b) {
		return "the sum is not one of rows of F32 that lie one after the other"
	}
	return refusesNormed(d, a, n[2].Src[1])
}

func refusesNormed(d *Device, x, gain *tensor.Tensor) string {
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

func recordNormMul(r *recorder, n []*tensor.Tensor) error {
	x, gain := n[0].Src[0], n[1].Src[1]
	if done, err := r.tail(x, normTail{gain, n[1], n[0].Op.(tensor.RMSNorm).Eps}); done || err != nil {
		return err
	}
	return r.normed(n[0], x, nil, nil, gain, n[1])
}

func recordAddNorm(r *recorder, n []*tensor.Tensor) error {
	return r.normed(n[1], n[0].Src[0], n[0].Src[1], n[0], n[2].Src[1], n[2])
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

func (r *recorder) normed(norm, x, y, sum, gain, dst *tensor.Tensor) error {
	n, rows := x.Shape[0], x.Shape.Rows()
	local := r.rowLocal(n / 4)
	for rows <= maxVecs && local < n/4 && 2*local <= min(1024, r.s.dev.phys.Limits.MaxInvocations) {
		local *= 2 // they are all there is to run
	}
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

func refusesRoPESet(_ *Device, n []*tensor.Tensor) string {
	x, cache := n[0].Src[0], n[1]
	switch {
	case x.Shape[2] != 1 || x.Shape[3] != 1:
		return "there are several tokens"
	case x.Type != tensor.F32 || x.Stride[0] != 4 && x.Shape[0] > 1:
		return "what is rotated is not packed F32"
	case !isFloat(cache.Type) || cache.Stride[0] != cache.Type.RowBytes(1) || !flat(cache):
		return fmt.Sprintf("the cache is %s, or has planes", cache.Type)
	}
	return ""
}

func recordRoPESet(r *recorder, n []*tensor.Tensor) error {
	rope, cache := n[0], n[1]
	op := rope.Op.(tensor.RoPE)
	x, pos, freq, idx := rope.Src[0], rope.Src[1], src(rope, 2), cache.Src[2]
	c := ropeConstants(op)
	p := r.push().in(x, pos, freq, idx).out(cache).faults(cache)
	p.i(x.Shape[0], x.Shape[1]).step(x, 1).i(c.pairs).step(pos, 0).step(freq, 0).i(cache.Stride[1], cache.Shape[1]).f32(c.floats[:]...)
	sp := append(c.spec(rope.Type, freq != nil), uint32(idx.Type), uint32(cache.Type))
	return r.run("rope_set", 64, sp, p, r.linear((x.Shape[0]-c.pairs)*x.Shape[1], 64))
}

// gatedProduct returns the product of two products and their gate.
func gatedProduct(n []*tensor.Tensor) product {
	p := product{n: n[2], a: n[0].Src[0], a2: n[1].Src[0], b: n[0].Src[1], glu: n[2].Op.(tensor.GLU)}
	switch op := n[0].Op.(type) {
	case tensor.MatMul:
		p.exact = op.Exact
	case tensor.MatMulID:
		p.ids, p.exact = n[0].Src[2], op.Exact
	}
	return p
}

func refusesGated(d *Device, n []*tensor.Tensor) string {
	p := gatedProduct(n)
	if n[2].Type != tensor.F32 || n[0].Shape != n[1].Shape || d.matVec(&p) == "" {
		return "no matrix-vector kernel takes both products"
	}
	return ""
}

func recordGated(r *recorder, n []*tensor.Tensor) error {
	p := gatedProduct(n)
	return r.recordMatVec(&p)
}

func addedProduct(n []*tensor.Tensor) product {
	p := product{n: n[1], a: n[0].Src[0], b: n[0].Src[1], exact: n[0].Op.(tensor.MatMul).Exact, addend: n[1].Src[1]}
	if p.addend == n[0] {
		p.addend = n[1].Src[0]
	}
	return p
}

func refusesMatMulAdd(d *Device, n []*tensor.Tensor) string {
	p := addedProduct(n)
	t := p.addend
	whole := t.Shape == n[1].Shape || t.Shape == tensor.MakeShape(n[1].Shape[0])
	switch {
	case t.Type != tensor.F32 || n[1].Type != tensor.F32 || !t.Contiguous() || !whole || !flat(n[1]):
		return "what is added is neither a row nor of the product's shape"
	case d.matVec(&p) == "" && !d.tiled(&p):
		return "no fast kernel takes the product"
	}
	return ""
}

func recordMatMulAdd(r *recorder, n []*tensor.Tensor) error { return r.product(addedProduct(n)) }

var _ backends.Fuser = (*Device)(nil)
