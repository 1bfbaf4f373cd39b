#version 450
// Converts rows of F32 to halves for mm_coop: a group for each row. Four in a row lie as 0, 2, 1, 3, which is how
// weights come out of their words; what is behind the row's end is 0. A row whose values a half does not hold well is
// divided by a power of two, which is stored behind all rows.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "common.glsl"

layout(push_constant, scalar) uniform Params {
	uint64_t x, h, s;
	uint k, kp, rows;
	uint ne1, ne2, st1, st2, st3;
};

shared uint parts[128];

void main() {
	uint r = linearGroup();
	if (r >= rows) return;
	uint64_t row = x + uint64_t(r % ne1) * st1 + uint64_t(r / ne1 % ne2) * st2 + uint64_t(r / ne1 / ne2) * st3;
	uint64_t to = h + 2 * uint64_t(r) * kp;
	uint top = 0;
	for (uint i = 4 * gl_LocalInvocationID.x; i < k; i += 4 * gl_WorkGroupSize.x) {
		uvec4 b = floatBitsToUint(F32x4(row + 4 * uint64_t(i)).v) & 0x7fffffffu;
		top = max(top, max(max(b.x, b.y), max(b.z, b.w)));
	}
	top = subgroupMax(top);
	if (gl_SubgroupInvocationID == 0) parts[gl_SubgroupID] = top;
	barrier();
	for (uint i = 0; i < gl_NumSubgroups; i++) top = max(top, parts[i]);
	float scale = 1.0, inv = 1.0;
	uint e = top >> 23; // with 127 for 1
	if (e < 255 && e > 3 && (e > 127 + 14 || e < 127 - 6)) {
		scale = uintBitsToFloat(min(e, 252u) << 23);
		inv = uintBitsToFloat((254 - min(e, 252u)) << 23);
	}
	for (uint i = 4 * gl_LocalInvocationID.x; i < kp; i += 4 * gl_WorkGroupSize.x) {
		vec4 v = i < k ? F32x4(row + 4 * uint64_t(i)).v * inv : vec4(0.0);
		U32(to + 2 * uint64_t(i)).v = packHalf2x16(v.xz);
		U32(to + 2 * uint64_t(i) + 4).v = packHalf2x16(v.yw);
	}
	if (gl_LocalInvocationID.x == 0) F32(s + 4 * uint64_t(r)).v = scale;
}
