package cpu

import (
	"encoding/binary"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// codes32 is a block of 32 weights: an element is d*q + m.
type codes32 struct {
	q    [32]int8
	d, m float32
}

// codes256 is a superblock of 256 weights in groups of 16: an element is d*scale*q - dmin*least. Where a
// format has groups of 32, two of these follow each other with equal scales.
type codes256 struct {
	q [256]int8
	superScale
}

// superScale are the scales of a superblock.
type superScale struct {
	scale, least [16]int16
	d, dmin      float32
}

// unpack32 takes a block apart, by type. Layouts are those of package quant.
var unpack32 = map[tensor.DType]func(c *codes32, b []byte){
	tensor.Q8_0: func(c *codes32, b []byte) {
		c.d, c.m = half(b), 0
		for i, v := range b[2:34] {
			c.q[i] = int8(v)
		}
	},
	tensor.Q4_0: func(c *codes32, b []byte) {
		c.d, c.m = half(b), 0
		for i, v := range b[2:18] {
			c.q[i], c.q[i+16] = int8(v&15)-8, int8(v>>4)-8
		}
	},
	tensor.Q4_1: func(c *codes32, b []byte) {
		c.d, c.m = half(b), half(b[2:])
		for i, v := range b[4:20] {
			c.q[i], c.q[i+16] = int8(v&15), int8(v>>4)
		}
	},
	tensor.Q5_0: func(c *codes32, b []byte) {
		c.d, c.m = half(b), 0
		c.fifth(b[6:22], binary.LittleEndian.Uint32(b[2:]), -16)
	},
	tensor.Q5_1: func(c *codes32, b []byte) {
		c.d, c.m = half(b), half(b[2:])
		c.fifth(b[8:24], binary.LittleEndian.Uint32(b[4:]), 0)
	},
	tensor.IQ4_NL: func(c *codes32, b []byte) {
		c.d, c.m = half(b), 0
		for i, v := range b[2:18] {
			c.q[i], c.q[i+16] = iq4Codes[v&15], iq4Codes[v>>4]
		}
	},
	tensor.MXFP4: func(c *codes32, b []byte) {
		c.d, c.m = mxfp4Half[b[0]], 0
		for i, v := range b[1:17] {
			c.q[i], c.q[i+16] = mxfp4Codes[v&15], mxfp4Codes[v>>4]
		}
	},
}

// unpack256 takes the codes and scales of a superblock apart, and unpackScales the scales alone.
var unpack256 = map[tensor.DType]func(c *codes256, b []byte){}

func init() {
	for t, scales := range unpackScales {
		codes := unpackCodes[t]
		unpack256[t] = func(c *codes256, b []byte) {
			scales(&c.superScale, b)
			codes(&c.q, b)
		}
	}
}

var unpackScales = map[tensor.DType]func(c *superScale, b []byte){
	tensor.Q2_K: func(c *superScale, b []byte) {
		c.d, c.dmin = half(b[80:]), half(b[82:])
		for g := range 16 {
			c.scale[g], c.least[g] = int16(b[g]&15), int16(b[g]>>4)
		}
	},
	tensor.Q3_K: func(c *superScale, b []byte) {
		c.d, c.dmin = half(b[108:]), 0
		for g := range 16 {
			s := b[96+g%8] >> (g / 8 * 4) & 15
			s |= b[104+g%4] >> (g / 4 * 2) & 3 << 4
			c.scale[g], c.least[g] = int16(s)-32, 0
		}
	},
	tensor.Q4_K: func(c *superScale, b []byte) { c.sixes((*[16]byte)(b)) },
	tensor.Q5_K: func(c *superScale, b []byte) { c.sixes((*[16]byte)(b)) },
	tensor.Q6_K: func(c *superScale, b []byte) {
		c.d, c.dmin = half(b[208:]), 0
		for g, s := range b[192:208] {
			c.scale[g], c.least[g] = int16(int8(s)), 0
		}
	},
	tensor.IQ4_XS: func(c *superScale, b []byte) {
		c.d, c.dmin = half(b), 0
		high := binary.LittleEndian.Uint16(b[2:])
		for g := range 8 {
			s := int16(b[4+g/2]>>(g%2*4)&15|byte(high>>(2*g)&3)<<4) - 32
			c.scale[2*g], c.scale[2*g+1] = s, s
		}
		c.least = [16]int16{}
	},
}

var unpackCodes = map[tensor.DType]func(q *[256]int8, b []byte){
	tensor.Q2_K: func(q *[256]int8, b []byte) {
		for i := range q {
			g := i / 16
			q[i] = int8(b[16+32*(g/8)+16*(g%2)+i%16] >> (g / 2 % 4 * 2) & 3)
		}
	},
	tensor.Q3_K: func(q *[256]int8, b []byte) {
		for i := range q {
			g := i / 16
			low, high := b[32+32*(g/8)+16*(g%2)+i%16], b[16*(g%2)+i%16]
			q[i] = int8(low>>(g/2%4*2)&3|high>>(g/2)&1<<2) - 4
		}
	},
	tensor.Q4_K: func(q *[256]int8, b []byte) {
		for g := range 4 {
			for i, v := range b[16+32*g:][:32] {
				q[64*g+i], q[64*g+32+i] = int8(v&15), int8(v>>4)
			}
		}
	},
	tensor.Q5_K: func(q *[256]int8, b []byte) {
		for g := range 4 {
			for i, v := range b[48+32*g:][:32] {
				h := b[16+i] >> (2 * g)
				q[64*g+i], q[64*g+32+i] = int8(v&15|h&1<<4), int8(v>>4|h>>1&1<<4)
			}
		}
	},
	tensor.Q6_K: func(q *[256]int8, b []byte) {
		for n := range 2 {
			for i, h := range b[128+32*n:][:32] {
				l0, l1, q := b[64*n+i], b[64*n+32+i], q[128*n+i:]
				q[0], q[32] = int8(l0&15|h&3<<4)-32, int8(l1&15|h>>2&3<<4)-32
				q[64], q[96] = int8(l0>>4|h>>4&3<<4)-32, int8(l1>>4|h>>6<<4)-32
			}
		}
	},
	tensor.IQ4_XS: func(q *[256]int8, b []byte) {
		for g := range 8 {
			for i, v := range b[8+16*g:][:16] {
				q[32*g+i], q[32*g+16+i] = iq4Codes[v&15], iq4Codes[v>>4]
			}
		}
	},
}

// iq4Codes and mxfp4Codes are the values of 4-bit codes; those of MXFP4 are doubled, and its scale,
// by exponent, halved. Source: the OCP Microscaling Formats specification 1.0 for the latter.
var (
	iq4Codes   = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	mxfp4Codes = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
	mxfp4Half  = func() (t [256]float32) {
		one := make([]byte, 17)
		one[1] = 1 // the code of a half
		var v [32]float32
		for e := range t {
			one[0] = byte(e)
			if err := quant.Decode(tensor.MXFP4, v[:], one); err != nil {
				panic(err) // the lengths are right
			}
			t[e] = v[0]
		}
		return t
	}()
)

// half reads a binary16 number.
func half(b []byte) float32 { return quant.F16ToF32(binary.LittleEndian.Uint16(b)) }

// fifth unpacks codes of five bits, whose fifth ones stand together, and adds a.
func (c *codes32) fifth(low []byte, high uint32, a int8) {
	for i, v := range low {
		c.q[i] = int8(v&15|byte(high>>i&1)<<4) + a
		c.q[i+16] = int8(v>>4|byte(high>>(i+16)&1)<<4) + a
	}
}

// sixes unpacks the scales and least values of Q4_K and Q5_K: the first four of each have a byte of their
// own, whose upper two bits are the upper bits of the last four.
func (c *superScale) sixes(b *[16]byte) {
	c.d, c.dmin = half(b[:]), half(b[2:])
	for g := range 4 {
		s, m, both := b[4+g], b[8+g], b[12+g]
		c.pair(g, s&63, m&63)
		c.pair(g+4, both&15|s>>6<<4, both>>4|m>>6<<4)
	}
}

func (c *superScale) pair(g int, scale, least byte) {
	c.scale[2*g], c.scale[2*g+1] = int16(scale), int16(scale)
	c.least[2*g], c.least[2*g+1] = int16(least), int16(least)
}
