package card

import "github.com/tenon-go/tenon/tensor"

// IsFloat reports whether kernels read t element by element as a float.
func IsFloat(t tensor.DType) bool { return t == tensor.F32 || t == tensor.F16 || t == tensor.BF16 }

// IsInteger reports whether t is an integer type.
func IsInteger(t tensor.DType) bool {
	return t == tensor.I8 || t == tensor.I16 || t == tensor.I32 || t == tensor.I64
}

// Decodable reports whether kernels read t as floats; they write all that they read.
func Decodable(t tensor.DType) bool {
	switch t {
	case tensor.Q4_0, tensor.Q4_1, tensor.Q5_0, tensor.Q5_1, tensor.Q8_0, tensor.Q8_1,
		tensor.Q2_K, tensor.Q3_K, tensor.Q4_K, tensor.Q5_K, tensor.Q6_K, tensor.Q8_K, tensor.IQ4_NL, tensor.IQ4_XS, tensor.MXFP4:
		return true
	}
	return IsFloat(t)
}

// Superblock reports whether t has blocks of 256, which kernels of their own encode.
func Superblock(t tensor.DType) bool {
	elems, _ := t.Block()
	return elems == 256
}

// SizeType returns a type that the copy kernel moves as it is, of the size of t's elements or blocks: the types that it has no
// name for are moved as ones that it has.
func SizeType(t tensor.DType) (tensor.DType, bool) {
	_, bytes := t.Block()
	switch bytes {
	case 1:
		return tensor.I8, true
	case 2:
		return tensor.I16, true
	case 4:
		return tensor.I32, true
	case 8:
		return tensor.I64, true
	}
	return t, Decodable(t)
}
