package quant

import (
	"github.com/tenon-go/tenon/tensor"
)

// Format is one storage format: how float32 values become bytes and bytes become float32 values.
//
// Decode and Encode are the inner loops of kernels and check no sizes beyond what memory safety asks
// for: calling them with lengths that do not fit together is a bug of the caller and panics. Sizes
// from a file or a user go through the functions [Decode] and [Encode], which return errors.
// Both are pure functions of their arguments, allocate nothing and keep no reference.
type Format struct {
	Type tensor.DType

	BlockElems int // elements per block; a row holds a whole number of blocks
	BlockBytes int // bytes per block

	// Decode writes the values of whole blocks: len(dst) is a multiple of BlockElems, and src
	// holds exactly their bytes.
	Decode func(dst []float32, src []byte)

	// Encode writes src, a multiple of BlockElems values, as blocks to dst, which has exactly their
	// length. weights is nil or has the length of src and says how much the squared error of each
	// value counts; negative and NaN weights count as zero, and a block whose weights are all zero
	// is encoded as if they were all one. Formats that are not Weighted ignore weights.
	Encode func(dst []byte, src, weights []float32)

	// Weighted says whether Encode makes use of weights.
	Weighted bool
}

// formats is indexed by type; entries without code have a nil Decode.
var formats = func() (table [256]Format) {
	for _, f := range []Format{
		{Type: tensor.F32, Decode: decodeF32, Encode: encodeF32},
		{Type: tensor.F64, Decode: decodeF64, Encode: encodeF64},
		{Type: tensor.F16, Decode: DecodeF16, Encode: encodeF16},
		{Type: tensor.BF16, Decode: DecodeBF16, Encode: encodeBF16},
		{Type: tensor.I8, Decode: decodeI8, Encode: encodeI8},
		{Type: tensor.I16, Decode: decodeI16, Encode: encodeI16},
		{Type: tensor.I32, Decode: decodeI32, Encode: encodeI32},
		{Type: tensor.I64, Decode: decodeI64, Encode: encodeI64},
		{Type: tensor.Q4_0, Decode: decodeQ4_0, Encode: encodeQ4_0, Weighted: true},
		{Type: tensor.Q4_1, Decode: decodeQ4_1, Encode: encodeQ4_1, Weighted: true},
		{Type: tensor.Q5_0, Decode: decodeQ5_0, Encode: encodeQ5_0, Weighted: true},
		{Type: tensor.Q5_1, Decode: decodeQ5_1, Encode: encodeQ5_1, Weighted: true},
		{Type: tensor.Q8_0, Decode: decodeQ8_0, Encode: encodeQ8_0},
		{Type: tensor.Q8_1, Decode: decodeQ8_1, Encode: encodeQ8_1},
		{Type: tensor.Q8_K, Decode: decodeQ8_K, Encode: encodeQ8_K},
		{Type: tensor.Q2_K, Decode: decodeQ2_K, Encode: encodeQ2_K, Weighted: true},
		{Type: tensor.Q3_K, Decode: decodeQ3_K, Encode: encodeQ3_K, Weighted: true},
		{Type: tensor.Q4_K, Decode: decodeQ4_K, Encode: encodeQ4_K, Weighted: true},
		{Type: tensor.Q5_K, Decode: decodeQ5_K, Encode: encodeQ5_K, Weighted: true},
		{Type: tensor.Q6_K, Decode: decodeQ6_K, Encode: encodeQ6_K, Weighted: true},
		{Type: tensor.IQ4_NL, Decode: decodeIQ4_NL, Encode: encodeIQ4_NL, Weighted: true},
		{Type: tensor.IQ4_XS, Decode: decodeIQ4_XS, Encode: encodeIQ4_XS, Weighted: true},
		{Type: tensor.MXFP4, Decode: decodeMXFP4, Encode: encodeMXFP4, Weighted: true},
	} {
		f.BlockElems, f.BlockBytes = f.Type.Block()
		table[f.Type] = f
	}
	return table
}()

// Of returns the format of t, or an [*UnsupportedError] if this package has no code for t.
func Of(t tensor.DType) (Format, error) {
	f := formats[t]
	if f.Decode == nil {
		return Format{}, &UnsupportedError{Type: t}
	}
	return f, nil
}

// Types returns the types that [Of] knows, in the order of their ids.
func Types() []tensor.DType {
	var types []tensor.DType
	for t := range formats {
		if formats[t].Decode != nil {
			types = append(types, tensor.DType(t))
		}
	}
	return types
}

// Decode writes the len(dst) values that src holds in format t to dst.
//
// Errors: [ErrUnsupported] if there is no code for t; [ErrLength] if dst is not a whole number of
// blocks or src does not have exactly their bytes. Nothing is written then.
func Decode(t tensor.DType, dst []float32, src []byte) error {
	f, err := Of(t)
	if err != nil {
		return err
	}
	if err := f.checkLengths("decode", len(dst), len(src)); err != nil {
		return err
	}
	f.Decode(dst, src)
	return nil
}

// Encode writes the values of src in format t to dst. weights is nil or has the length of src; see
// [Format] for its meaning.
//
// Errors: [ErrUnsupported] if there is no code for t; [ErrLength] if src is not a whole number of
// blocks, dst does not have exactly their bytes, or weights has another length than src. Nothing is
// written then.
func Encode(t tensor.DType, dst []byte, src, weights []float32) error {
	f, err := Of(t)
	if err != nil {
		return err
	}
	if err := f.checkLengths("encode", len(src), len(dst)); err != nil {
		return err
	}
	if weights != nil && len(weights) != len(src) {
		return &LengthError{Op: "encode", Type: t, What: "weights", Have: len(weights), Want: len(src)}
	}
	f.Encode(dst, src, weights)
	return nil
}

// checkLengths compares a number of values with a number of bytes.
func (f *Format) checkLengths(op string, elems, bytes int) error {
	if elems%f.BlockElems != 0 {
		return &LengthError{Op: op, Type: f.Type, What: "values", Have: elems, Want: f.BlockElems, Multiple: true}
	}
	// Dividing the bytes, not multiplying the values, keeps the comparison free of overflow.
	if blocks := elems / f.BlockElems; bytes%f.BlockBytes != 0 || bytes/f.BlockBytes != blocks {
		return &LengthError{Op: op, Type: f.Type, What: "bytes", Have: bytes, Want: blocks * f.BlockBytes}
	}
	return nil
}
