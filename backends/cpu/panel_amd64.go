//go:build !purego

package cpu

import "github.com/tenon-go/tenon/tensor"

//go:generate sh -c "cd _asm/panel && GOWORK=off go run . ../.."

func init() {
	addUnits(AVX2, func(u *units) {
		u.gates[tensor.SiLU] = byEights(gateSiLUAVX2)
		u.gates[tensor.GELU] = byEights(gateGELUAVX2)
		u.gates[tensor.GELUQuick] = byEights(gateGELUQuickAVX2)

		u.panel = &panelUnits{
			shape: smallCodeShape,
			rows:  [panelShapes]int{panel32: 2, panel32Least: 2, panel16: 2},
			most:  [panelShapes]int8{panel32: 16, panel32Least: 16, panel16: 32},
			flip:  0x80808080,
			tile: [panelShapes][2]func(*panel){
				panel32: {panel32AVX2}, panel32Least: {panel32LeastAVX2}, panel16: {panel16AVX2},
			},
			pack: packGo, spread: spreadGo,
			codes: codesAVX2, sums32: unpackSums32AVX2, sums16: unpackSums16AVX2,
		}
	})
	addUnits(AVXVNNI, func(u *units) {
		u.panel = &panelUnits{
			shape: codeShape,
			rows:  [panelShapes]int{panel32: 3, panel32Least: 3, panel16: 3},
			flip:  0x80808080,
			tile: [panelShapes][2]func(*panel){
				panel32: {panel32AVXVNNI}, panel32Least: {panel32LeastAVXVNNI}, panel16: {panel16AVXVNNI},
			},
			pack: packGo, spread: spreadGo,
			codes: codesAVX2, sums32: unpackSums32AVX2, sums16: unpackSums16AVX2,
		}
	})
	addUnits(AVX512, func(u *units) {
		u.panel = &panelUnits{
			shape: codeShape,
			rows:  [panelShapes]int{panel32: 6, panel32Least: 6, panel16: 6, panelFloats: 6},
			flip:  0x80808080,
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
		p.shape = func(t tensor.DType) panelShape {
			if t == tensor.F32 || t == tensor.F16 {
				return panelBF16x3
			}
			return panelBF16
		}
		p.rows[panelBF16], p.rows[panelBF16x3] = 32, 32
		p.tile[panelBF16] = [2]func(*panel){panelBF16p1x1AMX, panelBF16p1x2AMX}
		p.tile[panelBF16x3] = [2]func(*panel){panelBF16p3x1AMX, panelBF16p3x2AMX}
		p.split = splitBF16AMX
		p.scale[panel32], p.scale[panel32Least], p.scale[panel16] = scale32AMX, scale32LeastAMX, scale16AMX
		p.config = &tileConfig
		u.panel = &p
	})
}

// smallCodeShape is codeShape for types whose codes are as small as panels of AVX2 need them. The others
// are left to row units, which are no slower there.
func smallCodeShape(t tensor.DType) panelShape {
	switch t {
	case tensor.Q4_0, tensor.Q5_0, tensor.MXFP4, tensor.Q4_1, tensor.Q4_K, tensor.Q6_K, tensor.Q3_K:
		return codeShape(t)
	}
	return noPanel
}

// tileConfig is the shape of the tiles: all of 16 rows of 64 bytes. Source: Intel's Instruction Set Extensions
// Programming Reference, chapter on AMX.
var tileConfig = func() (c [64]byte) {
	c[0] = 1 // the palette
	for t := range 8 {
		c[16+2*t], c[48+t] = 64, 16
	}
	return c
}()

// codesAVX2 take codes apart, by type.
var codesAVX2 = [256]func(*unpacking){
	tensor.Q8_0: unpackQ8_0AVX2, tensor.Q4_0: unpackQ4_0AVX2, tensor.Q4_1: unpackQ4_1AVX2,
	tensor.Q5_0: unpackQ5_0AVX2, tensor.Q5_1: unpackQ5_1AVX2, tensor.IQ4_NL: unpackIQ4_NLAVX2, tensor.MXFP4: unpackMXFP4AVX2,
	tensor.Q3_K: unpackQ3_KAVX2, tensor.Q4_K: unpackQ4_KAVX2, tensor.Q5_K: unpackQ5_KAVX2, tensor.Q6_K: unpackQ6_KAVX2,
	tensor.IQ4_XS: unpackIQ4_XSAVX2,
}

//go:noescape
func panelBF16p1x1AMX(p *panel)

//go:noescape
func panelBF16p3x1AMX(p *panel)

//go:noescape
func panelBF16p1x2AMX(p *panel)

//go:noescape
func panelBF16p3x2AMX(p *panel)

//go:noescape
func splitBF16AMX(p *panel)

//go:noescape
func scale32AMX(p *panel)

//go:noescape
func scale32LeastAMX(p *panel)

//go:noescape
func scale16AMX(p *panel)

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
func panel32AVX2(p *panel)

//go:noescape
func panel32LeastAVX2(p *panel)

//go:noescape
func panel16AVX2(p *panel)

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

//go:noescape
func gateSiLUAVX2(p *gating)

//go:noescape
func gateGELUQuickAVX2(p *gating)

//go:noescape
func gateGELUAVX2(p *gating)
