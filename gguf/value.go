package gguf

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Scalar is what Go types a metadata value can be made of; each has exactly one Type.
type Scalar interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64 | bool | string
}

// Value is one metadata value: a scalar, a string or an array. The zero Value is the uint8 0.
// An array of a File lies in its mapping and is decoded as it is read; it must not be used after Close.
type Value struct {
	typ  Type
	elem Type   // of an array's elements
	bits uint64 // a scalar: integers extended to 64 bits by their sign, floats as their IEEE bits
	n    int    // elements of an array
	str  string // a string
	raw  []byte // an array's elements as the file has them
}

// ValueOf returns v as a metadata value.
func ValueOf[T Scalar](v T) Value {
	switch v := any(v).(type) {
	case string:
		return Value{typ: TypeString, str: v}
	case bool:
		if v {
			return Value{typ: TypeBool, bits: 1}
		}
		return Value{typ: TypeBool}
	}
	t := typeOf[T]()
	raw, _ := binary.Append(nil, binary.LittleEndian, v) // fails only for types that Scalar leaves out
	return Value{typ: t, bits: decodeBits(t, raw)}
}

// ArrayOf returns a copy of v as an array value.
func ArrayOf[T Scalar](v []T) Value {
	a := Value{typ: TypeArray, elem: typeOf[T](), n: len(v)}
	if list, ok := any(v).([]string); ok {
		for _, s := range list {
			a.raw = appendString(a.raw, s)
		}
		return a
	}
	a.raw, _ = binary.Append(nil, binary.LittleEndian, v) // fails only for types that Scalar leaves out
	return a
}

func typeOf[T Scalar]() Type {
	switch any(*new(T)).(type) {
	case uint8:
		return TypeUint8
	case int8:
		return TypeInt8
	case uint16:
		return TypeUint16
	case int16:
		return TypeInt16
	case uint32:
		return TypeUint32
	case int32:
		return TypeInt32
	case uint64:
		return TypeUint64
	case int64:
		return TypeInt64
	case float32:
		return TypeFloat32
	case float64:
		return TypeFloat64
	case bool:
		return TypeBool
	}
	return TypeString
}

func appendString(b []byte, s string) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

// decodeBits reads one scalar of type t from the start of b.
func decodeBits(t Type, b []byte) uint64 {
	le := binary.LittleEndian
	switch t {
	case TypeInt8:
		return uint64(int8(b[0]))
	case TypeUint16:
		return uint64(le.Uint16(b))
	case TypeInt16:
		return uint64(int16(le.Uint16(b)))
	case TypeUint32, TypeFloat32:
		return uint64(le.Uint32(b))
	case TypeInt32:
		return uint64(int32(le.Uint32(b)))
	case TypeUint64, TypeInt64, TypeFloat64:
		return le.Uint64(b)
	}
	return uint64(b[0]) // uint8, bool
}

// Type returns the type of v.
func (v Value) Type() Type { return v.typ }

// Elem returns the type of v's elements, and whether v is an array.
func (v Value) Elem() (Type, bool) { return v.elem, v.typ == TypeArray }

// Len returns the number of elements of an array, or of bytes of a string; 1 for any other value.
func (v Value) Len() int {
	switch v.typ {
	case TypeArray:
		return v.n
	case TypeString:
		return len(v.str)
	}
	return 1
}

// closed reports whether v is an array whose file is closed.
func (v Value) closed() bool { return v.typ == TypeArray && v.n > 0 && v.raw == nil }

// Elems goes through the elements of an array, decoding each as it is reached. A value that is no array
// has no elements. The bytes were checked when the file was opened, so that nothing can fail here.
func (v Value) Elems() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.typ != TypeArray || v.closed() {
			return
		}
		rest := v.raw
		for range v.n {
			var e Value
			e, rest = decode(v.elem, rest)
			if !yield(e) {
				return
			}
		}
	}
}

// decode reads a checked value of type t from the start of b and returns what follows it.
func decode(t Type, b []byte) (Value, []byte) {
	switch t {
	case TypeString:
		n := 8 + int(binary.LittleEndian.Uint64(b))
		return Value{typ: t, str: string(b[8:n])}, b[n:]
	case TypeArray:
		v := Value{typ: t, elem: Type(binary.LittleEndian.Uint32(b)), n: int(binary.LittleEndian.Uint64(b[4:]))}
		size := arrayBytes(v.elem, v.n, b[12:])
		v.raw = b[12 : 12+size]
		return v, b[12+size:]
	}
	return Value{typ: t, bits: decodeBits(t, b)}, b[t.size():]
}

// arrayBytes returns how many bytes the n checked elements of type t at the start of b take.
func arrayBytes(t Type, n int, b []byte) int {
	if size := t.size(); size > 0 {
		return n * size
	}
	off := 0
	for range n {
		switch t {
		case TypeString:
			off += 8 + int(binary.LittleEndian.Uint64(b[off:]))
		case TypeArray:
			elem, count := Type(binary.LittleEndian.Uint32(b[off:])), binary.LittleEndian.Uint64(b[off+4:])
			off += 12
			off += arrayBytes(elem, int(count), b[off:])
		}
	}
	return off
}

// Any returns v as the Go value it stands for: a Scalar, or for an array a new slice of its elements'
// type ([]any for an array of arrays). It is meant for printing and encoding.
func (v Value) Any() any {
	switch v.typ {
	case TypeString:
		return v.str
	case TypeArray:
		return v.anySlice()
	case TypeUint8:
		return uint8(v.bits)
	case TypeInt8:
		return int8(v.bits)
	case TypeUint16:
		return uint16(v.bits)
	case TypeInt16:
		return int16(v.bits)
	case TypeUint32:
		return uint32(v.bits)
	case TypeInt32:
		return int32(v.bits)
	case TypeUint64:
		return v.bits
	case TypeInt64:
		return int64(v.bits)
	case TypeFloat32:
		return math.Float32frombits(uint32(v.bits))
	case TypeFloat64:
		return math.Float64frombits(v.bits)
	}
	return v.bits != 0
}

func (v Value) anySlice() any {
	switch v.elem {
	case TypeString:
		return v.strings()
	case TypeArray:
		return anys[any](v)
	case TypeUint8:
		return anys[uint8](v)
	case TypeInt8:
		return anys[int8](v)
	case TypeUint16:
		return anys[uint16](v)
	case TypeInt16:
		return anys[int16](v)
	case TypeUint32:
		return anys[uint32](v)
	case TypeInt32:
		return anys[int32](v)
	case TypeUint64:
		return anys[uint64](v)
	case TypeInt64:
		return anys[int64](v)
	case TypeFloat32:
		return anys[float32](v)
	case TypeFloat64:
		return anys[float64](v)
	}
	return anys[bool](v)
}

func anys[T any](v Value) []T {
	out := make([]T, 0, v.n)
	for e := range v.Elems() {
		out = append(out, e.Any().(T))
	}
	return out
}

// How much of a value String shows.
const (
	shownRunes = 64
	shownElems = 8
)

// String returns v for people to read: strings quoted and long ones cut, arrays with their type, length
// and first elements, such as `string[32000]["<unk>" "<s>" ...]`.
func (v Value) String() string {
	switch v.typ {
	case TypeString:
		return quoteShort(v.str)
	case TypeArray:
		return v.arrayString()
	case TypeFloat32:
		return strconv.FormatFloat(float64(math.Float32frombits(uint32(v.bits))), 'g', -1, 32)
	case TypeFloat64:
		return strconv.FormatFloat(math.Float64frombits(v.bits), 'g', -1, 64)
	}
	return fmt.Sprint(v.Any())
}

func (v Value) arrayString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v[%d][", v.elem, v.n)
	i := 0
	for e := range v.Elems() {
		if i > 0 {
			b.WriteByte(' ')
		}
		if i == shownElems {
			b.WriteString("...")
			break
		}
		b.WriteString(e.String())
		i++
	}
	b.WriteByte(']')
	return b.String()
}

func quoteShort(s string) string {
	end := 0
	for range shownRunes {
		_, size := utf8.DecodeRuneInString(s[end:])
		end += size
	}
	if end == len(s) {
		return strconv.Quote(s)
	}
	return strconv.Quote(s[:end]) + "..."
}

// describe returns type and value, for error texts.
func (v Value) describe() string {
	if v.typ == TypeArray {
		return "an array " + v.String()
	}
	return v.typ.String() + " " + v.String()
}
