package quant

import "encoding/binary"

// IQ4_NL and IQ4_XS have codes of four bits for values that lie closer together near zero.

// iq4Values holds the value of each code, ascending. They are part of the format.
var iq4Values = [16]float32{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// iq4Nearest gives the code nearest to t at index floor(2*t) + 256, for t from -128 up to 128. The
// middles between neighbours are whole or half numbers, so all of a cell has the same nearest code.
var iq4Nearest = func() (table [512]byte) {
	var code byte
	for i := range table {
		inside := float32(float32(i-256)/2) + 0.25
		for code < 15 && inside > (iq4Values[code]+iq4Values[code+1])/2 {
			code++
		}
		table[i] = code
	}
	return table
}()

// iq4Value64 is iq4Values for the searches.
var iq4Value64 = func() (table [16]float64) {
	for i, v := range iq4Values {
		table[i] = float64(v)
	}
	return table
}()

// unpackIQ4XSScales returns the eight scales of 6 bits of IQ4_XS, which mean their value less 32: the low
// four bits two groups to a byte, the high two bits in a word of their own.
func unpackIQ4XSScales(high uint16, low *[4]byte) (scales [8]byte) {
	for g := range 8 {
		scales[g] = low[g/2]>>(g%2*4)&15 | byte(high>>(2*g)&3)<<4
	}
	return scales
}

func packIQ4XSScales(low *[4]byte, scales *[8]byte) (high uint16) {
	for g := range 4 {
		low[g] = scales[2*g]&15 | scales[2*g+1]<<4
	}
	for g, s := range scales {
		high |= uint16(s>>4) << (2 * g)
	}
	return high
}

func decodeIQ4_XS(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[kElems:], src[136:] {
		y, b := (*[kElems]float32)(dst), (*[136]byte)(src)
		d := readF16(b[:])
		scales := unpackIQ4XSScales(binary.LittleEndian.Uint16(b[2:]), (*[4]byte)(b[4:]))
		for g := range 8 {
			scale := d * float32(int32(scales[g])-32)
			scaleIQ4((*[32]float32)(y[32*g:]), scale, (*[16]byte)(b[8+16*g:]))
		}
	}
}

func decodeIQ4_NL(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[32:], src[18:] {
		y, b := (*[32]float32)(dst), (*[18]byte)(src)
		scaleIQ4(y, readF16(b[:]), (*[16]byte)(b[2:]))
	}
}

// scaleIQ4 decodes 32 codes: those of the low halves of the bytes first.
func scaleIQ4(y *[32]float32, d float32, q *[16]byte) {
	for i, c := range q {
		y[i] = d * iq4Values[c&15]
		y[i+16] = d * iq4Values[c>>4]
	}
}

func encodeIQ4_NL(dst []byte, src, weights []float32) {
	for ; len(src) > 0; src, dst = src[32:], dst[18:] {
		b := (*[18]byte)(dst)
		var x, w [32]float64
		loadValues(x[:], src)
		loadWeights(w[:], weights)
		if weights != nil {
			weights = weights[32:]
		}
		scale, _ := fitIQ4(x[:], w[:])
		d := float64(tinyScale(scale))
		if iq4Error(x[:], w[:], 0) <= iq4Error(x[:], w[:], d) {
			d = 0 // no code means zero, so the smallest scale can be worse than none
		}
		putScale(b[:], float32(d))
		inv := inverse64(d)
		var codes [32]byte
		for i, v := range x {
			codes[i] = iq4Code(v * inv)
		}
		packNibbles((*[16]byte)(b[2:]), &codes)
	}
}

func encodeIQ4_XS(dst []byte, src, weights []float32) {
	var s signedBlock
	for ; len(src) > 0; src, dst = src[kElems:], dst[136:] {
		weights = s.encode(&layoutIQ4_XS, src, weights)
		b := (*[136]byte)(dst)
		var scales [8]byte
		for g := range scales {
			scales[g] = byte(s.scales[g] + 32)
			packNibbles((*[16]byte)(b[8+16*g:]), (*[32]byte)(s.codes[32*g:]))
		}
		binary.LittleEndian.PutUint16(b[:], scaleBits(float32(s.d)))
		binary.LittleEndian.PutUint16(b[2:], packIQ4XSScales((*[4]byte)(b[4:]), &scales))
	}
}

// iq4Code returns the code whose value is nearest to t.
func iq4Code(t float64) byte {
	t = float64(t)                 // rounded, where the caller's product might be fused
	cell := nearest(2*t-0.5) + 256 // rounding half a step lower is rounding down
	return iq4Nearest[min(max(cell, 0), 511)&511]
}

// fitIQ4 is fitScale with the values of IQ4 instead of integers.
func fitIQ4(x, w []float64) (scale, other float64) {
	top := largest64(x)
	if top == 0 {
		return 0, 0
	}
	inv := 1 / top
	a, scoreA := climbIQ4(x, w, -127*inv, 1.5*inv)
	b, scoreB := climbIQ4(x, w, 113*inv, 1.5*inv)
	if scoreB > scoreA*tieMargin {
		return b, a
	}
	return a, b
}

// climbIQ4 is climbScale with the values of IQ4 instead of integers.
func climbIQ4(x, w []float64, center, step float64) (best, bestScore float64) {
	try := func(inv float64) bool {
		xq, qq := iq4Sums(x, w, inv)
		if qq == 0 || xq*xq <= bestScore*qq*tieMargin {
			return false
		}
		best, bestScore = xq/qq, xq*xq/qq
		return true
	}
	for k := -8.0; k <= 8; k++ {
		try(center + float64(step*k))
	}
	for range fitRounds {
		if best == 0 || !try(1/best) {
			break
		}
	}
	return best, bestScore
}

func iq4Sums(x, w []float64, inv float64) (xq, qq float64) {
	w = w[:len(x)]
	for i, v := range x {
		q := iq4Value64[iq4Code(v*inv)&15]
		wq := float64(w[i] * q)
		xq += float64(wq * v)
		qq += float64(wq * q)
	}
	return xq, qq
}

func iq4Error(x, w []float64, scale float64) (sum float64) {
	inv := inverse64(scale)
	w = w[:len(x)]
	for i, v := range x {
		diff := v - float64(scale*iq4Value64[iq4Code(v*inv)&15])
		sum += float64(w[i] * diff * diff)
	}
	return sum
}
