//go:build linux && (amd64 || arm64) && (cgo || rocm)

package rocm

import (
	"math"
	"slices"

	"github.com/tenon-go/tenon/tensor"
)

// ropePairs returns how many pairs of a row turn.
func ropePairs(op tensor.RoPE) int {
	if op.Mode == tensor.RoPEVision {
		return int(op.Dims)
	}
	return int(op.Dims) / 2
}

// angles adds what rope.h calls so.
func (p *push) angles(op tensor.RoPE, pos, freq *tensor.Tensor) *push {
	// The exponent's first part has so few bits that its product with a pair's number is exact.
	exponent := math.Log2(float64(op.Base)) * 2 / float64(op.Dims)
	hi := float64(math.Float32frombits(math.Float32bits(float32(exponent)) &^ 0xfff))
	stretch, size := float64(op.Scale), float64(op.YaRN.AttnFactor)
	if stretch == 0 {
		stretch = 1
	}
	if size == 0 {
		size = 1
	}
	yarn := op.YaRN.ExtFactor != 0
	low, ramp := 0.0, 1.0
	if yarn {
		low, ramp = yarnRamp(op)
		if op.Scale != 0 {
			size *= 1 + 0.1*math.Log(1/float64(op.Scale))
		}
	}
	p.i(ropePairs(op)).step(pos, 0).step(freq, 0)
	p.f32(float32(hi), float32(exponent-hi), float32(stretch), op.YaRN.ExtFactor, float32(low), float32(ramp), float32(size))
	p.u32(uint32(op.Mode), flag(yarn), flag(freq != nil), flag(op.Inverse))
	end := int32(0)
	for _, s := range op.Sections {
		end += s
		p.u32(uint32(max(end, 0)))
	}
	return p
}

// yarnRamp returns where the pairs begin that are stretched in part, and over how many they go. Source: arXiv:2309.00071.
func yarnRamp(op tensor.RoPE) (low, ramp float64) {
	corner := func(turns float32) float64 {
		return float64(op.Dims) * math.Log(float64(op.YaRN.OrigCtx)/(float64(turns)*2*math.Pi)) / (2 * math.Log(float64(op.Base)))
	}
	low = math.Max(0, math.Floor(corner(op.YaRN.BetaFast)))
	high := math.Min(float64(op.Dims-1), math.Ceil(corner(op.YaRN.BetaSlow)))
	return low, math.Max(0.001, high-low)
}

// turn is a part of kernel rope: the rows of x are turned, or copied if rope is nil, to n, by idx if that is there.
type turn struct {
	n, x, idx *tensor.Tensor
	rope      *tensor.Tensor // the node that says by which angles
	shape     tensor.Shape   // of x, as elements of a head, heads and tokens
	step      tensor.Strides
	last      area
	each      bool // all rows are the last that go to their place
}

// turned are the parts that the last step computes: more of them may join it.
type turned struct {
	parts []turn
	step  int // its number, from 1 on
}

func recordRoPE(r *recorder, n *tensor.Tensor) error {
	x := n.Src[0]
	return r.turn(turn{n: n, x: x, rope: n, shape: x.Shape, step: x.Stride})
}

// recordTurnedRows is RoPE+SetRows.
func recordTurnedRows(r *recorder, n []*tensor.Tensor) error {
	rope, set := n[0], n[1]
	x, idx := rope.Src[0], set.Src[2]
	last, err := r.lastRows(idx, x.Shape[2], 1, 1)
	if err != nil {
		return err
	}
	return r.turn(turn{n: set, x: x, idx: idx, rope: rope, shape: x.Shape, step: x.Stride, last: last, each: x.Shape[2] <= 1})
}

// setWithTurns computes a SetRows of floats together with the turns of the last step, and reports whether it could.
func (r *recorder) setWithTurns(n *tensor.Tensor) (bool, error) {
	x, idx := n.Src[1], n.Src[2]
	if n.Type.Quantized() || !flat(x) || r.turned.step == 0 {
		return false, nil
	}
	last, err := r.lastRows(idx, x.Shape[1], 1, 1)
	if err != nil {
		return false, err
	}
	shape := tensor.Shape{x.Shape[0], 1, x.Shape[1], 1}
	t := turn{n: n, x: x, idx: idx, shape: shape, step: tensor.Strides{x.Stride[0], 0, x.Stride[1]}, last: last, each: x.Shape[1] <= 1}
	if ok, err := r.joins(&t); !ok || err != nil {
		return false, err
	}
	return true, r.turn(t)
}

// joins reports whether t can be computed with the parts of the last step: at the same time, by the same angles.
func (r *recorder) joins(t *turn) (bool, error) {
	j := &r.turned
	if j.step == 0 || j.step != len(r.steps) || len(j.parts) == maxParts {
		return false, nil
	}
	if o := j.parts[0].rope; t.rope != nil && (t.rope.Op != o.Op || t.rope.Src[1] != o.Src[1] || src(t.rope, 2) != src(o, 2)) {
		return false, nil
	}
	for _, p := range j.parts {
		var at [4]span
		for i, x := range []*tensor.Tensor{t.n, t.x, p.n, p.x} {
			var err error
			if at[i], err = r.spanOf(x); err != nil {
				return false, err
			}
		}
		if at[0].Meets(at[2]) || at[0].Meets(at[3]) || at[1].Meets(at[2]) {
			return false, nil
		}
	}
	return true, nil
}

// turn adds a launch for t, or adds t to that of the last step.
func (r *recorder) turn(t turn) error {
	parts := []turn{t}
	joins, err := r.joins(&t)
	if err != nil {
		return err
	}
	if joins {
		parts = append(slices.Clone(r.turned.parts), t)
		err = r.instead(1, t.n, func() error { return r.turns(parts) })
	} else {
		err = r.turns(parts)
	}
	r.turned = turned{parts, len(r.steps)}
	return err
}

// turns adds a launch.
func (r *recorder) turns(parts []turn) error {
	p, all := r.push(), 0
	for i := range maxParts {
		if i < len(parts) {
			all += parts[i].push(r, p)
		} else {
			turn{}.push(r, p)
		}
	}
	rope := parts[0].rope
	pos, freq := rope.Src[1], src(rope, 2)
	p.in(pos, freq).angles(rope.Op.(tensor.RoPE), pos, freq)
	return r.run("rope", elementGroup, nil, p, groupList(all))
}

// push adds what kernel rope calls a Part, and returns how many blocks it has. The zero turn is none.
func (t turn) push(r *recorder, p *push) int {
	if t.n == nil {
		p.u64(0, 0, 0, 0, 0).i(make([]int, 20)...)
		return 0
	}
	p.in(t.x).out(t.n).in(t.idx)
	if t.idx == nil || t.each {
		p.u64(0)
	} else {
		p.inArea(t.last)
	}
	rows, steps, pairs := 0, [2]int{}, 0
	if t.idx != nil {
		p.faults(t.n)
		rows, steps = t.n.Shape[1], [2]int{t.n.Stride[0], t.n.Stride[1]}
	} else {
		_, steps[0] = t.n.Type.Block()
		p.u64(0).u32(0, 0)
	}
	if t.rope != nil {
		pairs = ropePairs(t.rope.Op.(tensor.RoPE))
	}
	blocks := ceilDiv((t.shape[0]-pairs)*t.shape.Rows(), elementGroup)
	p.i(rows).shape(t.shape).i(t.step[0], t.step[1], t.step[2], t.step[3], steps[0], steps[1])
	p.u32(flag(t.rope != nil), uint32(t.x.Type), uint32(t.n.Type), indexType(t.idx)).step(t.idx, 0).i(blocks, 0)
	return blocks
}

func indexType(idx *tensor.Tensor) uint32 {
	if idx == nil {
		return 0
	}
	return uint32(idx.Type)
}
