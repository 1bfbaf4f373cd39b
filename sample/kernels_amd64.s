//go:build !purego

#include "textflag.h"

// Multiplications and additions are apart, never fused: each is rounded as in Go.

// LANES adds the eight lanes of lo and hi as lanes.sum does, into the first of x, the lower half of lo.
#define LANES(lo, hi, x) \
	VADDPD       hi, lo, lo  \
	VEXTRACTF128 $1, lo, X9  \
	VADDPD       X9, x, x    \
	VPERMILPD    $1, x, X9   \
	VADDSD       X9, x, x

// EXP4 sets Y11 to the weights of the four logits at x, of which x-best < -708 gives 0. Its constants are those
// of expLanes, and Y0 to Y6 as expAVX2 sets them.
//
// The table is read by four loads: they beat a gather, which is slow where it was mended against data sampling.
#define EXP4(x) \
	VCVTPS2PD    x, Y7                \
	VSUBPD       Y0, Y7, Y7           \
	VMULPD       Y1, Y7, Y7           \ // x
	VMULPD       Y2, Y7, Y8           \
	VADDPD       Y3, Y8, Y8           \ // t
	VSUBPD       Y3, Y8, Y9           \ // n
	VPAND        Y6, Y8, Y10          \ // j
	VEXTRACTI128 $1, Y10, X11         \
	VMOVQ        X10, AX              \
	VPEXTRQ      $1, X10, BX          \
	VMOVQ        X11, DX              \
	VPEXTRQ      $1, X11, R10         \
	VMOVSD       (R9)(AX*8), X12      \
	VMOVHPD      (R9)(BX*8), X12, X12 \
	VMOVSD       (R9)(DX*8), X11      \
	VMOVHPD      (R9)(R10*8), X11, X11 \
	VINSERTF128  $1, X11, Y12, Y12    \
	VPSRLQ       $6, Y8, Y8           \
	VPSLLQ       $52, Y8, Y8          \
	VPADDQ       Y8, Y12, Y12         \ // s
	VMULPD       Y4, Y9, Y10          \
	VMULPD       Y5, Y9, Y9           \
	VSUBPD       Y10, Y7, Y10         \
	VSUBPD       Y9, Y10, Y10         \ // r
	VMULPD       160(R8), Y10, Y11    \
	VADDPD       192(R8), Y11, Y11    \
	VMULPD       Y10, Y11, Y11        \
	VADDPD       224(R8), Y11, Y11    \
	VMULPD       Y10, Y11, Y11        \
	VADDPD       256(R8), Y11, Y11    \
	VMULPD       Y10, Y10, Y9         \
	VMULPD       Y9, Y11, Y11         \
	VADDPD       Y10, Y11, Y11        \ // p
	VMULPD       Y12, Y11, Y11        \
	VADDPD       Y12, Y11, Y11        \
	VCMPPD       $1, (R8), Y7, Y9     \ // x < -708
	VANDNPD      Y11, Y9, Y11

// func expAVX2(w *float64, x *float32, n int, best, invT float64, consts, table *float64) float64
// n is a multiple of 8.
TEXT ·expAVX2(SB), NOSPLIT, $0-64
	MOVQ         w+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD best+24(FP), Y0
	VBROADCASTSD invT+32(FP), Y1
	MOVQ         consts+40(FP), R8
	MOVQ         table+48(FP), R9
	VMOVUPD      32(R8), Y2       // 64/ln 2
	VMOVUPD      64(R8), Y3       // the shift
	VMOVUPD      96(R8), Y4       // ln2Hi/64
	VMOVUPD      128(R8), Y5      // ln2Lo/64
	VMOVUPD      288(R8), Y6      // 63
	VXORPD       Y14, Y14, Y14
	VXORPD       Y15, Y15, Y15

exp8:
	EXP4((SI))
	VMOVUPD Y11, (DI)
	VADDPD  Y11, Y14, Y14
	EXP4(16(SI))
	VMOVUPD Y11, 32(DI)
	VADDPD  Y11, Y15, Y15
	ADDQ    $32, SI
	ADDQ    $64, DI
	SUBQ    $8, CX
	JNZ     exp8

	LANES(Y14, Y15, X14)
	VZEROUPPER
	MOVSD X14, ret+56(FP)
	RET

// func expAVX512(w *float64, x *float32, n int, best, invT float64, consts, table *float64) float64
// n is a multiple of 8. The table is in registers: four permutations of two of them each have the four entries
// whose numbers differ in the upper two bits, which then choose.
TEXT ·expAVX512(SB), NOSPLIT, $0-64
	MOVQ         w+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD best+24(FP), Z0
	VBROADCASTSD invT+32(FP), Z1
	MOVQ         consts+40(FP), R8
	MOVQ         table+48(FP), R9
	VBROADCASTSD (R8), Z2         // -708
	VBROADCASTSD 32(R8), Z3       // 64/ln 2
	VBROADCASTSD 64(R8), Z4       // the shift
	VBROADCASTSD 96(R8), Z5       // ln2Hi/64
	VBROADCASTSD 128(R8), Z6      // ln2Lo/64
	VBROADCASTSD 160(R8), Z7      // 1/120
	VBROADCASTSD 192(R8), Z8      // 1/24
	VBROADCASTSD 224(R8), Z9      // 1/6
	VBROADCASTSD 256(R8), Z10     // 1/2
	VMOVUPD      (R9), Z16
	VMOVUPD      64(R9), Z17
	VMOVUPD      128(R9), Z18
	VMOVUPD      192(R9), Z19
	VMOVUPD      256(R9), Z20
	VMOVUPD      320(R9), Z21
	VMOVUPD      384(R9), Z22
	VMOVUPD      448(R9), Z23
	MOVQ         $16, AX
	VPBROADCASTQ AX, Z24
	MOVQ         $32, AX
	VPBROADCASTQ AX, Z25
	VPXORQ       Z15, Z15, Z15

exp8x:
	VCVTPS2PD (SI), Z11
	VSUBPD    Z0, Z11, Z11
	VMULPD    Z1, Z11, Z11        // x
	VMULPD    Z3, Z11, Z12
	VADDPD    Z4, Z12, Z12        // t
	VSUBPD    Z4, Z12, Z13        // n
	VPTESTMQ  Z24, Z12, K1
	VPTESTMQ  Z25, Z12, K2
	VMOVAPD   Z12, Z26
	VMOVAPD   Z12, Z27
	VMOVAPD   Z12, Z28
	VMOVAPD   Z12, Z29
	VPERMI2PD Z17, Z16, Z26
	VPERMI2PD Z19, Z18, Z27
	VPERMI2PD Z21, Z20, Z28
	VPERMI2PD Z23, Z22, Z29
	VBLENDMPD Z27, Z26, K1, Z26
	VBLENDMPD Z29, Z28, K1, Z28
	VBLENDMPD Z28, Z26, K2, Z26
	VPSRLQ    $6, Z12, Z12
	VPSLLQ    $52, Z12, Z12
	VPADDQ    Z12, Z26, Z26       // s
	VMULPD    Z5, Z13, Z12
	VMULPD    Z6, Z13, Z13
	VSUBPD    Z12, Z11, Z12
	VSUBPD    Z13, Z12, Z12       // r
	VMULPD    Z7, Z12, Z13
	VADDPD    Z8, Z13, Z13
	VMULPD    Z12, Z13, Z13
	VADDPD    Z9, Z13, Z13
	VMULPD    Z12, Z13, Z13
	VADDPD    Z10, Z13, Z13
	VMULPD    Z12, Z12, Z14
	VMULPD    Z14, Z13, Z13
	VADDPD    Z12, Z13, Z13       // p
	VMULPD    Z26, Z13, Z13
	VCMPPD    $13, Z2, Z11, K3    // x >= -708
	VADDPD.Z  Z26, Z13, K3, Z13
	VMOVUPD   Z13, (DI)
	VADDPD    Z13, Z15, Z15
	ADDQ      $32, SI
	ADDQ      $64, DI
	SUBQ      $8, CX
	JNZ       exp8x

	VEXTRACTF64X4 $1, Z15, Y14
	LANES(Y15, Y14, X15)
	VZEROUPPER
	MOVSD X15, ret+56(FP)
	RET

// func sumAVX2(w *float64, n int) float64
// n is a multiple of 8.
TEXT ·sumAVX2(SB), NOSPLIT, $0-24
	MOVQ   w+0(FP), DI
	MOVQ   n+8(FP), CX
	VXORPD Y14, Y14, Y14
	VXORPD Y15, Y15, Y15

sum8:
	VADDPD (DI), Y14, Y14
	VADDPD 32(DI), Y15, Y15
	ADDQ   $64, DI
	SUBQ   $8, CX
	JNZ    sum8

	LANES(Y14, Y15, X14)
	VZEROUPPER
	MOVSD X14, ret+16(FP)
	RET

// func momentsAVX2(w *float64, x *float32, n int, best float64) float64
// n is a multiple of 8.
TEXT ·momentsAVX2(SB), NOSPLIT, $0-40
	MOVQ         w+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD best+24(FP), Y0
	VXORPD       Y14, Y14, Y14
	VXORPD       Y15, Y15, Y15

moment8:
	VCVTPS2PD (SI), Y1
	VCVTPS2PD 16(SI), Y2
	VSUBPD    Y0, Y1, Y1
	VSUBPD    Y0, Y2, Y2
	VMULPD    (DI), Y1, Y1
	VMULPD    32(DI), Y2, Y2
	VADDPD    Y1, Y14, Y14
	VADDPD    Y2, Y15, Y15
	ADDQ      $32, SI
	ADDQ      $64, DI
	SUBQ      $8, CX
	JNZ       moment8

	LANES(Y14, Y15, X14)
	VZEROUPPER
	MOVSD X14, ret+32(FP)
	RET

// ABOVE adds to lo and hi those of the weights in Y8 and Y9 whose logits at SI are above t.
#define ABOVE(t, lo, hi) \
	VCMPPS    $1, (SI), t, X4    \ // t is below x
	VCMPPS    $1, 16(SI), t, X5  \
	VPMOVSXDQ X4, Y4             \
	VPMOVSXDQ X5, Y5             \
	VANDPD    Y6, Y4, Y4         \
	VANDPD    Y7, Y5, Y5         \
	VADDPD    Y4, lo, lo         \
	VADDPD    Y5, hi, hi

// func sumsAboveAVX2(sums *[4]float64, w *float64, x *float32, n int, t *[4]float32)
// n is a multiple of 8.
TEXT ·sumsAboveAVX2(SB), NOSPLIT, $0-40
	MOVQ         sums+0(FP), DX
	MOVQ         w+8(FP), DI
	MOVQ         x+16(FP), SI
	MOVQ         n+24(FP), CX
	MOVQ         t+32(FP), R8
	VBROADCASTSS (R8), X0
	VBROADCASTSS 4(R8), X1
	VBROADCASTSS 8(R8), X2
	VBROADCASTSS 12(R8), X3
	VXORPD       Y8, Y8, Y8
	VXORPD       Y9, Y9, Y9
	VXORPD       Y10, Y10, Y10
	VXORPD       Y11, Y11, Y11
	VXORPD       Y12, Y12, Y12
	VXORPD       Y13, Y13, Y13
	VXORPD       Y14, Y14, Y14
	VXORPD       Y15, Y15, Y15

above8:
	VMOVUPD (DI), Y6
	VMOVUPD 32(DI), Y7
	ABOVE(X0, Y8, Y9)
	ABOVE(X1, Y10, Y11)
	ABOVE(X2, Y12, Y13)
	ABOVE(X3, Y14, Y15)
	ADDQ    $32, SI
	ADDQ    $64, DI
	SUBQ    $8, CX
	JNZ     above8

	LANES(Y8, Y9, X8)
	VMOVSD X8, (DX)
	LANES(Y10, Y11, X10)
	VMOVSD X10, 8(DX)
	LANES(Y12, Y13, X12)
	VMOVSD X12, 16(DX)
	LANES(Y14, Y15, X14)
	VMOVSD X14, 24(DX)
	VZEROUPPER
	RET

// func blockTopsAVX2(tops, x *float32, blocks int) (low float32, nan int32)
TEXT ·blockTopsAVX2(SB), NOSPLIT, $0-32
	MOVQ     tops+0(FP), DI
	MOVQ     x+8(FP), SI
	MOVQ     blocks+16(FP), CX
	VMOVUPS  (SI), Y14            // the lowest
	VXORPS   Y15, Y15, Y15        // where there is NaN

block:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VMOVUPS 64(SI), Y2
	VMOVUPS 96(SI), Y3
	VMOVUPS 128(SI), Y4
	VMOVUPS 160(SI), Y5
	VMOVUPS 192(SI), Y6
	VMOVUPS 224(SI), Y7

	VCMPPS $3, Y0, Y1, Y8
	VCMPPS $3, Y2, Y3, Y9
	VCMPPS $3, Y4, Y5, Y10
	VCMPPS $3, Y6, Y7, Y11
	VORPS  Y8, Y9, Y8
	VORPS  Y10, Y11, Y10
	VORPS  Y8, Y15, Y15
	VORPS  Y10, Y15, Y15

	VMINPS Y0, Y1, Y8
	VMINPS Y2, Y3, Y9
	VMINPS Y4, Y5, Y10
	VMINPS Y6, Y7, Y11
	VMINPS Y8, Y9, Y8
	VMINPS Y10, Y11, Y10
	VMINPS Y8, Y14, Y14
	VMINPS Y10, Y14, Y14

	VMAXPS       Y0, Y1, Y0
	VMAXPS       Y2, Y3, Y2
	VMAXPS       Y4, Y5, Y4
	VMAXPS       Y6, Y7, Y6
	VMAXPS       Y0, Y2, Y0
	VMAXPS       Y4, Y6, Y4
	VMAXPS       Y0, Y4, Y0
	VEXTRACTF128 $1, Y0, X1
	VMAXPS       X0, X1, X0
	VPERMILPS    $0x4E, X0, X1
	VMAXPS       X0, X1, X0
	VPERMILPS    $0xB1, X0, X1
	VMAXPS       X0, X1, X0
	VMOVSS       X0, (DI)

	ADDQ $256, SI
	ADDQ $4, DI
	DECQ CX
	JNZ  block

	VEXTRACTF128 $1, Y14, X1
	VMINPS       X14, X1, X14
	VPERMILPS    $0x4E, X14, X1
	VMINPS       X14, X1, X14
	VPERMILPS    $0xB1, X14, X1
	VMINPS       X14, X1, X14
	VMOVMSKPS    Y15, AX
	VZEROUPPER
	MOVSS        X14, low+24(FP)
	MOVL         AX, nan+28(FP)
	RET

// func distancesAVX2(dst, x *float32, n int, mean float64)
// n is a multiple of 4. Setting the sign of mean-x gives the negative distance at once.
TEXT ·distancesAVX2(SB), NOSPLIT, $0-32
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSD mean+24(FP), Y0
	VPCMPEQD     X2, X2, X2
	VPSLLD       $31, X2, X2

distance4:
	VCVTPS2PD  (SI), Y1
	VSUBPD     Y1, Y0, Y1
	VCVTPD2PSY Y1, X1
	VORPS      X2, X1, X1
	VMOVUPS    X1, (DI)
	ADDQ       $16, SI
	ADDQ       $16, DI
	SUBQ       $4, CX
	JNZ        distance4

	VZEROUPPER
	RET
