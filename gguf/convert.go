package gguf

import (
	"encoding/binary"
	"math"
	"strings"
)

// What the conversions below take, for error texts.
const (
	wantString  = "a string"
	wantUint    = "an unsigned integer"
	wantInt     = "an integer that fits int64"
	wantFloat   = "a floating-point number"
	wantBool    = "a bool"
	wantStrings = "an array of strings"
	wantInts    = "an array of integers that fit int64"
	wantFloats  = "an array of floating-point numbers"
	wantBools   = "an array of bools"
)

func (t Type) unsigned() bool {
	return t == TypeUint8 || t == TypeUint16 || t == TypeUint32 || t == TypeUint64
}

func (t Type) signed() bool {
	return t == TypeInt8 || t == TypeInt16 || t == TypeInt32 || t == TypeInt64
}

func toString(v Value) (string, bool) { return v.str, v.typ == TypeString }

// toUint takes an integer of any width that is not negative.
func toUint(v Value) (uint64, bool) {
	return v.bits, v.typ.unsigned() || v.typ.signed() && int64(v.bits) >= 0
}

// toInt takes an integer of any width that fits int64.
func toInt(v Value) (int64, bool) {
	return int64(v.bits), v.typ.signed() || v.typ.unsigned() && v.bits <= math.MaxInt64
}

func toFloat(v Value) (float64, bool) {
	switch v.typ {
	case TypeFloat32:
		return float64(math.Float32frombits(uint32(v.bits))), true
	case TypeFloat64:
		return math.Float64frombits(v.bits), true
	}
	return 0, false
}

func toBool(v Value) (bool, bool) { return v.bits != 0, v.typ == TypeBool }

func toStrings(v Value) ([]string, bool) {
	if v.typ != TypeArray || v.elem != TypeString {
		return nil, false
	}
	return v.strings(), true
}

// strings decodes an array of strings into two allocations: a vocabulary has hundreds of thousands.
func (v Value) strings() []string {
	if v.closed() {
		return nil
	}
	var text strings.Builder
	text.Grow(len(v.raw) - 8*v.n) // all but the lengths
	for off := 0; off < len(v.raw); {
		n := int(binary.LittleEndian.Uint64(v.raw[off:]))
		text.Write(v.raw[off+8 : off+8+n])
		off += 8 + n
	}
	out := make([]string, v.n)
	rest, off := text.String(), 0
	for i := range out {
		n := int(binary.LittleEndian.Uint64(v.raw[off:]))
		out[i], rest = rest[:n], rest[n:]
		off += 8 + n
	}
	return out
}

func toInts(v Value) ([]int64, bool) { return toSlice(v, toInt) }

func toFloats(v Value) ([]float32, bool) {
	return toSlice(v, func(v Value) (float32, bool) {
		f, ok := toFloat(v)
		return float32(f), ok
	})
}

func toBools(v Value) ([]bool, bool) { return toSlice(v, toBool) }

// toSlice converts an array of scalars, each element by the rule of its scalar. An empty array passes
// if its element type could have held what is wanted.
func toSlice[T any](v Value, convert func(Value) (T, bool)) ([]T, bool) {
	if v.typ != TypeArray || v.elem.size() == 0 {
		return nil, false
	}
	if _, ok := convert(Value{typ: v.elem}); !ok {
		return nil, false
	}
	size := v.elem.size()
	out := make([]T, v.n)
	for i := range out {
		x, ok := convert(Value{typ: v.elem, bits: decodeBits(v.elem, v.raw[i*size:])})
		if !ok {
			return nil, false
		}
		out[i] = x
	}
	return out, true
}
