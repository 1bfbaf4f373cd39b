package ref

import (
	"math"

	"github.com/tenon-go/tenon/tensor"
)

// rope turns pair by pair. The magnitude of an element is that of its pair, times the angle where that
// is more than a radian: a backend that holds angles as float32 is off by their last place.
func rope(op tensor.RoPE, n *tensor.Tensor, src []Value) Value {
	x, pos := &src[0], &src[1]
	out := newValue(n.Type, n.Shape).withMag()
	copy(out.F, x.F)
	tokens := n.Shape[2]
	size := ropeSize(op)
	each(n.Shape, func(row, _, t, _ int) {
		for i := range ropePairs(op) {
			axis, place := ropeAxis(op, i)
			freq := 1.0
			if present(n, 2) {
				freq = src[2].F[i]
			}
			theta := ropeAngle(op, i, place, float64(pos.I[axis*tokens+t])/freq)
			if op.Inverse {
				theta = -theta
			}
			a, b := i, i+ropePairs(op)
			if op.Mode == tensor.RoPENormal {
				a, b = 2*i, 2*i+1
			}
			u, v := x.row(row)[a], x.row(row)[b]
			sin, cos := math.Sincos(theta)
			out.row(row)[a] = size * (u*cos - v*sin)
			out.row(row)[b] = size * (u*sin + v*cos)
			mag := size * math.Hypot(u, v) * math.Max(1, math.Abs(theta))
			out.Mag[row*n.Shape[0]+a], out.Mag[row*n.Shape[0]+b] = mag, mag
		}
	})
	return out
}

// ropePairs returns how many pairs of a row turn. In mode Vision Dims counts half of the elements.
func ropePairs(op tensor.RoPE) int {
	if op.Mode == tensor.RoPEVision {
		return int(op.Dims)
	}
	return int(op.Dims) / 2
}

// ropeAngle returns by how much pair i turns at a position: place is its number in the series of falling
// speeds. YaRN mixes the stretched angle with the one that is not, between the pairs that turn BetaFast
// and BetaSlow times within the trained context. Source: arXiv:2309.00071.
func ropeAngle(op tensor.RoPE, i, place int, pos float64) float64 {
	stretch := float64(op.Scale)
	if stretch == 0 {
		stretch = 1
	}
	theta := pos * math.Pow(float64(op.Base), -2*float64(place)/float64(op.Dims))
	ext := float64(op.YaRN.ExtFactor)
	if ext == 0 {
		return theta * stretch
	}
	low, high := yarnCorner(op, op.YaRN.BetaFast), yarnCorner(op, op.YaRN.BetaSlow)
	low, high = math.Max(0, math.Floor(low)), math.Min(float64(op.Dims-1), math.Ceil(high))
	ramp := (float64(i) - low) / math.Max(0.001, high-low)
	mix := (1 - math.Min(1, math.Max(0, ramp))) * ext
	return theta*stretch*(1-mix) + theta*mix
}

// yarnCorner returns the pair that turns so many times within the trained context, not rounded.
func yarnCorner(op tensor.RoPE, turns float32) float64 {
	return float64(op.Dims) * math.Log(float64(op.YaRN.OrigCtx)/(float64(turns)*2*math.Pi)) / (2 * math.Log(float64(op.Base)))
}

// ropeSize returns what the turned elements are multiplied by.
func ropeSize(op tensor.RoPE) float64 {
	size := float64(op.YaRN.AttnFactor)
	if size == 0 {
		size = 1
	}
	if op.YaRN.ExtFactor != 0 && op.Scale != 0 {
		size *= 1 + 0.1*math.Log(1/float64(op.Scale))
	}
	return size
}

// ropeAxis returns the axis that pair i is turned by, and its number in the series of speeds. The
// sections follow each other, and begin again after the last. Source: arXiv:2409.12191.
func ropeAxis(op tensor.RoPE, i int) (axis, place int) {
	if op.Mode.Axes() == 1 {
		return 0, i
	}
	var axes, places []int
	total := int(op.Sections[0] + op.Sections[1] + op.Sections[2] + op.Sections[3])
	for k := range total {
		if op.Mode == tensor.RoPEIMulti { // time, height, width in turn while their sections last
			a := k % 3
			if k >= 3*int(op.Sections[a]) {
				a = 3
			}
			axes = append(axes, a)
		}
	}
	if op.Mode != tensor.RoPEIMulti {
		for a, size := range op.Sections {
			for k := range size {
				axes, places = append(axes, a), append(places, int(k))
			}
		}
	}
	if op.Mode == tensor.RoPEVision { // the speeds begin again in each section
		return axes[i%total], places[i%total]
	}
	return axes[i%total], i
}
