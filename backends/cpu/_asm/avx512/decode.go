package main

import "fmt"

// Decoding of blocks of 32 to floats: to the bits of package quant, as each product and sum is rounded.

// packed is a type of blocks; values leaves both halves of a block, as integers or, where there is a table of
// them, as floats.
type packed struct {
	name  string
	size  int
	hasM  bool
	table *[16]int8
	codes int // offset of the codes of four bits, or 0
	fifth int // offset of the fifth bits, or 0
	minus int // what integers stand shifted by
}

var packedTypes = []packed{
	{name: "Q8_0", size: 34},
	{name: "Q4_0", size: 18, codes: 2, minus: 8},
	{name: "Q4_1", size: 20, codes: 4, hasM: true},
	{name: "Q5_0", size: 22, codes: 6, fifth: 2, minus: 16},
	{name: "Q5_1", size: 24, codes: 8, fifth: 4, hasM: true},
	{name: "IQ4_NL", size: 18, codes: 2, table: &iq4Codes},
	{name: "MXFP4", size: 17, codes: 1, table: &mxfp4Codes},
}

const (
	decodeMask  = vec(4) // 15
	decodeMinus = vec(5)
	decodeFifth = vec(6) // 16
	decodeTable = vec(7)
)

func (p *packed) setup(f *file) {
	f.op("VPBROADCASTD", f.dword("nibble", 15), decodeMask)
	if p.minus != 0 {
		f.op("VPBROADCASTD", f.dword(fmt.Sprintf("by%d", p.minus), uint32(p.minus)), decodeMinus)
	}
	if p.fifth != 0 {
		f.op("VPBROADCASTD", f.dword("by16", 16), decodeFifth)
	}
	if p.table != nil {
		f.op("VPMOVSXBD", f.constant("values"+p.name, bytesOf(p.table)), decodeTable)
		f.op("VCVTDQ2PS", decodeTable, decodeTable)
	}
	if p.name == "MXFP4" {
		f.op("LEAQ", "·mxfp4Half(SB)", regB)
	}
}

func bytesOf(codes *[16]int8) []byte {
	b := make([]byte, 16)
	for i, c := range codes {
		b[i] = byte(c)
	}
	return b
}

func (p *packed) values(f *file, low, high vec) {
	if p.codes == 0 {
		f.op("VPMOVSXBD", "2(SI)", low)
		f.op("VPMOVSXBD", "18(SI)", high)
	} else {
		f.op("VPMOVZXBD", place{base: "SI"}.at(p.codes), low)
		f.op("VPSRLD", "$4", low, high)
		f.op("VPANDD", decodeMask, low, low)
	}
	for i, v := range []vec{low, high} {
		if p.fifth != 0 {
			f.op("KMOVW", place{base: "SI"}.at(p.fifth+2*i), "K1")
			f.op("VPADDD", decodeFifth, v, "K1", v)
		}
		if p.minus != 0 {
			f.op("VPSUBD", decodeMinus, v, v)
		}
		if p.table != nil {
			f.op("VPERMPS", decodeTable, v, v)
		} else {
			f.op("VCVTDQ2PS", v, v)
		}
	}
}

func emitDecode(f *file, p packed) {
	name := fmt.Sprintf("decode%sAVX512", p.name)
	f.function(fmt.Sprintf("func %s(dst *float32, src *byte, blocks int)", name), name, 0, 24)
	loop := f.label("loop")
	d, low, high, m := vec(0), vec(1), vec(2), vec(3)
	f.op("MOVQ", "dst+0(FP)", "DI")
	f.op("MOVQ", "src+8(FP)", "SI")
	f.op("MOVQ", "blocks+16(FP)", "CX")
	p.setup(f)
	f.op("PCALIGN", "$32")
	f.place(loop)
	if p.name == "MXFP4" {
		f.op("MOVBLZX", "(SI)", regA)
		f.op("VBROADCASTSS", fmt.Sprintf("(%s)(%s*4)", regB, regA), d)
	} else {
		f.op("VPBROADCASTW", "(SI)", d.y())
		f.op("VCVTPH2PS", d.y(), d)
	}
	if p.hasM {
		f.op("VPBROADCASTW", "2(SI)", m.y())
		f.op("VCVTPH2PS", m.y(), m)
	}
	p.values(f, low, high)
	for i, v := range []vec{low, high} {
		f.op("VMULPS", d, v, v)
		if p.hasM {
			f.op("VADDPS", m, v, v)
		}
		f.op("VMOVUPS", v, place{base: "DI"}.at(64*i))
	}
	f.op("ADDQ", "$128", "DI")
	f.op("ADDQ", imm(p.size), "SI")
	f.op("DECQ", "CX")
	f.op("JNZ", loop)
	f.op("VZEROUPPER")
	f.op("RET")
}
