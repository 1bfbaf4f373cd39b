package tensor

import (
	"math/bits"
	"strconv"
	"strings"
)

// MaxDims is the number of dimensions that every Shape has; unused ones are 1.
const MaxDims = 4

// Shape is the number of elements in each dimension, fastest first. Sizes may be 0.
type Shape [MaxDims]int

// Strides is the distance in bytes from one element to the next in each dimension. In dimension 0 it
// is the distance from one block to the next for a quantized type.
type Strides [MaxDims]int

// MakeShape returns the shape with the given sizes, fastest first, and 1 for those left out.
// It panics on more than MaxDims sizes: their number is written in code, never read from a file.
func MakeShape(sizes ...int) Shape {
	s := Shape{1, 1, 1, 1}
	copy(s[:len(sizes)], sizes) // panics when len(sizes) > MaxDims
	return s
}

// Elems returns the number of elements, or -1 if a size is negative or the number overflows an int.
// A size of 0 does not hide that the others overflow: strides and numbers of rows are made of them.
func (s Shape) Elems() int {
	n, empty := 1, false
	for _, d := range s {
		if d < 0 {
			return -1
		}
		hi, lo := bits.Mul64(uint64(n), uint64(max(d, 1)))
		if hi != 0 || lo > 1<<62 {
			return -1
		}
		n, empty = int(lo), empty || d == 0
	}
	if empty {
		return 0
	}
	return n
}

// Rows returns the number of rows: the product of all sizes but the first.
func (s Shape) Rows() int { return s[1] * s[2] * s[3] }

// Dims returns the number of dimensions without trailing ones, at least 1.
func (s Shape) Dims() int {
	for d := MaxDims; d > 1; d-- {
		if s[d-1] != 1 {
			return d
		}
	}
	return 1
}

// Packed returns the strides of a tensor of type t and shape s without gaps.
func (s Shape) Packed(t DType) Strides {
	elems, bytes := t.Block()
	st := Strides{bytes}
	st[1] = s[0] / max(elems, 1) * bytes
	st[2] = st[1] * s[1]
	st[3] = st[2] * s[2]
	return st
}

// Repeats reports whether a tensor of shape r can be broadcast to s: every size of s is a whole
// multiple of r's.
func (s Shape) Repeats(r Shape) bool {
	for d := range s {
		if r[d] == 0 && s[d] != 0 || r[d] != 0 && s[d]%r[d] != 0 {
			return false
		}
	}
	return true
}

// String returns the sizes without trailing ones, such as "[64 8 5]".
func (s Shape) String() string {
	var b strings.Builder
	b.WriteByte('[')
	for d := range s.Dims() {
		if d > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(strconv.Itoa(s[d]))
	}
	b.WriteByte(']')
	return b.String()
}
