package main

import "fmt"

// How scales are unpacked. Two ways lead to the scale of a group of 32: words in each quarter of a vector, and words
// in the order of groups of 16, a half for each row.

// byWords takes the scales of group j from words 2j and 2j+1 of each half.
func (u *unit256) byWords() {
	u.groupScale = func(j int) {
		pattern := u.vector(fmt.Sprintf("words%d", j), func(i int) byte {
			if i%2 == 1 {
				return 0
			}
			return byte(i/32*16 + 2*j + i/16%2)
		})
		u.op("VMOVDQU64", pattern, u.scale)
		u.op("VPERMW", u.table, u.scale, u.scale)
	}
}

// rowBytes loads 16 bytes of both rows into the quarters of a half register.
func (u *unit256) rowBytes(offset int, dst vec) {
	u.op("VMOVDQU", u.weights(0).at(offset), dst.x())
	u.op("VINSERTI128", "$1", u.weights(1).at(offset), dst.y(), dst.y())
}

// offsetScales leaves in least what corrects sums of codes that stand shifted by offset.
func (u *unit256) offsetScales() { u.op("VPMULLW", u.more[2], u.table, u.least) }

// fillOffset prepares offsetScales.
func (u *unit256) fillOffset() {
	u.more[2] = u.take()
	minus := uint32(uint16(-u.offset))
	u.fill(u.more[2], u.dword(fmt.Sprintf("minus%d", u.offset), minus|minus<<16))
}

// byWord takes the scale of group j from word j of each quarter.
func (u *unit256) byWord() {
	u.groupScale = func(j int) {
		pattern := u.vector(fmt.Sprintf("word%d", j), func(i int) byte { return byte(2*j + i%2) })
		u.op("VPSHUFB", pattern, u.table, u.scale)
	}
}

// sixesOf3 leaves the 16 scales of Q3_K, of six bits, as bytes in tmp: a quarter for each row.
func sixesOf3(u *unit256) {
	for r := range 2 {
		w := u.weights(r)
		// Of the scales' upper two bits, byte i of four holds those of scales i, i+4, i+8 and i+12.
		for i := range 2 {
			u.op("MOVL", w.at(104), regA)
			u.op("MOVQ", regA, regB)
			if i == 0 {
				u.op("SHLQ", "$4", regA)
				u.op("SHLQ", "$34", regB)
			} else {
				u.op("SHLQ", "$30", regB)
			}
			u.op("ORQ", regB, regA)
			u.op("ANDQ", u.qword("bits45q", qwords(0x30)), regA)
			u.op("MOVQ", w.at(96), regB)
			if i == 1 {
				u.op("SHRQ", "$4", regB)
			}
			u.op("ANDQ", u.qword("low4q", qwords(0x0f)), regB)
			u.op("ORQ", regB, regA)
			u.op("MOVQ", regA, fmt.Sprintf("%d(SP)", 16*r+8*i))
		}
	}
	u.op("VPBROADCASTQ", "0(SP)", u.tmp.y())
	u.op("VPBROADCASTQ", "8(SP)", "K1", u.tmp.y())
	u.op("VPBROADCASTQ", "16(SP)", "K2", u.tmp.y())
	u.op("VPBROADCASTQ", "24(SP)", "K3", u.tmp.y())
}

// sixesOf4 unpacks the eight scales of IQ4_XS to words in each quarter of the row's half. Four bits of each
// are a nibble of the dword at 4, two are in the word at 2.
func sixesOf4(u *unit256) {
	u.halves(0, true, false)
	u.op("VPBROADCASTQ", u.weights(0).at(0), u.tmp)
	u.op("VPBROADCASTQ", u.weights(1).at(0), maskRow1, u.tmp)
	u.op("VPSHUFB", u.vector("nibbleOf", func(i int) byte {
		if i%2 == 1 {
			return 0x80
		}
		return byte(4 + i/4%4)
	}), u.tmp, u.table)
	u.op("VPSHUFB", u.vector("word1", func(i int) byte { return byte(2 + i%2) }), u.tmp, u.tmp)
	u.op("VPSRLVW", u.vector("by4", func(i int) byte { return byte(i / 2 % 2 * 4 * (1 - i%2)) }), u.table, u.table)
	u.op("VPSRLVW", u.vector("by2", func(i int) byte { return byte(i / 2 % 8 * 2 * (1 - i%2)) }), u.tmp, u.tmp)
	u.op("VPSLLW", "$4", u.tmp, u.tmp)
	u.op("VPANDD.BCST", u.dword("bits45w", 0x00300030), u.tmp, u.tmp)
	u.orLow(u.table, u.more[0], u.tmp)
	u.op("VPSUBW", u.dmin, u.tmp, u.table)
}
