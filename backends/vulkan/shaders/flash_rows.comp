#version 450
// FlashAttn for G queries of a head of the cache at a time: its heads' and, if there are several, its tokens'. A tile
// is as many cells as a group has invocations: each computes the scores of a cell, and then a few elements of the results
// for some of the cells. With SPLITS, groups go over parts of the cells, and flash_merge adds up what they store.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"
#include "dequant.glsl"
#include "eight.glsl"
#include "attention.glsl"
#include "round32.glsl"

layout(constant_id = 2) const uint TK = 1;
layout(constant_id = 3) const uint TV = 1;
layout(constant_id = 4) const uint MASK = 0; // 0 is none, otherwise 1 + its type
layout(constant_id = 5) const bool SINKS = false;
layout(constant_id = 6) const bool CAP = false;
layout(constant_id = 7) const bool ALIBI = false;
layout(constant_id = 8) const uint DK = 64;
layout(constant_id = 9) const uint DV = 64;
layout(constant_id = 10) const uint G = 1;
layout(constant_id = 11) const uint SPLITS = 1;
layout(constant_id = 12) const uint TILE = 128; // invocations

layout(constant_id = 13) const bool ROUND = false; // store results as round32 does, too

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Params {
	uint64_t q, k, v, mask, sinks, dst, parts, bytes, scales;
	uint heads, share, tokens, cells, groups, each; // groups: of queries of a head of the cache; each: cells of a split
	uint qs[4], ks[4], vs[4], ms[4];
	uint mn2, mn3, ss, pow2;
	float scale, bias, cap;
};
layout(push_constant, scalar) uniform Push { Params p; };

const uint VT = DV / 8;       // invocations for a row of v
const uint CG = TILE / VT;    // rows of v at a time
const uint AHEAD = 4;         // loads under way
const uint MOST = TILE / 4;   // subgroups at most

shared vec4 query[G * DK / 4];
shared float weight[G * TILE];
shared float tops[(G + 1) * MOST], sums[G * MOST];
shared vec4 gather[2 * TILE];

uint headOf(uint kvHead, uint r) { return kvHead * p.share + r % p.share; }

void main() {
	uint id = linearGroup(), lid = gl_LocalInvocationID.x;
	uint split = id % SPLITS, rest = id / SPLITS, group = rest % p.groups, kvHeads = p.heads / p.share;
	uint kvHead = rest / p.groups % kvHeads, stream = rest / p.groups / kvHeads;
	uint rows = p.share * p.tokens, row0 = group * G;
	uint64_t hide[G];
	float slopes[G];
	[[unroll]] for (uint g = 0; g < G; g++) {
		uint r = min(row0 + g, rows - 1), h = headOf(kvHead, r), t = r / p.share;
		uint64_t q = p.q + uint64_t(h) * p.qs[1] + uint64_t(t) * p.qs[2] + uint64_t(stream) * p.qs[3];
		for (uint i = lid; i < DK / 4; i += TILE) query[g * DK / 4 + i] = F32x4(q + 16 * uint64_t(i)).v * p.scale;
		hide[g] = p.mask + uint64_t(t) * p.ms[1] + uint64_t(h % p.mn2) * p.ms[2] + uint64_t(stream % p.mn3) * p.ms[3];
		slopes[g] = ALIBI ? slopeOf(h, p.pow2, p.bias) : 1.0;
	}
	uint64_t k = p.k + uint64_t(kvHead) * p.ks[1] + uint64_t(stream) * p.ks[3];
	uint64_t v = p.v + uint64_t(kvHead) * p.vs[1] + uint64_t(stream) * p.vs[3];
	uint vt = lid % VT, cg = lid / VT;
	float most[G], sum[G];
	vec4 lo[G], hi[G];
	[[unroll]] for (uint g = 0; g < G; g++) {
		most[g] = -INF;
		sum[g] = 0.0;
		lo[g] = hi[g] = vec4(0.0);
	}
	uint last = min(p.cells, (split + 1) * p.each);
	barrier();
	for (uint begin = split * p.each; begin < last; begin += TILE) {
		uint c = begin + lid;
		float score[G];
		bool live = false;
		[[unroll]] for (uint g = 0; g < G; g++) {
			score[g] = -INF;
			if (c < last) score[g] = MASK != 0 ? slopes[g] * loadFloat(MASK - 1, hide[g] + uint64_t(c) * p.ms[0]) : 0.0;
			live = live || score[g] != -INF;
		}
		if (live) {
			uint64_t row = k + uint64_t(c) * p.ks[2];
			float d[G];
			[[unroll]] for (uint g = 0; g < G; g++) d[g] = 0.0;
			for (uint from = 0; from < DK; from += 8 * AHEAD) {
				vec4 a[AHEAD], b[AHEAD];
				[[unroll]] for (uint u = 0; u < AHEAD; u++) eight(TK, row, min(from + 8 * u, DK - 8), a[u], b[u]);
				[[unroll]] for (uint u = 0; u < AHEAD; u++) {
					uint i = from / 4 + 2 * u;
					if (4 * i >= DK) break;
					[[unroll]] for (uint g = 0; g < G; g++) d[g] += dot(query[g * DK / 4 + i], a[u]) + dot(query[g * DK / 4 + i + 1], b[u]);
				}
			}
			[[unroll]] for (uint g = 0; g < G; g++) {
				if (CAP) d[g] = p.cap * tanh_(d[g] / p.cap);
				if (score[g] != -INF) score[g] += d[g];
			}
		}
		[[unroll]] for (uint g = 0; g < G; g++) {
			float top = subgroupMax(isNaN(score[g]) ? -INF : score[g]);
			if (gl_SubgroupInvocationID == 0) tops[g * MOST + gl_SubgroupID] = top;
		}
		float alive = subgroupMax(live ? 1.0 : 0.0);
		if (gl_SubgroupInvocationID == 0) tops[G * MOST + gl_SubgroupID] = alive;
		barrier();
		alive = 0.0;
		for (uint i = 0; i < gl_NumSubgroups; i++) alive = max(alive, tops[G * MOST + i]);
		if (alive == 0.0) {
			barrier();
			continue;
		}
		[[unroll]] for (uint g = 0; g < G; g++) {
			float top = most[g];
			for (uint i = 0; i < gl_NumSubgroups; i++) top = max(top, tops[g * MOST + i]);
			float w = 0.0;
			if (isNaN(score[g])) w = score[g];
			else if (score[g] != -INF) w = exp_(score[g] - top);
			weight[g * TILE + lid] = w;
			float keep = most[g] == -INF ? 1.0 : exp_(most[g] - top);
			most[g] = top;
			sum[g] *= keep;
			lo[g] *= keep;
			hi[g] *= keep;
			w = subgroupAdd(w);
			if (gl_SubgroupInvocationID == 0) sums[g * MOST + gl_SubgroupID] = w;
		}
		barrier();
		[[unroll]] for (uint g = 0; g < G; g++) {
			for (uint i = 0; i < gl_NumSubgroups; i++) sum[g] += sums[g * MOST + i];
		}
		uint tile = min(TILE, last - begin);
		if (cg < CG) {
			for (uint from = cg; from < tile; from += AHEAD * CG) {
				vec4 a[AHEAD], b[AHEAD];
				[[unroll]] for (uint u = 0; u < AHEAD; u++) {
					eight(TV, v + uint64_t(begin + min(from + u * CG, tile - 1)) * p.vs[2], 8 * vt, a[u], b[u]);
				}
				[[unroll]] for (uint u = 0; u < AHEAD; u++) {
					if (from + u * CG >= tile) break;
					[[unroll]] for (uint g = 0; g < G; g++) {
						float w = weight[g * TILE + from + u * CG];
						if (w != 0.0) { // what is hidden may be anything
							lo[g] += w * a[u];
							hi[g] += w * b[u];
						}
					}
				}
			}
		}
		barrier();
	}
	[[unroll]] for (uint g = 0; g < G; g++) {
		uint r = row0 + g, h = headOf(kvHead, r), t = r / p.share;
		float keep = 1.0;
		if (SINKS && SPLITS == 1) sink(F32(p.sinks + uint64_t(min(h, p.heads - 1)) * p.ss).v, most[g], sum[g], keep);
		barrier();
		gather[2 * lid] = lo[g];
		gather[2 * lid + 1] = hi[g];
		barrier();
		if (r >= rows) continue;
		uint out_ = h + p.heads * (t + p.tokens * stream);
		uint64_t to = SPLITS == 1 ? p.dst + 4 * uint64_t(DV) * out_ : p.parts + 4 * uint64_t(DV + 4) * (uint64_t(out_) * SPLITS + split);
		float inv = SPLITS > 1 ? 1.0 : sum[g] == 0.0 ? 0.0 : keep / sum[g];
		for (uint i = lid; i < 2 * VT; i += TILE) {
			vec4 s = vec4(0.0);
			for (uint j = 0; j < CG; j++) s += gather[2 * VT * j + i];
			F32x4(to + 16 * uint64_t(i)).v = s * inv;
			if (ROUND) round32(s * inv, p.bytes, p.scales, out_ * (DV / 4) + i, true);
		}
		if (SPLITS > 1 && lid == 0) F32x4(to + 4 * DV).v = vec4(most[g], sum[g], 0.0, 0.0);
	}
}
