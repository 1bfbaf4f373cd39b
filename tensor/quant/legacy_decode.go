package quant

import "encoding/binary"

// The formats with one scale per 32 values. Value i of the first half shares a byte with value i+16.

const legacyElems = 32

func decodeQ4_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[legacyElems:], src[18:] {
		y, b := (*[legacyElems]float32)(dst), (*[18]byte)(src)
		d := readF16(b[:])
		for i := range 16 {
			q := int32(b[2+i])
			y[i] = d * float32(q&15-8)
			y[i+16] = d * float32(q>>4-8)
		}
	}
}

func decodeQ4_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[legacyElems:], src[20:] {
		y, b := (*[legacyElems]float32)(dst), (*[20]byte)(src)
		d, m := readF16(b[:]), readF16(b[2:])
		for i := range 16 {
			q := int32(b[4+i])
			y[i] = float32(d*float32(q&15)) + m
			y[i+16] = float32(d*float32(q>>4)) + m
		}
	}
}

func decodeQ5_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[legacyElems:], src[22:] {
		y, b := (*[legacyElems]float32)(dst), (*[22]byte)(src)
		d := readF16(b[:])
		high := binary.LittleEndian.Uint32(b[2:])
		for i := range 16 {
			q := int32(b[6+i])
			y[i] = d * float32(q&15|int32(high<<4&16)-16)
			y[i+16] = d * float32(q>>4|int32(high>>12&16)-16)
			high >>= 1
		}
	}
}

func decodeQ5_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[legacyElems:], src[24:] {
		y, b := (*[legacyElems]float32)(dst), (*[24]byte)(src)
		d, m := readF16(b[:]), readF16(b[2:])
		high := binary.LittleEndian.Uint32(b[4:])
		for i := range 16 {
			q := int32(b[8+i])
			y[i] = float32(d*float32(q&15|int32(high<<4&16))) + m
			y[i+16] = float32(d*float32(q>>4|int32(high>>12&16))) + m
			high >>= 1
		}
	}
}
