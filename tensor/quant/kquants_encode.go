package quant

import "encoding/binary"

func encodeQ4_K(dst []byte, src, weights []float32) {
	var a affineBlock
	for ; len(src) > 0; src, dst = src[kElems:], dst[144:] {
		weights = a.encode(&layoutQ4_K, src, weights)
		b := (*[144]byte)(dst)
		a.putQ4Header((*[16]byte)(b[:]))
		for g := range 4 {
			for i := range 32 {
				b[16+32*g+i] = a.codes[64*g+i] | a.codes[64*g+32+i]<<4
			}
		}
	}
}

func encodeQ5_K(dst []byte, src, weights []float32) {
	var a affineBlock
	for ; len(src) > 0; src, dst = src[kElems:], dst[176:] {
		weights = a.encode(&layoutQ5_K, src, weights)
		b := (*[176]byte)(dst)
		a.putQ4Header((*[16]byte)(b[:]))
		high := (*[32]byte)(b[16:])
		clear(high[:])
		for g := range 4 {
			for i := range 32 {
				c0, c1 := a.codes[64*g+i], a.codes[64*g+32+i]
				b[48+32*g+i] = c0&15 | c1<<4
				high[i] |= c0>>4<<(2*g) | c1>>4<<(2*g+1)
			}
		}
	}
}

// putQ4Header writes the scales that stand before the codes of Q4_K and Q5_K.
func (a *affineBlock) putQ4Header(b *[16]byte) {
	binary.LittleEndian.PutUint16(b[:], scaleBits(float32(a.d)))
	binary.LittleEndian.PutUint16(b[2:], scaleBits(float32(a.dmin)))
	packQ4Scales((*[12]byte)(b[4:]), (*[8]byte)(a.scales[:]), (*[8]byte)(a.mins[:]))
}

func encodeQ2_K(dst []byte, src, weights []float32) {
	var a affineBlock
	for ; len(src) > 0; src, dst = src[kElems:], dst[84:] {
		weights = a.encode(&layoutQ2_K, src, weights)
		b := (*[84]byte)(dst)
		for g := range 16 {
			b[g] = a.scales[g] | a.mins[g]<<4
		}
		packCrumbs((*[64]byte)(b[16:]), &a.codes)
		binary.LittleEndian.PutUint16(b[80:], scaleBits(float32(a.d)))
		binary.LittleEndian.PutUint16(b[82:], scaleBits(float32(a.dmin)))
	}
}

// packCrumbs writes the low two bits of the codes: a byte holds those of four values 32 apart.
func packCrumbs(b *[64]byte, codes *[kElems]byte) {
	for half := range 2 {
		for i := range 32 {
			c := (*[128]byte)(codes[128*half:])
			b[32*half+i] = c[i]&3 | c[i+32]&3<<2 | c[i+64]&3<<4 | c[i+96]&3<<6
		}
	}
}

func encodeQ3_K(dst []byte, src, weights []float32) {
	var s signedBlock
	for ; len(src) > 0; src, dst = src[kElems:], dst[110:] {
		weights = s.encode(&layoutQ3_K, src, weights)
		b := (*[110]byte)(dst)
		high := (*[32]byte)(b[:])
		clear(high[:])
		for i, c := range s.codes {
			high[i%32] |= c >> 2 << (i / 32)
		}
		packCrumbs((*[64]byte)(b[32:]), &s.codes)
		var scales [16]byte
		for g := range scales {
			scales[g] = byte(s.scales[g] + 32)
		}
		packQ3Scales((*[12]byte)(b[96:]), &scales)
		binary.LittleEndian.PutUint16(b[108:], scaleBits(float32(s.d)))
	}
}

func encodeQ6_K(dst []byte, src, weights []float32) {
	var s signedBlock
	for ; len(src) > 0; src, dst = src[kElems:], dst[210:] {
		weights = s.encode(&layoutQ6_K, src, weights)
		b := (*[210]byte)(dst)
		for half := range 2 {
			c := (*[128]byte)(s.codes[128*half:])
			low := (*[64]byte)(b[64*half:])
			high := (*[32]byte)(b[128+32*half:])
			for i := range 32 {
				low[i] = c[i]&15 | c[i+64]<<4
				low[i+32] = c[i+32]&15 | c[i+96]<<4
				high[i] = c[i]>>4 | c[i+32]>>4<<2 | c[i+64]>>4<<4 | c[i+96]>>4<<6
			}
		}
		for g := range 16 {
			b[192+g] = byte(s.scales[g])
		}
		binary.LittleEndian.PutUint16(b[208:], scaleBits(float32(s.d)))
	}
}
