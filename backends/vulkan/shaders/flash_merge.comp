#version 450
// Adds up the parts of flash_rows: a group for each head and token.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "attention.glsl"
#include "round32.glsl"

layout(constant_id = 2) const uint DV = 64;
layout(constant_id = 3) const uint SPLITS = 1;
layout(constant_id = 4) const bool SINKS = false;
layout(constant_id = 5) const bool ROUND = false; // store results as round32 does, too

layout(push_constant, scalar) uniform Params {
	uint64_t parts, sinks, dst, bytes, scales;
	uint rows, heads, ss;
};

void main() {
	uint r = linearGroup(), lid = gl_LocalInvocationID.x;
	if (r >= rows) return;
	uint64_t from = parts + 4 * uint64_t(DV + 4) * SPLITS * r;
	float most = -INF, sum = 0.0;
	for (uint s = 0; s < SPLITS; s++) {
		vec4 x = F32x4(from + 4 * uint64_t((DV + 4) * s + DV)).v;
		float top = max(most, x.x);
		float a = most == -INF ? 1.0 : exp_(most - top), b = x.x == -INF ? 1.0 : exp_(x.x - top);
		sum = sum * a + x.y * b;
		most = top;
	}
	float keep = 1.0;
	float all = sum;
	if (SINKS) sink(F32(sinks + uint64_t(r % heads) * ss).v, most, all, keep);
	float inv = all == 0.0 ? 0.0 : keep / all;
	for (uint i = lid; i < DV / 4; i += gl_WorkGroupSize.x) {
		vec4 v = vec4(0.0);
		for (uint s = 0; s < SPLITS; s++) {
			uint64_t part = from + 4 * uint64_t((DV + 4) * s);
			float top = F32(part + 4 * DV).v;
			float w = top == -INF ? 1.0 : exp_(top - most);
			v += F32x4(part + 16 * uint64_t(i)).v * w;
		}
		F32x4(dst + 4 * uint64_t(DV) * r + 16 * uint64_t(i)).v = v * inv;
		if (ROUND) round32(v * inv, bytes, scales, r * (DV / 4) + i, true);
	}
}
