package main

// The types of superblocks. Layouts are those of package quant.
var supers = []super{
	{
		name: "Q6_K", size: 210, offset: 32,
		setup: func(u *unit256) {
			u.more[0], u.more[1] = u.take(), u.take()
			u.fill(u.more[0], u.dword("low4", dwords(15)))
			u.fill(u.more[1], u.dword("bits45", dwords(0x30)))
			u.fillOffset()
			u.byWords()
		},
		scales: func(u *unit256) {
			u.halves(206, false, true)
			u.rowBytes(192, u.tmp)
			u.op("VPMOVSXBW", u.tmp.y(), u.table)
			u.offsetScales()
		},
		codes: func(u *unit256, group func(int, vec)) {
			low4, bits45 := u.more[0], u.more[1]
			for n := range 2 {
				u.pair(128+32*n, u.high)
				u.pair(64*n, u.w0)
				u.pair(64*n+32, u.w1)
				for i, w := range []vec{u.w0, u.w1, u.w0, u.w1} {
					if i >= 2 {
						u.op("VPSRLD", "$4", w, w)
					}
					u.rotateAnd(u.high, bits45, u.w2, 2*i, 4)
					u.orLow(w, low4, u.w2)
					group(4*n+i, u.w2)
				}
			}
		},
	},
	{
		name: "Q2_K", size: 84, hasLeast: true,
		setup: func(u *unit256) {
			u.more[0], u.more[1] = u.take(), u.take()
			u.fill(u.more[0], u.dword("low2", dwords(3)))
			u.fill(u.more[1], u.dword("low4w", 0x000f000f))
			u.byWords()
		},
		scales: func(u *unit256) {
			u.halves(80, true, true)
			u.rowBytes(0, u.tmp)
			u.op("VPMOVZXBW", u.tmp.y(), u.table)
			u.op("VPSRLW", "$4", u.table, u.least)
			u.op("VPANDD", u.more[1], u.table, u.table)
		},
		codes: func(u *unit256, group func(int, vec)) {
			for n := range 2 {
				u.pair(16+32*n, u.w0)
				u.op("VPANDD", u.more[0], u.w0, u.w1)
				group(4*n, u.w1)
				for i := 1; i < 4; i++ {
					u.shiftAnd(u.w0, u.more[0], u.w1, 2*i)
					group(4*n+i, u.w1)
				}
			}
		},
	},
	{
		name: "Q3_K", size: 110, offset: 4,
		setup: func(u *unit256) {
			u.more[0], u.more[1], u.more[3] = u.take(), u.take(), u.take()
			u.fill(u.more[0], u.dword("low2", dwords(3)))
			u.fill(u.more[1], u.dword("bit2", dwords(4)))
			u.fill(u.more[3], u.dword("words32", 0x00200020))
			u.fillOffset()
			u.byWords()
			u.mask(1, 0x02) // qwords of a half register, one by one
			u.mask(2, 0x04)
			u.mask(3, 0x08)
		},
		scales: func(u *unit256) {
			u.halves(106, false, true)
			sixesOf3(u)
			u.op("VPMOVZXBW", u.tmp.y(), u.table)
			u.op("VPSUBW", u.more[3], u.table, u.table)
			u.offsetScales()
		},
		codes: func(u *unit256, group func(int, vec)) {
			u.pair(0, u.high)
			for n := range 2 {
				u.pair(32+32*n, u.w0)
				for i := range 4 {
					u.rotateAnd(u.high, u.more[1], u.w1, 4*n+i, 2)
					if i > 0 {
						u.op("VPSRLD", "$2", u.w0, u.w0)
					}
					u.orLow(u.w0, u.more[0], u.w1)
					group(4*n+i, u.w1)
				}
			}
		},
	},
	{
		name: "IQ4_XS", size: 136, signed: true,
		setup: func(u *unit256) {
			u.more[0], u.more[1], u.more[2], u.more[3] = u.take(), u.take(), u.take(), u.take()
			u.fill(u.more[0], u.dword("low4", dwords(15)))
			u.op("VMOVDQU64", u.vector("nibbles", func(i int) byte {
				if i%4 == 0 && i/16%2 == 1 {
					return 4
				}
				return 0
			}), u.more[1])
			u.op("VMOVDQU64", u.vector("iq4", func(i int) byte { return byte(iq4Codes[i%16]) }), u.more[2])
			u.zero(u.more[3])
			u.fill(u.dmin, u.dword("words32", 0x00200020))
			u.byWord()
		},
		scales: sixesOf4,
		codes: func(u *unit256, group func(int, vec)) {
			for j := range 8 {
				u.op("VBROADCASTI32X4", u.weights(0).at(8+16*j), u.w0)
				u.op("VBROADCASTI64X2", u.weights(1).at(8+16*j), maskRow1, u.w0)
				u.op("VPSRLVD", u.more[1], u.w0, u.w0)
				u.op("VPANDD", u.more[0], u.w0, u.w0)
				u.op("VPSHUFB", u.w0, u.more[2], u.w0)
				group(j, u.w0)
			}
		},
	},
}

// rotateAnd moves bit from of each byte to bit to, and keeps what mask says. Bits of other bytes that
// come along are not among those.
func (u *unit256) rotateAnd(src, mask, dst vec, from, to int) {
	switch {
	case from > to:
		u.shiftAnd(src, mask, dst, from-to)
	case from < to:
		u.op("VPSLLD", imm(to-from), src, dst)
		u.op("VPANDD", mask, dst, dst)
	default:
		u.op("VPANDD", mask, src, dst)
	}
}

// orLow adds src & mask to the bits of dst: dst |= src & mask.
func (u *unit256) orLow(src, mask, dst vec) { u.op("VPTERNLOGD", "$0xF8", mask, src, dst) }
