//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"slices"

	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

// tile is the shape of matmul_halves: rows of a and of b in a block, and in a wave.
type tile struct{ bm, bn, wm, wn int }

func (t tile) waves() int { return t.bm / t.wm * t.bn / t.wn }

// tiles are the shapes there are, the larger first: a larger one loads less, and needs larger products to busy a card. A thread holds up
// to 64 sums in registers. Shared memory is 37 KiB for the largest, 28, 18, 14 and 12, of 64 that a card's unit has at least.
func tiles(wave int) []tile {
	if wave == 64 {
		return []tile{{128, 128, 64, 64}, {128, 64, 64, 32}, {64, 64, 64, 32}, {64, 32, 32, 32}, {64, 16, 32, 16}}
	}
	return []tile{{128, 128, 64, 32}, {128, 64, 32, 32}, {64, 64, 32, 32}, {64, 32, 32, 16}, {64, 16, 16, 16}}
}

// busyBlocks is about how many blocks fill a large card.
const busyBlocks = 200

// halves reports whether p can be computed by matrices of halves, or BF16.
func (p *product) halves() bool {
	a, b := p.a, p.b
	switch {
	case p.exact || p.a2 != nil || b.Type != tensor.F32 || !wide(b) || a.Shape[0] == 0:
		return false
	case p.ids == nil && (!flat(a) || !flat(b)):
		return false
	case p.ids != nil && (a.Shape[3] != 1 || !b.Contiguous()):
		return false
	case a.Type == tensor.F16 || a.Type == tensor.BF16:
		return wide(a) && a.Shape[0]%8 == 0 && reaches(a, 16)
	}
	return a.Type.Quantized() && evenRows(a) && reaches(a, 1)
}

// reaches reports whether 32 bits hold where rows of t begin, in units of so many bytes.
func reaches(t *tensor.Tensor, unit int) bool {
	return int64(t.Stride[1])/int64(unit)*int64(t.Shape[1]) < 1<<32
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
	g.slots, g.tiles = r.scratch.Take(4*int64(rows)), r.scratch.Take(12*int64(g.n))
	ps := r.push().in(p.ids).outArea(g.slots).outArea(g.tiles).faults(p.n).i(experts, bn, used, rows, g.n).step(p.ids, 0, 1)
	return g, r.run("group_ids", 256, nil, ps, groupList(1))
}

// free gives the memory of g back: launches run in order.
func (g grouped) free(r *recorder) {
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

// halved returns p's second factor as rows of kp halves, or BF16 if that is what the first one has, and where their scales begin.
func (r *recorder) halved(p *product, kp int) (area, int64, error) {
	b, form, rows := p.b, card.Halved, p.b.Shape.Rows()
	if p.a.Type == tensor.BF16 {
		form = card.Brained
	}
	size := 2 * int64(kp) * int64(rows)
	at, err := r.keep(form, b, size+4*int64(rows), func(to area) error {
		p := r.push().in(b).outArea(to).outAreaAt(to, size).i(b.Shape[0], kp, rows, b.Shape[1], b.Shape[2]).step(b, 1, 2, 3).u32(flag(form == card.Brained))
		return r.run("halve_rows", r.rowLocal(b.Shape[0]/4), nil, p, groupList(rows))
	})
	return at, size, err
}

// tileOf returns the largest tile of which less than half is idle, and that gives a card enough blocks, or the next best. each is how many
// rows of b share weights.
func tileOf(wave, m, cols, each int) tile {
	all := tiles(wave)
	for _, t := range all {
		if t.bn < 2*each && (t.bm == 64 || ceilDiv(m, t.bm)*ceilDiv(cols, t.bn) >= busyBlocks) {
			return t
		}
	}
	return all[len(all)-1]
}

// splitStep is the least that a block has of the length of rows: less is not worth adding up.
const splitStep = 512

// splitOf returns in how many parts blocks share rows of k elements so that they busy a card, and how long each part is.
func splitOf(k, blocks int) (splits, each int) {
	splits = max(1, min(busyBlocks/blocks, k/splitStep))
	each = ceilDiv(ceilDiv(k, splits), 64) * 64
	return ceilDiv(k, each), each
}

func (r *recorder) recordHalves(p *product) error {
	kp := ceilDiv(p.a.Shape[0], 64) * 64
	at, scales, err := r.halved(p, kp)
	if err != nil {
		return err
	}
	x := factor{at, scales, p.b, true}
	others, err := r.join(p, "matmul_halves", x)
	if err != nil {
		return err
	}
	parts := append(slices.Clone(others), p)
	return r.joining(p, joined{parts: parts, kernel: "matmul_halves", x: x}, func() error { return r.halvesOf(parts, x, kp) })
}

// halvesOf adds launches for products of one factor, which is kp halves long.
func (r *recorder) halvesOf(parts []*product, x factor, kp int) error {
	p, m, phys := parts[0], rowsOf(parts), &r.s.dev.phys
	a, b, k, each := p.a, p.b, p.a.Shape[0], p.columns()
	if p.ids != nil {
		each = ceilDiv(each, a.Shape[2])
	}
	t := tileOf(phys.Wave, m, p.columns(), each)
	var g grouped
	groups, cols, used, bused := 0, ceilDiv(p.columns(), t.bn), 1, 1
	for _, q := range parts {
		groups += ceilDiv(q.n.Shape[0], t.bm)
	}
	splits, length := splitOf(k, groups*cols)
	if p.ids != nil {
		var err error
		if g, err = r.group(p, t.bn); err != nil {
			return err
		}
		cols, used, bused, splits, length = g.n, p.n.Shape[1], b.Shape[1], 1, kp
	}
	var sums area
	var sumsAt []int64
	if splits > 1 {
		size := int64(0)
		for _, q := range parts {
			sumsAt = append(sumsAt, size)
			size += 4 * int64(splits) * int64(q.n.Shape.Elems())
		}
		sums = r.scratch.Take(size)
	}
	ps := g.in(r.push())
	ps.parts(parts, func(i int, q *product) {
		if ps.in(q.a, q.addend); splits > 1 {
			ps.outAreaAt(sums, sumsAt[i])
		} else {
			ps.out(q.n)
		}
		ps.i(q.n.Shape[0], ceilDiv(q.n.Shape[0], t.bm))
	})
	x.in(ps).i(p.columns(), k, kp, groups, cols).step(a, 1, 2).i(used, bused, addStepOf(p.addend), splits, length)
	sp := spec{uint32(a.Type), uint32(formOf(phys.Arch, phys.Wave, a.Type)), uint32(t.bm), uint32(t.bn), uint32(t.wm), uint32(t.wn)}
	if err := r.run("matmul_halves", t.waves()*phys.Wave, sp, ps, groupList(groups*cols*splits)); err != nil {
		return err
	}
	g.free(r)
	if splits == 1 {
		return nil
	}
	ps, blocks := r.push(), 0
	ps.parts(parts, func(i int, q *product) {
		own := ceilDiv(q.n.Shape.Elems(), elementGroup)
		ps.inAreaAt(sums, sumsAt[i]).in(q.addend).out(q.n).i(q.n.Shape[0], own)
		blocks += own
	})
	ps.inAreaAt(x.area, x.scalesAt).i(p.columns(), splits, addStepOf(p.addend), 0)
	r.scratch.Free(sums)
	return r.run("sum_splits", elementGroup, nil, ps, groupList(blocks))
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
