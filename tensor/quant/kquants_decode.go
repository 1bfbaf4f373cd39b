package quant

import "encoding/binary"

// The formats with a superblock of 256 values: a binary16 scale for all, and small integer scales for
// groups of 16 or 32 of them.

// kElems is the number of values of a superblock.
const kElems = 256

func decodeQ2_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[kElems:], src[84:] {
		y, b := (*[kElems]float32)(dst), (*[84]byte)(src)
		d, dmin := readF16(b[80:]), readF16(b[82:])
		for g := range 16 {
			// Groups of 16: 32 bytes of codes serve eight groups, two bits at a time.
			q := (*[16]byte)(b[16+32*(g/8)+16*(g%2):])
			scale := float32(d * float32(b[g]&15))
			minimum := float32(dmin * float32(b[g]>>4))
			// Four codes, four values: a table saves the arithmetic.
			values := [4]float32{
				float32(scale*0) - minimum, // not 0: the sign of a zero is kept
				scale - minimum,
				float32(scale*2) - minimum,
				float32(scale*3) - minimum,
			}
			shift := uint(g / 2 % 4 * 2)
			out := (*[16]float32)(y[16*g:])
			for i, c := range q {
				out[i] = values[c>>shift&3]
			}
		}
	}
}

func decodeQ3_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[kElems:], src[110:] {
		y, b := (*[kElems]float32)(dst), (*[110]byte)(src)
		d := readF16(b[108:])
		scales := unpackQ3Scales((*[12]byte)(b[96:]))
		for g := range 16 {
			q := (*[16]byte)(b[32+32*(g/8)+16*(g%2):])
			high := (*[16]byte)(b[16*(g%2):])
			scale := d * float32(int32(scales[g])-32)
			shift, bit := uint(g/2%4*2), uint(g/2)
			out := (*[16]float32)(y[16*g:])
			for i := 0; i < 16; i += 8 {
				// Eight codes at once: two bits of each byte of q, and a bit of each of high.
				c := binary.LittleEndian.Uint64(q[i:])>>(shift&63)&0x0303030303030303 |
					binary.LittleEndian.Uint64(high[i:])>>(bit&63)&0x0101010101010101<<2
				o := (*[8]float32)(out[i:])
				o[0] = scale * float32(int32(c&7)-4)
				o[1] = scale * float32(int32(c>>8&7)-4)
				o[2] = scale * float32(int32(c>>16&7)-4)
				o[3] = scale * float32(int32(c>>24&7)-4)
				o[4] = scale * float32(int32(c>>32&7)-4)
				o[5] = scale * float32(int32(c>>40&7)-4)
				o[6] = scale * float32(int32(c>>48&7)-4)
				o[7] = scale * float32(int32(c>>56)-4)
			}
		}
	}
}

// unpackQ3Scales returns the 16 scales of 6 bits, which mean their value less 32. The low four bits
// stand first, two groups to a byte, then the high two bits, four groups to a byte.
func unpackQ3Scales(b *[12]byte) (scales [16]byte) {
	for g := range 8 {
		scales[g] = b[g]&15 | b[8+g%4]>>(g/4*2)&3<<4
		scales[g+8] = b[g]>>4 | b[8+g%4]>>(g/4*2+4)&3<<4
	}
	return scales
}

func packQ3Scales(b *[12]byte, scales *[16]byte) {
	for g := range 8 {
		b[g] = scales[g]&15 | scales[g+8]<<4
	}
	for g := range 4 {
		b[8+g] = scales[g]>>4 | scales[g+4]>>4<<2 | scales[g+8]>>4<<4 | scales[g+12]>>4<<6
	}
}

func decodeQ4_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[kElems:], src[144:] {
		y, b := (*[kElems]float32)(dst), (*[144]byte)(src)
		d, dmin := readF16(b[:]), readF16(b[2:])
		scales, mins := unpackQ4Scales((*[12]byte)(b[4:]))
		for g := 0; g < 8; g += 2 {
			q := (*[32]byte)(b[16+16*g:])
			d0, m0 := d*float32(scales[g]), float32(dmin*float32(mins[g]))
			d1, m1 := d*float32(scales[g+1]), float32(dmin*float32(mins[g+1]))
			out := (*[64]float32)(y[32*g:])
			for i, c := range q {
				out[i] = float32(d0*float32(c&15)) - m0
				out[i+32] = float32(d1*float32(c>>4)) - m1
			}
		}
	}
}

// unpackQ4Scales returns the eight scales and eight minimums of 6 bits of Q4_K and Q5_K. The first
// four of each have a byte of their own, whose upper two bits are the upper bits of the last four.
func unpackQ4Scales(b *[12]byte) (scales, mins [8]byte) {
	for g := range 4 {
		scales[g] = b[g] & 63
		mins[g] = b[g+4] & 63
		scales[g+4] = b[g+8]&15 | b[g]>>6<<4
		mins[g+4] = b[g+8]>>4 | b[g+4]>>6<<4
	}
	return scales, mins
}

func packQ4Scales(b *[12]byte, scales, mins *[8]byte) {
	for g := range 4 {
		b[g] = scales[g] | scales[g+4]>>4<<6
		b[g+4] = mins[g] | mins[g+4]>>4<<6
		b[g+8] = scales[g+4]&15 | mins[g+4]<<4
	}
}

func decodeQ5_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[kElems:], src[176:] {
		y, b := (*[kElems]float32)(dst), (*[176]byte)(src)
		d, dmin := readF16(b[:]), readF16(b[2:])
		scales, mins := unpackQ4Scales((*[12]byte)(b[4:]))
		high := (*[32]byte)(b[16:])
		for g := 0; g < 8; g += 2 {
			q := (*[32]byte)(b[48+16*g:])
			d0, m0 := d*float32(scales[g]), float32(dmin*float32(mins[g]))
			d1, m1 := d*float32(scales[g+1]), float32(dmin*float32(mins[g+1]))
			out := (*[64]float32)(y[32*g:])
			for i := 0; i < 32; i += 8 {
				// Eight bytes at once; bit g of high is for the first group, bit g+1 for the second.
				c := binary.LittleEndian.Uint64(q[i:])
				h := binary.LittleEndian.Uint64(high[i:]) >> (g & 63)
				c0 := c&0x0f0f0f0f0f0f0f0f | h&0x0101010101010101<<4
				c1 := c>>4&0x0f0f0f0f0f0f0f0f | h>>1&0x0101010101010101<<4
				o0, o1 := (*[8]float32)(out[i:]), (*[8]float32)(out[i+32:])
				for k := range 8 {
					o0[k] = float32(d0*float32(uint8(c0))) - m0
					o1[k] = float32(d1*float32(uint8(c1))) - m1
					c0, c1 = c0>>8, c1>>8
				}
			}
		}
	}
}

func decodeQ6_K(dst []float32, src []byte) {
	for ; len(dst) > 0; dst, src = dst[kElems:], src[210:] {
		y, b := (*[kElems]float32)(dst), (*[210]byte)(src)
		d := readF16(b[208:])
		for half := range 2 {
			low := (*[64]byte)(b[64*half:])
			high := (*[32]byte)(b[128+32*half:])
			scales := (*[8]byte)(b[192+8*half:])
			out := (*[128]float32)(y[128*half:])
			for part := range 2 { // 16 columns at a time, as far as a scale goes
				s0 := d * float32(int8(scales[part]))
				s1 := d * float32(int8(scales[part+2]))
				s2 := d * float32(int8(scales[part+4]))
				s3 := d * float32(int8(scales[part+6]))
				for i := 16 * part; i < 16*part+16; i++ {
					h, l0, l1 := int32(high[i]), int32(low[i]), int32(low[i+32])
					out[i] = s0 * float32(l0&15|h<<4&48-32)
					out[i+32] = s1 * float32(l1&15|h<<2&48-32)
					out[i+64] = s2 * float32(l0>>4|h&48-32)
					out[i+96] = s3 * float32(l1>>4|h>>2&48-32)
				}
			}
		}
	}
}
