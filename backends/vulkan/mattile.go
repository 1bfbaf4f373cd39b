//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/backends/vulkan/internal/vk"
	"github.com/tenon-go/tenon/tensor"
)

// coopTile is the shape of mm_coop: rows of a and of b in a group, elements of a row at a time, and rows of a and of b in a
// subgroup.
type coopTile struct{ bm, bn, bk, wm, wn int }

func (t coopTile) threads() int { return 32 * (t.bm / t.wm) * (t.bn / t.wn) }

// coopTiles are the shapes there are, the larger first: a larger one loads less, and needs larger products to busy a device.
var coopTiles = []coopTile{
	{128, 128, 64, 64, 64},
	{64, 128, 64, 32, 64},
	{64, 64, 64, 32, 32},
}

// busyGroups is about how many groups of mm_coop fill a large device.
const busyGroups = 100

// coop reports whether p can be computed by cooperative matrices.
func (d *Device) coop(p *product) bool {
	a, b := p.a, p.b
	c, l := d.phys.Can, d.phys.Limits
	switch {
	case !c.CooperativeMatrix || !c.Float16 || !c.MemoryModel || l.Subgroup != 32 || l.SharedMemory < 46<<10 || !d.hasMatrix():
		return false
	case p.exact || p.a2 != nil || b.Type != tensor.F32 || !wide(b) || a.Shape[0]%4 != 0:
		return false
	case p.ids == nil && (!flat(a) || !flat(b)):
		return false
	case p.ids != nil && (a.Shape[3] != 1 || a.Shape[2] > maxExperts || !b.Contiguous()):
		return false
	case a.Type == tensor.F16:
		return wide(a) && a.Shape[0]%8 == 0
	}
	return a.Type.Quantized() && a.Type != tensor.Q8_K && evenRows(a)
}

// hasMatrix looks for products of 16 by 16 halves with sums in F32.
func (d *Device) hasMatrix() bool {
	for _, m := range d.phys.Can.Matrices {
		if (m == vk.Matrix{M: 16, N: 16, K: 16, A: 0, B: 0, C: 1, Result: 1}) {
			return true
		}
	}
	return false
}

// maxExperts is how many experts group_ids takes: three numbers each lie in shared memory.
const maxExperts = 1024

// grouped are the rows of a MatMulID by expert: see group_ids.comp.
type grouped struct {
	slots, tiles area
	n            int // tiles at most
}

// group sorts the rows of p by expert, for tiles of bn.
func (r *recorder) group(p *product, bn int) (grouped, error) {
	used, rows, experts := p.n.Shape[1], p.n.Shape[1]*p.n.Shape[2], p.a.Shape[2]
	g := grouped{n: min(rows, ceilDiv(rows, bn)+experts)}
	g.slots, g.tiles = r.scratch.Take(4*int64(rows)), r.scratch.Take(12*int64(g.n))
	ps := r.push().in(p.ids).outArea(g.slots).outArea(g.tiles).faults(p.n).i(used, rows, g.n).step(p.ids, 0, 1)
	return g, r.run("group_ids", r.rowLocal(256), spec{uint32(experts), uint32(bn)}, ps, groupList(1))
}

// free gives the memory of g back.
func (r *recorder) freeGroup(g grouped) {
	if g.n > 0 {
		r.scratch.Free(g.slots, g.tiles)
	}
}

// in adds g's places to a kernel's parameters, or none.
func (g grouped) in(ps *push) *push {
	if g.n == 0 {
		return ps.u64(0).u64(0)
	}
	return ps.inArea(g.slots).inArea(g.tiles)
}

func addStepOf(t *tensor.Tensor) int {
	if t == nil || t.Shape[1] == 1 {
		return 0
	}
	return t.Stride[1]
}

// halved returns b as rows of kp halves, and where their scales begin.
func (r *recorder) halved(b *tensor.Tensor, kp int) (area, int64, error) {
	rows := b.Shape.Rows()
	size := 2 * int64(kp) * int64(rows)
	at, err := r.keep(card.Halved, b, size+4*int64(rows), func(to area) error {
		p := r.push().in(b).outArea(to).inAreaAt(to, size).i(b.Shape[0], kp, rows, b.Shape[1], b.Shape[2]).step(b, 1, 2, 3)
		return r.run("halve_x", r.rowLocal(b.Shape[0]/4), nil, p, groupList(rows))
	})
	return at, size, err
}

// columns returns how many rows of b a product has, each expert's choices counted.
func (p *product) columns() int {
	if p.ids != nil {
		return p.n.Shape[1] * p.n.Shape[2]
	}
	return p.b.Shape[1]
}

func (p *product) coopTile() coopTile {
	m, cols := p.n.Shape[0], p.columns()
	if p.ids != nil {
		cols = max(1, cols/p.a.Shape[2]) * p.a.Shape[2] // about as many tiles as there are experts
	}
	for _, t := range coopTiles {
		if ceilDiv(m, t.bm)*ceilDiv(cols, t.bn) >= busyGroups {
			return t
		}
	}
	return coopTiles[len(coopTiles)-1]
}

func (r *recorder) recordCoop(p *product) error {
	t := p.coopTile()
	a, b, k := p.a, p.b, p.a.Shape[0]
	kp := ceilDiv(k, t.bk) * t.bk
	x, scales, err := r.halved(b, ceilDiv(kp, 64)*64)
	if err != nil {
		return err
	}
	var g grouped
	cols := ceilDiv(p.columns(), t.bn)
	if p.ids != nil {
		if g, err = r.group(p, t.bn); err != nil {
			return err
		}
		cols = g.n
	}
	groups := ceilDiv(p.n.Shape[0], t.bm)
	ps := g.in(r.push().in(a).inArea(x).inAreaAt(x, scales).in(p.addend).out(p.n))
	ps.i(p.n.Shape[0], p.columns(), k, ceilDiv(kp, 64)*64, groups, cols).step(a, 1, 2)
	if p.ids != nil {
		ps.i(p.n.Shape[1], b.Shape[1])
	} else {
		ps.i(1, 1)
	}
	ps.i(addStepOf(p.addend))
	sp := spec{
		uint32(a.Type), flag(p.ids != nil), flag(p.addend != nil),
		uint32(t.bm), uint32(t.bn), uint32(t.bk), uint32(t.wm), uint32(t.wn), uint32(t.threads()), flag(r.s.dev.phys.WideLoads()),
	}
	err = r.run("mm_coop", t.threads(), sp, ps, groupList(groups*cols))
	r.freeGroup(g)
	return err
}

// tileSize is how many rows of a and of b mm_tile takes.
const tileSize = 64

// tiled reports whether p is large enough for mm_tile, which takes everything.
func (d *Device) tiled(p *product) bool {
	l := d.phys.Limits
	if l.MaxInvocations < 256 || l.SharedMemory < 10<<10 || p.a2 != nil || p.n.Shape[0] < 16 {
		return false
	}
	if p.ids != nil {
		return p.columns() >= 2*p.a.Shape[2] && p.columns() > maxVecs && p.a.Shape[2] <= maxExperts && p.a.Shape[3] == 1
	}
	return p.columns() > maxVecs
}

func (r *recorder) recordTiled(p *product) error {
	n, a, b := p.n, p.a, p.b
	var g grouped
	cols, planes := ceilDiv(p.columns(), tileSize), n.Shape[2]*n.Shape[3]
	if p.ids != nil {
		var err error
		if g, err = r.group(p, tileSize); err != nil {
			return err
		}
		cols, planes = g.n, 1
	}
	groups := ceilDiv(n.Shape[0], tileSize)
	ps := g.in(r.push().in(a, b, p.addend).out(n)).i(n.Shape[0], p.columns(), a.Shape[0], groups, cols)
	if p.ids != nil {
		ps.i(1, 1, 1)
	} else {
		ps.i(b.Shape[2], b.Shape[2]/a.Shape[2], b.Shape[3]/a.Shape[3])
	}
	ps.strides(a).strides(b)
	if p.ids != nil {
		ps.i(n.Shape[1], b.Shape[1])
	} else {
		ps.i(1, 1)
	}
	ps.i(addStepOf(p.addend))
	err := r.run("mm_tile", 256, spec{uint32(a.Type), uint32(b.Type), flag(p.ids != nil), flag(p.addend != nil)}, ps, groupList(groups*cols*planes))
	r.freeGroup(g)
	return err
}
