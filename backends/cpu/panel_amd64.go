//go:build !purego

package cpu

import "github.com/tenon-go/tenon/tensor"

//go:generate sh -c "cd _asm/panel && GOWORK=off go run . ../.."

func init() {
	addUnits(AVXVNNI, func(u *units) {
		u.panel = &panelUnits{
			rows: [panelShapes]int{panel32: 3, panel32Least: 3, panel16: 3},
			flip: 0x80808080,
			tile: [panelShapes][2]func(*panel){
				panel32: {panel32AVXVNNI}, panel32Least: {panel32LeastAVXVNNI}, panel16: {panel16AVXVNNI},
			},
			pack: packGo, spread: spreadGo,
			codes: codesAVX2, sums32: unpackSums32AVX2, sums16: unpackSums16AVX2,
		}
	})
	addUnits(AVX512, func(u *units) {
		u.panel = &panelUnits{
			rows: [panelShapes]int{panel32: 6, panel32Least: 6, panel16: 6, panelFloats: 6},
			flip: 0x80808080,
			tile: [panelShapes][2]func(*panel){
				panel32:      {panel32x1AVX512, panel32x2AVX512},
				panel32Least: {panel32Leastx1AVX512, panel32Leastx2AVX512},
				panel16:      {panel16x1AVX512, panel16x2AVX512},
				panelFloats:  {panelFloatsx1AVX512, panelFloatsx2AVX512},
			},
			pack: packAVX512, spread: spreadAVX512,
			codes: codesAVX2, sums32: unpackSums32AVX2, sums16: unpackSums16AVX2,
		}
	})
	addUnits(AMX, func(u *units) {
		p := *u.panel
		p.flip = 0
		for shape, f := range map[panelShape]func(*panel){
			panel32: panel32AMX, panel32Least: panel32LeastAMX, panel16: panel16AMX,
		} {
			p.rows[shape], p.tile[shape] = 16, [2]func(*panel){f}
			p.config[shape] = tileConfig(shape.elems())
		}
		u.panel = &p
	})
}

// tileConfig returns the shape of the tiles of a kernel whose scales are for so many elements: 0 and 3
// hold sums, 1 and 4 rows of codes, 2 and 5 tokens. Source: Intel's Instruction Set Extensions Programming
// Reference, chapter on AMX.
func tileConfig(elems int) *[64]byte {
	c := &[64]byte{0: 1} // the palette
	for t := range 6 {
		rows, bytes := 16, 64
		switch t % 3 {
		case 1:
			bytes = elems
		case 2:
			rows = elems / 4
		}
		c[16+2*t], c[48+t] = byte(bytes), byte(rows)
	}
	return c
}

// codesAVX2 take codes apart, by type.
var codesAVX2 = [256]func(*unpacking){
	tensor.Q8_0: unpackQ8_0AVX2, tensor.Q4_0: unpackQ4_0AVX2, tensor.Q4_1: unpackQ4_1AVX2,
	tensor.Q5_0: unpackQ5_0AVX2, tensor.Q5_1: unpackQ5_1AVX2, tensor.IQ4_NL: unpackIQ4_NLAVX2, tensor.MXFP4: unpackMXFP4AVX2,
	tensor.Q3_K: unpackQ3_KAVX2, tensor.Q4_K: unpackQ4_KAVX2, tensor.Q5_K: unpackQ5_KAVX2, tensor.Q6_K: unpackQ6_KAVX2,
	tensor.IQ4_XS: unpackIQ4_XSAVX2,
}

//go:noescape
func panel32AMX(p *panel)

//go:noescape
func panel32LeastAMX(p *panel)

//go:noescape
func panel16AMX(p *panel)

//go:noescape
func panel32x1AVX512(p *panel)

//go:noescape
func panel32x2AVX512(p *panel)

//go:noescape
func panel32Leastx1AVX512(p *panel)

//go:noescape
func panel32Leastx2AVX512(p *panel)

//go:noescape
func panel16x1AVX512(p *panel)

//go:noescape
func panel16x2AVX512(p *panel)

//go:noescape
func panelFloatsx1AVX512(p *panel)

//go:noescape
func panelFloatsx2AVX512(p *panel)

//go:noescape
func packAVX512(p *panel)

//go:noescape
func spreadAVX512(p *panel)

//go:noescape
func panel32AVXVNNI(p *panel)

//go:noescape
func panel32LeastAVXVNNI(p *panel)

//go:noescape
func panel16AVXVNNI(p *panel)

//go:noescape
func unpackQ8_0AVX2(p *unpacking)

//go:noescape
func unpackQ4_0AVX2(p *unpacking)

//go:noescape
func unpackQ4_1AVX2(p *unpacking)

//go:noescape
func unpackQ5_0AVX2(p *unpacking)

//go:noescape
func unpackQ5_1AVX2(p *unpacking)

//go:noescape
func unpackIQ4_NLAVX2(p *unpacking)

//go:noescape
func unpackMXFP4AVX2(p *unpacking)

//go:noescape
func unpackQ3_KAVX2(p *unpacking)

//go:noescape
func unpackQ4_KAVX2(p *unpacking)

//go:noescape
func unpackQ5_KAVX2(p *unpacking)

//go:noescape
func unpackQ6_KAVX2(p *unpacking)

//go:noescape
func unpackIQ4_XSAVX2(p *unpacking)

//go:noescape
func unpackSums32AVX2(p *unpacking)

//go:noescape
func unpackSums16AVX2(p *unpacking)
