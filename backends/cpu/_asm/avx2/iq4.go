package main

// iq4Codes are the values of codes of IQ4_NL and IQ4_XS.
var iq4Codes = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}

// iq4Codes replaces codes in Y4 to Y7 by their values, in Y8 to Y11.
func (q *quad) iq4Codes() {
	for i := range 4 {
		q.lookup(q.table("iq4Codes", iq4Codes), 4+i, 8+i)
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
