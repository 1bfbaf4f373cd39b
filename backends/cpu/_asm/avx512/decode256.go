package main

import "fmt"

// Decoding of superblocks to floats, 16 elements at a time, to the bits of package quant. Scales, times d, and
// least values, times dmin, are floats in the frame, from where they are broadcast.

const (
	decodeScales = 0  // 16 floats in the frame
	decodeLeasts = 64 // and 16 more
	decodeFrame  = 128
)

// packed256 is a type of superblocks.
type packed256 struct {
	name   string
	size   int
	least  bool
	scales func(f *file)                      // leaves scales and least values in the frame
	codes  func(f *file, i int, to, work vec) // leaves elements 16i to 16i+15, as integers
	at     func(i int) (scale, least int)     // places in the frame
}

// bits leaves n bits of each of 16 bytes at offset, from bit from on, in dwords.
func (f *file) bits(offset, from, n int, to vec) {
	f.op("VPMOVZXBD", place{base: "SI"}.at(offset), to)
	if from > 0 {
		f.op("VPSRLD", imm(from), to, to)
	}
	f.op("VPANDD.BCST", f.dword(fmt.Sprintf("bits%d", n), 1<<n-1), to, to)
}

// addBits adds n bits of each of 16 bytes at offset, times 1<<shift.
func (f *file) addBits(offset, from, n, shift int, to, work vec) {
	f.bits(offset, from, n, work)
	f.op("VPSLLD", imm(shift), work, work)
	f.op("VPORD", work, to, to)
}

// frameSixes leaves the scales and least values of Q4_K and Q5_K: four and four, twice.
func frameSixes(f *file) {
	f.op("MOVL", "12(SI)", regA)
	f.op("MOVQ", regA, regB)
	f.op("SHLQ", "$28", regB)
	f.op("ORQ", regB, regA)
	f.op("ANDQ", f.qword("low4q", qwords(0x0f)), regA)
	f.op("MOVQ", "4(SI)", regB)
	f.op("SHRQ", "$2", regB)
	f.op("ANDQ", f.qword("bits45q", qwords(0x30)), regB)
	f.op("ORQ", regB, regA)
	f.op("MOVQ", "4(SI)", regB)
	f.op("ANDQ", f.qword("low6q", qwords(0x3f)), regB)
	f.op("VMOVQ", regB, "X0")
	f.op("VPINSRQ", "$1", regA, "X0", "X0")
	f.op("VPMOVZXBD", "X0", vec(0))
	f.op("VCVTDQ2PS", vec(0), vec(0))
	f.op("VPBROADCASTD", "(SI)", "Y1")
	f.op("VCVTPH2PS", "Y1", vec(1))
	f.op("VMOVDQU64", f.vector("dAndMin", func(i int) byte {
		if i%4 == 0 {
			return byte(i / 16 % 2)
		}
		return 0
	}), vec(2))
	f.op("VPERMPS", vec(1), vec(2), vec(1))
	f.op("VMULPS", vec(1), vec(0), vec(0))
	f.op("VMOVUPS", vec(0), fmt.Sprintf("%d(SP)", decodeScales))
}

// atSixes returns where frameSixes leaves what belongs to elements 16i to 16i+15.
func atSixes(i int) (scale, least int) {
	g := i / 2
	at := g%4*4 + g/4*32
	return at, at + 16
}

// scaled multiplies 16 integers with the binary16 number at offset, and leaves them in the frame.
func (f *file) scaled(v vec, offset, frame int) {
	f.op("VCVTDQ2PS", v, v)
	f.op("VPBROADCASTW", place{base: "SI"}.at(offset), "Y2")
	f.op("VCVTPH2PS", "Y2", vec(2))
	f.op("VMULPS", vec(2), v, v)
	f.op("VMOVUPS", v, fmt.Sprintf("%d(SP)", frame))
}

func atGroup(i int) (scale, least int) { return decodeScales + 4*i, decodeLeasts + 4*i }

var packed256Types = []packed256{
	{
		name: "Q4_K", size: 144, least: true, scales: frameSixes, at: atSixes,
		codes: func(f *file, i int, to, _ vec) { f.bits(16+i/4*32+i%2*16, i/2%2*4, 4, to) },
	},
	{
		name: "Q5_K", size: 176, least: true, scales: frameSixes, at: atSixes,
		codes: func(f *file, i int, to, work vec) {
			f.bits(48+i/4*32+i%2*16, i/2%2*4, 4, to)
			f.addBits(16+i%2*16, i/2, 1, 4, to, work)
		},
	},
	{
		name: "Q6_K", size: 210, at: atGroup,
		scales: func(f *file) {
			f.op("VPMOVSXBD", "192(SI)", vec(0))
			f.scaled(vec(0), 208, decodeScales)
		},
		codes: func(f *file, i int, to, work vec) {
			n, j, h := i/8, i/2%4, i%2
			f.bits(64*n+j%2*32+16*h, j/2*4, 4, to)
			f.addBits(128+32*n+16*h, 2*j, 2, 4, to, work)
			f.op("VPSUBD.BCST", f.dword("by32", 32), to, to)
		},
	},
	{
		name: "Q2_K", size: 84, least: true, at: atGroup,
		scales: func(f *file) {
			f.bits(0, 0, 4, vec(0))
			f.bits(0, 4, 4, vec(1))
			f.scaled(vec(0), 80, decodeScales)
			f.scaled(vec(1), 82, decodeLeasts)
		},
		codes: func(f *file, i int, to, _ vec) { f.bits(16+i/8*32+i%2*16, i/2%4*2, 2, to) },
	},
	{
		name: "Q3_K", size: 110, at: atGroup, scales: frameSixesOf3,
		codes: func(f *file, i int, to, work vec) {
			f.bits(32+i/8*32+i%2*16, i/2%4*2, 2, to)
			f.addBits(i%2*16, i/2, 1, 2, to, work)
			f.op("VPSUBD.BCST", f.dword("by4", 4), to, to)
		},
	},
	{
		name: "IQ4_XS", size: 136, scales: frameSixesOf4,
		at: func(i int) (scale, least int) { return decodeScales + i/2*4, 0 },
		codes: func(f *file, i int, to, _ vec) {
			f.bits(8+i/2*16, i%2*4, 4, to)
			f.op("VPERMD", decodeTable256, to, to)
		},
	},
}

// frameSixesOf3 leaves the scales of Q3_K; sixesOf3 says how they are packed.
func frameSixesOf3(f *file) {
	for i := range 2 {
		f.op("MOVL", "104(SI)", regA)
		f.op("MOVQ", regA, regB)
		if i == 0 {
			f.op("SHLQ", "$4", regA)
			f.op("SHLQ", "$34", regB)
		} else {
			f.op("SHLQ", "$30", regB)
		}
		f.op("ORQ", regB, regA)
		f.op("ANDQ", f.qword("bits45q", qwords(0x30)), regA)
		f.op("MOVQ", "96(SI)", regB)
		if i == 1 {
			f.op("SHRQ", "$4", regB)
		}
		f.op("ANDQ", f.qword("low4q", qwords(0x0f)), regB)
		f.op("ORQ", regB, regA)
		if i == 0 {
			f.op("VMOVQ", regA, "X0")
		} else {
			f.op("VPINSRQ", "$1", regA, "X0", "X0")
		}
	}
	f.op("VPMOVZXBD", "X0", vec(0))
	f.op("VPSUBD.BCST", f.dword("by32", 32), vec(0), vec(0))
	f.scaled(vec(0), 108, decodeScales)
}

// frameSixesOf4 leaves the scales of IQ4_XS, and the values of its codes in decodeTable256.
func frameSixesOf4(f *file) {
	count := func(name string, from, step int) string {
		return f.vector(name, func(i int) byte {
			if i%4 > 0 {
				return 0
			}
			return byte(min(from+step*(i/4), 31))
		})
	}
	f.op("VPBROADCASTD", "4(SI)", vec(0))
	f.op("VPSRLVD", count("nibbleAt", 0, 4), vec(0), vec(0))
	f.op("VPANDD.BCST", f.dword("bits4", 15), vec(0), vec(0))
	f.op("VPBROADCASTD", "(SI)", vec(1))
	f.op("VPSRLVD", count("pairAt", 16, 2), vec(1), vec(1))
	f.op("VPANDD.BCST", f.dword("bits2", 3), vec(1), vec(1))
	f.op("VPSLLD", "$4", vec(1), vec(1))
	f.op("VPORD", vec(1), vec(0), vec(0))
	f.op("VPSUBD.BCST", f.dword("by32", 32), vec(0), vec(0))
	f.scaled(vec(0), 0, decodeScales)
	f.op("VPMOVSXBD", f.constant("valuesIQ4_NL", bytesOf(&iq4Codes)), decodeTable256)
}

const decodeTable256 = vec(16)

func emitDecode256(f *file, p packed256) {
	name := fmt.Sprintf("decode%sAVX512", p.name)
	f.function(fmt.Sprintf("func %s(dst *float32, src *byte, blocks int)", name), name, decodeFrame, 24)
	loop := f.label("loop")
	f.op("MOVQ", "dst+0(FP)", "DI")
	f.op("MOVQ", "src+8(FP)", "SI")
	f.op("MOVQ", "blocks+16(FP)", "CX")
	f.op("PCALIGN", "$32")
	f.place(loop)
	p.scales(f)
	for i := range 16 {
		v, work := vec(4+i%4), vec(8+i%4)
		p.codes(f, i, v, work)
		scale, least := p.at(i)
		f.op("VCVTDQ2PS", v, v)
		f.op("VMULPS.BCST", fmt.Sprintf("%d(SP)", scale), v, v)
		if p.least {
			f.op("VSUBPS.BCST", fmt.Sprintf("%d(SP)", least), v, v)
		}
		f.op("VMOVUPS", v, place{base: "DI"}.at(64*i))
	}
	f.op("ADDQ", "$1024", "DI")
	f.op("ADDQ", imm(p.size), "SI")
	f.op("DECQ", "CX")
	f.op("JNZ", loop)
	f.op("VZEROUPPER")
	f.op("RET")
}
