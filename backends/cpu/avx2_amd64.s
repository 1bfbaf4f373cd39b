//go:build !purego

#include "textflag.h"

// func dotF32AVX2(a, b *float32, n int) float32
// n is a multiple of 8. Four accumulators hide the latency of the multiply-add.
TEXT ·dotF32AVX2(SB), NOSPLIT, $0-28
	MOVQ   a+0(FP), SI
	MOVQ   b+8(FP), DI
	MOVQ   n+16(FP), CX
	VXORPS Y0, Y0, Y0
	VXORPS Y1, Y1, Y1
	VXORPS Y2, Y2, Y2
	VXORPS Y3, Y3, Y3
	SUBQ   $32, CX
	JL     tail

loop32:
	VMOVUPS     (SI), Y4
	VMOVUPS     32(SI), Y5
	VMOVUPS     64(SI), Y6
	VMOVUPS     96(SI), Y7
	VFMADD231PS (DI), Y4, Y0
	VFMADD231PS 32(DI), Y5, Y1
	VFMADD231PS 64(DI), Y6, Y2
	VFMADD231PS 96(DI), Y7, Y3
	ADDQ        $128, SI
	ADDQ        $128, DI
	SUBQ        $32, CX
	JGE         loop32

tail:
	ADDQ $32, CX
	JZ   sum

loop8:
	VMOVUPS     (SI), Y4
	VFMADD231PS (DI), Y4, Y0
	ADDQ        $32, SI
	ADDQ        $32, DI
	SUBQ        $8, CX
	JNZ         loop8

sum:
	VADDPS       Y1, Y0, Y0
	VADDPS       Y3, Y2, Y2
	VADDPS       Y2, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VHADDPS      X0, X0, X0
	VHADDPS      X0, X0, X0
	VZEROUPPER
	MOVSS        X0, ret+24(FP)
	RET

// func addScaledF32AVX2(dst, x *float32, n int, s float32)
// n is a multiple of 8.
TEXT ·addScaledF32AVX2(SB), NOSPLIT, $0-28
	MOVQ         dst+0(FP), DI
	MOVQ         x+8(FP), SI
	MOVQ         n+16(FP), CX
	VBROADCASTSS s+24(FP), Y0

loop:
	VMOVUPS     (DI), Y1
	VFMADD231PS (SI), Y0, Y1
	VMOVUPS     Y1, (DI)
	ADDQ        $32, SI
	ADDQ        $32, DI
	SUBQ        $8, CX
	JNZ         loop
	VZEROUPPER
	RET

// func dotQ8AVX2(w *byte, q *int8, scale *float32, blocks int) float32
// The product of signed bytes is taken as |w| * (q with w's sign), which is what VPMADDUBSW multiplies;
// two such products of at most 128*127 fit its 16 bits.
TEXT ·dotQ8AVX2(SB), NOSPLIT, $0-36
	MOVQ     w+0(FP), SI
	MOVQ     q+8(FP), DI
	MOVQ     scale+16(FP), DX
	MOVQ     blocks+24(FP), CX
	VXORPS   Y0, Y0, Y0
	VXORPS   Y1, Y1, Y1
	VPCMPEQW Y15, Y15, Y15
	VPSRLW   $15, Y15, Y15      // 16 ones
	SUBQ     $2, CX
	JL       last

loop:
	MOVWLZX      (SI), AX
	MOVWLZX      34(SI), BX
	VMOVD        AX, X2
	VMOVD        BX, X3
	VCVTPH2PS    X2, X2
	VCVTPH2PS    X3, X3
	VMULSS       (DX), X2, X2
	VMULSS       4(DX), X3, X3
	VBROADCASTSS X2, Y2
	VBROADCASTSS X3, Y3
	VMOVDQU      2(SI), Y4
	VMOVDQU      36(SI), Y5
	VMOVDQU      (DI), Y6
	VMOVDQU      32(DI), Y7
	VPSIGNB      Y4, Y6, Y6
	VPSIGNB      Y5, Y7, Y7
	VPABSB       Y4, Y4
	VPABSB       Y5, Y5
	VPMADDUBSW   Y6, Y4, Y4
	VPMADDUBSW   Y7, Y5, Y5
	VPMADDWD     Y15, Y4, Y4
	VPMADDWD     Y15, Y5, Y5
	VCVTDQ2PS    Y4, Y4
	VCVTDQ2PS    Y5, Y5
	VFMADD231PS  Y2, Y4, Y0
	VFMADD231PS  Y3, Y5, Y1
	ADDQ         $68, SI
	ADDQ         $64, DI
	ADDQ         $8, DX
	SUBQ         $2, CX
	JGE          loop

last:
	ADDQ $2, CX
	JZ   sum
	MOVWLZX      (SI), AX
	VMOVD        AX, X2
	VCVTPH2PS    X2, X2
	VMULSS       (DX), X2, X2
	VBROADCASTSS X2, Y2
	VMOVDQU      2(SI), Y4
	VMOVDQU      (DI), Y6
	VPSIGNB      Y4, Y6, Y6
	VPABSB       Y4, Y4
	VPMADDUBSW   Y6, Y4, Y4
	VPMADDWD     Y15, Y4, Y4
	VCVTDQ2PS    Y4, Y4
	VFMADD231PS  Y2, Y4, Y0

sum:
	VADDPS       Y1, Y0, Y0
	VEXTRACTF128 $1, Y0, X1
	VADDPS       X1, X0, X0
	VHADDPS      X0, X0, X0
	VHADDPS      X0, X0, X0
	VZEROUPPER
	MOVSS        X0, ret+32(FP)
	RET

// func decodeF16AVX2(dst *float32, src *byte, n int)
// n is a multiple of 8.
TEXT ·decodeF16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX

loop:
	VCVTPH2PS (SI), Y0
	VMOVUPS   Y0, (DI)
	ADDQ      $16, SI
	ADDQ      $32, DI
	SUBQ      $8, CX
	JNZ       loop
	VZEROUPPER
	RET
