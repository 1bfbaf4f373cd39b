#version 450
// RoPE: an invocation for each pair, and for each element behind the pairs.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint TYPE = 0;
layout(constant_id = 3) const uint MODE = 0; // of tensor.RoPEMode
layout(constant_id = 4) const bool YARN = false;
layout(constant_id = 5) const bool FREQ = false;
layout(constant_id = 6) const bool INVERSE = false;
layout(constant_id = 7) const uint SECTION0 = 0; // where each section ends
layout(constant_id = 8) const uint SECTION1 = 0;
layout(constant_id = 9) const uint SECTION2 = 0;
layout(constant_id = 10) const uint SECTION3 = 0;

layout(push_constant, scalar) uniform Params {
	uint64_t x, pos, freq, dst;
	uint ne[4], xs[4];
	uint pairs, ps, fs;
	float logHi, logLo;     // of Base, to 2, times 2/Dims, in two parts: the first has few bits
	float stretch, ext, low, ramp, size;
};

#include "rope.glsl"

void main() {
	uint rest = ne[0] - 2 * pairs, width = pairs + rest;
	uint g = linearIndex(), i = g % width, r = g / width, i1 = r % ne[1], t = r / ne[1] % ne[2], i3 = r / ne[1] / ne[2];
	if (i3 >= ne[3]) return;
	uint64_t row = x + uint64_t(i1) * xs[1] + uint64_t(t) * xs[2] + uint64_t(i3) * xs[3];
	uint es = sizeOf(TYPE);
	uint64_t to = dst + uint64_t(r) * ne[0] * es;
	if (i >= pairs) {
		uint e = i + pairs;
		if (TYPE == T_F32) U32(to + 4 * uint64_t(e)).v = U32(row + uint64_t(e) * xs[0]).v;
		else U16(to + 2 * uint64_t(e)).v = U16(row + uint64_t(e) * xs[0]).v;
		return;
	}
	vec2 sc = turn(i, t, ne[2]);
	uint a = MODE == 0 ? 2 * i : i, b = MODE == 0 ? 2 * i + 1 : i + pairs;
	float u = loadFloat(TYPE, row + uint64_t(a) * xs[0]), v = loadFloat(TYPE, row + uint64_t(b) * xs[0]);
	storeFloat(TYPE, to + uint64_t(a) * es, size * (u * sc.y - v * sc.x));
	storeFloat(TYPE, to + uint64_t(b) * es, size * (u * sc.x + v * sc.y));
}
