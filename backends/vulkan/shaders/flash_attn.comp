#version 450
// FlashAttn of any types and strides: a group for each head and token goes over the cells, a tile of as many as it has
// invocations at a time. An invocation has a cell's score, and then a few elements of the result.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "dequant.glsl"
#include "reduce.glsl"

layout(constant_id = 2) const uint TK = 1;
layout(constant_id = 3) const uint TV = 1;
layout(constant_id = 4) const uint MASK = 0; // 0 is none, otherwise 1 + its type
layout(constant_id = 5) const bool SINKS = false;
layout(constant_id = 6) const bool CAP = false;
layout(constant_id = 7) const bool ALIBI = false;
layout(constant_id = 8) const uint DK = 64;
layout(constant_id = 9) const uint DV = 64;
layout(constant_id = 10) const uint PER = 1; // fours of the result in each invocation

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Params {
	uint64_t q, k, v, mask, sinks, dst;
	uint heads, share, tokens, cells;
	uint qs[4], ks[4], vs[4], ms[4];
	uint mn2, mn3, ss, pow2;
	float scale, bias, cap;
};
layout(push_constant, scalar) uniform Push { Params p; };

shared vec4 query[(DK + 3) / 4];
shared float weight[gl_WorkGroupSize.x];

float slope(uint head) {
	if (!ALIBI) return 1.0;
	float e = head < p.pow2 ? float(head + 1) / float(p.pow2) : float(2 * (head - p.pow2) + 1) / float(2 * p.pow2);
	return exp2(-p.bias * e);
}

void main() {
	uint id = linearGroup(), h = id % p.heads, t = id / p.heads % p.tokens, s = id / p.heads / p.tokens;
	uint lid = gl_LocalInvocationID.x, step = gl_WorkGroupSize.x;
	uint64_t q = p.q + uint64_t(h) * p.qs[1] + uint64_t(t) * p.qs[2] + uint64_t(s) * p.qs[3];
	for (uint i = lid; i < (DK + 3) / 4; i += step) query[i] = row4(T_F32, q, p.qs[0], 4 * i, DK);
	uint64_t k = p.k + uint64_t(h / p.share) * p.ks[1] + uint64_t(s) * p.ks[3];
	uint64_t v = p.v + uint64_t(h / p.share) * p.vs[1] + uint64_t(s) * p.vs[3];
	uint64_t hide = p.mask + uint64_t(t) * p.ms[1] + uint64_t(h % p.mn2) * p.ms[2] + uint64_t(s % p.mn3) * p.ms[3];
	float sl = slope(h), most = -INF, sum = 0.0;
	vec4 acc[PER];
	[[unroll]] for (uint e = 0; e < PER; e++) acc[e] = vec4(0.0);
	barrier();
	for (uint begin = 0; begin < p.cells; begin += step) {
		uint c = begin + lid;
		float score = -INF;
		if (c < p.cells) {
			float bias = 0.0;
			if (MASK != 0) bias = sl * loadFloat(MASK - 1, hide + uint64_t(c) * p.ms[0]);
			if (bias != -INF) {
				uint64_t row = k + uint64_t(c) * p.ks[2];
				float d = 0.0;
				for (uint i = 0; i < DK; i += 4) d += dot(query[i / 4], row4(TK, row, p.ks[0], i, DK));
				d *= p.scale;
				if (CAP) d = p.cap * tanh_(d / p.cap);
				score = d + bias;
			}
		}
		bool nan = isNaN(score);
		float top = max(most, reduceMax(nan ? -INF : score));
		float w = 0.0;
		if (nan) w = score;
		else if (score != -INF) w = exp_(score - top);
		float keep = most == -INF ? 1.0 : exp_(most - top);
		most = top;
		barrier();
		weight[lid] = w;
		barrier();
		sum = sum * keep + reduceSum(w);
		uint tile = min(step, p.cells - begin);
		[[unroll]] for (uint e = 0; e < PER; e++) {
			uint d = 4 * (lid + e * step);
			if (d >= DV) continue;
			vec4 a = acc[e] * keep;
			for (uint i = 0; i < tile; i++) {
				float x = weight[i];
				if (x != 0.0) a += x * row4(TV, v + uint64_t(begin + i) * p.vs[2], p.vs[0], d, DV);
			}
			acc[e] = a;
		}
	}
	if (SINKS) {
		float sink = F32(p.sinks + uint64_t(h) * p.ss).v, top = max(most, sink);
		if (top != -INF) {
			float keep = most == -INF ? (sum == 0.0 ? 1.0 : sum) : exp_(most - top);
			[[unroll]] for (uint e = 0; e < PER; e++) acc[e] *= keep;
			sum = sum * keep + exp_(sink - top);
		}
	}
	float inv = sum == 0.0 ? 0.0 : 1.0 / sum;
	uint64_t to = p.dst + 4 * uint64_t(DV) * (h + p.heads * (t + uint64_t(p.tokens) * s));
	[[unroll]] for (uint e = 0; e < PER; e++) {
		uint d = 4 * (lid + e * step);
		for (uint i = 0; i < 4; i++) {
			if (d + i < DV) F32(to + 4 * uint64_t(d + i)).v = acc[e][i] * inv;
		}
	}
}
