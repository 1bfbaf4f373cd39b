#version 450
// ArgMax: a group for each row.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant, scalar) uniform Params {
	uint64_t x, dst;
	uint rows;
	uint ne[4], xs[4];
};

shared uint keys[gl_WorkGroupSize.x];
shared uint places[gl_WorkGroupSize.x];

// key orders numbers as unsigned integers: NaN last, zeros of both signs alike.
uint key(uint u) {
	uint a = u & 0x7fffffffu;
	if (a > 0x7f800000u) return 0u;
	if (a == 0) u = 0;
	return (u >> 31) != 0 ? ~u : u | 0x80000000u;
}

void main() {
	uint r = linearGroup(), n = ne[0], lid = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
	if (r >= rows) return;
	uint64_t row = x + uint64_t(r) * xs[1];
	uint best = 0, place = lid;
	for (uint i = lid; i < n; i += step) {
		uint k = key(U32(row + uint64_t(i) * xs[0]).v);
		if (k > best) {
			best = k;
			place = i;
		}
	}
	keys[lid] = best;
	places[lid] = place;
	barrier();
	if (lid != 0) return;
	for (uint i = 1; i < min(step, n); i++) {
		if (keys[i] > best || keys[i] == best && places[i] < place) {
			best = keys[i];
			place = places[i];
		}
	}
	I32(dst + 4 * uint64_t(r)).v = int(place);
}
