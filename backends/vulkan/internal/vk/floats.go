//go:build cgo && linux && (amd64 || arm64)

package vk

import "encoding/binary"

// What of SPIR-V is needed to add execution modes to a module.
const (
	opEntryPoint = 15
	opCapability = 17
	opMode       = 16

	modeDenormPreserve = 4459
	modeNaNPreserve    = 4461
	capDenormPreserve  = 4464
	capNaNPreserve     = 4466
)

// keepFloats returns code with the demand that F32 keeps its smallest numbers, infinities and NaN, as far as the device can:
// some drivers take liberties otherwise. GLSL has no words for it.
func (p *Physical) keepFloats(code []byte) []byte {
	var caps, modes []uint32
	if p.Can.KeepDenormals {
		caps, modes = append(caps, capDenormPreserve), append(modes, modeDenormPreserve)
	}
	if p.Can.KeepNaN {
		caps, modes = append(caps, capNaNPreserve), append(modes, modeNaNPreserve)
	}
	const header = 20
	if len(caps) == 0 || len(code) < header || len(code)%4 != 0 {
		return code
	}
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(code[at:]) }
	out := append(make([]byte, 0, len(code)+64), code[:header]...)
	add := func(ws ...uint32) {
		for _, w := range ws {
			out = binary.LittleEndian.AppendUint32(out, w)
		}
	}
	for _, c := range caps {
		add(2<<16|opCapability, c)
	}
	for at := header; at < len(code); {
		n := 4 * int(word(at)>>16)
		if n == 0 || at+n > len(code) {
			return code // the driver may say what is wrong with it
		}
		out = append(out, code[at:at+n]...)
		if word(at)&0xffff == opEntryPoint {
			for _, m := range modes {
				add(4<<16|opMode, word(at+8), m, 32)
			}
		}
		at += n
	}
	return out
}
