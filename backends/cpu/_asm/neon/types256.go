package main

// The layouts are those of package quant.
var types256 = []type256{
	{
		name: "Q2_K", size: 84, d: 80, least: perGroup,
		consts: func(g *gen) {
			consts256.load(g, v256K, all(3))
			consts256.load(g, v256K+1, all(15))
		},
		scales: func(g *gen) {
			g.load16(0, rW, 0)
			g.and(v256Scale, 0, v256K+1)
			g.shr(0, 0, 4)
			g.f("VUXTL V0.B8, V%d.H8", v256Least)
			g.f("VUXTL2 V0.B16, V%d.H8", v256Least+1)
		},
		// Codes to 3 times scales to 15 are bytes still: they are multiplied once for all tokens.
		codes: func(g *gen, i int) {
			twoBits(g, i, 16)
			for j := range 4 {
				g.f("VDUP V%d.B[%d], V%d.B16", v256Scale, 4*i+j, v256Q+j)
			}
			for j := range 4 {
				g.m("MUL16B", j, j, v256Q+j)
			}
		},
	},
	{
		name: "Q3_K", size: 110, d: 108, least: inProduct, group: 16,
		consts: func(g *gen) {
			consts256.load(g, v256K, all(3))
			consts256.load(g, v256K+1, all(1))
		},
		scales: func(g *gen) {
			g.load16(0, rW, 94) // scales begin at 96: so it ends with the superblock
			low := [16]byte{2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9}
			lowShift := [16]byte{8: neg4, neg4, neg4, neg4, neg4, neg4, neg4, neg4}
			high := [16]byte{10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13}
			highShift := [16]byte{4: neg2, neg2, neg2, neg2, neg4, neg4, neg4, neg4, neg6, neg6, neg6, neg6}
			lowAndHigh(g, low, lowShift, high, highShift)
			g.m("SXTL8H", 1, 0)
			g.m("SXTL8H2", 2, 0)
			scales16(g, 1, 2)
			negative(g, 4)
		},
		codes: func(g *gen, i int) {
			if i == 0 {
				g.load32(v256Raw+2, rW, 0)
			}
			twoBits(g, i, 32)
			for j := range 4 {
				high := v256Raw + 2 + j%2
				g.and(v256Q+j, high, v256K+1)
				g.sli(j, v256Q+j, 2)
				g.shr(high, high, 1)
			}
		},
	},
	{
		name: "Q4_K", size: 144, d: 0, least: perTwo, group: 32,
		consts: func(g *gen) { consts256.load(g, v256K, all(15)) },
		scales: sixes,
		codes:  func(g *gen, i int) { fourBits(g, 16+32*i) },
	},
	{
		name: "Q5_K", size: 176, d: 0, least: perTwo, group: 32,
		consts: func(g *gen) {
			consts256.load(g, v256K, all(15))
			consts256.load(g, v256K+1, all(16))
		},
		scales: sixes,
		codes: func(g *gen, i int) {
			if i == 0 {
				g.load32(v256Raw+2, rW, 16)
			}
			fourBits(g, 48+32*i)
			for j := range 4 { // the fifth bits are bits 2i and 2i+1
				high, up := v256Raw+2+j%2, 4-2*i-j/2
				switch {
				case up > 0:
					g.shl(v256Q+j, high, up)
				case up < 0:
					g.shr(v256Q+j, high, -up)
				}
				from := v256Q + j
				if up == 0 {
					from = high
				}
				g.and(v256Q+j, from, v256K+1)
			}
			for j := range 4 {
				g.orr(j, j, v256Q+j)
			}
		},
	},
	{
		name: "Q6_K", size: 210, d: 208, least: inProduct, group: 16,
		consts: func(g *gen) {
			consts256.load(g, v256K, all(15))
			consts256.load(g, v256K+1, all(0x30))
		},
		scales: func(g *gen) {
			g.load16(0, rW, 192)
			g.m("SXTL8H", 1, 0)
			g.m("SXTL8H2", 2, 0)
			scales16(g, 1, 2)
			negative(g, 32)
		},
		codes: func(g *gen, i int) {
			if i%2 == 0 {
				g.load32(v256Raw, rW, 32*i)
				g.load32(v256Raw+2, rW, 32*i+32)
			}
			g.load32(v256Q, rW, 128+i/2*32)
			for j := range 4 { // the high bits are bits 4(i%2) + 2(j/2) and the next one
				if i%2 == 0 {
					g.and(j, v256Raw+j, v256K)
				} else {
					g.shr(j, v256Raw+j, 4)
				}
				high, part := v256Q+j%2, v256Part+j
				switch 4*(i%2) + j/2*2 {
				case 0:
					g.shl(part, high, 4)
				case 2:
					g.shl(part, high, 2)
				case 4:
					part = high
				case 6:
					g.shr(part, high, 2)
				}
				g.and(v256Part+j, part, v256K+1)
				g.orr(j, j, v256Part+j)
			}
		},
	},
	{
		name: "IQ4_XS", size: 136, d: 0, least: noLeast, group: 32,
		consts: func(g *gen) {
			consts256.load(g, v256K, all(15))
			consts256.load(g, v256K+1, iq4Codes)
		},
		scales: func(g *gen) {
			g.f("FMOVD (%s), F0", rW)
			low := [16]byte{4, 4, 5, 5, 6, 6, 7, 7}
			lowShift := [16]byte{0, neg4, 0, neg4, 0, neg4, 0, neg4}
			high := [16]byte{2, 2, 2, 2, 3, 3, 3, 3}
			highShift := [16]byte{0, neg2, neg4, neg6, 0, neg2, neg4, neg6}
			lowAndHigh(g, low, lowShift, high, highShift)
			g.m("SXTL8H", 1, 0)
			g.m("SXTL4S", v256Scale, 1)
			g.m("SXTL4S2", v256Scale+1, 1)
		},
		codes: func(g *gen, i int) {
			g.load32(v256Raw, rW, 8+32*i)
			for j := range 4 { // low and high nibbles of the same bytes follow each other
				if j%2 == 0 {
					g.and(j, v256Raw+j/2, v256K)
				} else {
					g.shr(j, v256Raw+j/2, 4)
				}
				g.table(j, v256K+1, j)
			}
		},
	},
}

// Shifts to the right.
const neg2, neg4, neg6 = 0xfe, 0xfc, 0xfa

// twoBits takes codes 64i and on out of bytes that begin at off.
func twoBits(g *gen, i, off int) {
	if i%2 == 0 {
		g.load32(v256Raw, rW, off+16*i)
	}
	for j := range 4 {
		from := v256Raw + j%2
		if s := 4*(i%2) + j/2*2; s > 0 {
			g.shr(j, from, s)
			from = j
		}
		g.and(j, from, v256K)
	}
}

// fourBits takes 64 codes out of 32 bytes.
func fourBits(g *gen, off int) {
	g.load32(v256Raw, rW, off)
	for j := range 2 {
		g.and(j, v256Raw+j, v256K)
		g.shr(2+j, v256Raw+j, 4)
	}
}

// scales16 widens 16 scales, which are int16 in lo and hi.
func scales16(g *gen, lo, hi int) {
	g.m("SXTL4S", v256Scale, lo)
	g.m("SXTL4S2", v256Scale+1, lo)
	g.m("SXTL4S", v256Scale+2, hi)
	g.m("SXTL4S2", v256Scale+3, hi)
}

// negative makes -by times the scales in 1 and 2 least values: what is subtracted from all codes.
func negative(g *gen, by int) {
	shift := map[int]int{4: 2, 32: 5}[by]
	g.zero(3)
	for i := range 2 {
		g.f("VSHL $%d, V%d.H8, V%d.H8", shift, 1+i, v256Least+i)
		g.f("VSUB V%d.H8, V3.H8, V%[1]d.H8", v256Least+i)
	}
}

// lowAndHigh makes scales of the bytes in 0: four low bits and two high ones, less 32. Both are looked up
// by byte and shifted to the right.
func lowAndHigh(g *gen, low, lowShift, high, highShift [16]byte) {
	consts256.load(g, 1, low)
	consts256.load(g, 2, lowShift)
	consts256.load(g, 3, high)
	consts256.load(g, 4, highShift)
	consts256.load(g, 5, all(15))
	consts256.load(g, 6, all(3))
	consts256.load(g, 7, all(32))
	g.table(1, 0, 1)
	g.table(3, 0, 3)
	g.m("USHL16B", 1, 1, 2)
	g.m("USHL16B", 3, 3, 4)
	g.and(1, 1, 5)
	g.and(3, 3, 6)
	g.shl(3, 3, 4)
	g.orr(1, 1, 3)
	g.sub8(0, 1, 7)
}

// sixes takes apart the scales and least values of Q4_K and Q5_K, of six bits: the first four of each are
// the low bits of bytes 4 to 7 and 8 to 11. The others have their low bits in nibbles of the last four, and
// their high bits where the first ones leave two.
func sixes(g *gen) {
	const none = 0xff
	g.load16(0, rW, 0)
	consts256.load(g, 1, [16]byte{4, 5, 6, 7, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15})
	consts256.load(g, 2, [16]byte{12: neg4, neg4, neg4, neg4})
	consts256.load(g, 3, [16]byte{63, 63, 63, 63, 15, 15, 15, 15, 63, 63, 63, 63, 15, 15, 15, 15})
	consts256.load(g, 4, [16]byte{none, none, none, none, 4, 5, 6, 7, none, none, none, none, 8, 9, 10, 11})
	consts256.load(g, 5, all(0xc0))
	g.table(1, 0, 1)
	g.table(4, 0, 4)
	g.m("USHL16B", 1, 1, 2)
	g.and(4, 4, 5)
	g.and(1, 1, 3)
	g.shr(4, 4, 2)
	g.orr(1, 1, 4)
	g.f("VUXTL V1.B8, V0.H8")
	g.f("VUXTL2 V1.B16, V%d.H8", v256Least)
	g.f("VUXTL V0.H4, V%d.S4", v256Scale)
	g.f("VUXTL2 V0.H8, V%d.S4", v256Scale+1)
}
