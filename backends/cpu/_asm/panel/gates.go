package main

import (
	"fmt"
	"math"
)

// gates writes v/(1+e^a(v))*up, eight at a time, for the a of each gate. The exponential is that of a number
// within half a natural logarithm of two from zero, by its series to the sixth power, times a power of two,
// which is multiplied in two halves so that what is beyond float32 becomes an infinity or a zero. Registers:
//
//	DI results, SI gates, DX the other factor, CX how many eights; Y0 v, Y1 a, Y2 powers, Y3 Y4; constants
func gates(f *file) {
	constant := func(name string, v float32) {
		bits := uint64(math.Float32bits(v))
		f.line("")
		for i := range 4 {
			f.line("DATA ·%s<>+%d(SB)/8, $0x%016x", name, 8*i, bits<<32|bits)
		}
		f.line("GLOBL ·%s<>(SB), RODATA|NOPTR, $32", name)
	}
	constant("gateMost", 106)
	constant("gateLeast", -106)
	constant("gateLog2e", math.Log2E)
	// The high part has few enough bits for its product with a small integer to be exact.
	hi := math.Float32frombits(math.Float32bits(math.Ln2) &^ 0xfff)
	constant("gateLn2Hi", -hi)
	constant("gateLn2Lo", float32(-(math.Ln2 - float64(hi))))
	constant("gateOne", 1)
	for i, d := range []float64{2, 6, 24, 120, 720} {
		constant(fmt.Sprintf("gateC%d", i+2), float32(1/d))
	}
	c := 2 * math.Sqrt(2/math.Pi)
	constant("gateQuick", -1.702)
	constant("gateGELU", float32(-c))
	constant("gateGELU3", float32(-c*0.044715))

	for _, g := range []struct {
		name, doc string
		a         func()
	}{
		{"SiLU", "a is -v.", func() {
			f.ins("VXORPS Y1, Y1, Y1")
			f.ins("VSUBPS Y0, Y1, Y1")
		}},
		{"GELUQuick", "a is -1.702*v.", func() {
			f.ins("VMULPS ·gateQuick<>(SB), Y0, Y1")
		}},
		{"GELU", "a is -2*sqrt(2/pi)*(v+0.044715*v*v*v).", func() {
			f.ins("VMULPS Y0, Y0, Y1")
			f.ins("VMOVUPS ·gateGELU<>(SB), Y2")
			f.ins("VFMADD132PS ·gateGELU3<>(SB), Y2, Y1")
			f.ins("VMULPS Y0, Y1, Y1")
		}},
	} {
		f.function("gate"+g.name+"AVX2", g.doc, 0)
		f.ins("MOVQ gating_dst(AX), DI")
		f.ins("MOVQ gating_gate(AX), SI")
		f.ins("MOVQ gating_up(AX), DX")
		f.ins("MOVQ gating_n(AX), CX")
		f.ins("VMOVUPS ·gateMost<>(SB), Y15")
		f.ins("VMOVUPS ·gateLeast<>(SB), Y14")
		f.ins("VMOVUPS ·gateLog2e<>(SB), Y13")
		f.ins("VMOVUPS ·gateLn2Hi<>(SB), Y12")
		f.ins("VMOVUPS ·gateLn2Lo<>(SB), Y11")
		f.ins("VMOVUPS ·gateOne<>(SB), Y10")
		f.line("loop:")
		f.ins("VMOVUPS (SI), Y0")
		g.a()
		f.ins("VMINPS Y1, Y15, Y1") // the second source stays where it is NaN
		f.ins("VMAXPS Y1, Y14, Y1")
		f.ins("VMULPS Y13, Y1, Y2")
		f.ins("VROUNDPS $8, Y2, Y2")
		f.ins("VFMADD231PS Y12, Y2, Y1")
		f.ins("VFMADD231PS Y11, Y2, Y1")
		f.ins("VMOVUPS ·gateC6<>(SB), Y3")
		for i := 5; i >= 2; i-- {
			f.ins("VFMADD213PS ·gateC%d<>(SB), Y1, Y3", i)
		}
		f.ins("VFMADD213PS Y10, Y1, Y3")
		f.ins("VFMADD213PS Y10, Y1, Y3")
		f.ins("VCVTPS2DQ Y2, Y2")
		f.ins("VPSRAD $1, Y2, Y4") // half of the exponent, and the rest
		f.ins("VPSUBD Y4, Y2, Y2")
		for _, r := range []string{"Y4", "Y2"} {
			f.ins("VPSLLD $23, %s, %s", r, r)
			f.ins("VPADDD Y10, %s, %s", r, r)
			f.ins("VMULPS %s, Y3, Y3", r)
		}
		f.ins("VADDPS Y10, Y3, Y3")
		f.ins("VDIVPS Y3, Y0, Y0")
		f.ins("VMULPS (DX), Y0, Y0")
		f.ins("VMOVUPS Y0, (DI)")
		f.ins("ADDQ $32, SI")
		f.ins("ADDQ $32, DX")
		f.ins("ADDQ $32, DI")
		f.ins("DECQ CX")
		f.ins("JNZ loop")
		f.ins("VZEROUPPER")
		f.ins("RET")
	}
}
