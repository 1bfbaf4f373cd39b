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

// power returns Base^(-2*place/Dims): the exponent is exact to far below a last place.
float power(uint place) {
	precise float p = float(place) * logHi;
	float n = round(p);
	precise float f = p - n;
	f = f + float(place) * logLo;
	precise float y = 1.0 + expm1r(-f * 0.693147181);
	return y * exp2i(-int(n));
}

// axis returns the axis and the place in the series of speeds of a pair.
uvec2 axis(uint i) {
	if (MODE < 2) return uvec2(0, i);
	uint k = i % SECTION3;
	if (MODE == 4) { // in turn, while each has pairs left
		uint a = k % 3, n = a == 0 ? SECTION0 : a == 1 ? SECTION1 - SECTION0 : SECTION2 - SECTION1;
		return uvec2(k < 3 * n ? a : 3, i);
	}
	uint a = k < SECTION0 ? 0 : k < SECTION1 ? 1 : k < SECTION2 ? 2 : 3;
	uint begin = a == 0 ? 0 : a == 1 ? SECTION0 : a == 2 ? SECTION1 : SECTION2;
	return uvec2(a, MODE == 3 ? k - begin : i);
}

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
	uvec2 at = axis(i);
	precise float theta = float(I32(pos + uint64_t(at.x * ne[2] + t) * ps).v);
	if (FREQ) theta = theta / F32(freq + uint64_t(i) * fs).v;
	theta = theta * power(at.y);
	if (YARN) {
		float mix = (1.0 - clamp((float(i) - low) / ramp, 0.0, 1.0)) * ext;
		theta = theta * stretch * (1.0 - mix) + theta * mix;
	} else theta = theta * stretch;
	vec2 sc = sincos_(INVERSE ? -theta : theta);
	uint a = MODE == 0 ? 2 * i : i, b = MODE == 0 ? 2 * i + 1 : i + pairs;
	float u = loadFloat(TYPE, row + uint64_t(a) * xs[0]), v = loadFloat(TYPE, row + uint64_t(b) * xs[0]);
	storeFloat(TYPE, to + uint64_t(a) * es, size * (u * sc.y - v * sc.x));
	storeFloat(TYPE, to + uint64_t(b) * es, size * (u * sc.x + v * sc.y));
}
