package main

import "fmt"

// A type32 is a type of blocks of 32 weights.
type type32 struct {
	name  string
	block int
	// unpack leaves codes in Y4 to Y7, unsigned and less offset; or, where isSigned, in Y8 to Y11. It
	// may use Y8 to Y14.
	unpack   func(q *quad)
	isSigned bool
	offset   int // what an unsigned code is too much
	// scale leaves the scales of four rows in Y12. Where hasLeast, each row's least value goes to Y14.
	scale    func(q *quad)
	hasLeast bool
}

var (
	iq4Codes   = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	mxfp4Codes = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)

// mxfp4Offset makes the codes of MXFP4 unsigned.
const mxfp4Offset = 12

var types32 = []type32{
	{name: "Q8_0", block: 34, isSigned: true, scale: halfAt(0), unpack: func(q *quad) {
		q.columns(2, 8, 9)
		q.columns(18, 10, 11)
	}},
	{name: "Q4_0", block: 18, offset: 8, scale: halfAt(0), unpack: func(q *quad) { q.fours(2) }},
	{name: "Q4_1", block: 20, hasLeast: true, scale: pairAt0, unpack: func(q *quad) { q.fours(4) }},
	{name: "Q5_0", block: 22, offset: 16, scale: halfAt(0), unpack: func(q *quad) {
		q.fours(6)
		q.fifths(2)
	}},
	{name: "Q5_1", block: 24, hasLeast: true, scale: pairAt0, unpack: func(q *quad) {
		q.fours(8)
		q.fifths(4)
	}},
	{name: "IQ4_NL", block: 18, isSigned: true, scale: halfAt(0), unpack: func(q *quad) {
		q.fours(2)
		q.iq4Codes()
	}},
	{name: "MXFP4", block: 17, offset: mxfp4Offset, scale: exponentAt0, unpack: func(q *quad) {
		q.fours(1)
		t := mxfp4Codes
		for i := range t {
			t[i] += mxfp4Offset
		}
		for i := range 4 {
			q.lookup(q.table("mxfp4Codes", t), 4+i, 4+i)
		}
	}},
}

// iq4Codes replaces codes in Y4 to Y7 by their values, in Y8 to Y11.
func (q *quad) iq4Codes() {
	for i := range 4 {
		q.lookup(q.table("iq4Codes", iq4Codes), 4+i, 8+i)
	}
}

func halfAt(off int) func(q *quad) { return func(q *quad) { q.halves(off, 12) } }

// pairAt0 leaves twice each row's scale in Y12, and in Y14 its least value once, because a token's sum
// counts once.
func pairAt0(q *quad) {
	q.dwords(0, 14)
	q.i("VCVTPH2PS X14, Y14; VMOVSLDUP Y14, Y12; VPSRLQ $32, Y14, Y14")
}

// exponentAt0 takes the scales of MXFP4 from the table of plain Go.
func exponentAt0(q *quad) {
	q.i("LEAQ ·mxfp4Half(SB), DI; MOVBLZX (R8), CX; VMOVSS (DI)(CX*4), X12")
	for r := 1; r < 4; r++ {
		q.i("MOVBLZX (%s), CX; VINSERTPS $0x%x, (DI)(CX*4), X12, X12", rows[r], r<<4)
	}
	q.i("VUNPCKLPS X12, X12, X13; VUNPCKHPS X12, X12, X12; VINSERTF128 $1, X12, Y13, Y12")
}

// fours unpacks 16 bytes of nibbles at off into Y4 to Y7.
func (q *quad) fours(off int) {
	q.columns(off, 6, 7)
	q.nibbles(4, 6)
	q.nibbles(5, 7)
}

// fifths adds the fifth bits of codes in Y4 to Y7, which stand together in the dword at off: each is
// found in a copy of its byte.
func (q *quad) fifths(off int) {
	q.i("VMOVD %d(R8), X13; VPUNPCKLDQ %d(R9), X13, X13", off, off)
	q.i("VMOVD %d(R10), X14; VPUNPCKLDQ %d(R11), X14, X14; VINSERTI128 $1, X14, Y13, Y13", off, off)
	bits := q.constant("bits", []byte{
		1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
		1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128,
	})
	for c := range 4 {
		q.i("VPSHUFB %s, Y13, Y8; VPAND %s, Y8, Y8; VPCMPEQB %s, Y8, Y8", q.byteOfDwords(c), bits, bits)
		q.i("VPAND %s, Y8, Y8; VPOR Y8, Y%d, Y%d", q.bytesOf("sixteens", 16), 4+c, 4+c)
	}
}

// byteOfDwords returns the shuffle that spreads byte c of each row's dword over its eight bytes. Two rows'
// dwords lie at the beginning of each half.
func (q *quad) byteOfDwords(c int) string {
	var b []byte
	for i := range 32 {
		b = append(b, byte(i%16/8*4+c))
	}
	return q.constant(fmt.Sprintf("spread%d", c), b)
}

// unit32 writes the unit of a type for some tokens.
func unit32(f *file, level string, typ type32, tokens int) {
	q := &quad{file: f, level: level, tokens: tokens, block: typ.block, elems: 32, ratio: 3}
	isDot := level == "AVXVNNI"
	q.unit(unitName(typ.name, level, tokens), func() {
		for t := range tokens {
			q.i("VXORPS Y%d, Y%d, Y%d", t, t, t)
		}
		switch {
		case isDot:
			q.i("VMOVDQU %s, Y15", q.bytesOf("signs", 0x80))
		default:
			q.i("VMOVDQU %s, Y15", q.wordsOf("ones", 1))
		}
	}, func() {
		typ.unpack(q)
		typ.scale(q)
		offset := typ.offset
		for c := 4; c < 8 && typ.isSigned; c++ {
			if isDot {
				q.i("VPXOR Y15, Y%d, Y%d", c+4, c)
				offset = 128
			} else {
				q.i("VPABSB Y%d, Y%d", c+4, c)
			}
		}
		for t := range tokens {
			switch {
			case isDot:
				q.dotProducts(t, offset)
			case typ.isSigned:
				q.signedProducts(t)
			default:
				q.smallProducts(t)
				q.lessOffset(t, offset)
			}
			q.finish32(&typ, t)
		}
		q.i("ADDQ $32, SI; ADDQ $4, R12; ADDQ $4, R13")
	}, nil)
}

// dotProducts leaves the products of unsigned codes in Y4 to Y7 with token t in Y13.
func (q *quad) dotProducts(t, offset int) {
	if offset == 0 {
		q.i("VPXOR X13, X13, X13")
	} else {
		q.offsetOf(t, offset, 13)
	}
	for c := range 4 {
		q.i("VPBROADCASTQ %s, Y8", token("SI", t, 8*c))
		q.vnni("VPDPBUSD", 8, 4+c, 13)
	}
}

// offsetOf leaves what the offset of codes takes from the products with token t in register d: the sum of
// 32 codes fits the lower word of its dword, and each row has it twice.
func (q *quad) offsetOf(t, offset, d int) {
	q.i("VPBROADCASTD %s, Y%d; VPMADDWD %s, Y%d, Y%d", token("R13", t, 0), d, q.wordsOf(fmt.Sprintf("less%d", offset), int16(-offset/2), 0), d, d)
}

// lessOffset takes the offset of codes from the products in Y13.
func (q *quad) lessOffset(t, offset int) {
	if offset != 0 {
		q.offsetOf(t, offset, 8)
		q.i("VPADDD Y8, Y13, Y13")
	}
}

// signedProducts leaves the products of signed codes in Y8 to Y11, whose magnitudes are in Y4 to Y7,
// with token t in Y13. VPMADDUBSW wants unsigned bytes at one side, so the sign goes to the other. Two products
// of at most 128*127 fit its 16 bits, but no third.
func (q *quad) signedProducts(t int) {
	for c := range 4 {
		d := 13
		if c > 0 {
			d = 14
		}
		q.i("VPBROADCASTQ %s, Y%d; VPSIGNB Y%d, Y%d, Y%d; VPMADDUBSW Y%d, Y%d, Y%d; VPMADDWD Y15, Y%d, Y%d",
			token("SI", t, 8*c), d, 8+c, d, d, d, 4+c, d, d, d)
		if c > 0 {
			q.i("VPADDD Y14, Y13, Y13")
		}
	}
}

// smallProducts leaves the products of codes of at most 5 bits in Y4 to Y7 with token t in Y13: eight
// products of 31*127 fit 16 bits.
func (q *quad) smallProducts(t int) {
	for c := range 4 {
		q.i("VPBROADCASTQ %s, Y%d; VPMADDUBSW Y%d, Y%d, Y%d", token("SI", t, 8*c), 8+c, 8+c, 4+c, 8+c)
	}
	q.i("VPADDW Y9, Y8, Y8; VPADDW Y11, Y10, Y10; VPADDW Y10, Y8, Y8")
	q.i("VPMADDWD Y15, Y8, Y13")
}

// finish32 adds the products in Y13 to token t's sums.
func (q *quad) finish32(typ *type32, t int) {
	if typ.isSigned {
		q.i("VCVTDQ2PS Y13, Y13; VBROADCASTSS %s, Y14; VMULPS Y12, Y14, Y14; VFMADD231PS Y14, Y13, Y%d", token("R12", t, 0), t)
		return
	}
	q.i("VCVTDQ2PS Y13, Y13; VBROADCASTSS %s, Y8; VMULPS Y12, Y8, Y9; VFMADD231PS Y9, Y13, Y%d", token("R12", t, 0), t)
	if typ.hasLeast {
		q.i("VPBROADCASTD %s, Y9; VCVTDQ2PS Y9, Y9; VMULPS Y8, Y9, Y9; VFMADD231PS Y9, Y14, Y%d", token("R13", t, 0), t)
	}
}
