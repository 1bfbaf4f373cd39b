#version 450
// SoftMax: a group for each row. The result may lie over x.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "reduce.glsl"

layout(constant_id = 2) const uint MASK = 0; // 0 is none, otherwise 1 + its type
layout(constant_id = 3) const bool SINKS = false;
layout(constant_id = 4) const bool ALIBI = false;

layout(push_constant, scalar) uniform Params {
	uint64_t x, mask, sinks, dst;
	uint ne[4], xs[4];
	uint mn2, mn3, ms[4];
	uint ss;
	float scale, bias;
	uint pow2; // the greatest power of two up to the number of heads
};

float slope(uint head) {
	if (!ALIBI) return 1.0;
	float e = head < pow2 ? float(head + 1) / float(pow2) : float(2 * (head - pow2) + 1) / float(2 * pow2);
	return exp2(-bias * e);
}

void main() {
	uint r = linearGroup(), n = ne[0], i1 = r % ne[1], i2 = r / ne[1] % ne[2], i3 = r / ne[1] / ne[2];
	if (i3 >= ne[3]) return;
	uint64_t row = x + uint64_t(i1) * xs[1] + uint64_t(i2) * xs[2] + uint64_t(i3) * xs[3];
	uint64_t hide = mask + uint64_t(i1) * ms[1] + uint64_t(i2 % mn2) * ms[2] + uint64_t(i3 % mn3) * ms[3];
	uint lid = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
	float sl = slope(i2), sink = SINKS ? F32(sinks + uint64_t(i2) * ss).v : -INF, most = sink;
#define SCORE(i) (F32(row + uint64_t(i) * xs[0]).v * scale + (MASK == 0 ? 0.0 : sl * loadFloat(MASK - 1, hide + uint64_t(i) * ms[0])))
	for (uint i = lid; i < n; i += step) {
		float s = SCORE(i);
		if (s > most) most = s;
	}
	most = reduceMax(most);
	bool hidden = most == -INF;
	float sum = 0.0;
	for (uint i = lid; i < n; i += step) {
		float s = SCORE(i);
		sum += hidden ? 0.0 : exp_(s - most);
	}
	sum = reduceSum(sum);
	if (SINKS && !hidden) sum += exp_(sink - most);
	float inv = 1.0 / sum;
	for (uint i = lid; i < n; i += step) {
		float s = SCORE(i), y;
		if (hidden) y = isNaN(s) ? s : 0.0;
		else y = exp_(s - most) * inv;
		F32(dst + 4 * (uint64_t(r) * n + i)).v = y;
	}
}
