package main

import "fmt"

// Decoding of blocks of 32 to floats: to the bits of package quant, as an element is one product.

// packed is a type of blocks; values leaves both halves of a block as integers.
type packed struct {
	name   string
	size   int
	setup  func(f *file)
	values func(f *file, low, high vec)
}

var packedTypes = []packed{
	{
		name: "Q8_0", size: 34, setup: func(*file) {},
		values: func(f *file, low, high vec) {
			f.op("VPMOVSXBD", "2(SI)", low)
			f.op("VPMOVSXBD", "18(SI)", high)
		},
	},
	{
		name: "Q4_0", size: 18,
		setup: func(f *file) {
			f.op("VPBROADCASTD", f.dword("nibble", 15), vec(4))
			f.op("VPBROADCASTD", f.dword("eight", 8), vec(5))
		},
		values: func(f *file, low, high vec) {
			f.op("VPMOVZXBD", "2(SI)", low)
			f.op("VPSRLD", "$4", low, high)
			f.op("VPANDD", vec(4), low, low)
			f.op("VPSUBD", vec(5), low, low)
			f.op("VPSUBD", vec(5), high, high)
		},
	},
}

func emitDecode(f *file, p packed) {
	name := fmt.Sprintf("decode%sAVX512", p.name)
	f.function(fmt.Sprintf("func %s(dst *float32, src *byte, blocks int)", name), name, 0, 24)
	loop := f.label("loop")
	d, low, high := vec(0), vec(1), vec(2)
	f.op("MOVQ", "dst+0(FP)", "DI")
	f.op("MOVQ", "src+8(FP)", "SI")
	f.op("MOVQ", "blocks+16(FP)", "CX")
	p.setup(f)
	f.op("PCALIGN", "$32")
	f.place(loop)
	f.op("MOVWLZX", "(SI)", regA)
	f.op("VMOVD", regA, d.x())
	f.op("VCVTPH2PS", d.x(), d.x())
	f.op("VBROADCASTSS", d.x(), d)
	p.values(f, low, high)
	for i, v := range []vec{low, high} {
		f.op("VCVTDQ2PS", v, v)
		f.op("VMULPS", d, v, v)
		f.op("VMOVUPS", v, place{base: "DI"}.at(64*i))
	}
	f.op("ADDQ", "$128", "DI")
	f.op("ADDQ", imm(p.size), "SI")
	f.op("DECQ", "CX")
	f.op("JNZ", loop)
	f.op("VZEROUPPER")
	f.op("RET")
}
