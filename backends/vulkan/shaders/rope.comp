#version 450
// RoPE: an invocation for each pair, and for each element behind the pairs.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rope.glsl"

layout(constant_id = 2) const uint TYPE = 0;

layout(push_constant, scalar) uniform Params {
	uint64_t x, pos, freq, dst;
	uint ne[4], xs[4];
	uint ps, fs;
};

void main() {
	uint width = ne[0] - PAIRS, g = linearIndex(), i = g % width, r = g / width, i1 = r % ne[1], t = r / ne[1] % ne[2], i3 = r / ne[1] / ne[2];
	if (i3 >= ne[3]) return;
	uint64_t row = x + uint64_t(i1) * xs[1] + uint64_t(t) * xs[2] + uint64_t(i3) * xs[3];
	uint es = sizeOf(TYPE);
	uint64_t to = dst + uint64_t(r) * ne[0] * es;
	if (i >= PAIRS) {
		uint e = i + PAIRS;
		if (TYPE == T_F32) U32(to + 4 * uint64_t(e)).v = U32(row + uint64_t(e) * xs[0]).v;
		else U16(to + 2 * uint64_t(e)).v = U16(row + uint64_t(e) * xs[0]).v;
		return;
	}
	vec2 sc = turn(i, t, ne[2], pos, ps, freq, fs);
	uvec2 at = pair(i);
	float u = loadFloat(TYPE, row + uint64_t(at.x) * xs[0]), v = loadFloat(TYPE, row + uint64_t(at.y) * xs[0]);
	storeFloat(TYPE, to + uint64_t(at.x) * es, SIZE * (u * sc.y - v * sc.x));
	storeFloat(TYPE, to + uint64_t(at.y) * es, SIZE * (u * sc.x + v * sc.y));
}
