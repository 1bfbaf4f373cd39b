package tensor

import (
	"math"
	"strconv"
)

// DType is the element type of a tensor. Its value is the type id that GGUF files carry, so that
// no table stands between a file and the code.
type DType uint8

// The types of GGUF. The name says the bits of a weight; DType.Block says how many elements are
// stored together and in how many bytes. Source: the GGUF specification.
const (
	F32     DType = 0
	F16     DType = 1
	Q4_0    DType = 2
	Q4_1    DType = 3
	Q5_0    DType = 6
	Q5_1    DType = 7
	Q8_0    DType = 8
	Q8_1    DType = 9
	Q2_K    DType = 10
	Q3_K    DType = 11
	Q4_K    DType = 12
	Q5_K    DType = 13
	Q6_K    DType = 14
	Q8_K    DType = 15
	IQ2_XXS DType = 16
	IQ2_XS  DType = 17
	IQ3_XXS DType = 18
	IQ1_S   DType = 19
	IQ4_NL  DType = 20
	IQ3_S   DType = 21
	IQ2_S   DType = 22
	IQ4_XS  DType = 23
	I8      DType = 24
	I16     DType = 25
	I32     DType = 26
	I64     DType = 27
	F64     DType = 28
	IQ1_M   DType = 29
	BF16    DType = 30
	TQ1_0   DType = 34
	TQ2_0   DType = 35
	MXFP4   DType = 39
	NVFP4   DType = 40
	Q1_0    DType = 41
	Q2_0    DType = 42

	numDTypes = 43
)

type dtypeInfo struct {
	name  string
	elems int // elements per block
	bytes int // bytes per block
}

var dtypes = [numDTypes]dtypeInfo{
	F32:     {"F32", 1, 4},
	F16:     {"F16", 1, 2},
	Q4_0:    {"Q4_0", 32, 18},
	Q4_1:    {"Q4_1", 32, 20},
	Q5_0:    {"Q5_0", 32, 22},
	Q5_1:    {"Q5_1", 32, 24},
	Q8_0:    {"Q8_0", 32, 34},
	Q8_1:    {"Q8_1", 32, 36},
	Q2_K:    {"Q2_K", 256, 84},
	Q3_K:    {"Q3_K", 256, 110},
	Q4_K:    {"Q4_K", 256, 144},
	Q5_K:    {"Q5_K", 256, 176},
	Q6_K:    {"Q6_K", 256, 210},
	Q8_K:    {"Q8_K", 256, 292},
	IQ2_XXS: {"IQ2_XXS", 256, 66},
	IQ2_XS:  {"IQ2_XS", 256, 74},
	IQ3_XXS: {"IQ3_XXS", 256, 98},
	IQ1_S:   {"IQ1_S", 256, 50},
	IQ4_NL:  {"IQ4_NL", 32, 18},
	IQ3_S:   {"IQ3_S", 256, 110},
	IQ2_S:   {"IQ2_S", 256, 82},
	IQ4_XS:  {"IQ4_XS", 256, 136},
	I8:      {"I8", 1, 1},
	I16:     {"I16", 1, 2},
	I32:     {"I32", 1, 4},
	I64:     {"I64", 1, 8},
	F64:     {"F64", 1, 8},
	IQ1_M:   {"IQ1_M", 256, 56},
	BF16:    {"BF16", 1, 2},
	TQ1_0:   {"TQ1_0", 256, 54},
	TQ2_0:   {"TQ2_0", 256, 66},
	MXFP4:   {"MXFP4", 32, 17},
	NVFP4:   {"NVFP4", 64, 36},
	Q1_0:    {"Q1_0", 128, 18},
	Q2_0:    {"Q2_0", 64, 18},
}

// Valid reports whether t is a type whose layout is known. A zero DType is F32, which is valid.
func (t DType) Valid() bool { return t < numDTypes && dtypes[t].elems != 0 }

// Block returns how many elements of t are stored together, and in how many bytes.
// Both are 0 for a type that is not Valid.
func (t DType) Block() (elems, bytes int) {
	if t >= numDTypes {
		return 0, 0
	}
	return dtypes[t].elems, dtypes[t].bytes
}

// Quantized reports whether elements of t can only be read a block at a time.
func (t DType) Quantized() bool { return t < numDTypes && dtypes[t].elems > 1 }

// RowBytes returns the bytes of a packed row of n elements, or -1 if n is not a whole number of
// blocks, the bytes overflow an int or t is not Valid.
func (t DType) RowBytes(n int) int {
	elems, bytes := t.Block()
	if elems == 0 || n < 0 || n%elems != 0 || n/elems > math.MaxInt/bytes {
		return -1
	}
	return n / elems * bytes
}

// String returns the field's name of t, such as "Q4_K".
func (t DType) String() string {
	if t.Valid() {
		return dtypes[t].name
	}
	return "DType(" + strconv.Itoa(int(t)) + ")"
}

// ParseDType returns the type of the given name, as printed by String.
func ParseDType(name string) (DType, bool) {
	for t := range dtypes {
		if dtypes[t].name != "" && dtypes[t].name == name {
			return DType(t), true
		}
	}
	return 0, false
}
