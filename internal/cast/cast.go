// Package cast looks at memory as bytes or as numbers, without a copy. Numbers are those of the machine,
// which is little-endian on every platform that the assembly and the mapped files are for.
package cast

import "unsafe"

// Number is a type whose values have no padding and no pointers.
type Number interface {
	~int8 | ~uint8 | ~int16 | ~uint16 | ~int32 | ~uint32 | ~int64 | ~uint64 | ~float32 | ~float64
}

// Bytes returns the memory of s.
func Bytes[T Number](s []T) []byte {
	var t T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*int(unsafe.Sizeof(t)))
}

// Slice returns p as numbers; bytes beyond the last whole one are left out. p must be aligned for T, as
// tensor memory is.
func Slice[T Number](p []byte) []T {
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(p))), len(p)/int(unsafe.Sizeof(t)))
}
