package quant

import (
	"encoding/binary"
	"math"
)

func decodeQ8_0(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[34:] {
		y, b := (*[32]float32)(dst), (*[34]byte)(src)
		scaleInt8(y, readF16(b[:]), (*[32]byte)(b[2:]))
	}
}

func decodeQ8_1(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[36:] {
		y, b := (*[32]float32)(dst), (*[36]byte)(src)
		scaleInt8(y, readF16(b[:]), (*[32]byte)(b[4:]))
	}
}

func decodeQ8_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[256:], src[292:] {
		y, b := (*[256]float32)(dst), (*[292]byte)(src)
		d := math.Float32frombits(binary.LittleEndian.Uint32(b[:]))
		for i := 0; i < 256; i += 32 {
			scaleInt8((*[32]float32)(y[i:]), d, (*[32]byte)(b[4+i:]))
		}
	}
}

func scaleInt8(y *[32]float32, d float32, q *[32]byte) {
	for i := 0; i < 32; i += 4 {
		y[i] = d * float32(int8(q[i]))
		y[i+1] = d * float32(int8(q[i+1]))
		y[i+2] = d * float32(int8(q[i+2]))
		y[i+3] = d * float32(int8(q[i+3]))
	}
}

// encodeQ8_0 gives the value of greatest magnitude the code 127 or -127.
func encodeQ8_0(dst []byte, src, _ []float32) {
	for ; len(src) > 0; src, dst = src[32:], dst[34:] {
		b := (*[34]byte)(dst)
		var buf [32]float32
		x := clean(buf[:], src[:32], 127*f16Max)
		d, _ := int8Codes((*[32]byte)(b[2:]), x)
		putScale(b[:], d)
	}
}

// encodeQ8_1 is encodeQ8_0 with the sum of the decoded values beside the scale, which a product with
// a format that has minimums needs.
func encodeQ8_1(dst []byte, src, _ []float32) {
	for ; len(src) > 0; src, dst = src[32:], dst[36:] {
		b := (*[36]byte)(dst)
		var buf [32]float32
		x := clean(buf[:], src[:32], 127*f16Max)
		d, sum := int8Codes((*[32]byte)(b[4:]), x)
		putScale(b[:], d)
		putScale(b[2:], float32(sum)*d)
	}
}

// int8Codes writes the codes of x, from -127 to 127, and returns their scale and their sum. Halves are
// rounded away from zero.
func int8Codes(q *[32]byte, x []float32) (d float32, sum int32) {
	var amax float32
	for _, v := range x {
		amax = max(amax, abs(v))
	}
	d = amax / 127
	inv := inverse(d)
	for i, v := range x {
		c := roundAway(v * inv)
		q[i] = byte(c)
		sum += c
	}
	return d, sum
}

// q8kMax is a little less than the greatest float32, so that rounding the scale up does not take the
// product with its code beyond it.
const q8kMax = 0x1.fffp127

// encodeQ8_K gives the value of greatest magnitude the code -127; halves are rounded to even. Behind
// the codes stand the sums of each 16 of them.
func encodeQ8_K(dst []byte, src, _ []float32) {
	for ; len(src) > 0; src, dst = src[256:], dst[292:] {
		b := (*[292]byte)(dst)
		var buf [256]float32
		x := clean(buf[:], src[:256], q8kMax)
		// The rounding of the inverse, not of the scale itself, is part of the format's reference.
		top := largest(x)
		if top == 0 {
			clear(b[:])
			continue
		}
		inv := -127 / top
		d := 1 / inv
		if isInf(inv) {
			inv = 0 // every value is so small that its scale has no inverse
		}
		binary.LittleEndian.PutUint32(b[:], math.Float32bits(d))
		for i := range 16 {
			var sum int32
			for j := range 16 {
				c := min(roundEven(inv*x[16*i+j]), 127)
				b[4+16*i+j] = byte(c)
				sum += c
			}
			binary.LittleEndian.PutUint16(b[260+2*i:], uint16(sum))
		}
	}
}
