package ref

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// Value is the content of a tensor: its elements in the order of its shape, without gaps.
type Value struct {
	Type  tensor.DType
	Shape tensor.Shape

	F []float64 // of float and quantized types; not rounded to Type where an op gave them
	I []int64   // of integer types

	// Raw is the same as packed bytes, where the bytes are defined: of what was read from memory or
	// only moved, and of what was encoded into a quantized type.
	Raw []byte

	// Mag says for each element how large the numbers were that cancelled or were amplified on the way
	// to it: a backend that rounds them to float32 is off by a few of their last places, however small
	// the result. It is nil where that is the element itself.
	Mag []float64

	// Terms is how many numbers were added up for an element, if any were.
	Terms int

	// Or is another result that is as right: each row is that of one or of the other. It is nil
	// where there is but one.
	Or *Value
}

// Integer reports whether elements of t are integers.
func Integer(t tensor.DType) bool {
	return t == tensor.I8 || t == tensor.I16 || t == tensor.I32 || t == tensor.I64
}

// newValue returns a Value of float elements, all 0.
func newValue(t tensor.DType, s tensor.Shape) Value {
	return Value{Type: t, Shape: s, F: make([]float64, s.Elems())}
}

// withMag gives v room for magnitudes.
func (v Value) withMag() Value {
	v.Mag = make([]float64, len(v.F))
	return v
}

// at returns the index of an element.
func at(s *tensor.Shape, i0, i1, i2, i3 int) int { return i0 + s[0]*(i1+s[1]*(i2+s[2]*i3)) }

// each calls f for every row of s: its number, and its place in dimensions 1 to 3.
func each(s tensor.Shape, f func(row, i1, i2, i3 int)) {
	row := 0
	for i3 := range s[3] {
		for i2 := range s[2] {
			for i1 := range s[1] {
				f(row, i1, i2, i3)
				row++
			}
		}
	}
}

// row returns the elements of row r.
func (v *Value) row(r int) []float64 { return v.F[r*v.Shape[0] : (r+1)*v.Shape[0]] }

// Read returns the content of a tensor of type t and shape s that lies in mem with the given strides.
func Read(t tensor.DType, s tensor.Shape, st tensor.Strides, mem []byte) (Value, error) {
	v := Value{Type: t, Shape: s}
	elems, size := t.Block()
	if s.Elems() == 0 {
		return v.decoded()
	}
	v.Raw = make([]byte, 0, s.Rows()*t.RowBytes(s[0]))
	var err error
	each(s, func(_, i1, i2, i3 int) {
		off := i1*st[1] + i2*st[2] + i3*st[3]
		for range s[0] / elems {
			if err != nil || off < 0 || off+size > len(mem) {
				err = fmt.Errorf("ref: byte %d lies outside the %d of a tensor", off+size, len(mem))
				return
			}
			v.Raw = append(v.Raw, mem[off:off+size]...)
			off += st[0]
		}
	})
	if err != nil {
		return Value{}, err
	}
	return v.decoded()
}

// decoded fills F or I from Raw.
func (v Value) decoded() (Value, error) {
	n := v.Shape.Elems()
	_, size := v.Type.Block()
	switch {
	case Integer(v.Type):
		v.I = make([]int64, n)
		for i := range v.I {
			v.I[i] = integer(v.Type, v.Raw[i*size:])
		}
		return v, nil
	case v.Type == tensor.F64: // package quant would round it to float32
		v.F = make([]float64, n)
		for i := range v.F {
			v.F[i] = math.Float64frombits(binary.LittleEndian.Uint64(v.Raw[8*i:]))
		}
		return v, nil
	}
	f := make([]float32, n)
	if err := quant.Decode(v.Type, f, v.Raw); err != nil {
		return Value{}, err
	}
	v.F = make([]float64, n)
	for i, x := range f {
		v.F[i] = float64(x)
	}
	return v, nil
}

// integer reads the integer at the start of p.
func integer(t tensor.DType, p []byte) int64 {
	switch t {
	case tensor.I8:
		return int64(int8(p[0]))
	case tensor.I16:
		return int64(int16(binary.LittleEndian.Uint16(p)))
	case tensor.I32:
		return int64(int32(binary.LittleEndian.Uint32(p)))
	}
	return int64(binary.LittleEndian.Uint64(p))
}

// Bytes returns v as packed bytes of its type, rounded to what the type can hold.
func (v *Value) Bytes() ([]byte, error) {
	if v.Raw != nil || v.Shape.Elems() == 0 {
		return v.Raw, nil
	}
	_, size := v.Type.Block()
	if Integer(v.Type) {
		p := make([]byte, 0, size*len(v.I))
		for _, i := range v.I {
			p = append(p, binary.LittleEndian.AppendUint64(nil, uint64(i))[:size]...)
		}
		return p, nil
	}
	if v.Type == tensor.F64 {
		p := make([]byte, 0, 8*len(v.F))
		for _, f := range v.F {
			p = binary.LittleEndian.AppendUint64(p, math.Float64bits(f))
		}
		return p, nil
	}
	f := make([]float32, len(v.F))
	for i, x := range v.F {
		f[i] = float32(x)
	}
	p := make([]byte, v.Shape.Rows()*v.Type.RowBytes(v.Shape[0]))
	return p, quant.Encode(v.Type, p, f, nil)
}

// Stored returns what a tensor holds after v was written to it.
func (v *Value) Stored() (Value, error) {
	raw, err := v.Bytes()
	if err != nil {
		return Value{}, err
	}
	return Value{Type: v.Type, Shape: v.Shape, Raw: raw}.decoded()
}

// pick returns a Value of shape s whose elements are those of v that index names. For a quantized type
// index is asked for the first element of each block.
func (v *Value) pick(s tensor.Shape, index func(i0, i1, i2, i3 int) int) Value {
	out := Value{Type: v.Type, Shape: s, Terms: v.Terms}
	elems, size := v.Type.Block()
	n := s.Elems()
	if v.I != nil {
		out.I = make([]int64, 0, n)
	} else {
		out.F = make([]float64, 0, n)
	}
	if v.Raw != nil {
		out.Raw = make([]byte, 0, n/elems*size)
	}
	if v.Mag != nil {
		out.Mag = make([]float64, 0, n)
	}
	each(s, func(_, i1, i2, i3 int) {
		for i0 := 0; i0 < s[0]; i0 += elems {
			from := index(i0, i1, i2, i3)
			if v.I != nil {
				out.I = append(out.I, v.I[from])
			} else {
				out.F = append(out.F, v.F[from:from+elems]...)
			}
			if v.Raw != nil {
				out.Raw = append(out.Raw, v.Raw[from/elems*size:][:size]...)
			}
			if v.Mag != nil {
				out.Mag = append(out.Mag, v.Mag[from:from+elems]...)
			}
		}
	})
	return out
}
