package cpu

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/tenon-go/tenon/tensor"
	"github.com/tenon-go/tenon/tensor/quant"
)

// dotF32Go returns Σ a[i]*b[i] over the length of a, in F32 with 8 partial sums.
func dotF32Go(a, b []float32) float32 {
	b = b[:len(a)]
	var s0, s1, s2, s3, s4, s5, s6, s7 float32
	for len(a) >= 8 {
		x, y := (*[8]float32)(a), (*[8]float32)(b)
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
		s4 += x[4] * y[4]
		s5 += x[5] * y[5]
		s6 += x[6] * y[6]
		s7 += x[7] * y[7]
		a, b = a[8:], b[8:]
	}
	for i, x := range a {
		s0 += x * b[i]
	}
	return ((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7))
}

// row returns the bytes of row r of the weights, token t's record and where its result goes.
func (p *product) row(r, bytes int) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(p.w), r*p.wStride)), bytes)
}

func (p *product) token(t int, f form) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(p.x), t*p.xStride)), f.bytes(p.k))
}

func (p *product) result(r, t int) *float32 {
	return (*float32)(unsafe.Add(unsafe.Pointer(p.dst), 4*r+t*p.dstStride))
}

// record32 and record256 look at a record of k elements.
func record32(rec []byte, k int) (q []int8, d []float32, sum []int32) {
	return i8s(rec[:k]), f32s(rec[k : k+k/8]), i32s(rec[k+k/8 : k+k/4])
}

func record256(rec []byte, k int) (q []int8, d []float32, sum []int16) {
	return i8s(rec[:k]), f32s(rec[k : k+k/64]), i16s(rec[k+k/64 : k+k/64+k/8])
}

// dot32Go multiplies weights in blocks of 32 with one token: of each block the exact sum of products
// of codes, times both scales, and the sum of the token's codes times its scale and m.
func dot32Go(p *product, t tensor.DType, unpack func(*codes32, []byte)) {
	_, size := t.Block()
	q, d, sums := record32(p.token(0, blocks32), p.k)
	c := &p.block32
	for r := range p.rows {
		w := p.row(r, p.k/32*size)
		var sum float32
		for b := range d {
			unpack(c, w[b*size:])
			sum += float32(dot8(c.q[:], q[32*b:])) * (d[b] * c.d)
			if c.m != 0 {
				sum += float32(sums[b]) * (d[b] * c.m)
			}
		}
		*p.result(r, 0) = sum
	}
}

// dot256Go multiplies weights in superblocks of 256 with one token: of each superblock the exact sum
// over groups of scale times products of codes, times both scales, less the same of least values.
func dot256Go(p *product, t tensor.DType, unpack func(*codes256, []byte)) {
	_, size := t.Block()
	q, d, sums := record256(p.token(0, blocks256), p.k)
	c := &p.block256
	for r := range p.rows {
		w := p.row(r, p.k/256*size)
		var sum float32
		for b := range d {
			unpack(c, w[b*size:])
			var products, least int32
			for g := range 16 {
				products += int32(c.scale[g]) * dot8(c.q[16*g:16*g+16], q[256*b+16*g:])
				least += int32(c.least[g]) * int32(sums[16*b+g])
			}
			sum += d[b]*c.d*float32(products) - d[b]*c.dmin*float32(least)
		}
		*p.result(r, 0) = sum
	}
}

// dotFloatsGo multiplies weights that are floats with one token.
func dotFloatsGo(p *product, t tensor.DType) {
	x := f32s(p.token(0, floats))
	for r := range p.rows {
		w := p.row(r, t.RowBytes(p.k))
		var sum float32
		switch t {
		case tensor.F32:
			sum = dotF32Go(f32s(w), x)
		case tensor.F16:
			for i, v := range x {
				sum += v * quant.F16ToF32(binary.LittleEndian.Uint16(w[2*i:]))
			}
		case tensor.BF16:
			for i, v := range x {
				sum += v * quant.BF16ToF32(binary.LittleEndian.Uint16(w[2*i:]))
			}
		}
		*p.result(r, 0) = sum
	}
}

// dot8 returns Σ a[i]*b[i] over the length of a, a multiple of 4.
func dot8(a, b []int8) int32 {
	b = b[:len(a)]
	var s0, s1, s2, s3 int32
	for len(a) >= 4 {
		x, y := (*[4]int8)(a), (*[4]int8)(b)
		s0 += int32(x[0]) * int32(y[0])
		s1 += int32(x[1]) * int32(y[1])
		s2 += int32(x[2]) * int32(y[2])
		s3 += int32(x[3]) * int32(y[3])
		a, b = a[4:], b[4:]
	}
	return s0 + s1 + s2 + s3
}

// round32Go writes x's record of blocks of 32.
func round32Go(rec []byte, x []float32) {
	q, d, sums := record32(rec, len(x))
	for b := range d {
		d[b] = roundBlock(q[32*b:32*b+32], x[32*b:])
		sums[b] = sum8(q[32*b : 32*b+32])
	}
}

// round256Go writes x's record of blocks of 256.
func round256Go(rec []byte, x []float32) {
	q, d, sums := record256(rec, len(x))
	for b := range d {
		d[b] = roundBlock(q[256*b:256*b+256], x[256*b:])
	}
	for g := range sums {
		sums[g] = int16(sum8(q[16*g : 16*g+16]))
	}
}

func sum8(q []int8) (sum int32) {
	for _, v := range q {
		sum += int32(v)
	}
	return sum
}

// roundBlock rounds x to the codes q, half away from zero, and returns their scale. A block with a NaN
// or an Inf gets a NaN scale, so that it cannot pass unseen. The inverse of a tiny scale is no number
// any more: such a block is taken for zeros.
func roundBlock(q []int8, x []float32) (scale float32) {
	x = x[:len(q)]
	var greatest, sum float32
	for _, v := range x {
		greatest = max(greatest, v, -v)
		sum += v - v // NaN if v is not finite
	}
	inv := float32(0)
	if sum == 0 {
		if inv = 127 / greatest; inv > math.MaxFloat32 {
			inv = 0
		}
	}
	for i, v := range x {
		v = float32(v * inv) // rounded before the half: no fused multiply-add, so that all processors agree
		// Half away from zero: adding a half and cutting off needs no call.
		if v < 0 {
			q[i] = int8(v - 0.5)
		} else {
			q[i] = int8(v + 0.5)
		}
	}
	return greatest/127 + sum
}
