package gguf

import "strconv"

// Type is the type of a metadata value. Its value is the id that files carry.
type Type uint8

// The types of metadata values. An array has one element type, which may be an array again.
const (
	TypeUint8   Type = 0
	TypeInt8    Type = 1
	TypeUint16  Type = 2
	TypeInt16   Type = 3
	TypeUint32  Type = 4
	TypeInt32   Type = 5
	TypeFloat32 Type = 6
	TypeBool    Type = 7 // one byte, 0 or 1
	TypeString  Type = 8 // a uint64 length in bytes, then the bytes, UTF-8 by convention only
	TypeArray   Type = 9 // a uint32 element type, a uint64 count, then the elements
	TypeUint64  Type = 10
	TypeInt64   Type = 11
	TypeFloat64 Type = 12

	numTypes = 13
)

var types = [numTypes]struct {
	name string
	size int // of one value in bytes, 0 if it varies
}{
	TypeUint8:   {"uint8", 1},
	TypeInt8:    {"int8", 1},
	TypeUint16:  {"uint16", 2},
	TypeInt16:   {"int16", 2},
	TypeUint32:  {"uint32", 4},
	TypeInt32:   {"int32", 4},
	TypeFloat32: {"float32", 4},
	TypeBool:    {"bool", 1},
	TypeString:  {"string", 0},
	TypeArray:   {"array", 0},
	TypeUint64:  {"uint64", 8},
	TypeInt64:   {"int64", 8},
	TypeFloat64: {"float64", 8},
}

// String returns the type's name, such as "uint32".
func (t Type) String() string {
	if t < numTypes {
		return types[t].name
	}
	return "Type(" + strconv.Itoa(int(t)) + ")"
}

// size returns the bytes of one value of type t, or 0 for a string or an array.
func (t Type) size() int { return types[t].size }

// minSize returns the fewest bytes that a value of type t takes in a file.
func (t Type) minSize() int {
	switch t {
	case TypeString:
		return 8
	case TypeArray:
		return 12
	}
	return t.size()
}
