//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"slices"

	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

// maxVecs is how many rows of b a matrix-vector kernel takes.
const maxVecs = 8

// wide reports whether rows of t can be read in words of 16 bytes: its elements are packed, and it and its rows begin at
// multiples of 16. Tensors that are no views begin at those of alignment.
func wide(t *tensor.Tensor) bool {
	elems, size := t.Type.Block()
	return t.Offset%16 == 0 && (t.Stride[0] == size || t.Shape[0] <= elems) && rowsAt(t, 16)
}

// rowsAt reports whether rows of t begin at multiples of align.
func rowsAt(t *tensor.Tensor, align int) bool {
	for d := 1; d < len(t.Shape); d++ {
		if t.Shape[d] > 1 && t.Stride[d]%align != 0 {
			return false
		}
	}
	return t.Offset%align == 0
}

// evenRows reports whether blocks of t can be read by blockAt: rows of some types begin at multiples of 16, of others of 4 or 2.
func evenRows(t *tensor.Tensor) bool {
	elems, size := t.Type.Block()
	if t.Stride[0] != size && t.Shape[0] > elems {
		return false
	}
	align := 4
	switch t.Type {
	case tensor.Q4_K, tensor.Q5_K:
		align = 16
	case tensor.Q4_0, tensor.IQ4_NL, tensor.Q5_0, tensor.Q8_0, tensor.Q3_K, tensor.Q6_K:
		align = 2
	case tensor.MXFP4:
		align = 1
	}
	return rowsAt(t, align)
}

// flat reports whether t has rows and nothing above them.
func flat(t *tensor.Tensor) bool { return t.Shape[2] == 1 && t.Shape[3] == 1 }

// maxChoices is how many of experts' rows matvec computes one by one: of more, some share an expert.
const maxChoices = 64

// matVec returns the matrix-vector kernel for p, or "".
func (p *product) matVec() string {
	a, b := p.a, p.b
	switch {
	case b.Type != tensor.F32 || !wide(b) || a.Shape[0] != b.Shape[0] || a.Shape[0] == 0:
		return ""
	case p.ids == nil && (b.Shape[1] > maxVecs || !flat(a) || !flat(b)):
		return ""
	case p.ids != nil && (p.columns() > maxChoices && p.manyEach() || a.Shape[3] != 1 || !b.Contiguous()):
		return ""
	case p.a2 != nil && (p.a2.Type != a.Type || p.a2.Stride != a.Stride):
		return ""
	case p.addend != nil && (p.addend.Type != tensor.F32 || !p.addend.Contiguous() || p.addend.Shape[0] != p.n.Shape[0] || !flat(p.addend)):
		return ""
	}
	if a.Type.Quantized() && !p.exact && evenRows(a) && (p.a2 == nil || evenRows(p.a2)) {
		return "matvec"
	}
	_, size := a.Type.Block()
	packed := a.Stride[0] == size && (p.a2 == nil || p.a2.Offset%16 == 0 || a.Type.Quantized())
	if packed && a.Shape[0]%8 == 0 && (a.Type.Quantized() || wide(a)) {
		return "matvec_f"
	}
	return ""
}

// rounded returns b as blocks of 32 signed bytes, and where the scales of the blocks begin.
func (r *recorder) rounded(b *tensor.Tensor) (area, int64, error) {
	elems := int64(b.Shape.Elems())
	at, err := r.keep(card.Rounded, b, elems+elems/2, func(to area) error {
		width := b.Shape[0] / 32
		blocks := width * b.Shape.Rows()
		p := r.push().in(b).outArea(to).outAreaAt(to, elems).i(blocks, width, b.Shape[1], b.Shape[2]).step(b, 1, 2, 3)
		return r.run("round_rows", elementGroup, nil, p, r.linear(8*blocks, elementGroup))
	})
	return at, elems, err
}

// vecTile is how a matrix-vector kernel divides its work: rows of b and of a for a wave, pieces of a row that a thread of matvec_f loads at a
// time, waves that share a row, waves in a block, and how often a block goes on to other rows.
type vecTile struct{ cols, rows, blocks, split, waves, passes int }

// busyWaves is about how many waves a large card runs at a time, some for each of its 4 times 100 to 300 schedulers.
const busyWaves = 4096

// vecTile chooses so that many bytes are under way: see matvec.h. m is how many rows of a there are in all.
func (r *recorder) vecTile(p *product, kernel string, m int) vecTile {
	wave := r.s.dev.phys.Wave
	t := vecTile{cols: p.b.Shape[1], rows: 1, blocks: 2, split: 1, waves: 256 / wave, passes: 1}
	if p.ids != nil {
		t.cols = 1
	}
	t.cols = min(power(t.cols), maxVecs) // so that there are few kernels to compile
	piece := 32
	if kernel == "matvec_f" {
		piece = 8
		t.cols = min(t.cols, 4)
		if t.cols <= 2 && p.a2 == nil {
			t.rows = 2
		}
	}
	if p.a.Type.Quantized() {
		t.blocks = 1
	}
	// Few rows leave waves idle: then some share a row, as long as each thread has a piece of it.
	waves := ceilDiv(m, t.rows) * ceilDiv(p.columns(), t.cols)
	for t.split < 4 && waves*t.split < busyWaves && p.a.Shape[0] > piece*wave*t.split {
		t.split *= 2
	}
	return t
}

// factor is the second factor of a product as a matrix-vector kernel reads it.
type factor struct {
	area     area // if it is rounded
	scalesAt int64
	b        *tensor.Tensor
	rounded  bool
}

func (r *recorder) factor(p *product, kernel string) (factor, error) {
	if kernel != "matvec" {
		return factor{b: p.b}, nil
	}
	x, scales, err := r.rounded(p.b)
	return factor{x, scales, p.b, true}, err
}

func (x factor) in(ps *push) *push {
	if x.rounded {
		return ps.inArea(x.area).inAreaAt(x.area, x.scalesAt)
	}
	return ps.in(x.b).u64(0)
}

// roundsGate is how many rows the block has that rounds them.
const roundsGate = 32

// recordMatVec computes p, together with what the last step does if that has the same factor.
func (r *recorder) recordMatVec(p *product) error {
	kernel := p.matVec()
	x, err := r.factor(p, kernel)
	if err != nil {
		return err
	}
	others, err := r.join(p, kernel, x)
	if err != nil {
		return err
	}
	parts := append(slices.Clone(others), p)
	rows := rowsOf(parts)
	t := r.vecTile(p, kernel, rows)
	gates := kernel == "matvec" && p.a2 != nil && p.ids == nil && p.columns() == 1 && rows%roundsGate == 0
	if gates { // the next product wants the gated rows rounded: 32 of them are a block's
		t.split, t.waves = 1, 512/r.s.dev.phys.Wave
		t.passes = roundsGate / (t.rows * t.waves)
	}
	l := vecLaunch{parts, kernel, x, t, gates, nil}
	return r.joining(p, joined{parts: parts, kernel: kernel, x: x, vec: l}, func() error { return r.matVecs(&l) })
}

// vecLaunch is a launch for products of one factor.
type vecLaunch struct {
	parts  []*product
	kernel string
	x      factor
	tile   vecTile
	gates  bool      // the result of a gate is rounded
	tail   *normTail // or nil
}

// normTail is RMSNorm of a product's result, times a gain: the last block to be done computes it.
type normTail struct {
	norm, gain, dst *tensor.Tensor
}

// maxTail is how long a row may be that a block holds in registers.
const maxTail = 8192

// tail gives the last step a tail if that computes x, and reports whether it could.
func (r *recorder) tail(x *tensor.Tensor, t normTail) (bool, error) {
	j := &r.joined
	if j.step == 0 || j.step != len(r.steps) || len(j.parts) != 1 || j.kernel != "matvec" {
		return false, nil
	}
	p := j.parts[0]
	if p.n != x.Root() || p.columns() != 1 || x.Shape != tensor.MakeShape(p.n.Shape[0]) || !x.Contiguous() || !t.dst.Contiguous() ||
		x.Shape[0]%32 != 0 || x.Shape[0] > maxTail {
		return false, nil
	}
	l := j.vec
	l.tail = &t
	r.joined = joined{} // nothing joins it any more
	return true, r.instead(1, t.dst, func() error { return r.matVecs(&l) })
}

// matVecs adds a launch.
func (r *recorder) matVecs(l *vecLaunch) error {
	p, t, wave, groups := l.parts[0], l.tile, r.s.dev.phys.Wave, 0
	ps := r.push()
	ps.parts(l.parts, func(_ int, q *product) {
		own := ceilDiv(q.n.Shape[0], t.rows*t.waves/t.split*t.passes)
		ps.in(q.a, q.addend).out(q.n).i(q.n.Shape[0], own)
		groups += own
	})
	l.x.in(ps.in(p.a2)).in(p.ids)
	if p.ids != nil {
		ps.faults(p.n)
	} else {
		ps.u64(0).u32(0, 0)
	}
	var round *rounding
	switch {
	case l.gates:
		round = r.roundTo(ps, p.n)
	case l.tail != nil:
		round = r.roundTo(ps, l.tail.dst)
	default:
		ps.u64(0, 0)
	}
	ps.i(p.columns(), p.a.Shape[0], p.a.Stride[1], p.b.Stride[1], addStepOf(p.addend), groups, t.passes)
	if p.ids != nil {
		ps.i(p.a.Shape[2]).step(p.a, 2).i(p.n.Shape[1], p.b.Shape[1]).step(p.ids, 0, 1)
	} else {
		ps.i(0, 0, 0, 0, 0, 0)
	}
	ps.f32(p.glu.Alpha, p.glu.Limit).u32(0)
	fours := 0
	if l.tail != nil {
		ps.in(l.tail.gain).out(l.tail.dst).outArea(r.counterArea()).f32(l.tail.norm.Op.(tensor.RMSNorm).Eps).u32(0)
		fours = ceilDiv(p.n.Shape[0]/4, t.waves*wave)
	} else {
		ps.u64(0, 0, 0).u32(0, 0)
	}
	sp := spec{
		uint32(p.a.Type), uint32(t.cols), uint32(t.rows), p.gate(), uint32(t.split), flag(l.gates && round != nil), uint32(fours),
	}
	if l.kernel == "matvec_f" {
		sp = append(sp, uint32(t.blocks))
	}
	if err := r.run(l.kernel, t.waves*wave, sp, ps, groupList(groups*ceilDiv(p.columns(), t.cols))); err != nil {
		return err
	}
	round.done(r)
	return nil
}

// gate is GATE of matvec.h.
func (p *product) gate() uint32 {
	if p.a2 == nil {
		return 0
	}
	return 1 + 2*uint32(p.glu.Act) + flag(p.glu.OAI)
}
