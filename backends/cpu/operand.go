package cpu

import (
	"encoding/binary"
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// operand is a tensor and its bytes.
type operand struct {
	t *tensor.Tensor
	p []byte // from the first byte to the end of the last
}

// f32s looks at bytes as float32. Tensor memory is aligned far beyond 4 bytes.
func f32s(p []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(p))), len(p)/4)
}

// u16s looks at bytes as uint16.
func u16s(p []byte) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(p))), len(p)/2)
}

// i8s looks at bytes as int8.
func i8s(p []byte) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(p))), len(p))
}

// bytesOf looks at floats as bytes.
func bytesOf(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), len(f)*4)
}

// row returns the byte offset of row r, counted through dimensions 1 to 3.
func (o *operand) row(r int) int {
	s, st := &o.t.Shape, &o.t.Stride
	i1 := r % s[1]
	r /= s[1]
	return i1*st[1] + r%s[2]*st[2] + r/s[2]*st[3]
}

// at returns the byte offset of row (i1, i2, i3).
func (o *operand) at(i1, i2, i3 int) int {
	st := &o.t.Stride
	return i1*st[1] + i2*st[2] + i3*st[3]
}

// rowBytes returns the packed size of a row in bytes.
func (o *operand) rowBytes() int { return o.t.Type.RowBytes(o.t.Shape[0]) }

// packedF32 reports whether each row is F32 without gaps, so that floats needs no scratch.
func (o *operand) packedF32() bool { return o.t.Type == tensor.F32 && o.t.Stride[0] == 4 }

// floats returns the row at byte offset off as floats: the memory itself where it is F32 without gaps,
// and otherwise decoded into scratch, which must hold a row.
func (o *operand) floats(off int, scratch []float32) []float32 {
	n := o.t.Shape[0]
	if o.packedF32() {
		return f32s(o.p[off : off+4*n])
	}
	scratch = scratch[:n]
	if o.t.ContiguousRows() {
		decode(o.t.Type, scratch, o.p[off:off+o.rowBytes()])
		return scratch
	}
	st := o.t.Stride[0]
	for i := range scratch {
		scratch[i] = element(o.t.Type, o.p[off+i*st:])
	}
	return scratch
}

// decode converts a packed row to floats.
func decode(t tensor.DType, dst []float32, src []byte) {
	if t == tensor.F32 {
		copy(dst, f32s(src))
		return
	}
	decoders[t](dst, src)
}

// encode converts floats to a packed row.
func encode(t tensor.DType, dst []byte, src []float32) {
	if t == tensor.F32 {
		copy(f32s(dst), src)
		return
	}
	encoders[t](dst, src, nil)
}

// element converts the one element at the start of p; t is not quantized.
func element(t tensor.DType, p []byte) float32 {
	switch t {
	case tensor.F32:
		return f32s(p[:4])[0]
	case tensor.F16:
		return quant.F16ToF32(binary.LittleEndian.Uint16(p))
	case tensor.BF16:
		return quant.BF16ToF32(binary.LittleEndian.Uint16(p))
	case tensor.I8:
		return float32(int8(p[0]))
	case tensor.I16:
		return float32(int16(binary.LittleEndian.Uint16(p)))
	case tensor.I32:
		return float32(int32(binary.LittleEndian.Uint32(p)))
	default: // I64: readable lets nothing else through
		return float32(int64(binary.LittleEndian.Uint64(p)))
	}
}

// index returns element i of a row of I32 or I64 indices at byte offset off.
func (o *operand) index(off, i int) int64 {
	p := o.p[off+i*o.t.Stride[0]:]
	if o.t.Type == tensor.I32 {
		return int64(int32(binary.LittleEndian.Uint32(p)))
	}
	return int64(binary.LittleEndian.Uint64(p))
}

// decoders and encoders are package quant's, looked up once.
var decoders, encoders = func() (map[tensor.DType]func([]float32, []byte), map[tensor.DType]func([]byte, []float32, []float32)) {
	dec := map[tensor.DType]func([]float32, []byte){}
	enc := map[tensor.DType]func([]byte, []float32, []float32){}
	for t := range tensor.DType(255) {
		if f, err := quant.Of(t); err == nil {
			dec[t], enc[t] = f.Decode, f.Encode
		}
	}
	return dec, enc
}()

// readable reports whether there is a way from t to floats.
func readable(t tensor.DType) bool {
	switch t {
	case tensor.F32, tensor.I8, tensor.I16, tensor.I32, tensor.I64:
		return true
	}
	return decoders[t] != nil
}
