package cpu

import (
	"math"
	"slices"
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
)

func init() {
	register(tensor.ArgSort{}, func(c *compiler) {
		descending := c.node.Op.(tensor.ArgSort).Descending
		c.ranked(c.dst.t.Shape[0], func(idx []int32, x []float32, keys []uint64) {
			var flip uint32
			if descending {
				flip = math.MaxUint32
			}
			for i, v := range x {
				keys[i] = uint64(rank(v)^flip)<<32 | uint64(i)
			}
			slices.Sort(keys)
			for i, k := range keys {
				idx[i] = int32(uint32(k))
			}
		})
	})
	register(tensor.TopK{}, func(c *compiler) {
		c.ranked(c.node.Op.(tensor.TopK).K, func(idx []int32, x []float32, keys []uint64) {
			greatest(keys, x)
			slices.Sort(keys)
			for i, k := range keys {
				idx[i] = int32(uint32(k))
			}
		})
	})
	register(tensor.ArgMax{}, argMax)
}

// rank returns a number that is greater for a greater v: 0 for NaN, and one number for both zeros.
func rank(v float32) uint32 {
	if v != v {
		return 0
	}
	b := math.Float32bits(v + 0) // -0 + 0 is 0
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// greatest fills keys, a heap with the greatest on top, with the least keys of x: a key is the lower,
// the greater the value and then the lower the index.
func greatest(keys []uint64, x []float32) {
	for i, v := range x {
		k := uint64(^rank(v))<<32 | uint64(i)
		switch {
		case i < len(keys):
			up(keys, i, k)
		case k < keys[0]:
			down(keys, k)
		}
	}
}

// up puts k into place i of a heap of i keys, or above.
func up(keys []uint64, i int, k uint64) {
	for i > 0 && keys[(i-1)/2] < k {
		keys[i] = keys[(i-1)/2]
		i = (i - 1) / 2
	}
	keys[i] = k
}

// down puts k into a heap in the place of its top.
func down(keys []uint64, k uint64) {
	i := 0
	for {
		j := 2*i + 1
		if j >= len(keys) {
			break
		}
		if j+1 < len(keys) && keys[j+1] > keys[j] {
			j++
		}
		if keys[j] <= k {
			break
		}
		keys[i] = keys[j]
		i = j
	}
	keys[i] = k
}

// ranked adds a step in which f writes the indices of each row, with scratch for so many keys.
func (c *compiler) ranked(keys int, f func(idx []int32, x []float32, keys []uint64)) {
	dst, x := c.dst, c.src[0]
	s := x.t.Shape
	n, total, grain := s[0], s.Rows(), max(1, 256/s[0])
	// A slice of some length begins on a multiple of 8, which keys need.
	c.scratch(max(2*keys+n, 16))
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(total, grain)
			if !ok {
				return
			}
			r := rowsFrom(&s, from)
			for range to - from {
				idx := i32s(dst.p[r.of(&dst):][:dst.rowBytes()])
				f(idx, x.floats(r.of(&x), w.floats[2*keys:]), u64s(w.floats[:2*keys]))
				r.next()
			}
		}
	})
}

// u64s looks at pairs of floats as uint64.
func u64s(f []float32) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(f))), len(f)/2)
}

func argMax(c *compiler) {
	dst, x := c.dst, c.src[0]
	s := x.t.Shape
	n, grain := s[0], rowGrain(s[0])
	c.scratch(n)
	c.step(func(w *worker) {
		for {
			from, to, ok := w.next(s[1], grain)
			if !ok {
				return
			}
			for r := from; r < to; r++ {
				best, at := float32(math.Inf(-1)), -1
				for i, v := range x.floats(x.at(r, 0, 0), w.floats) {
					if v > best || at < 0 && v == v {
						best, at = v, i
					}
				}
				i32s(dst.p[4*r:][:4])[0] = int32(max(at, 0)) // all NaN: the first
			}
		}
	})
}
