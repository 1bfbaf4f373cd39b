package cpu

import (
	"encoding/binary"
	"math"

	"github.com/tenon-go/tenon/internal/cast"
	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// operand is a tensor and its bytes.
type operand struct {
	t *tensor.Tensor
	p []byte // from the first byte to the end of the last
	u *units
}

// f32s looks at bytes as float32. Tensor memory is aligned far beyond 4 bytes.
func f32s(p []byte) []float32 {
	return cast.Slice[float32](p)
}

// i8s, i16s and i32s look at bytes as integers.
func i8s(p []byte) []int8   { return cast.Slice[int8](p) }
func i16s(p []byte) []int16 { return cast.Slice[int16](p) }
func i32s(p []byte) []int32 { return cast.Slice[int32](p) }

// f32Bytes looks at floats as bytes.
func f32Bytes(v []float32) []byte { return cast.Bytes(v) }

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
	return o.load(off, 0, o.t.Shape[0], scratch)
}

// load is floats for the n elements from element i on of the row at off; both are whole blocks.
func (o *operand) load(off, i, n int, scratch []float32) []float32 {
	if o.packedF32() {
		return f32s(o.p[off+4*i : off+4*(i+n)])
	}
	scratch = scratch[:n]
	elems, bytes := o.t.Type.Block()
	st := o.t.Stride[0]
	off += i / elems * st
	switch {
	case n == 0:
	case st == bytes:
		o.decode(scratch, o.p[off:off+n/elems*bytes])
	case elems > 1: // blocks with gaps between them
		for j := 0; j < n; j += elems {
			o.decode(scratch[j:j+elems], o.p[off:off+bytes])
			off += st
		}
	default:
		for j := range scratch {
			scratch[j] = element(o.t.Type, o.p[off+j*st:])
		}
	}
	return scratch
}

// store returns where to write the n elements from element i on of the row at byte offset off: the
// memory itself if it is F32 without gaps, and otherwise scratch, from which flush writes them.
func (o *operand) store(off, i, n int, scratch []float32) []float32 {
	if o.packedF32() {
		return f32s(o.p[off+4*i : off+4*(i+n)])
	}
	return scratch[:n]
}

// flush encodes what was written to v, unless v is the memory itself. Elements of a row lie without
// gaps where an op writes.
func (o *operand) flush(off, i int, v []float32) {
	if o.packedF32() {
		return
	}
	elems, bytes := o.t.Type.Block()
	off += i / elems * bytes
	encode(o.t.Type, o.p[off:off+len(v)/elems*bytes], v)
}

// decode converts a packed row of o's type to floats.
func (o *operand) decode(dst []float32, src []byte) {
	if o.t.Type == tensor.F32 {
		copy(dst, f32s(src))
		return
	}
	o.u.decode[o.t.Type](dst, src)
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
	case tensor.F64:
		return float32(math.Float64frombits(binary.LittleEndian.Uint64(p)))
	default: // I64: readable lets nothing else through
		return float32(int64(binary.LittleEndian.Uint64(p)))
	}
}

// integer returns the one integer at the start of p.
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

// putInteger writes v at the start of p.
func putInteger(t tensor.DType, p []byte, v int64) {
	switch t {
	case tensor.I8:
		p[0] = byte(v)
	case tensor.I16:
		binary.LittleEndian.PutUint16(p, uint16(v))
	case tensor.I32:
		binary.LittleEndian.PutUint32(p, uint32(v))
	default:
		binary.LittleEndian.PutUint64(p, uint64(v))
	}
}

// index returns element i of a row of I32 or I64 indices at byte offset off.
func (o *operand) index(off, i int) int64 {
	return integer(o.t.Type, o.p[off+i*o.t.Stride[0]:])
}

// decoders and encoders are package quant's by type, nil for a type that it has no code for.
var (
	decoders [256]func(dst []float32, src []byte)
	encoders [256]func(dst []byte, src, weights []float32)
)

func init() {
	for _, t := range quant.Types() {
		f, err := quant.Of(t)
		if err != nil {
			panic(err) // Types lists what Of knows
		}
		decoders[t], encoders[t] = f.Decode, f.Encode
	}
}

// readable reports whether there is a way from t to floats and back.
func readable(t tensor.DType) bool { return decoders[t] != nil }
