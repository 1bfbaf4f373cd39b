#version 450
// GatedDeltaNet: a subgroup keeps a row of a head's matrix, a few elements in each invocation, and goes from token to token.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(constant_id = 2) const uint PER = 4; // elements of a row in each invocation

// BIG_PARAMS: more than push constants hold lie in memory.
layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Params {
	uint64_t q, k, v, g, beta, state, dst;
	uint dk, headsK, dv, heads, tokens, seqs, states, gates, groups;
	uint qs[4], ks[4], vs[4], gs[4], bs[4], ss[4];
};
layout(push_constant, scalar) uniform Push { Params p; };

void main() {
	uint id = linearGroup();
	uint j = id % p.groups * gl_NumSubgroups + gl_SubgroupID, h = id / p.groups % p.heads, seq = id / p.groups / p.heads;
	if (j >= p.dv) return;
	uint lane = gl_SubgroupInvocationID, lanes = gl_SubgroupSize, dk = p.dk;
	float row[PER];
	uint64_t from = p.state + uint64_t(j) * p.ss[1] + uint64_t(h) * p.ss[2] + uint64_t(seq) * p.ss[3];
	[[unroll]] for (uint e = 0; e < PER; e++) {
		uint i = lane + e * lanes;
		row[e] = i < dk ? F32(from + uint64_t(i) * p.ss[0]).v : 0.0;
	}
	float root = 1.0 / sqrt(float(dk));
	uint64_t outputs = p.dst + 4 * uint64_t(p.dv) * p.heads * p.tokens * p.seqs;
	for (uint t = 0; t < p.tokens; t++) {
		uint hk = h % p.headsK;
		uint64_t key = p.k + uint64_t(hk) * p.ks[1] + uint64_t(t) * p.ks[2] + uint64_t(seq) * p.ks[3];
		uint64_t query = p.q + uint64_t(hk) * p.qs[1] + uint64_t(t) * p.qs[2] + uint64_t(seq) * p.qs[3];
		uint64_t gate = p.g + uint64_t(h) * p.gs[1] + uint64_t(t) * p.gs[2] + uint64_t(seq) * p.gs[3];
		float beta = F32(p.beta + uint64_t(h) * p.bs[1] + uint64_t(t) * p.bs[2] + uint64_t(seq) * p.bs[3]).v;
		float value = F32(p.v + uint64_t(j) * p.vs[0] + uint64_t(h) * p.vs[1] + uint64_t(t) * p.vs[2] + uint64_t(seq) * p.vs[3]).v;
		float all = p.gates == 1 ? exp_(F32(gate).v) : 0.0;
		float says = 0.0, answer = 0.0;
		float keys[PER];
		[[unroll]] for (uint e = 0; e < PER; e++) {
			uint i = lane + e * lanes;
			keys[e] = 0.0;
			if (i < dk) {
				keys[e] = F32(key + uint64_t(i) * p.ks[0]).v;
				row[e] *= p.gates == 1 ? all : exp_(F32(gate + uint64_t(i) * p.gs[0]).v);
				says += row[e] * keys[e];
			}
		}
		says = beta * (value - subgroupAdd(says));
		[[unroll]] for (uint e = 0; e < PER; e++) {
			uint i = lane + e * lanes;
			if (i < dk) {
				row[e] += says * keys[e];
				answer += row[e] * F32(query + uint64_t(i) * p.qs[0]).v;
			}
		}
		answer = subgroupAdd(answer) * root;
		if (lane == 0) F32(p.dst + 4 * (uint64_t(j) + uint64_t(p.dv) * (h + p.heads * (t + uint64_t(p.tokens) * seq)))).v = answer;
		uint back = p.tokens - 1 - t;
		if (back < p.states) {
			uint64_t to = outputs + 4 * (uint64_t(dk) * (j + uint64_t(p.dv) * (h + p.heads * (seq + uint64_t(p.seqs) * back))));
			[[unroll]] for (uint e = 0; e < PER; e++) {
				uint i = lane + e * lanes;
				if (i < dk) F32(to + 4 * uint64_t(i)).v = row[e];
			}
		}
	}
}
