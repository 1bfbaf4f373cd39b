//go:build cgo && linux && (amd64 || arm64)

package vulkan

import (
	"math"

	"github.com/tenon-go/tenon/backends/internal/card"
	"github.com/tenon-go/tenon/tensor"
)

// maxVecs is how many rows of b a matrix-vector kernel takes.
const maxVecs = 8

// wide reports whether rows of t can be read in words of 16 bytes: its elements are packed, and it and its rows begin at
// multiples of 16. Tensors that are no views begin at those of alignment.
func wide(t *tensor.Tensor) bool {
	elems, size := t.Type.Block()
	if t.Offset%16 != 0 || t.Stride[0] != size && t.Shape[0] > elems {
		return false
	}
	for d := 1; d < len(t.Shape); d++ {
		if t.Shape[d] > 1 && t.Stride[d]%16 != 0 {
			return false
		}
	}
	return true
}

// evenRows reports whether blocks of t can be read by blockAt: rows of some types begin at multiples of 16, of others of 4 or 2.
func evenRows(t *tensor.Tensor) bool {
	_, size := t.Type.Block()
	if t.Stride[0] != size && t.Shape[0] > 256 {
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
	if t.Offset%align != 0 {
		return false
	}
	for d := 1; d < len(t.Shape); d++ {
		if t.Shape[d] > 1 && t.Stride[d]%align != 0 {
			return false
		}
	}
	return true
}

// flat reports whether t has rows and nothing above them.
func flat(t *tensor.Tensor) bool { return t.Shape[2] == 1 && t.Shape[3] == 1 }

// matVec returns the matrix-vector kernel for p, or "".
func (d *Device) matVec(p *product) string {
	a, b := p.a, p.b
	cols := b.Shape[1]
	switch {
	case b.Type != tensor.F32 || !wide(b) || a.Shape[0] != b.Shape[0] || a.Shape[0] == 0:
		return ""
	case p.ids == nil && (cols > maxVecs || !flat(a) || !flat(b)):
		return ""
	case p.ids != nil && (p.n.Shape[1]*p.n.Shape[2] > 64 || a.Shape[3] != 1 || !b.Contiguous()):
		return ""
	case p.a2 != nil && (p.a2.Type != a.Type || p.a2.Stride != a.Stride):
		return ""
	case p.addend != nil && (p.addend.Type != tensor.F32 || !p.addend.Contiguous() || p.addend.Shape[0] != p.n.Shape[0] || !flat(p.addend)):
		return ""
	}
	if a.Type.Quantized() && !p.exact && d.integers() && evenRows(a) && (p.a2 == nil || evenRows(p.a2)) {
		return "mmv_q"
	}
	_, size := a.Type.Block()
	packed := a.Stride[0] == size && (p.a2 == nil || p.a2.Offset%16 == 0 || a.Type.Quantized())
	if packed && a.Shape[0]%8 == 0 && (a.Type.Quantized() || wide(a)) {
		return "mmv_f"
	}
	return ""
}

// Bits of Limits.SubgroupOps.
const subgroupShuffle = 0x10

// integers reports whether products of integers are fast.
func (d *Device) integers() bool {
	return d.phys.Can.DotProduct && d.phys.Limits.SubgroupOps&subgroupShuffle != 0 && d.phys.Limits.Subgroup >= 8
}

// rounded returns b as blocks of 32 signed bytes, and where the scales of the blocks begin.
func (r *recorder) rounded(b *tensor.Tensor) (area, int64, error) {
	elems := int64(b.Shape.Elems())
	at, err := r.keep(card.Rounded, b, elems+elems/2, func(to area) error {
		width := b.Shape[0] / 32
		blocks := width * b.Shape.Rows()
		p := r.push().in(b).outArea(to).inAreaAt(to, elems).i(blocks, width, b.Shape[1], b.Shape[2]).step(b, 1, 2, 3)
		return r.run("quantize_x", 64, nil, p, r.linear(8*blocks, 64))
	})
	return at, elems, err
}

// vecTile is how a matrix-vector kernel divides its work: rows of b and of a for a subgroup, blocks that a lane loads at a time,
// subgroups in a group, and how often they go on to other rows.
type vecTile struct{ cols, rows, blocks, subgroups, passes int }

// vecTile chooses: rows of a share what is loaded of b, and blocks keep loads under way.
func (r *recorder) vecTile(p *product, kernel string) vecTile {
	t := vecTile{cols: p.b.Shape[1], rows: 1, blocks: 2, subgroups: 4, passes: 1}
	if p.ids != nil {
		t.cols = 1
	}
	if kernel == "mmv_f" && t.cols <= 2 && p.a2 == nil {
		t.rows = 2
	}
	if t.cols > 1 && kernel == "mmv_q" || t.cols > 4 {
		t.blocks = 1 // registers are worth more
	}
	if kernel == "mmv_f" {
		t.cols = min(t.cols, 4)
	}
	return t
}

// roundsGate is how many rows the group has that rounds them.
const roundsGate = 32

func (r *recorder) recordMatVec(p *product) error {
	kernel := r.s.dev.matVec(p)
	n, a, b := p.n, p.a, p.b
	m, cols := n.Shape[0], p.columns()
	t := r.vecTile(p, kernel)
	ps := r.push().in(a)
	if p.tail != nil {
		ps.in(p.tail.gain)
	} else {
		ps.in(p.a2)
	}
	if kernel == "mmv_q" {
		x, scales, err := r.rounded(b)
		if err != nil {
			return err
		}
		ps.inArea(x).inAreaAt(x, scales)
	} else {
		ps.in(b).u64(0)
	}
	ps.in(p.addend)
	var round *rounding
	tail := uint32(0)
	switch {
	case p.ids != nil:
		ps.in(p.ids).faults(n).out(n)
	case p.tail != nil:
		round = r.roundTo(ps, p.tail.dst)
		ps.i(0, 0).out(n)
		t.subgroups = 8
		tail = uint32(ceilDiv(m/4, t.subgroups*r.s.dev.phys.Limits.Subgroup))
	case kernel == "mmv_q" && p.a2 != nil && cols == 1 && m%roundsGate == 0:
		// The next product wants the gated rows rounded.
		if round = r.roundTo(ps, n); round != nil {
			t.subgroups = 8
			for t.passes = 1; t.rows*t.subgroups*t.passes < roundsGate; {
				t.passes *= 2
			}
		}
		ps.i(0, 0).out(n)
	default:
		ps.u64(0).u64(0).i(0, 0).out(n)
	}
	groups, colGroups := ceilDiv(m, t.rows*t.subgroups*t.passes), ceilDiv(cols, t.cols)
	ps.i(m, cols, a.Shape[0]).step(a, 1).i(b.Stride[1], groups, addStepOf(p.addend))
	if p.tail != nil {
		ps.out(p.tail.dst).zeroed().f32(p.tail.eps).i(0)
	} else if p.ids != nil {
		ps.i(a.Shape[2]).step(a, 2).i(n.Shape[1], b.Shape[1]).step(p.ids, 0, 1)
	} else {
		ps.i(0, 0, 0, 0, 0, 0)
	}
	gate := uint32(0)
	if p.a2 != nil {
		gate = 1 + uint32(p.glu.Act)
	}
	sp := spec{
		uint32(a.Type), uint32(t.cols), uint32(t.rows), gate, flag(p.glu.OAI), flag(p.addend != nil), flag(p.ids != nil),
		math.Float32bits(p.glu.Alpha), math.Float32bits(p.glu.Limit), uint32(t.passes), flag(round != nil && tail == 0), uint32(t.blocks), tail,
		flag(r.s.dev.phys.WideLoads()),
	}
	if err := r.run(kernel, t.subgroups*r.s.dev.phys.Limits.Subgroup, sp, ps, groupList(groups*colGroups)); err != nil {
		return err
	}
	round.done(r)
	if kernel == "mmv_q" && p.ids == nil && p.a2 == nil && p.tail == nil && cols == 1 {
		r.tailed = p
	}
	return nil
}

// normTail is RMSNorm of a product's result, times a gain: the product's last group to be done computes it, which
// saves waiting for the device to start anew.
type normTail struct {
	gain, dst *tensor.Tensor
	eps       float32
}

// tail gives the last step a tail, and reports whether it could.
func (r *recorder) tail(x *tensor.Tensor, t normTail) (bool, error) {
	p := r.tailed
	if p == nil || p.n != x.Root() || x.Shape.Elems() != p.n.Shape.Elems() || x.Shape.Rows() != 1 || x.Shape[0]%32 != 0 || !x.Contiguous() ||
		!t.dst.Contiguous() || x.Shape[0] > maxTail {
		return false, nil
	}
	old := r.steps[len(r.steps)-1]
	r.steps = r.steps[:len(r.steps)-1]
	with := *p
	with.tail = &t
	if err := r.recordMatVec(&with); err != nil {
		return false, err
	}
	st := &r.steps[len(r.steps)-1]
	st.node, st.weight = old.node, old.weight
	return true, nil
}

// maxTail is how long a row may be that a group holds in registers.
const maxTail = 8192
