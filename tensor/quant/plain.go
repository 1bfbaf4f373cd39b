package quant

import (
	"encoding/binary"
	"math"
)

func decodeF32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	for len(dst) >= 2 && len(src) >= 8 {
		b := binary.LittleEndian.Uint64(src)
		dst[0] = math.Float32frombits(uint32(b))
		dst[1] = math.Float32frombits(uint32(b >> 32))
		dst, src = dst[2:], src[8:]
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
	}
}

func encodeF32(dst []byte, src, _ []float32) {
	dst = dst[:4*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
	}
}

func decodeF64(dst []float32, src []byte) {
	src = src[:8*len(dst)]
	for i := range dst {
		dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

func encodeF64(dst []byte, src, _ []float32) {
	dst = dst[:8*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(v)))
	}
}

// toInt rounds v to the nearest integer, halves to the even one, within the range of an integer of the
// given number of bits: what lies outside gives the nearest end of the range, and NaN gives 0.
func toInt(v float32, bits uint) int64 {
	limit := float64(uint64(1) << (bits - 1))
	r := math.RoundToEven(float64(v))
	switch {
	case r >= limit:
		return math.MaxInt64 >> (64 - bits)
	case r >= -limit:
		return int64(r)
	case r < -limit:
		return math.MinInt64 >> (64 - bits)
	}
	return 0
}

func decodeI8(dst []float32, src []byte) {
	src = src[:len(dst)]
	for i, b := range src {
		dst[i] = float32(int8(b))
	}
}

func encodeI8(dst []byte, src, _ []float32) {
	dst = dst[:len(src)]
	for i, v := range src {
		dst[i] = byte(toInt(v, 8))
	}
}

func decodeI16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for i := range dst {
		dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:])))
	}
}

func encodeI16(dst []byte, src, _ []float32) {
	dst = dst[:2*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint16(dst[2*i:], uint16(toInt(v, 16)))
	}
}

func decodeI32(dst []float32, src []byte) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])))
	}
}

func encodeI32(dst []byte, src, _ []float32) {
	dst = dst[:4*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint32(dst[4*i:], uint32(toInt(v, 32)))
	}
}

func decodeI64(dst []float32, src []byte) {
	src = src[:8*len(dst)]
	for i := range dst {
		dst[i] = float32(int64(binary.LittleEndian.Uint64(src[8*i:])))
	}
}

func encodeI64(dst []byte, src, _ []float32) {
	dst = dst[:8*len(src)]
	for i, v := range src {
		binary.LittleEndian.PutUint64(dst[8*i:], uint64(toInt(v, 64)))
	}
}
