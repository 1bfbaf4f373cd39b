package main

// Rounding of a token's row to codes, to the same bits as plain Go. Registers that hold constants:
const (
	magnitude = vec(8)  // all bits but the sign
	sign      = vec(9)  // the sign
	half      = vec(10) // 0.5
	greatest  = vec(11) // 127, and at work the greatest magnitude
	infinity  = vec(12)
	ones      = vec(13) // bytes
	inverse   = vec(14)
	scratch   = vec(15)
)

func (f *file) roundSetup() {
	for _, c := range []struct {
		v    vec
		name string
		bits uint32
	}{
		{magnitude, "magnitude", 0x7fffffff},
		{sign, "sign", 1 << 31},
		{half, "half", 0x3f000000},
		{infinity, "infinity", 0x7f800000},
		{ones, "ones", 0x01010101},
	} {
		f.op("VPBROADCASTD", f.dword(c.name, c.bits), c.v)
	}
	f.op("MOVQ", "q+0(FP)", "DI")
	f.op("MOVQ", "x+8(FP)", "SI")
	f.op("MOVQ", "scale+16(FP)", "DX")
	f.op("MOVQ", "sums+24(FP)", "BX")
	f.op("MOVQ", "blocks+32(FP)", "CX")
}

// scaleOf loads the elements of a block, writes their scale and leaves its inverse. Magnitudes are compared
// as integers, among which what is not finite is the greatest.
func (f *file) scaleOf(x []vec) {
	f.op("VPXORD", greatest, greatest, greatest)
	for i, v := range x {
		f.op("VMOVUPS", place{base: "SI"}.at(64*i), v)
		f.op("VPANDD", v, magnitude, scratch)
		f.op("VPMAXSD", scratch, greatest, greatest)
	}
	g, s := greatest, scratch
	f.op("VEXTRACTI64X4", "$1", g, s.y())
	f.op("VPMAXSD", s.y(), g.y(), g.y())
	f.op("VEXTRACTI128", "$1", g.y(), s.x())
	f.op("VPMAXSD", s.x(), g.x(), g.x())
	f.op("VPSHUFD", "$0x4E", g.x(), s.x())
	f.op("VPMAXSD", s.x(), g.x(), g.x())
	f.op("VPSHUFD", "$0xB1", g.x(), s.x())
	f.op("VPMAXSD", s.x(), g.x(), g.x())
	// The inverse is 0 where it or the greatest is not finite; the scale is no number in the latter case.
	f.op("VMOVSS", f.dword("most", 0x42fe0000), s.x())
	f.op("VDIVSS", g.x(), s.x(), inverse.x())
	f.op("VPCMPGTD", inverse.x(), infinity.x(), "K1")
	f.op("VMOVAPS.Z", inverse.x(), "K1", inverse.x())
	f.op("VBROADCASTSS", inverse.x(), inverse)
	f.op("VDIVSS", s.x(), g.x(), s.x())
	f.op("VSUBSS", g.x(), g.x(), g.x())
	f.op("VADDSS", g.x(), s.x(), s.x())
	f.op("VMOVSS", s.x(), "(DX)")
}

// codes rounds 32 elements, half away from zero, and leaves sums of four in each dword of to's half.
func (f *file) codes(a, b, to vec, offset int) {
	for _, v := range []vec{a, b} {
		f.op("VMULPS", inverse, v, v)
		f.op("VPANDD", sign, v, scratch)
		f.op("VPORD", half, scratch, scratch)
		f.op("VADDPS", scratch, v, v)
		f.op("VCVTTPS2DQ", v, v)
		f.op("VPMOVDB", v, v.x())
	}
	f.op("VINSERTI32X4", "$1", b.x(), a.y(), a.y())
	f.op("VMOVDQU32", a.y(), place{base: "DI"}.at(offset))
	f.op("VPXOR", to.y(), to.y(), to.y())
	f.op("VPDPBUSD", a.y(), ones.y(), to.y())
}

func emitRound32(f *file) {
	f.function("func round32AVX512(q *int8, x, scale *float32, sums *int32, blocks int)", "round32AVX512", 0, 40)
	f.roundSetup()
	loop := f.label("loop")
	f.op("PCALIGN", "$32")
	f.place(loop)
	a, b, s := vec(0), vec(1), vec(2)
	f.scaleOf([]vec{a, b})
	f.codes(a, b, s, 0)
	f.op("VEXTRACTI128", "$1", s.y(), b.x())
	f.op("VPADDD", b.x(), s.x(), s.x())
	f.op("VPHADDD", s.x(), s.x(), s.x())
	f.op("VPHADDD", s.x(), s.x(), s.x())
	f.op("VMOVD", s.x(), "(BX)")
	f.roundNext(loop, 32, 4)
}

func emitRound256(f *file) {
	f.function("func round256AVX512(q *int8, x, scale *float32, sums *int16, blocks int)", "round256AVX512", 0, 40)
	f.roundSetup()
	loop := f.label("loop")
	f.op("PCALIGN", "$32")
	f.place(loop)
	var x []vec
	for i := range 16 {
		x = append(x, vec(16+i))
	}
	f.scaleOf(x)
	for i := range 8 {
		f.codes(x[2*i], x[2*i+1], vec(i), 32*i)
	}
	// Each of eight registers holds two groups of four sums, which are added up across registers.
	y := func(i int) string { return vec(i).y() }
	for i := 0; i < 8; i += 2 {
		f.op("VPHADDD", y(i+1), y(i), y(i))
	}
	f.op("VPHADDD", y(2), y(0), y(0))
	f.op("VPHADDD", y(6), y(4), y(4))
	f.op("VPACKSSDW", y(4), y(0), y(0)) // even groups, then odd ones
	f.op("VEXTRACTI128", "$1", y(0), "X1")
	f.op("VPUNPCKLWD", "X1", "X0", "X2")
	f.op("VPUNPCKHWD", "X1", "X0", "X3")
	f.op("VMOVDQU", "X2", "(BX)")
	f.op("VMOVDQU", "X3", "16(BX)")
	f.roundNext(loop, 256, 32)
}

// roundNext ends the loop over blocks.
func (f *file) roundNext(loop string, elems, sums int) {
	f.op("ADDQ", imm(4*elems), "SI")
	f.op("ADDQ", imm(elems), "DI")
	f.op("ADDQ", "$4", "DX")
	f.op("ADDQ", imm(sums), "BX")
	f.op("DECQ", "CX")
	f.op("JNZ", loop)
	f.op("VZEROUPPER")
	f.op("RET")
}
