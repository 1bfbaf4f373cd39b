//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

// flashTile is how many threads flash_rows has, and how many cells its waves take at a time.
const flashTile = 128

// flashPacked reports whether the faster kernels take n: rows are packed, and begin where wide loads may.
func (r *recorder) flashPacked(n *tensor.Tensor) bool {
	q, k, v := n.Src[0], n.Src[1], n.Src[2]
	if k.Shape[2] == 0 || k.Shape[0]%8 != 0 || v.Shape[0]%8 != 0 || !r.packed(q) {
		return false
	}
	return r.packed(k) && r.packed(v)
}

// packed reports whether rows of t are without gaps, and those of floats begin at multiples of 16 bytes.
func (r *recorder) packed(t *tensor.Tensor) bool {
	elems, size := t.Type.Block()
	at, err := r.address(t)
	switch {
	case err != nil || t.Stride[0] != size && t.Shape[0] > elems:
		return false
	case !card.IsFloat(t.Type):
		return true
	}
	for d := 1; d < len(t.Stride); d++ {
		if t.Shape[d] > 1 {
			at |= uint64(t.Stride[d])
		}
	}
	return at%16 == 0
}

// flashPlan says how queries and cells are divided: per queries to a block, each cells to a split, and in flash_tile cells to a tile. It
// follows from shapes alone, so that results do not depend on the device's size.
type flashPlan struct{ per, tile, groups, splits, each, outs int }

// splitCells divides the cells into as many parts as want asks for, of whole multiples of unit cells.
func (f *flashPlan) splitCells(cells, unit, want int) {
	f.each = ceilDiv(ceilDiv(cells, unit), max(1, min(want, maxSplits))) * unit
	f.splits = ceilDiv(cells, f.each)
}

// maxSplits is how many parts flash_merge takes.
const maxSplits = 128

// planRows divides work for flash_rows. Parts have the same size whatever else there is, up to a long context, so that with
// more cells, or other tokens beside it, a token's result keeps its bits.
func planRows(n *tensor.Tensor) flashPlan {
	k := n.Src[1]
	share, cells := n.Shape[1]/k.Shape[1], k.Shape[2]
	f := flashPlan{outs: n.Shape[1] * n.Shape[2] * n.Shape[3]}
	unit := flashTile
	for ceilDiv(cells, unit) > maxSplits {
		unit *= 2
	}
	f.splitCells(cells, unit, maxSplits)
	// Of few cells each query's block can load what it needs by itself: sooner done, as most of the card would be idle.
	rows := share * n.Shape[2]
	for f.per = 1; f.per < 4 && f.per < rows && k.Shape[1]*n.Shape[3]*f.splits*ceilDiv(rows, f.per) > busyFlash; {
		f.per *= 2
	}
	f.groups = ceilDiv(rows, f.per)
	return f
}

// busyFlash is about how many blocks of attention fill a large device.
const busyFlash = 256

// planTile divides work for flash_tile, and reports whether it takes n. That is for as many queries as a tile has, which are
// worth it to bring the cells into shared memory.
func planTile(n *tensor.Tensor) (flashPlan, bool) {
	k, v := n.Src[1], n.Src[2]
	rows := n.Shape[1] / k.Shape[1] * n.Shape[2]
	if n.Shape[2] == 1 || rows < 16 || rows < 32 && n.Shape[2] <= 8 || v.Shape[0]%16 != 0 || max(k.Shape[0], v.Shape[0]) > 256 {
		return flashPlan{}, false
	}
	half := asHalves(k.Type) && asHalves(v.Type)
	for _, size := range [][2]int{{64, 64}, {64, 32}, {32, 32}, {32, 16}, {16, 16}} {
		f := flashPlan{per: size[0], tile: size[1], outs: n.Shape[1] * n.Shape[2] * n.Shape[3]}
		if f.per/2 >= rows || half && f.tile < 32 || f.shared(k.Shape[0], v.Shape[0], half) > sharedMemory {
			continue
		}
		f.groups = ceilDiv(rows, f.per)
		f.splitBusy(n)
		return f, true
	}
	return flashPlan{}, false
}

// splitBusy has few blocks go over parts of the cells, each long enough to be worth the joining.
func (f *flashPlan) splitBusy(n *tensor.Tensor) {
	k := n.Src[1]
	want := busyFlash / (k.Shape[1] * n.Shape[3] * f.groups)
	f.splitCells(k.Shape[2], f.tile, min(want, k.Shape[2]/(4*f.tile)))
}

// sharedMemory is what a block may have, in bytes: less than there is, because more blocks than one should fit.
const sharedMemory = 47 << 10

// shared returns how much flash_tile has.
func (f *flashPlan) shared(dk, dv int, half bool) int {
	line, rows := dk/4+1, f.tile
	if half {
		line, rows = dk/8+1, f.tile/2
	}
	return 16*f.per*line + 16*max(f.tile*line, rows*dv/4) + 4*f.per*(rows+1) + 128
}

// flashWaves is how many waves a block of flash_matrix has, with 16 queries each, and matrixCells how many cells it takes at a time.
const (
	flashWaves  = 4
	matrixCells = 64
)

// asHalves reports whether the kernels of many tokens round numbers of a type to halves: see attention.h.
func asHalves(t tensor.DType) bool { return t != tensor.F32 && t != tensor.BF16 }

// planMatrix divides work for flash_matrix, and reports whether it takes n: k and v may be halves, and queries and elements of the result
// leave room in registers.
func (d *Device) planMatrix(n *tensor.Tensor) (flashPlan, bool) {
	form := formOf(d.phys.Arch, d.phys.Wave, tensor.F16)
	k, v := n.Src[1], n.Src[2]
	rows, dk, dv := n.Shape[1]/k.Shape[1]*n.Shape[2], k.Shape[0], v.Shape[0]
	if form == plain32 || form == plain64 || !asHalves(k.Type) || !asHalves(v.Type) || dk%16 != 0 || dv%16 != 0 || max(dk, dv) > 128 ||
		n.Shape[2] == 1 || rows < 8*flashWaves {
		return flashPlan{}, false
	}
	f := flashPlan{per: 16 * flashWaves, tile: matrixCells, outs: n.Shape[1] * n.Shape[2] * n.Shape[3]}
	f.groups = ceilDiv(rows, f.per)
	f.splitBusy(n)
	return f, true
}

// recordFlashAttn chooses among the kernels.
func recordFlashAttn(r *recorder, n *tensor.Tensor) error {
	if !r.flashPacked(n) {
		return recordFlashAny(r, n)
	}
	k, v := n.Src[1], n.Src[2]
	dk, dv := uint32(k.Shape[0]), uint32(v.Shape[0])
	if f, ok := r.s.dev.planMatrix(n); ok {
		phys := r.s.dev.phys
		sp := spec{uint32(formOf(phys.Arch, phys.Wave, tensor.F16)), uint32(k.Type), uint32(v.Type), dk, dv}
		return r.recordFlash("flash_matrix", flashWaves*phys.Wave, n, f, sp)
	}
	if f, ok := planTile(n); ok {
		return r.recordFlash("flash_tile", 256, n, f, spec{uint32(k.Type), uint32(v.Type), dk, dv, uint32(f.per), uint32(f.tile)})
	}
	return r.recordFlashRows(n, planRows(n))
}

// maxJoined is how many parts flash_rows adds up itself: what few blocks add up takes less time than another launch.
const maxJoined = 32

// recordFlashRows is attention of few tokens. Its result is rounded for products on the way.
func (r *recorder) recordFlashRows(n *tensor.Tensor, f flashPlan) error {
	k, v := n.Src[1], n.Src[2]
	queries := f.groups * k.Shape[1] * n.Shape[3]
	joined := f.splits == 1 || f.splits <= maxJoined && queries <= maxCounters
	p := r.push().in(n.Src[0], k, v, src(n, 3), src(n, 4))
	var keep *rounding
	if joined {
		p.out(n)
		keep = r.roundTo(p, n)
	} else {
		p.u64(0).u64(0).u64(0)
	}
	var parts area
	switch {
	case f.splits == 1:
		p.u64(0).u64(0)
	case joined:
		parts = r.partsOf(n, f)
		p.outArea(parts).outArea(r.counterArea())
	default:
		parts = r.partsOf(n, f)
		p.outArea(parts).u64(0)
	}
	sp := spec{uint32(k.Type), uint32(v.Type), uint32(k.Shape[0]), uint32(n.Shape[0]), uint32(f.per), flag(f.splits > 1)}
	if err := r.run("flash_rows", flashTile, append(sp, flashSpec(n)...), p.flashCounts(n, f).flash(n), groupList(queries*f.splits)); err != nil {
		return err
	}
	if f.splits > 1 && !joined {
		return r.recordFlashMerge(n, f, parts)
	}
	if f.splits > 1 {
		r.scratch.Free(parts) // launches run in order
	}
	keep.done(r)
	return nil
}

// partsOf returns scratch memory for the parts of a result.
func (r *recorder) partsOf(n *tensor.Tensor, f flashPlan) area {
	return r.scratch.Take(4 * int64(n.Shape[0]+4) * int64(f.splits) * int64(f.outs))
}

// recordFlashMerge adds up parts.
func (r *recorder) recordFlashMerge(n *tensor.Tensor, f flashPlan, parts area) error {
	sinks := src(n, 4)
	p := r.push().inArea(parts).in(sinks).out(n)
	keep := r.roundTo(p, n)
	p.i(n.Shape[1]).step(sinks, 0).i(f.splits, n.Shape[0]).u32(flag(sinks != nil), 0).i(f.outs)
	if err := r.run("flash_merge", r.rowLocal(n.Shape[0]/4), nil, p, groupList(f.outs)); err != nil {
		return err
	}
	r.scratch.Free(parts) // launches run in order
	keep.done(r)
	return nil
}

// recordFlash is attention of many tokens by a kernel that may go over parts of the cells.
func (r *recorder) recordFlash(kernel string, local int, n *tensor.Tensor, f flashPlan, sp spec) error {
	k := n.Src[1]
	p := r.push().in(n.Src[0], k, n.Src[2], src(n, 3), src(n, 4))
	var parts area
	if f.splits > 1 {
		parts = r.partsOf(n, f)
		p.outArea(parts)
	} else {
		p.out(n)
	}
	sp = append(append(sp, flag(f.splits > 1)), flashSpec(n)...)
	err := r.run(kernel, local, sp, p.flashCounts(n, f).flash(n), groupList(f.groups*f.splits*k.Shape[1]*n.Shape[3]))
	if err != nil || f.splits == 1 {
		return err
	}
	return r.recordFlashMerge(n, f, parts)
}

// flashCounts adds how queries and cells are divided.
func (p *push) flashCounts(n *tensor.Tensor, f flashPlan) *push {
	heads, k := n.Shape[1], n.Src[1]
	return p.i(heads, heads/k.Shape[1], n.Shape[2], k.Shape[2], f.groups, f.splits, f.each)
}

// flash adds what kernels of attention know besides addresses and counts.
func (p *push) flash(n *tensor.Tensor) *push {
	op := n.Op.(tensor.FlashAttn)
	mask, sinks := src(n, 3), src(n, 4)
	m2, m3 := planes(mask)
	p.strides(n.Src[0]).strides(n.Src[1]).strides(n.Src[2]).step(mask, 0, 1, 2, 3)
	return p.i(m2, m3).step(sinks, 0).i(pow2(n.Shape[1])).f32(op.Scale, op.MaxBias, op.SoftCap)
}

// flashSpec is what kernels of attention are compiled for besides types and sizes: one more than the mask's type, or 0, and bits for sinks, a cap
// of scores and slopes of heads.
func flashSpec(n *tensor.Tensor) spec {
	op := n.Op.(tensor.FlashAttn)
	return spec{maskSpec(src(n, 3)), flag(src(n, 4) != nil) | flag(op.SoftCap != 0)<<1 | flag(op.MaxBias > 0)<<2}
}

// recordFlashAny is attention over any types and strides: what no faster kernel takes.
func recordFlashAny(r *recorder, n *tensor.Tensor) error {
	q, k, v, mask, sinks := n.Src[0], n.Src[1], n.Src[2], src(n, 3), src(n, 4)
	dk, dv, heads, tokens, cells := k.Shape[0], n.Shape[0], n.Shape[1], n.Shape[2], k.Shape[2]
	local := r.rowLocal(64)
	p := r.push().in(q, k, v, mask, sinks).out(n).i(heads, heads/k.Shape[1], tokens, cells).flash(n).i(dk, dv)
	sp := spec{uint32(k.Type), uint32(v.Type), uint32(power(ceilDiv(dv, 4*local))), uint32(max(16, power(ceilDiv(dk, 4))))}
	return r.run("flash_attn", local, append(sp, flashSpec(n)...), p, groupList(heads*tokens*n.Shape[3]))
}

// power returns the least power of two from n on: few sizes, so that there are few kernels to compile.
func power(n int) int {
	p := 1
	for p < n {
		p *= 2
	}
	return p
}
