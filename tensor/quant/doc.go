// Package quant holds the storage formats of tensors in plain Go: how values become bytes and bytes
// become values. It is the reference that the kernels of every backend are compared with.
//
// [Of] gives the code for a type; its functions are the inner loops of kernels and trust the lengths
// they are given. [Decode] and [Encode] check them first.
//
//	type    values  bytes  bits   value of code q                    scales and codes, in the order stored
//	F32          1      4  32     q
//	F64          1      8  64     q, rounded to float32
//	F16          1      2  16     q                                  IEEE 754 binary16
//	BF16         1      2  16     q                                  upper half of a float32
//	I8 - I64     1    1-8  8-64   q                                  two's complement
//	Q4_0        32     18   4.5   d*(q-8)                            d f16, q 4 bits
//	Q4_1        32     20   5     d*q + m                            d f16, m f16, q 4 bits
//	Q5_0        32     22   5.5   d*(q-16)                           d f16, q 1 high bit, 4 low bits
//	Q5_1        32     24   6     d*q + m                            d f16, m f16, q 1 high bit, 4 low bits
//	Q8_0        32     34   8.5   d*q                                d f16, q i8
//	Q8_1        32     36   9     d*q                                d f16, d*sum(q) f16, q i8
//	Q2_K       256     84   2.625 d*s*q - dmin*m   for 16 values     s 4 bits, m 4 bits, q 2 bits, d f16, dmin f16
//	Q3_K       256    110   3.438 d*(s-32)*(q-4)   for 16 values     q 1 high bit, 2 low bits, s 6 bits, d f16
//	Q4_K       256    144   4.5   d*s*q - dmin*m   for 32 values     d f16, dmin f16, s and m 6 bits, q 4 bits
//	Q5_K       256    176   5.5   d*s*q - dmin*m   for 32 values     as Q4_K, q 1 high bit, 4 low bits
//	Q6_K       256    210   6.563 d*s*(q-32)       for 16 values     q 4 low bits, 2 high bits, s i8, d f16
//	Q8_K       256    292   9.125 d*q                                d f32, q i8, sums of 16 q as i16
//	IQ4_NL      32     18   4.5   d*table[q]                         d f16, q 4 bits
//	IQ4_XS     256    136   4.25  d*(s-32)*table[q] for 32 values    d f16, s 2 high bits, 4 low bits, q 4 bits
//	MXFP4       32     17   4.25  2^(e-127)*e2m1[q]                  e 8 bits, q 4 bits
//
// All numbers are little-endian. Q8_1 and Q8_K are formats of activations and do not occur in files.
// The layouts are those of GGUF; MXFP4 is that of the OCP Microscaling Formats specification.
//
// # Decoding
//
// Every byte string of the right length decodes, at random to infinities and NaN too if its scales are
// such. The result is the same to the bit on every platform: no multiplication is fused with an
// addition. Where scales are integers times a binary16 number, all products but the last are exact.
//
// # Encoding
//
// F16 and BF16 round to nearest, halves to even; F16 overflows to infinity, and NaN stays NaN. Integers
// round to nearest, halves to even, within their range; NaN becomes 0.
//
// The block formats hold finite values only: NaN is encoded as 0, an infinity as the greatest number of
// its sign, and what a block cannot reach as the greatest that it can. What is encoded thus decodes to
// finite values. Whoever needs to know about NaN has to look before encoding.
//
// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q8_K and MXFP4 without weights follow the simple rule that the
// formats came with, by which the greatest value sets the scale; KV caches and activations are
// written with it. The other formats, and the first four with weights, search for the scales of least
// (weighted) squared error; MXFP4 with weights chooses between two scales. Weights usually are the mean
// squares of the activations that a column of a matrix is multiplied with.
//
// # Memory and concurrency
//
// All memory belongs to the caller; nothing is kept or allocated. Every function may be called
// concurrently on slices that do not overlap.
package quant
