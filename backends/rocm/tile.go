//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import "github.com/tenon-go/tenon/tensor"

// tile is the shape of matmul_halves: rows of a and of b in a block, and in a wave.
type tile struct{ bm, bn, wm, wn int }

func (t tile) waves() int { return t.bm / t.wm * t.bn / t.wn }

// tiles are the shapes there are, the larger first: a larger one loads less, and needs larger products to busy a card. A thread holds 32
// or 64 sums in registers. Shared memory is 37, 28 and 18 KiB, of 64 that a card's unit has at least.
func tiles(wave int) []tile {
	if wave == 64 {
		return []tile{{128, 128, 64, 64}, {128, 64, 64, 32}, {64, 64, 64, 32}}
	}
	return []tile{{128, 128, 64, 32}, {128, 64, 32, 32}, {64, 64, 32, 32}}
}

// busyBlocks is about how many blocks fill a large card.
const busyBlocks = 200

// halves reports whether p can be computed by matrices of halves.
func (p *product) halves() bool {
	a, b := p.a, p.b
	switch {
	case p.exact || p.a2 != nil || b.Type != tensor.F32 || !wide(b) || a.Shape[0] == 0:
		return false
	case p.ids == nil && (!flat(a) || !flat(b)):
		return false
	case p.ids != nil && (a.Shape[3] != 1 || !b.Contiguous()):
		return false
	case a.Type == tensor.F16:
		return wide(a) && a.Shape[0]%8 == 0
	}
	return a.Type.Quantized() && evenRows(a)
}

// maxExperts is MAX_EXPERTS of group_ids.
const maxExperts = 1024

// grouped are the rows of a MatMulID by expert: see group_ids.hip.
type grouped struct {
	slots, tiles area
	n            int // tiles at most
}

// group sorts the rows of p by expert, for tiles of bn.
func (r *recorder) group(p *product, bn int) (grouped, error) {
	used, rows, experts := p.n.Shape[1], p.columns(), p.a.Shape[2]
	g := grouped{n: min(rows, ceilDiv(rows, bn)+experts)}
	g.slots, g.tiles = r.spareArea(4*int64(rows)), r.spareArea(12*int64(g.n))
	ps := r.push().in(p.ids).outArea(g.slots).outArea(g.tiles).faults(p.n).i(experts, bn, used, rows, g.n).step(p.ids, 0, 1)
	return g, r.run("group_ids", 256, nil, ps, groupList(1))
}

// free gives the memory of g back: launches run in order.
func (g grouped) free(r *recorder) {
	if g.n > 0 {
		r.spare = append(r.spare, g.slots, g.tiles)
	}
}

// in adds g's places to a kernel's parameters, or none.
func (g grouped) in(ps *push) *push {
	if g.n == 0 {
		return ps.u64(0).u64(0)
	}
	return ps.inArea(g.slots).inArea(g.tiles)
}

// halved returns b as rows of kp halves, and where their scales begin.
func (r *recorder) halved(b *tensor.Tensor, kp int) (area, int64, error) {
	rows := b.Shape.Rows()
	size := 2 * int64(kp) * int64(rows)
	at, err := r.keep(formF16, b, size+4*int64(rows), func(to area) error {
		p := r.push().in(b).outArea(to).outAreaAt(to, size).i(b.Shape[0], kp, rows, b.Shape[1], b.Shape[2]).step(b, 1, 2, 3)
		return r.run("halve_rows", r.rowLocal(b.Shape[0]/4), nil, p, groupList(rows))
	})
	return at, size, err
}

func (r *recorder) tileOf(p *product) tile {
	m, cols := p.n.Shape[0], p.columns()
	if p.ids != nil {
		cols = max(1, cols/p.a.Shape[2]) * p.a.Shape[2] // about as many tiles as there are experts
	}
	all := tiles(r.s.dev.phys.Wave)
	for _, t := range all {
		if ceilDiv(m, t.bm)*ceilDiv(cols, t.bn) >= busyBlocks {
			return t
		}
	}
	return all[len(all)-1]
}

func (r *recorder) recordHalves(p *product) error {
	t := r.tileOf(p)
	a, b, k, phys := p.a, p.b, p.a.Shape[0], &r.s.dev.phys
	kp := ceilDiv(k, 64) * 64
	x, scales, err := r.halved(b, kp)
	if err != nil {
		return err
	}
	var g grouped
	cols, used, bused := ceilDiv(p.columns(), t.bn), 1, 1
	if p.ids != nil {
		if g, err = r.group(p, t.bn); err != nil {
			return err
		}
		cols, used, bused = g.n, p.n.Shape[1], b.Shape[1]
	}
	groups := ceilDiv(p.n.Shape[0], t.bm)
	ps := g.in(r.push()).in(a).inArea(x).inAreaAt(x, scales).in(p.addend).out(p.n)
	ps.i(p.n.Shape[0], p.columns(), k, kp, groups, cols).step(a, 1, 2).i(used, bused, addStepOf(p.addend))
	sp := spec{uint32(a.Type), uint32(formOf(phys.Arch, phys.Wave)), uint32(t.bm), uint32(t.bn), uint32(t.wm), uint32(t.wn)}
	err = r.run("matmul_halves", t.waves()*phys.Wave, sp, ps, groupList(groups*cols))
	g.free(r)
	return err
}

// tileSize is how many rows of a and of b matmul_tile takes.
const tileSize = 64

// tiled reports whether p is large enough for matmul_tile, which takes everything.
func (p *product) tiled() bool {
	if p.a2 != nil || p.n.Shape[0] < 16 || p.columns() <= maxVecs {
		return false
	}
	return p.ids == nil || p.manyEach() && p.a.Shape[2] <= maxExperts && p.a.Shape[3] == 1
}

// manyEach reports whether an expert has more than one row, if all have as many.
func (p *product) manyEach() bool { return p.columns() >= 2*p.a.Shape[2] }

func (r *recorder) recordTiled(p *product) error {
	n, a, b := p.n, p.a, p.b
	var g grouped
	cols, planes, used, bused := ceilDiv(p.columns(), tileSize), n.Shape[2]*n.Shape[3], 1, 1
	if p.ids != nil {
		var err error
		if g, err = r.group(p, tileSize); err != nil {
			return err
		}
		cols, planes, used, bused = g.n, 1, n.Shape[1], b.Shape[1]
	}
	groups := ceilDiv(n.Shape[0], tileSize)
	ps := g.in(r.push()).in(a, b, p.addend).out(n).i(n.Shape[0], p.columns(), a.Shape[0], groups, cols)
	if p.ids != nil {
		ps.i(1, 1, 1)
	} else {
		ps.i(b.Shape[2], b.Shape[2]/a.Shape[2], b.Shape[3]/a.Shape[3])
	}
	ps.strides(a).strides(b).i(used, bused, addStepOf(p.addend), planes)
	err := r.run("matmul_tile", 256, spec{uint32(a.Type), uint32(b.Type), flag(p.ids != nil)}, ps, groupList(groups*cols*planes))
	g.free(r)
	return err
}
