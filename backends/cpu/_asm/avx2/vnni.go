package main

import (
	"fmt"
	"slices"
	"strings"
)

// The Go assembler writes VPDPBUSD and VPDPWSSD with an EVEX prefix even where a VEX one would do, and a
// processor with AVX-VNNI alone does not know that. So they are macros of bytes, one for each choice of
// registers.
var vnniOpcodes = map[string]byte{"VPDPBUSD": 0x50, "VPDPWSSD": 0x52}

// vnni adds products of src1 (unsigned bytes for VPDPBUSD) with src2 to dst, all of them ymm registers.
func (f *file) vnni(op string, src2, src1, dst int) {
	name := fmt.Sprintf("%s_Y%d_Y%d_Y%d", op, src2, src1, dst)
	f.macros[name] = true
	f.i("%s", name)
}

// macroText returns the definitions of macros, each below the instruction that it is, as the GNU
// assembler has it.
func macroText(names map[string]bool) string {
	var s strings.Builder
	var sorted []string
	for n := range names {
		sorted = append(sorted, n)
	}
	slices.Sort(sorted)
	for _, n := range sorted {
		var src2, src1, dst int
		op, regs, _ := strings.Cut(n, "_")
		if _, err := fmt.Sscanf(regs, "Y%d_Y%d_Y%d", &src2, &src1, &dst); err != nil {
			panic(err)
		}
		fmt.Fprintf(&s, "// {vex} %s %%ymm%d, %%ymm%d, %%ymm%d\n", strings.ToLower(op), src2, src1, dst)
		fmt.Fprintf(&s, "#define %s", n)
		for i, b := range vex256(vnniOpcodes[op], src2, src1, dst) {
			fmt.Fprintf(&s, "%s BYTE $0x%02X", strings.Repeat(";", min(i, 1)), b)
		}
		s.WriteString("\n")
	}
	return s.String()
}

// vex256 encodes an instruction of three ymm registers in the map 0F38 with prefix 66 and W0.
func vex256(opcode byte, src2, src1, dst int) []byte {
	high := byte(0xE2) // R, X and B inverted, map 0F38
	if dst >= 8 {
		high &^= 0x80
	}
	if src2 >= 8 {
		high &^= 0x20
	}
	return []byte{0xC4, high, byte(^src1&15)<<3 | 4 | 1, opcode, byte(0xC0 | dst&7<<3 | src2&7)}
}
