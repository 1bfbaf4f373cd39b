package quant

import (
	"encoding/binary"
	"math"
)

// Without weights these encoders use the rule that the formats came with: the scale that reaches the
// greatest value exactly. It is fast, which matters where a KV cache is written, and many files and
// caches were made with it. With weights they search.

func encodeQ4_0(dst []byte, src, weights []float32) {
	for ; len(src) > 0; src, dst = src[legacyElems:], dst[18:] {
		b := (*[18]byte)(dst)
		var codes [legacyElems]byte
		if weights == nil {
			symmetricCodes(&codes, b[:2], src[:legacyElems], 8)
		} else {
			symmetricSearch(&codes, b[:2], src[:legacyElems], weights[:legacyElems], 8)
			weights = weights[legacyElems:]
		}
		packNibbles((*[16]byte)(b[2:]), &codes)
	}
}

func encodeQ5_0(dst []byte, src, weights []float32) {
	for ; len(src) > 0; src, dst = src[legacyElems:], dst[22:] {
		b := (*[22]byte)(dst)
		var codes [legacyElems]byte
		if weights == nil {
			symmetricCodes(&codes, b[:2], src[:legacyElems], 16)
		} else {
			symmetricSearch(&codes, b[:2], src[:legacyElems], weights[:legacyElems], 16)
			weights = weights[legacyElems:]
		}
		putHighBits(b[2:6], &codes)
		packNibbles((*[16]byte)(b[6:]), &codes)
	}
}

func encodeQ4_1(dst []byte, src, weights []float32) {
	for ; len(src) > 0; src, dst = src[legacyElems:], dst[20:] {
		b := (*[20]byte)(dst)
		var codes [legacyElems]byte
		if weights == nil {
			affineCodes(&codes, b[:4], src[:legacyElems], 15)
		} else {
			affineSearch(&codes, b[:4], src[:legacyElems], weights[:legacyElems], 15)
			weights = weights[legacyElems:]
		}
		packNibbles((*[16]byte)(b[4:]), &codes)
	}
}

func encodeQ5_1(dst []byte, src, weights []float32) {
	for ; len(src) > 0; src, dst = src[legacyElems:], dst[24:] {
		b := (*[24]byte)(dst)
		var codes [legacyElems]byte
		if weights == nil {
			affineCodes(&codes, b[:4], src[:legacyElems], 31)
		} else {
			affineSearch(&codes, b[:4], src[:legacyElems], weights[:legacyElems], 31)
			weights = weights[legacyElems:]
		}
		putHighBits(b[4:8], &codes)
		packNibbles((*[16]byte)(b[8:]), &codes)
	}
}

// packNibbles writes the low four bits of the codes.
func packNibbles(b *[16]byte, codes *[legacyElems]byte) {
	for i := range b {
		b[i] = codes[i]&15 | codes[i+16]<<4
	}
}

// putHighBits writes the fifth bit of the codes, that of code i as bit i.
func putHighBits(b []byte, codes *[legacyElems]byte) {
	var high uint32
	for i, c := range codes {
		high |= uint32(c>>4) << i
	}
	binary.LittleEndian.PutUint32(b, high)
}

// symmetricCodes writes the scale that gives the greatest value the code -half, and the codes from
// -half to half-1 with half added.
func symmetricCodes(codes *[legacyElems]byte, scale []byte, src []float32, half float32) {
	var buf [legacyElems]float32
	x := clean(buf[:], src, half*f16Max)
	d := largest(x) / -half
	putScale(scale, d)
	inv := inverse(d)
	if inv == 0 && d != 0 {
		return // too small for a scale: the reference has code 0 here
	}
	top := 2*half - 1
	for i, v := range x {
		// Cutting off what is not negative rounds halves up.
		codes[i] = byte(min(max(float32(v*inv)+(half+0.5), 0), top))
	}
}

// affineCodes writes scale and minimum so that the codes from 0 to top span the range of the values.
func affineCodes(codes *[legacyElems]byte, scale []byte, src []float32, top float32) {
	var buf [legacyElems]float32
	x := clean(buf[:], src, top*f16Max)
	lo, hi := x[0], x[0]
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	m := clamp(lo, f16Max)
	d := clamp((hi-m)/top, f16Max)
	putScale(scale, d)
	putScale(scale[2:], m)
	inv := inverse(d)
	for i, v := range x {
		codes[i] = byte(min(max(float32((v-m)*inv)+0.5, 0), top))
	}
}

// symmetricSearch is symmetricCodes with the scale of least weighted error.
func symmetricSearch(codes *[legacyElems]byte, scale []byte, src, weights []float32, half int64) {
	var x, w [legacyElems]float64
	loadValues(x[:], src)
	loadWeights(w[:], weights)
	fit, other := fitScale(x[:], w[:], half, 10)
	d := bestScale(fit, other, func(d float64) float64 { return scaleError(x[:], w[:], d, half) })
	putScale(scale, float32(d))
	inv := inverse64(d)
	for i, v := range x {
		codes[i] = byte(nearestIn(v*inv, -half, half-1) + half)
	}
}

// affineSearch is affineCodes with the scale and minimum of least weighted error.
func affineSearch(codes *[legacyElems]byte, scale []byte, src, weights []float32, top int64) {
	var x, w [legacyElems]float64
	loadValues(x[:], src)
	loadWeights(w[:], weights)
	d, m := fitAffine(x[:], w[:], top, legacyStarts, false)
	d = float64(putScale(scale, tinyScale(d)))
	m = float64(putScale(scale[2:], tinyScale(m)))
	inv := inverse64(d)
	for i, v := range x {
		codes[i] = byte(nearestIn((v-m)*inv, 0, top))
	}
}

// bestScale returns the binary16 number with the least error among those next to the given scales.
func bestScale(a, b float64, err func(d float64) float64) (best float64) {
	bestErr := err(0)
	for _, scale := range [...]float64{a, b} {
		h := scaleBits(float32(scale))
		for _, bits := range [...]uint16{h, h - 1, h + 1} {
			d := float64(F16ToF32(bits))
			if !(math.Abs(d) <= f16Max) {
				continue
			}
			if e := err(d); e < bestErr {
				best, bestErr = d, e
			}
		}
	}
	return best
}
