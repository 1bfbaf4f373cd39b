#version 450
// RoPE+SetRows: rope.comp, whose results go where the indices say.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "rope.glsl"

layout(constant_id = 2) const uint TYPE = 0; // of the cache
layout(constant_id = 19) const uint TI = 27;
layout(constant_id = 20) const bool LAST = false; // as in set_rows.comp

layout(push_constant, scalar) uniform Params {
	uint64_t x, pos, freq, cache, idx, last, faults;
	uint node, pad;
	uint ne[3], xs[3];
	uint ps, fs, cs[2], rows, is;
};

void main() {
	uint width = ne[0] - PAIRS, g = linearIndex(), i = g % width, r = g / width, h = r % ne[1], t = r / ne[1];
	if (t >= ne[2]) return;
	int64_t id = loadIndex(TI, idx + uint64_t(t) * is);
	if (uint64_t(id) >= uint64_t(rows)) {
		if (i == 0 && h == 0) fault(faults, node, id, rows);
		return;
	}
	if (LAST && U32(last + 4 * uint64_t(t)).v == 0) return;
	uint64_t row = x + uint64_t(h) * xs[1] + uint64_t(t) * xs[2];
	uint64_t to = cache + uint64_t(id) * cs[1] + uint64_t(h * ne[0]) * cs[0];
	if (i >= PAIRS) {
		uint e = i + PAIRS;
		if (TYPE == T_F32) U32(to + uint64_t(e) * cs[0]).v = U32(row + uint64_t(e) * xs[0]).v;
		else storeFloat(TYPE, to + uint64_t(e) * cs[0], F32(row + uint64_t(e) * xs[0]).v);
		return;
	}
	vec2 sc = turn(i, t, ne[2], pos, ps, freq, fs);
	uvec2 at = pair(i);
	float u = F32(row + uint64_t(at.x) * xs[0]).v, v = F32(row + uint64_t(at.y) * xs[0]).v;
	storeFloat(TYPE, to + uint64_t(at.x) * cs[0], SIZE * (u * sc.y - v * sc.x));
	storeFloat(TYPE, to + uint64_t(at.y) * cs[0], SIZE * (u * sc.x + v * sc.y));
}
