#version 450
// RoPE of one token, and SetRows of it: an invocation for each pair, and for each element behind the pairs.
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
layout(constant_id = 11) const uint TI = 27;    // of the index
layout(constant_id = 12) const uint TC = 1;     // of the cache

layout(push_constant, scalar) uniform Params {
	uint64_t x, pos, freq, idx, cache, faults;
	uint node, pad;
	uint n, heads, xs1, pairs, ps, fs;
	uint cs1, rows;
	float logHi, logLo; // as in rope.comp
	float stretch, ext, low, ramp, size;
};

#include "rope.glsl"

void main() {
	uint width = n - pairs, g = linearIndex(), i = g % width, h = g / width;
	if (h >= heads) return;
	int64_t id = loadIndex(TI, idx);
	if (uint64_t(id) >= uint64_t(rows)) {
		if (g == 0) fault(faults, node, id, rows);
		return;
	}
	uint64_t row = x + uint64_t(h) * xs1;
	uint es = sizeOf(TYPE), ec = sizeOf(TC);
	uint64_t to = cache + uint64_t(id) * cs1 + uint64_t(h) * n * ec;
	if (i >= pairs) {
		uint e = i + pairs;
		storeFloat(TC, to + uint64_t(e) * ec, loadFloat(TYPE, row + uint64_t(e) * es));
		return;
	}
	vec2 sc = turn(i, 0, 1);
	uint a = MODE == 0 ? 2 * i : i, b = MODE == 0 ? 2 * i + 1 : i + pairs;
	float u = loadFloat(TYPE, row + uint64_t(a) * es), v = loadFloat(TYPE, row + uint64_t(b) * es);
	storeFloat(TC, to + uint64_t(a) * ec, size * (u * sc.y - v * sc.x));
	storeFloat(TC, to + uint64_t(b) * ec, size * (u * sc.x + v * sc.y));
}
