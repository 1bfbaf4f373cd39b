#version 450
// MatMulID of any types and strides: a subgroup for each element of the result.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "dequant.glsl"

layout(constant_id = 2) const uint TA = 0;
layout(constant_id = 3) const uint TB = 0;

layout(push_constant, scalar) uniform Params {
	uint64_t a, b, ids, dst, faults;
	uint node, pad;
	uint m, k, experts, used, bused; // bused: rows of b for a token, used or 1
	uint groups;
	uint as[3], bs[3], is[2];
};

void main() {
	uint g = linearGroup();
	uint i = g % groups * gl_NumSubgroups + gl_SubgroupID, r = g / groups, j = r % used, t = r / used;
	if (i >= m) return;
	int id = I32(ids + uint64_t(j) * is[0] + uint64_t(t) * is[1]).v;
	if (id < 0 || id >= int(experts)) {
		if (gl_SubgroupInvocationID == 0) fault(faults, node, wide(id), experts);
		return;
	}
	uint64_t row = a + uint64_t(i) * as[1] + uint64_t(id) * as[2];
	uint64_t other = b + uint64_t(j % bused) * bs[1] + uint64_t(t) * bs[2];
	float sum = 0.0;
	for (uint at = gl_SubgroupInvocationID * 4; at < k; at += gl_SubgroupSize * 4) {
		sum += dot(row4(TA, row, as[0], at, k), row4(TB, other, bs[0], at, k));
	}
	sum = subgroupAdd(sum);
	if (gl_SubgroupInvocationID == 0) F32(dst + 4 * (uint64_t(i) + uint64_t(m) * r)).v = sum;
}
