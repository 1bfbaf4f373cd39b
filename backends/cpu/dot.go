package cpu

import (
	"encoding/binary"

	"github.com/tenon-go/tenon/tensor/quant"
)

// The units that matrix products spend their time in. Each variable holds the fastest form that this
// processor has; the Go form beside it says what it computes and is what tests compare with.
var (
	dotF32       = dotF32Go
	dotQ8        = dotQ8Go
	addScaledF32 = addScaledF32Go
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

// q8Block is the number of elements that share a scale, in weights and in rounded activations.
const q8Block = 32

// dotQ8Go returns the product of a Q8_0 row with a row rounded by roundQ8: for each block
// the exact integer sum times both scales.
func dotQ8Go(w []byte, q []int8, scale []float32) float32 {
	var sum float32
	for b, d := range scale {
		wb := (*[34]byte)(w[b*34:])
		qb := (*[q8Block]int8)(q[b*q8Block:])
		var s0, s1, s2, s3 int32
		for i := 0; i < q8Block; i += 4 {
			s0 += int32(int8(wb[2+i])) * int32(qb[i])
			s1 += int32(int8(wb[3+i])) * int32(qb[i+1])
			s2 += int32(int8(wb[4+i])) * int32(qb[i+2])
			s3 += int32(int8(wb[5+i])) * int32(qb[i+3])
		}
		sum += float32(s0+s1+s2+s3) * (d * quant.F16ToF32(binary.LittleEndian.Uint16(wb[:])))
	}
	return sum
}

// roundQ8 rounds x to blocks of 8-bit integers with an F32 scale each. A block with a NaN or an Inf
// gets a NaN scale, so that it cannot pass unseen.
func roundQ8(q []int8, scale []float32, x []float32) {
	for b := range scale {
		xb := (*[q8Block]float32)(x[b*q8Block:])
		var greatest, sum float32
		for _, v := range xb {
			greatest = max(greatest, v, -v)
			sum += v - v // NaN if v is not finite
		}
		scale[b] = greatest/127 + sum
		inv := float32(0)
		if greatest > 0 && sum == 0 {
			inv = 127 / greatest
		}
		qb := (*[q8Block]int8)(q[b*q8Block:])
		for i, v := range xb {
			v *= inv
			// Half away from zero: adding a half and cutting off needs no call.
			if v < 0 {
				qb[i] = int8(v - 0.5)
			} else {
				qb[i] = int8(v + 0.5)
			}
		}
	}
}
