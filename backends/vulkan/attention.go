//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

// flashTile is how many cells flash_rows takes at a time, and invocations it has.
const flashTile = 128

// flashRows reports whether flash_rows takes n.
func (d *Device) flashRows(n *tensor.Tensor) bool {
	q, k, v := n.Src[0], n.Src[1], n.Src[2]
	l := d.phys.Limits
	if l.MaxInvocations < flashTile || l.SharedMemory < 24<<10 || l.Subgroup < 4 || q.Type != tensor.F32 || !wide(q) || n.Shape[0] > 256 || k.Shape[0] > 256 {
		return false
	}
	for _, t := range []*tensor.Tensor{k, v} {
		elems, size := t.Type.Block()
		switch {
		case t.Shape[0]%8 != 0 || t.Stride[0] != size && t.Shape[0] > elems:
			return false
		case card.IsFloat(t.Type) && !wide(t):
			return false
		}
	}
	return true
}

// flashQueries is how many queries flash_coop takes at a time.
const flashQueries = 64

// flashCoop reports whether flash_coop takes n.
func (d *Device) flashCoop(n *tensor.Tensor) bool {
	q, k, v, mask := n.Src[0], n.Src[1], n.Src[2], src(n, 3)
	c, l := d.phys.Can, d.phys.Limits
	head := n.Shape[0]
	switch {
	case !c.CooperativeMatrix || !c.Float16 || !c.MemoryModel || l.Subgroup != 32 || l.SharedMemory < 48<<10 || !d.hasMatrix():
		return false
	case q.Type != tensor.F32 || !wide(q) || !readAsHalves(k) || !readAsHalves(v):
		return false
	case k.Shape[0] != head || head%16 != 0 || head > 128:
		return false
	case mask != nil && (mask.Type == tensor.BF16 || !wide(mask) || k.Shape[2]%4 != 0):
		return false
	}
	return n.Shape[2]*n.Shape[1]/k.Shape[1] >= flashQueries/2
}

// readAsHalves reports whether flash_coop reads rows of a cache: halves, and what is quantized, which is known to fewer digits than they have.
func readAsHalves(t *tensor.Tensor) bool {
	if t.Type == tensor.F16 {
		return wide(t)
	}
	elems, size := t.Type.Block()
	return t.Type.Quantized() && (t.Stride[0] == size || t.Shape[0] <= elems)
}

func (r *recorder) recordFlashCoop(n *tensor.Tensor) error {
	op := n.Op.(tensor.FlashAttn)
	q, k, v, mask, sinks := n.Src[0], n.Src[1], n.Src[2], src(n, 3), src(n, 4)
	heads, share, tokens := n.Shape[1], n.Shape[1]/k.Shape[1], n.Shape[2]
	groups := ceilDiv(share*tokens, flashQueries)
	m2, m3 := planes(mask)
	p := r.push().in(q, k, v, mask, sinks).out(n).i(heads, share, tokens, k.Shape[2], groups)
	p.strides(q).strides(k).strides(v).step(mask, 0, 1, 2, 3)
	p.i(m2, m3).step(sinks, 0).i(pow2(heads)).f32(op.Scale, op.MaxBias, op.SoftCap)
	sp := spec{
		maskSpec(mask), flag(sinks != nil), flag(op.SoftCap != 0), flag(op.MaxBias > 0), uint32(n.Shape[0]), uint32(k.Type), uint32(v.Type),
	}
	return r.run("flash_coop", 128, sp, p, groupList(groups*k.Shape[1]*n.Shape[3]))
}

// busyFlash is about how many groups of flash_rows fill a large device.
const busyFlash = 256

// recordFlashAttn chooses among the kernels.
func recordFlashAttn(r *recorder, n *tensor.Tensor) error {
	switch dev := r.s.dev; {
	case n.Src[1].Shape[2] > 0 && dev.flashCoop(n):
		return r.recordFlashCoop(n)
	case n.Src[1].Shape[2] == 0 || !dev.flashRows(n):
		return r.recordFlashAny(n)
	}
	k := n.Src[1]
	heads, share, tokens, streams := n.Shape[1], n.Shape[1]/k.Shape[1], n.Shape[2], n.Shape[3]
	rows, tiles, kvs := share*tokens, ceilDiv(k.Shape[2], flashTile), k.Shape[1]*streams
	// Queries that share loads, but not fewer groups than keep the device busy.
	per := 8
	for per > 1 && (per/2 >= rows || kvs*ceilDiv(rows, per)*tiles < busyFlash/2) {
		per /= 2
	}
	groups, splits := ceilDiv(rows, per), 1
	if busy := kvs * groups; busy < busyFlash {
		splits = min(tiles, ceilDiv(busyFlash, busy))
	}
	each := ceilDiv(tiles, splits) * flashTile
	splits = ceilDiv(k.Shape[2], each)
	return r.recordFlashRows(n, flashPlan{per: per, groups: groups, splits: splits, each: each, outs: heads * tokens * streams})
}

// flashPlan says how the queries and cells are divided: per queries to a group, each cells to a split.
type flashPlan struct{ per, groups, splits, each, outs int }

func (r *recorder) recordFlashRows(n *tensor.Tensor, f flashPlan) error {
	op := n.Op.(tensor.FlashAttn)
	q, k, v, mask, sinks := n.Src[0], n.Src[1], n.Src[2], src(n, 3), src(n, 4)
	dk, dv, heads, tokens, cells := k.Shape[0], n.Shape[0], n.Shape[1], n.Shape[2], k.Shape[2]
	m2, m3 := planes(mask)
	p := r.push().in(q, k, v, mask, sinks)
	var parts area
	var round *rounding
	if f.splits > 1 {
		parts = r.scratch.Take(4 * int64(dv+4) * int64(f.splits) * int64(f.outs))
		p.u64(0).outArea(parts).u64(0).u64(0)
	} else {
		p.out(n).u64(0)
		round = r.roundTo(p, n)
	}
	p.i(heads, heads/k.Shape[1], tokens, cells, f.groups, f.splits, f.each).strides(q).strides(k).strides(v).step(mask, 0, 1, 2, 3)
	p.i(m2, m3).step(sinks, 0).i(pow2(heads)).f32(op.Scale, op.MaxBias, op.SoftCap)
	sp := spec{
		uint32(k.Type), uint32(v.Type), maskSpec(mask), flag(sinks != nil), flag(op.SoftCap != 0), flag(op.MaxBias > 0),
		uint32(dk), uint32(dv), uint32(f.per), flag(f.splits > 1), flashTile, flag(round != nil),
	}
	if err := r.run("flash_rows", flashTile, sp, p, groupList(f.groups*f.splits*k.Shape[1]*n.Shape[3])); err != nil {
		return err
	}
	if f.splits > 1 {
		p = r.push().inArea(parts).in(sinks).out(n)
		round = r.roundTo(p, n)
		p.i(f.outs, heads).step(sinks, 0).i(f.splits)
		sp := spec{uint32(dv), flag(sinks != nil), flag(round != nil)}
		if err := r.run("flash_merge", r.rowLocal(dv/4), sp, p, groupList(f.outs)); err != nil {
			return err
		}
		r.scratch.Free(parts)
	}
	round.done(r)
	return nil
}

// recordFlashAny is attention over any types and strides: what no faster kernel takes.
func (r *recorder) recordFlashAny(n *tensor.Tensor) error {
	op := n.Op.(tensor.FlashAttn)
	q, k, v, mask, sinks := n.Src[0], n.Src[1], n.Src[2], src(n, 3), src(n, 4)
	dk, dv, heads, tokens, cells := k.Shape[0], n.Shape[0], n.Shape[1], n.Shape[2], k.Shape[2]
	local := r.rowLocal(64)
	m2, m3 := planes(mask)
	p := r.push().in(q, k, v, mask, sinks).out(n).i(heads, heads/k.Shape[1], tokens, cells).strides(q).strides(k).strides(v).step(mask, 0, 1, 2, 3)
	p.i(m2, m3).step(sinks, 0).i(pow2(heads)).f32(op.Scale, op.MaxBias, op.SoftCap)
	sp := spec{
		uint32(k.Type), uint32(v.Type), maskSpec(mask), flag(sinks != nil), flag(op.SoftCap != 0), flag(op.MaxBias > 0),
		uint32(dk), uint32(dv), uint32(max(1, ceilDiv(dv, 4*local))),
	}
	return r.run("flash_attn", local, sp, p, groupList(heads*tokens*n.Shape[3]))
}
