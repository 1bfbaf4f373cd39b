#version 450
// ArgSort and TopK: an invocation for each element counts how many stand before it, which is its place. That takes n*n
// comparisons, and no memory but the row's.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 2) const bool DESCENDING = false;

layout(push_constant, scalar) uniform Params {
	uint64_t x, dst;
	uint k, groups; // places that are wanted; groups for a row
	uint ne[4], xs[4];
};

shared uint tile[gl_WorkGroupSize.x];

// key orders numbers as unsigned integers: NaN first, zeros of both signs alike.
uint key(uint u) {
	uint a = u & 0x7fffffffu;
	if (a > 0x7f800000u) return DESCENDING ? 0xffffffffu : 0u;
	if (a == 0) u = 0;
	u = (u >> 31) != 0 ? ~u : u | 0x80000000u;
	return DESCENDING ? ~u : u;
}

void main() {
	uint g = linearGroup(), r = g / groups, n = ne[0], lid = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
	uint i = g % groups * step + lid;
	if (r >= ne[1] * ne[2] * ne[3]) return;
	uint64_t row = x + uint64_t(r % ne[1]) * xs[1] + uint64_t(r / ne[1] % ne[2]) * xs[2] + uint64_t(r / ne[1] / ne[2]) * xs[3];
	uint own = i < n ? key(U32(row + uint64_t(i) * xs[0]).v) : 0u, before = 0;
	for (uint begin = 0; begin < n; begin += step) {
		uint c = begin + lid;
		barrier();
		if (c < n) tile[lid] = key(U32(row + uint64_t(c) * xs[0]).v);
		barrier();
		uint many = min(step, n - begin);
		for (uint j = 0; j < many; j++) {
			uint other = tile[j];
			before += uint(other < own || other == own && begin + j < i);
		}
	}
	if (i < n && before < k) I32(dst + 4 * (uint64_t(r) * k + before)).v = int(i);
}
