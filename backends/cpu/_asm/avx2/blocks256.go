package main

import "fmt"

// A type256 is a type of superblocks of 256 weights. Scales of groups of 16 or 32 weights are applied in
// integers: sums of products of a superblock become floats once.
type type256 struct {
	name  string
	block int
	// begin stores scales, and what else is done once for a superblock. It may use Y4 to Y14.
	begin func(q *quad)
	// products adds scaled products of the whole superblock to Y0 and so on. Y15 holds nibble masks. It
	// moves SI on to the next superblock.
	products func(q *quad)
	// least says how the vectors at leastAt times the token's sums count: in floats with dmin, or shifted
	// left and in integers.
	hasMin bool
	offset int // log2 of what each code is too much, or -1
	// dots says that the products of a group fit 16 bits in one lane, so that VPDPBUSD can add them.
	dots bool
}

// Where things lie in scratch memory.
const (
	sumAt   = 0               // 4 tokens' float sums
	scaleAt = sumAt + 4*32    // 16 groups' scales: four words of each row
	leastAt = scaleAt + 16*32 // 4 vectors of what meets the token's sums of 16 codes
	dAt     = leastAt + 4*32  // scale of the superblock, two floats of each row
	minAt   = dAt + 32        // and of the least values
	holdAt  = minAt + 32      // 4 columns of bits that stand apart
	scratch = holdAt + 4*32
)

var types256 = []type256{
	{name: "Q4_K", block: 144, hasMin: true, offset: -1, dots: true, begin: func(q *quad) { q.sixes() }, products: func(q *quad) {
		q.loop(128, 32, func() {
			q.raw(16, "(CX*1)")
			for half := range 2 {
				q.low(half)
				q.groupOf32(half)
			}
			q.i("ADDQ $64, SI")
		})
	}},
	{name: "Q5_K", block: 176, hasMin: true, offset: -1, begin: func(q *quad) {
		q.sixes()
		q.hold(16)
	}, products: func(q *quad) {
		q.loop(128, 32, func() {
			q.raw(48, "(CX*1)")
			for half := range 2 {
				q.low(half)
				for c := range 4 {
					q.i("VMOVDQU %d(DI), Y12; VPSLLW $%d, Y12, Y13; VPAND %s, Y13, Y13; VPOR Y13, Y%d, Y%d",
						holdAt+32*c, 4-half, q.bytesOf("sixteens", 16), 4+c, 4+c)
					if half == 1 {
						q.i("VPSRLW $2, Y12, Y12; VMOVDQU Y12, %d(DI)", holdAt+32*c)
					}
				}
				q.groupOf32(half)
			}
			q.i("ADDQ $64, SI")
		})
	}},
	{name: "Q6_K", block: 210, offset: 5, begin: func(q *quad) {
		q.transpose(192)
		for i, r := range [4]int{8, 9, 10, 11} {
			q.spread(r, 4*i, 1, "VPMOVSXBW")
			q.i("VMOVDQU Y%d, %d(DI)", r, leastAt+32*i)
		}
		q.halvesAtEnd(208, 14)
		q.i("VMOVUPS Y14, %d(DI)", dAt)
	}, products: q6K},
	{name: "Q2_K", block: 84, hasMin: true, offset: -1, dots: true, begin: func(q *quad) {
		q.transpose(0)
		for i, r := range [4]int{8, 9, 10, 11} {
			q.nibbles(12, r)
			q.i("VPMOVZXBW X%d, Y%d; VMOVDQU Y%d, %d(DI)", r, r, r, leastAt+32*i)
			q.spread(12, 4*i, 1, "VPMOVZXBW")
		}
		q.dwords(80, 14)
		q.scales()
	}, products: func(q *quad) { q.twos(16, false) }},
	{name: "Q3_K", block: 110, offset: 2, dots: true, begin: func(q *quad) {
		q.threes()
		q.hold(0)
		q.halvesAtEnd(108, 14)
		q.i("VMOVUPS Y14, %d(DI)", dAt)
	}, products: func(q *quad) { q.twos(32, true) }},
	{name: "IQ4_XS", block: 136, offset: -1, begin: iq4XSScales, products: iq4XS},
}

// unit256 writes the unit of a type for some tokens.
func unit256(f *file, level string, typ type256, tokens int) {
	q := &quad{file: f, level: level, tokens: tokens, block: typ.block, elems: 256, ratio: 6, scratch: scratch}
	q.dots = typ.dots && level == "AVXVNNI"
	if typ.name == "IQ4_XS" && level == "AVXVNNI" {
		typ.offset = 7 // VPDPBUSD wants unsigned codes
	}
	q.unit(unitName(typ.name, level, tokens), func() {
		q.i("VXORPS Y0, Y0, Y0; VMOVDQU %s, Y15", q.bytesOf("nibbles", 15))
		for t := range tokens {
			q.i("VMOVUPS Y0, %d(DI)", sumAt+32*t)
		}
	}, func() {
		typ.begin(q)
		for t := range tokens {
			q.i("VPXOR Y%d, Y%d, Y%d", t, t, t)
		}
		typ.products(q)
		for t := range tokens {
			q.finish256(&typ, t)
		}
		q.i("ADDQ $4, R12; ADDQ $32, R13")
	}, func() {
		for t := range tokens {
			q.i("VMOVUPS %d(DI), Y%d", sumAt+32*t, t)
		}
	})
}

// finish256 adds token t's products of a superblock to its sums.
func (q *quad) finish256(typ *type256, t int) {
	if typ.hasMin || typ.offset >= 0 {
		q.leastOf(t)
	}
	if typ.offset >= 0 {
		q.i("VPSLLD $%d, Y12, Y12; VPSUBD Y12, Y%d, Y%d", typ.offset, t, t)
	}
	q.i("VCVTDQ2PS Y%d, Y%d; VMULPS %d(DI), Y%d, Y%d", t, t, dAt, t, t)
	if typ.hasMin {
		q.i("VCVTDQ2PS Y12, Y12; VFNMADD231PS %d(DI), Y12, Y%d", minAt, t)
	}
	q.i("VBROADCASTSS %s, Y13; VMOVUPS %d(DI), Y14; VFMADD231PS Y13, Y%d, Y14; VMOVUPS Y14, %d(DI)",
		token("R12", t, 0), sumAt+32*t, t, sumAt+32*t)
}

// leastOf leaves what is stored at leastAt times token t's sums in Y12.
func (q *quad) leastOf(t int) {
	if q.level == "AVXVNNI" {
		q.i("VPXOR X12, X12, X12")
	}
	for i := range 4 {
		switch {
		case q.level == "AVXVNNI":
			q.i("VPBROADCASTQ %s, Y13; VMOVDQU %d(DI), Y14", token("R13", t, 8*i), leastAt+32*i)
			q.vnni("VPDPWSSD", 13, 14, 12)
		case i == 0:
			q.i("VPBROADCASTQ %s, Y12; VPMADDWD %d(DI), Y12, Y12", token("R13", t, 0), leastAt)
		default:
			q.i("VPBROADCASTQ %s, Y13; VPMADDWD %d(DI), Y13, Y13; VPADDD Y13, Y12, Y12", token("R13", t, 8*i), leastAt+32*i)
		}
	}
}

// loop repeats f for CX from 0 to n in steps.
func (q *quad) loop(n, step int, f func()) {
	l := q.label("group")
	q.i("XORL CX, CX")
	q.at(l)
	f()
	q.ahead(4 * q.block * step / n)
	q.i("ADDQ $%d, CX; CMPQ CX, $%d; JLT %s", step, n, l)
}

// raw loads 32 bytes of each row at off into Y8 to Y11.
func (q *quad) raw(off int, index string) {
	q.columnsAt(off, index, 8, 9)
	q.columnsAt(off+16, index, 10, 11)
}

// low leaves the low nibbles of Y8 to Y11 in Y4 to Y7, or the high ones in the second half.
func (q *quad) low(half int) {
	for c := range 4 {
		if half == 1 {
			q.i("VPSRLW $4, Y%d, Y%d", 8+c, 8+c)
		}
		q.i("VPAND Y15, Y%d, Y%d", 8+c, 4+c)
	}
}

// groupOf32 multiplies the group of 32 codes in Y4 to Y7 with each token. The two groups of a turn have
// their scales at CX.
func (q *quad) groupOf32(half int) {
	q.group([]int{4, 5, 6, 7}, 32*half, fmt.Sprintf("%d(DI)(CX*2)", scaleAt+32*half))
}

// groupOf16 multiplies the group of 16 codes in registers a and a+1, whose elements begin at x, with each
// token. Its scale is group's, from the index on.
func (q *quad) groupOf16(a, x, group int, index string) {
	q.group([]int{a, a + 1}, x, fmt.Sprintf("%d(DI)%s", scaleAt+32*group, index))
}

// group adds the products of codes with each token, times a scale, to the token's sums.
func (q *quad) group(codes []int, x int, scale string) {
	for t := range q.tokens {
		if q.dots {
			q.i("VPXOR X12, X12, X12")
		}
		for c, w := range codes {
			switch {
			case q.dots:
				q.i("VPBROADCASTQ %s, Y13", token("SI", t, x+8*c))
				q.vnni("VPDPBUSD", 13, w, 12)
			case c == 0:
				q.i("VPBROADCASTQ %s, Y12; VPMADDUBSW Y12, Y%d, Y12", token("SI", t, x), w)
			default:
				q.i("VPBROADCASTQ %s, Y13; VPMADDUBSW Y13, Y%d, Y13; VPADDW Y13, Y12, Y12", token("SI", t, x+8*c), w)
			}
		}
		if q.level == "AVXVNNI" {
			q.i("VMOVDQU %s, Y13", scale)
			q.vnni("VPDPWSSD", 13, 12, t)
		} else {
			q.i("VPMADDWD %s, Y12, Y12; VPADDD Y12, Y%d, Y%d", scale, t, t)
		}
	}
}

// transpose loads 16 bytes at off of each row: the first dword of each into X8, and so on to X11.
func (q *quad) transpose(off int) {
	for r := range 4 {
		q.i("VMOVDQU %d(%s), X%d", off, rows[r], 4+r)
	}
	q.i("VPUNPCKLDQ X5, X4, X8; VPUNPCKLDQ X7, X6, X9; VPUNPCKHDQ X5, X4, X10; VPUNPCKHDQ X7, X6, X11")
	q.i("VPUNPCKLQDQ X9, X8, X4; VPUNPCKHQDQ X9, X8, X9; VMOVDQU X4, X8")
	q.i("VPUNPCKLQDQ X11, X10, X4; VPUNPCKHQDQ X11, X10, X11; VMOVDQU X4, X10")
}

// spread makes words of four bytes of each row in register r, by the instruction extend, and stores each
// four times as the scales of groups from group on, in steps. What VPDPBUSD has added lies in the lower
// words of dwords, so there every other word is a zero.
func (q *quad) spread(r, group, step int, extend string) {
	q.i("%s X%d, Y%d", extend, r, r)
	for i := range 4 {
		words := q.wordsOfRows(i, i, i, i)
		if q.dots {
			words = q.wordsOfRows(i, zeroWord, i, zeroWord)
		}
		q.i("VPSHUFB %s, Y%d, Y14; VMOVDQU Y14, %d(DI)", words, r, scaleAt+32*(group+step*i))
	}
}

// zeroWord is a word that is zero; see wordsOfRows.
const zeroWord = 8

// wordsOfRows returns the shuffle that picks four words of each row's four.
func (q *quad) wordsOfRows(words ...int) string {
	var b []byte
	for row := range 4 {
		for _, w := range words {
			at := row%2*8 + 2*w
			if w == zeroWord {
				at = 0x80
			}
			b = append(b, byte(at), byte(at+1))
		}
	}
	return q.constant(fmt.Sprintf("words%d%d%d%d", words[0], words[1], words[2], words[3]), b)
}

// scales stores both scales of a superblock, whose dwords are in X14.
func (q *quad) scales() {
	q.twoHalves(13, 14)
	q.i("VMOVUPS Y13, %d(DI); VMOVUPS Y14, %d(DI)", dAt, minAt)
}

// hold stores 32 bytes of each row at off, as columns.
func (q *quad) hold(off int) {
	q.raw(off, "")
	for c := range 4 {
		q.i("VMOVDQU Y%d, %d(DI)", 8+c, holdAt+32*c)
	}
}

// sixes unpacks scales and least values of six bits, which Q4_K and Q5_K have behind their scales.
func (q *quad) sixes() {
	q.transpose(0)
	q.i("VMOVDQU X8, X14")
	q.scales()
	low6, high2 := q.bytesOf("sixes", 63), q.bytesOf("twos", 0x30)
	// The first four of each, in X4 and X5, and the second four, in X6 and X7.
	q.i("VPAND %s, X9, X4; VPAND %s, X10, X5", low6, low6)
	q.i("VPSRLW $2, X9, X9; VPAND %s, X9, X9; VPAND X15, X11, X6; VPOR X9, X6, X6", high2)
	q.i("VPSRLW $2, X10, X10; VPAND %s, X10, X10; VPSRLW $4, X11, X11; VPAND X15, X11, X7; VPOR X10, X7, X7", high2)
	q.spread(4, 0, 1, "VPMOVZXBW")
	q.spread(6, 4, 1, "VPMOVZXBW")
	for i, r := range [2]int{5, 7} {
		q.i("VPMOVZXBW X%d, Y%d", r, r)
		q.i("VPSHUFB %s, Y%d, Y14; VMOVDQU Y14, %d(DI)", q.wordsOfRows(0, 0, 1, 1), r, leastAt+64*i)
		q.i("VPSHUFB %s, Y%d, Y14; VMOVDQU Y14, %d(DI)", q.wordsOfRows(2, 2, 3, 3), r, leastAt+64*i+32)
	}
}

// q6K multiplies codes of Q6_K: of each half of a superblock, low nibbles of 64 bytes and pairs of bits
// of 32.
func q6K(q *quad) {
	q.loop(64, 32, func() {
		for pair := range 2 {
			q.columnsAt(16*pair, "(CX*2)", 8, 9)
			q.columnsAt(16*pair+32, "(CX*2)", 10, 11)
			q.columnsAt(128+16*pair, "(CX*1)", 6, 7)
			for quarter, shift := range []string{"VPSLLW $4", "VPSLLW $2", "", "VPSRLW $2"} {
				for c := range 2 {
					raw, high := 8+quarter%2*2+c, 12
					if shift == "" {
						high = 6 + c
					} else {
						q.i("%s, Y%d, Y12", shift, 6+c)
					}
					q.i("VPAND %s, Y%d, Y12", q.bytesOf("twos", 0x30), high)
					if quarter >= 2 {
						q.i("VPSRLW $4, Y%d, Y%d", raw, raw)
					}
					q.i("VPAND Y15, Y%d, Y%d; VPOR Y12, Y%d, Y%d", raw, 4+c, 4+c, 4+c)
				}
				q.groupOf16(4, 32*quarter+16*pair, 2*quarter+pair, "(CX*8)")
			}
		}
		q.i("ADDQ $128, SI")
	})
}

// twos multiplies codes of two bits at off; where there are held bits, these are a third one.
func (q *quad) twos(off int, hasThird bool) {
	q.loop(64, 32, func() {
		q.raw(off, "(CX*1)")
		for j := range 4 {
			for c := range 4 {
				q.i("VPAND %s, Y%d, Y%d", q.bytesOf("threes", 3), 8+c, 4+c)
				if j < 3 {
					q.i("VPSRLW $2, Y%d, Y%d", 8+c, 8+c)
				}
				if !hasThird {
					continue
				}
				q.i("VMOVDQU %d(DI), Y12", holdAt+32*c)
				q.i("%s", [4]string{"VPSLLW $2, Y12, Y13", "VPADDB Y12, Y12, Y13", "VMOVDQA Y12, Y13", "VPSRLW $1, Y12, Y13"}[j])
				q.i("VPAND %s, Y13, Y13; VPOR Y13, Y%d, Y%d", q.bytesOf("fours", 4), 4+c, 4+c)
				if j == 3 {
					q.i("VPSRLW $4, Y12, Y12; VMOVDQU Y12, %d(DI)", holdAt+32*c)
				}
			}
			q.groupOf16(4, 32*j, 2*j, "(CX*8)")
			q.groupOf16(6, 32*j+16, 2*j+1, "(CX*8)")
		}
		q.i("ADDQ $128, SI")
	})
}

// threes unpacks the 16 scales of Q3_K, four bits of which stand in bytes 96 to 103 and two in 104 to 107.
func (q *quad) threes() {
	q.transpose(92) // the first dwords, in X8, belong to codes
	high := q.bytesOf("twos", 0x30)
	for i, shift := range []string{"VPSLLW $4, X11, X4", "VPSLLW $2, X11, X4", "VMOVDQU X11, X4", "VPSRLW $2, X11, X4"} {
		low := 9 + i%2
		q.i("%s; VPAND %s, X4, X4", shift, high)
		if i >= 2 {
			q.i("VPSRLW $4, X%d, X%d", low, low)
		}
		q.i("VPAND X15, X%d, X5; VPOR X5, X4, X4; VPSUBB %s, X4, X4", low, q.bytesOf("thirtyTwos", 32))
		q.spread(4, 4*i, 1, "VPMOVSXBW")
		q.i("VMOVDQU Y4, %d(DI)", leastAt+32*i)
	}
}

// iq4XSScales unpacks the eight scales of IQ4_XS: nibbles in bytes 4 to 7, of even groups and of odd ones,
// and pairs of bits in bytes 2 and 3.
func iq4XSScales(q *quad) {
	q.halves(0, 14)
	q.i("VMOVUPS Y14, %d(DI)", dAt)
	q.dwords(0, 4)
	q.dwords(4, 5)
	var twice []byte
	for i := range 32 {
		twice = append(twice, byte(i%16/4*4+2+i%4/2))
	}
	q.i("VPSHUFB %s, X4, X4; VPSRLW $4, X5, X6", q.constant("twiceHigh", twice))
	even := q.wordsOf("evenTwos", 0x0030)
	odd := q.wordsOf("oddTwos", 0x3000)
	q.i("VPSLLW $4, X4, X7; VPAND %s, X7, X7; VPAND %s, X4, X8; VPOR X8, X7, X7", even, odd)
	q.i("VPSLLW $2, X4, X8; VPAND %s, X8, X8; VPSRLW $2, X4, X9; VPAND %s, X9, X9; VPOR X9, X8, X8", even, odd)
	for i := range 2 { // even groups in Y5, odd ones in Y6
		q.i("VPAND X15, X%d, X%d; VPOR X%d, X%d, X%d", 5+i, 5+i, 7+i, 5+i, 5+i)
		q.i("VPSUBB %s, X%d, X%d", q.bytesOf("thirtyTwos", 32), 5+i, 5+i)
	}
	if q.level == "AVX2" {
		q.spread(5, 0, 2, "VPMOVSXBW")
		q.spread(6, 1, 2, "VPMOVSXBW")
		return
	}
	q.i("VPMOVSXBW X5, Y5; VPMOVSXBW X6, Y6")
	for i := range 4 {
		for odd := range 2 {
			q.i("VPSHUFB %s, Y%d, Y7; VPSRAD $16, Y7, Y7; VMOVDQU Y7, %d(DI)",
				q.wordsOfRows(zeroWord, i, zeroWord, i), 5+odd, scaleAt+32*(2*i+odd))
		}
		q.i("VPSHUFB %s, Y5, Y7; VPSHUFB %s, Y6, Y8; VPOR Y8, Y7, Y7; VMOVDQU Y7, %d(DI)",
			q.wordsOfRows(i, i, zeroWord, zeroWord), q.wordsOfRows(zeroWord, zeroWord, i, i), leastAt+32*i)
	}
}

// iq4XS multiplies codes of IQ4_XS. Without VPDPBUSD a scale takes the place of the ones that would add
// both words of a dword; with it, sums are too large for words.
func iq4XS(q *quad) {
	q.loop(128, 16, func() {
		q.columnsAt(8, "(CX*1)", 6, 7)
		q.nibbles(4, 6)
		q.nibbles(5, 7)
		q.iq4Codes()
		for c := range 4 {
			if q.level == "AVX2" {
				q.i("VPABSB Y%d, Y%d", 8+c, 4+c)
			} else {
				q.i("VPXOR %s, Y%d, Y%d", q.bytesOf("signs", 0x80), 8+c, 4+c)
			}
		}
		for t := range q.tokens {
			if q.level != "AVX2" {
				q.i("VPXOR X12, X12, X12")
			}
			for c := range 4 {
				if q.level != "AVX2" {
					q.i("VPBROADCASTQ %s, Y13", token("SI", t, 8*c))
					q.vnni("VPDPBUSD", 13, 4+c, 12)
					continue
				}
				q.i("VPBROADCASTQ %s, Y12; VPSIGNB Y%d, Y12, Y12; VPMADDUBSW Y12, Y%d, Y12", token("SI", t, 8*c), 8+c, 4+c)
				q.i("VPMADDWD %d(DI)(CX*2), Y12, Y12; VPADDD Y12, Y%d, Y%d", scaleAt, t, t)
			}
			if q.level != "AVX2" {
				q.i("VPMULLD %d(DI)(CX*2), Y12, Y12; VPADDD Y12, Y%d, Y%d", scaleAt, t, t)
			}
		}
		q.i("ADDQ $32, SI")
	})
}
