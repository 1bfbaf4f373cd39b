package cpu

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/tenon-go/tenon/backends"
	"github.com/tenon-go/tenon/tensor"
)

// ropeOf turns one row as the sources say, pair by pair. pos has one position for each axis.
func ropeOf(op tensor.RoPE, row []float64, pos []int, freq []float64) {
	dims, scale, size := float64(op.Dims), float64(op.Scale), float64(op.YaRN.AttnFactor)
	if scale == 0 {
		scale = 1
	}
	if size == 0 {
		size = 1
	}
	y := op.YaRN
	ext := float64(y.ExtFactor)
	if ext != 0 {
		size *= 1 + 0.1*math.Log(1/scale)
	}
	// The pair that turns so many times within the trained context.
	pairOf := func(turns float32) float64 {
		return dims * math.Log(float64(y.OrigCtx)/(float64(turns)*2*math.Pi)) / (2 * math.Log(float64(op.Base)))
	}
	low := math.Max(0, math.Floor(pairOf(y.BetaFast)))
	high := math.Min(dims-1, math.Ceil(pairOf(y.BetaSlow)))
	pairs, apart := int(op.Dims)/2, int(op.Dims)/2
	if op.Mode == tensor.RoPEVision {
		pairs, apart = int(op.Dims), int(op.Dims)
	}
	for i := range pairs {
		axis, place := sectionOf(op, i)
		theta := float64(pos[axis]) * math.Pow(float64(op.Base), -2*float64(place)/dims)
		if freq != nil {
			theta /= freq[i]
		}
		if ext == 0 {
			theta *= scale
		} else {
			ramp := (float64(i) - low) / math.Max(0.001, high-low)
			mix := (1 - math.Min(1, math.Max(0, ramp))) * ext
			theta = theta*scale*(1-mix) + theta*mix
		}
		if op.Inverse {
			theta = -theta
		}
		a, b := i, i+apart
		if op.Mode == tensor.RoPENormal {
			a, b = 2*i, 2*i+1
		}
		u, v := row[a], row[b]
		row[a] = size * (u*math.Cos(theta) - v*math.Sin(theta))
		row[b] = size * (u*math.Sin(theta) + v*math.Cos(theta))
	}
}

// sectionOf lists which axis each pair belongs to and takes the i-th.
func sectionOf(op tensor.RoPE, i int) (axis, place int) {
	if op.Mode == tensor.RoPENormal || op.Mode == tensor.RoPENeoX {
		return 0, i
	}
	var axes, places []int
	s := op.Sections
	all := int(s[0] + s[1] + s[2] + s[3])
	if op.Mode == tensor.RoPEIMulti {
		for k := range all {
			a := 3
			if k < 3*int(s[k%3]) {
				a = k % 3
			}
			axes = append(axes, a)
		}
		return axes[i%all], i
	}
	for a, n := range s {
		for k := range n {
			axes, places = append(axes, a), append(places, int(k))
		}
	}
	if op.Mode == tensor.RoPEVision {
		return axes[i%all], places[i%all]
	}
	return axes[i%all], i
}

func TestRoPE(t *testing.T) {
	devs := devices(t)
	yarn := tensor.YaRN{ExtFactor: 1, AttnFactor: 1, BetaFast: 32, BetaSlow: 1, OrigCtx: 64}
	for i, op := range []tensor.RoPE{
		{Dims: 32, Base: 10000},
		{Dims: 20, Base: 500000, Inverse: true},
		{Dims: 32, Mode: tensor.RoPENeoX, Base: 10000, Scale: 0.25, YaRN: yarn},
		{Dims: 2, Mode: tensor.RoPENeoX, Base: 10000, YaRN: tensor.YaRN{AttnFactor: 1.2}},
		{Dims: 32, Base: 150000, Scale: 0.125, YaRN: tensor.YaRN{ExtFactor: 0.5, AttnFactor: 0.8, BetaFast: 16, BetaSlow: 2, OrigCtx: 4096}},
		{Dims: 32, Mode: tensor.RoPEMulti, Base: 10000, Sections: [4]int32{6, 5, 5, 0}},
		{Dims: 32, Mode: tensor.RoPEMulti, Base: 10000, Sections: [4]int32{1, 2, 3, 1}, Inverse: true},
		{Dims: 32, Mode: tensor.RoPEIMulti, Base: 10000, Sections: [4]int32{6, 5, 3, 2}},
		{Dims: 16, Mode: tensor.RoPEVision, Base: 10000, Sections: [4]int32{8, 8, 0, 0}},
	} {
		for layout := range layouts {
			for _, typ := range []tensor.DType{tensor.F32, tensor.F16} {
				t.Run(fmt.Sprintf("%d/%d/%s", i, layout, typ), func(t *testing.T) {
					r := newRig(t, uint64(i))
					s := tensor.Shape{40, 3, 5, 2}
					x := r.strided(typ, s, layout)
					axes := op.Mode.Axes()
					pos := make([]int, s[2]*axes)
					for i := range pos {
						pos[i] = r.rand.IntN(1 << 18)
					}
					pos[0] = 0
					var freq *tensor.Tensor
					var factors []float64
					if layout%2 == 1 {
						f := r.normal(int(op.Dims), 1)
						for i := range f {
							f[i] = f[i]*f[i] + 0.5
						}
						freq = r.values(tensor.F32, tensor.MakeShape(len(f)), f)
						factors = r.input(freq)
					}
					want := r.input(x)
					for j := range s.Rows() {
						at := make([]int, axes)
						for a := range at {
							at[a] = pos[a*s[2]+j/s[1]%s[2]]
						}
						ropeOf(op, want[j*s[0]:(j+1)*s[0]], at, factors)
					}
					p := r.ints(tensor.MakeShape(len(pos)), pos)
					r.expect(devs, r.RoPE(op, x, p, freq), want, 2*rounding[typ])
				})
			}
		}
	}
}

// TestRoPETurnsBack turns to large positions and back.
func TestRoPETurnsBack(t *testing.T) {
	devs := devices(t)
	op := tensor.RoPE{Dims: 64, Mode: tensor.RoPENeoX, Base: 10000}
	r := newRig(t, 1)
	x := r.random(tensor.F32, tensor.MakeShape(64, 2, 3))
	pos := r.ints(tensor.MakeShape(3), []int{1, 1 << 20, math.MaxInt32})
	y := r.RoPE(op, x, pos, nil)
	op.Inverse = true
	r.expect(devs, r.RoPE(op, y, pos, nil), r.input(x), 1e-6)
}

func TestRoPERefuses(t *testing.T) {
	dev := New(Options{Threads: 1})
	defer dev.Close()
	for _, op := range []tensor.RoPE{
		{Dims: 16, Mode: tensor.RoPEMulti, Base: 10000},
		{Dims: 16, Mode: tensor.RoPEMulti, Base: 10000, Sections: [4]int32{9, -1, 0, 0}},
		{Dims: 16, Mode: tensor.RoPEVision, Base: 10000, Sections: [4]int32{8, 8, 0, 0}}, // too few factors
		{Dims: 16, Base: 1, YaRN: tensor.YaRN{ExtFactor: 1}},
	} {
		r := newRig(t, 1)
		x := r.random(tensor.F32, tensor.MakeShape(32, 1, 1))
		out := r.RoPE(op, x, r.ints(tensor.MakeShape(op.Mode.Axes()), make([]int, op.Mode.Axes())), r.random(tensor.F32, tensor.MakeShape(8)))
		if errors.Is(r.Err(), tensor.ErrShape) {
			continue // Infer knows it already
		}
		if _, err := r.bind(dev, false, out); !errors.Is(err, backends.ErrUnsupported) {
			t.Errorf("%+v: %v, want ErrUnsupported", op, err)
		}
	}
}
