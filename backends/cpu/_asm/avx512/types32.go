package main

// The types of blocks. Layouts are those of package quant.
var blocks = []block{
	{
		name: "Q8_0", size: 34, rows: 8, offset: 128,
		setup: func(u *unit32) {
			u.rowMasks(8)
			u.fill(u.mask, u.dword("sign", dwords(0x80)))
		},
		scale: halves,
		codes: func(u *unit32) {
			half := len(u.codes) / 2
			u.load(2, u.codes[:half])
			u.load(18, u.codes[half:])
			for _, c := range u.codes {
				u.op("VPXORD", u.mask, c, c)
			}
		},
	},
	{name: "Q4_0", size: 18, rows: 8, offset: 8, setup: setupNibbles, scale: halves, codes: func(u *unit32) { u.nibbles(2) }},
	{name: "Q4_1", size: 20, rows: 8, hasM: true, setup: setupNibbles, scale: halves, codes: func(u *unit32) { u.nibbles(4) }},
	{
		name: "Q5_0", size: 22, rows: 4, offset: 16, setup: setupFifths, scale: halves,
		codes: func(u *unit32) {
			u.nibbles(6)
			u.fifths(2)
		},
	},
	{
		name: "Q5_1", size: 24, rows: 4, hasM: true, setup: setupFifths, scale: halves,
		codes: func(u *unit32) {
			u.nibbles(8)
			u.fifths(4)
		},
	},
	{
		name: "IQ4_NL", size: 18, rows: 8, offset: 128,
		setup: func(u *unit32) { setupTable(u, "iq4nl", iq4Codes) },
		scale: halves,
		codes: func(u *unit32) {
			u.nibbles(2)
			u.lookUp()
		},
	},
	{
		name: "MXFP4", size: 17, rows: 8, offset: 12,
		setup: func(u *unit32) {
			setupTable(u, "mxfp4", mxfp4Codes)
			u.rowMasks(16) // of F32
		},
		scale: exponents,
		codes: func(u *unit32) {
			u.nibbles(1)
			u.lookUp()
		},
	},
}

func setupNibbles(u *unit32) {
	u.rowMasks(8)
	u.fill(u.mask, u.dword("low4", dwords(0x0f)))
}

func setupFifths(u *unit32) {
	setupNibbles(u)
	u.more[0] = u.take()
	u.fill(u.more[0], u.dword("bit4", dwords(0x10)))
}

// setupTable prepares a table of codes, shifted by the offset.
func setupTable(u *unit32, name string, codes [16]int8) {
	setupNibbles(u)
	u.more[0] = u.take()
	u.op("VMOVDQU64", u.vector(name, func(i int) byte { return byte(int(codes[i%16]) + u.offset) }), u.more[0])
}

// The values of codes. Those of MXFP4 are doubled.
var (
	iq4Codes   = [16]int8{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}
	mxfp4Codes = [16]int8{0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12}
)
