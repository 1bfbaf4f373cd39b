package quant

import (
	"encoding/binary"
	"math"
)

// The layout of an IEEE 754 binary16 value: sign, 5 bits of exponent (bias 15), 10 bits of mantissa.
const (
	f16Sign     = 0x8000
	f16Exponent = 0x7c00
	f16Quiet    = 0x0200
	f16Max      = 65504 // the largest finite value
)

// f16Tiny is the smallest positive binary16 value.
const f16Tiny = 1.0 / (1 << 24)

// f16Values holds the value of every binary16 number. Arithmetic on the bits takes three to four times
// as long, and a kernel decodes a scale for every few values.
var f16Values [1 << 16]float32

func init() {
	for bits := range f16Values {
		f16Values[bits] = f16Value(uint32(bits))
	}
}

// F16ToF32 returns the value of the binary16 number with the given bits, which float32 always holds
// exactly. A NaN keeps its sign and payload.
func F16ToF32(bits uint16) float32 { return f16Values[bits] }

// f16Value is the conversion that f16Values is filled by.
func f16Value(b uint32) float32 {
	sign := (b & f16Sign) << 16
	mant := b & 0x3ff
	switch b & f16Exponent {
	case 0:
		// The last place of 0.5 + m*2^-24 is 2^-24: put m there, and take the 0.5 away again.
		v := math.Float32frombits(0x3f000000|mant) - 0.5
		return math.Float32frombits(sign | math.Float32bits(v))
	case f16Exponent:
		return math.Float32frombits(sign | 0x7f800000 | mant<<13)
	}
	return math.Float32frombits(sign | ((b&0x7fff)<<13 + (127-15)<<23))
}

// F32ToF16 returns the bits of the binary16 number nearest to v, the even one of two that are equally
// near. Values of 65520 and above become infinite. A NaN stays a NaN of the same sign, and keeps the
// upper ten bits of its payload where they alone make it a NaN.
func F32ToF16(v float32) uint16 {
	b := math.Float32bits(v)
	sign := uint16(b >> 16 & f16Sign)
	b &= 0x7fffffff
	switch {
	case b < 0x38800000: // below 2^-14: subnormal, with a last place of 2^-24
		// The addition rounds to the last place of 0.5, which is 2^-24 too.
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-0x3f000000)
	case b < 0x47800000: // below 65536; a carry out of the mantissa gives the next power or infinity
		b += 0x0fff + b>>13&1
		return sign | uint16((b-(127-15)<<23)>>13)
	case b <= 0x7f800000:
		return sign | f16Exponent
	}
	mant := uint16(b >> 13 & 0x3ff)
	if mant == 0 {
		mant = f16Quiet
	}
	return sign | f16Exponent | mant
}

// BF16ToF32 returns the value of the bfloat16 number with the given bits: the upper half of a float32.
func BF16ToF32(bits uint16) float32 { return math.Float32frombits(uint32(bits) << 16) }

// F32ToBF16 returns the bits of the bfloat16 number nearest to v, the even one of two that are equally
// near. A NaN becomes a quiet NaN of the same sign.
func F32ToBF16(v float32) uint16 {
	b := math.Float32bits(v)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// DecodeF16 writes len(dst) little-endian binary16 values of src to dst. src has 2 bytes for each.
func DecodeF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for len(dst) >= 4 && len(src) >= 8 {
		b := binary.LittleEndian.Uint64(src)
		dst[0] = F16ToF32(uint16(b))
		dst[1] = F16ToF32(uint16(b >> 16))
		dst[2] = F16ToF32(uint16(b >> 32))
		dst[3] = F16ToF32(uint16(b >> 48))
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// EncodeF16 writes the values of src to dst as little-endian binary16, rounded as by [F32ToF16].
// dst has 2 bytes for each value.
func EncodeF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], F32ToF16(v))
	}
}

// DecodeBF16 writes len(dst) little-endian bfloat16 values of src to dst. src has 2 bytes for each.
func DecodeBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for len(dst) >= 4 && len(src) >= 8 {
		b := binary.LittleEndian.Uint64(src)
		dst[0] = math.Float32frombits(uint32(b) << 16)
		dst[1] = math.Float32frombits(uint32(b) & 0xffff0000)
		dst[2] = math.Float32frombits(uint32(b>>32) << 16)
		dst[3] = math.Float32frombits(uint32(b>>32) & 0xffff0000)
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = BF16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// EncodeBF16 writes the values of src to dst as little-endian bfloat16, rounded as by [F32ToBF16].
// dst has 2 bytes for each value.
func EncodeBF16(dst []byte, src []float32) {
	dst = dst[:2*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], F32ToBF16(v))
	}
}

func encodeF16(dst []byte, src, _ []float32) { EncodeF16(dst, src) }

func encodeBF16(dst []byte, src, _ []float32) { EncodeBF16(dst, src) }

// readF16 returns the value of the little-endian binary16 number at the start of b.
func readF16(b []byte) float32 { return F16ToF32(uint16(b[0]) | uint16(b[1])<<8) }

// putScale writes d as binary16 and returns what a reader will see. A scale that would overflow is
// written as the largest finite one, so that no finite input decodes to infinity or NaN.
func putScale(b []byte, d float32) float32 {
	h := scaleBits(d)
	binary.LittleEndian.PutUint16(b, h)
	return F16ToF32(h)
}

func scaleBits(d float32) uint16 { return F32ToF16(min(max(d, -f16Max), f16Max)) }

// roundScale returns d as a binary16 scale holds it.
func roundScale(d float32) float32 { return F16ToF32(scaleBits(d)) }

// tinyScale is roundScale for a scale found by a search: one too small for binary16 becomes the
// smallest that is not zero, because codes and integer scales can still make use of it.
func tinyScale(d float64) float32 {
	switch {
	case d == 0:
		return 0
	case d > 0:
		return max(roundScale(float32(min(d, f16Max))), f16Tiny)
	}
	return min(roundScale(float32(max(d, -f16Max))), -f16Tiny)
}
