#version 450
// RMSNorm times a gain, of x or of the sum of x and y, which is stored as well: a group for each row. What is read may be
// written over. The row stays in registers, PER fours of it in each invocation.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "reduce.glsl"
#include "round32.glsl"

layout(constant_id = 2) const bool SUM = false;
layout(constant_id = 3) const bool ROUND = false; // store results as round32 does, too
layout(constant_id = 4) const uint PER = 1;

layout(push_constant, scalar) uniform Params {
	uint64_t x, y, gain, sums, dst, bytes, scales;
	uint rows, n, xstep, ystep; // steps in bytes
	float eps;
};

void main() {
	uint r = linearGroup(), lid = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
	if (r >= rows) return;
	vec4 v[PER];
	float squares = 0.0;
	[[unroll]] for (uint e = 0; e < PER; e++) {
		uint i = lid + e * step;
		v[e] = vec4(0.0);
		if (4 * i < n) {
			v[e] = F32x4(x + uint64_t(r) * xstep + 16 * uint64_t(i)).v;
			if (SUM) {
				v[e] += F32x4(y + uint64_t(r) * ystep + 16 * uint64_t(i)).v;
				F32x4(sums + 4 * uint64_t(r) * n + 16 * uint64_t(i)).v = v[e];
			}
		}
		squares += dot(v[e], v[e]);
	}
	float factor = 1.0 / sqrt(reduceSum(squares) / float(n) + eps);
	[[unroll]] for (uint e = 0; e < PER; e++) {
		uint i = lid + e * step;
		bool on = 4 * i < n;
		vec4 z = vec4(0.0);
		if (on) {
			z = v[e] * factor * F32x4(gain + 16 * uint64_t(i)).v;
			F32x4(dst + 4 * uint64_t(r) * n + 16 * uint64_t(i)).v = z;
		}
		if (ROUND) round32(z, bytes, scales, r * (n / 4) + i, on);
	}
}
