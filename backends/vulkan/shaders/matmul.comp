#version 450
// MatMul and MatMulID of any types and strides: a subgroup decodes a row of a once for up to COLS rows of b.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "dequant.glsl"

layout(constant_id = 2) const uint TA = 0;
layout(constant_id = 3) const uint TB = 0;
layout(constant_id = 4) const uint COLS = 1;

layout(push_constant, scalar) uniform Params {
	uint64_t a, b, dst;
	uint m, n, k;          // rows of a, rows of b, and how long they are
	uint groups, cols;     // of rows of a and of b
	uint b2;               // planes of b in dimension 2
	uint r2, r3;           // how often a's planes repeat
	uint as[4], bs[4];
};

void main() {
	uint g = linearGroup();
	uint rowGroup = g % groups, colGroup = g / groups % cols, plane = g / groups / cols;
	uint i = rowGroup * gl_NumSubgroups + gl_SubgroupID;
	if (i >= m) return;
	uint p2 = plane % b2, p3 = plane / b2;
	uint64_t row = a + uint64_t(i) * as[1] + uint64_t(p2 / r2) * as[2] + uint64_t(p3 / r3) * as[3];
	uint j = colGroup * COLS;
	uint64_t other = b + uint64_t(j) * bs[1] + uint64_t(p2) * bs[2] + uint64_t(p3) * bs[3];
	float sum[COLS];
	[[unroll]] for (uint c = 0; c < COLS; c++) sum[c] = 0.0;
	for (uint at = gl_SubgroupInvocationID * 4; at < k; at += gl_SubgroupSize * 4) {
		vec4 x = row4(TA, row, as[0], at, k);
		[[unroll]] for (uint c = 0; c < COLS; c++) {
			if (j + c < n) sum[c] += dot(x, row4(TB, other + uint64_t(c) * bs[1], bs[0], at, k));
		}
	}
	uint64_t to = dst + 4 * (uint64_t(i) + uint64_t(m) * (uint64_t(j) + uint64_t(n) * plane));
	[[unroll]] for (uint c = 0; c < COLS; c++) {
		float s = subgroupAdd(sum[c]);
		if (gl_SubgroupInvocationID == 0 && j + c < n) F32(to + 4 * uint64_t(c) * m).v = s;
	}
}
