//go:build !purego

package cpu

import "golang.org/x/sys/cpu"

// levelAvailable says what this processor lacks for level l, or "".
func levelAvailable(l Level) string {
	x := &cpu.X86
	switch l {
	case AVX2:
		// F16C has no flag of its own in package cpu, and every processor with AVX2 has it.
		if x.HasAVX2 && x.HasFMA {
			return ""
		}
		return "the processor has no AVX2 and FMA"
	case AVXVNNI:
		if why := levelAvailable(AVX2); why != "" {
			return why
		}
		if x.HasAVXVNNI {
			return ""
		}
		return "the processor has no AVX-VNNI"
	case AVX512:
		if why := levelAvailable(AVX2); why != "" {
			return why
		}
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI {
			return ""
		}
		return "the processor has no AVX-512 F, BW, DQ, VL and VNNI"
	case AMX:
		if why := levelAvailable(AVX512); why != "" {
			return why
		}
		if !x.HasAMXTile || !x.HasAMXInt8 || !x.HasAMXBF16 || !x.HasAVX512BF16 {
			return "the processor has no AMX for bytes and bfloat16"
		}
		return amxPermission()
	}
	return "it belongs to another architecture"
}
