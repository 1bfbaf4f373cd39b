#version 450
// FlashAttn by cooperative matrices of halves, as which the cache is read: a group has 64 queries of a head of the cache, 16 in each of its four
// subgroups, and goes over the cells by 64. Scores and weights pass through shared memory.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_cooperative_matrix : require
#include "common.glsl"
#include "math.glsl"
#include "dequant.glsl"
#include "eight.glsl"
#include "attention.glsl"

layout(constant_id = 2) const uint MASK = 0; // 0 is none, otherwise 1 + its type: F32 or F16
layout(constant_id = 3) const bool SINKS = false;
layout(constant_id = 4) const bool CAP = false;
layout(constant_id = 5) const bool ALIBI = false;
layout(constant_id = 6) const uint D = 64;
layout(constant_id = 7) const uint TK = 1; // T_F16
layout(constant_id = 8) const uint TV = 1;

layout(buffer_reference, scalar, buffer_reference_align = 8) readonly buffer Params {
	uint64_t q, k, v, mask, sinks, dst;
	uint heads, share, tokens, cells, groups;
	uint qs[4], ks[4], vs[4], ms[4];
	uint mn2, mn3, ss, pow2;
	float scale, bias, cap;
};
layout(push_constant, scalar) uniform Push { Params p; };

const uint BR = 64, BC = 64, THREADS = 128;
const uint LINE = D / 4 + 2;  // fours of a row in shared memory
const uint SLINE = BC / 4 + 1, PLINE = BC / 4 + 2;
const uint WORDS = BC * D / 8 / THREADS; // of 16 bytes of a tile in an invocation

shared f16vec4 kv[BC * LINE];
shared vec4 scores[BR * SLINE];
shared f16vec4 weights[BR * PLINE];
shared vec4 keeps[BR * 4];
shared uint visible[16]; // bits of cells that some query sees, by tile, subgroup and half of the tile

uint headOf(uint kvHead, uint r) { return kvHead * p.share + r % p.share; }

f16vec2 halves(uint w) { return unpackFloat2x16(w); }

// eightHalves returns eight elements of a row of the cache, the e-th, as halves two in a word.
uvec4 eightHalves(uint type, uint64_t row, uint e) {
	if (type == T_F16) return U32x4(row + 16 * uint64_t(e)).v;
	vec4 lo, hi;
	eight(type, row, 8 * e, lo, hi);
	return uvec4(packFloat2x16(f16vec2(lo.xy)), packFloat2x16(f16vec2(lo.zw)), packFloat2x16(f16vec2(hi.xy)), packFloat2x16(f16vec2(hi.zw)));
}

// mask4 returns what four scores get.
vec4 mask4(uint64_t row, uint c) {
	if (MASK == 1 + T_F32) return F32x4(row + 4 * uint64_t(c)).v;
	if (MASK == 0) return vec4(0.0);
	uint64_t at = row + 2 * uint64_t(c);
	return vec4(unpackHalf2x16(U32(at).v), unpackHalf2x16(U32(at + 4).v));
}

void main() {
	uint id = linearGroup(), lid = gl_LocalInvocationID.x, lane = gl_SubgroupInvocationID, warp = gl_SubgroupID;
	uint group = id % p.groups, kvHeads = p.heads / p.share, kvHead = id / p.groups % kvHeads, stream = id / p.groups / kvHeads;
	uint rows = p.share * p.tokens, row0 = group * BR;
	for (uint i = lid; i < BR * D / 4; i += THREADS) {
		uint r = min(row0 + i / (D / 4), rows - 1);
		uint64_t q = p.q + uint64_t(headOf(kvHead, r)) * p.qs[1] + uint64_t(r / p.share) * p.qs[2] + uint64_t(stream) * p.qs[3];
		kv[i / (D / 4) * LINE + i % (D / 4)] = f16vec4(F32x4(q + 16 * uint64_t(i % (D / 4))).v * p.scale);
	}
	barrier();
	coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> mq[D / 16];
	[[unroll]] for (uint j = 0; j < D / 16; j++) coopMatLoad(mq[j], kv, warp * 16 * LINE + 4 * j, LINE, gl_CooperativeMatrixLayoutRowMajor);
	coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> acc[D / 16];
	[[unroll]] for (uint j = 0; j < D / 16; j++) acc[j] = coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>(0.0);

	// A lane has half of a query's scores.
	uint mine = warp * 16 + lane % 16, half_ = lane / 16, r = min(row0 + mine, rows - 1), h = headOf(kvHead, r), t = r / p.share;
	uint64_t hide = p.mask + uint64_t(t) * p.ms[1] + uint64_t(h % p.mn2) * p.ms[2] + uint64_t(stream % p.mn3) * p.ms[3];
	float sl = ALIBI ? slopeOf(h, p.pow2, p.bias) : 1.0, most = -INF, sum = 0.0;
	uint64_t k = p.k + uint64_t(kvHead) * p.ks[1] + uint64_t(stream) * p.ks[3];
	uint64_t v = p.v + uint64_t(kvHead) * p.vs[1] + uint64_t(stream) * p.vs[3];
	uint buf = 0;
	for (uint begin = 0; begin < p.cells; begin += BC) {
		vec4 mask[8];
		uint seen = 0;
		[[unroll]] for (uint j = 0; j < 8; j++) {
			uint c = begin + 32 * half_ + 4 * j;
			mask[j] = c < p.cells ? mask4(hide, c) : vec4(-INF);
			[[unroll]] for (uint e = 0; e < 4; e++) if (mask[j][e] != -INF) seen |= 1u << (4 * j + e);
		}
		uint some = seen;
		[[unroll]] for (uint j = 1; j < 16; j *= 2) some |= subgroupShuffleXor(some, j);
		if (lane % 16 == 0) visible[buf * 8 + warp * 2 + half_] = some;
		barrier(); // and what was in kv is no longer needed
		uint low = visible[buf * 8] | visible[buf * 8 + 2] | visible[buf * 8 + 4] | visible[buf * 8 + 6];
		uint high = visible[buf * 8 + 1] | visible[buf * 8 + 3] | visible[buf * 8 + 5] | visible[buf * 8 + 7];
		buf ^= 1;
		if ((low | high) == 0) continue;
		uvec4 next[WORDS];
		[[unroll]] for (uint i = 0; i < WORDS; i++) {
			uint w = lid + i * THREADS, c = w / (D / 8), e = w % (D / 8);
			uvec4 x = eightHalves(TK, k + uint64_t(min(begin + c, p.cells - 1)) * p.ks[2], e);
			kv[c * LINE + 2 * e] = f16vec4(halves(x.x), halves(x.y));
			kv[c * LINE + 2 * e + 1] = f16vec4(halves(x.z), halves(x.w));
		}
		[[unroll]] for (uint i = 0; i < WORDS; i++) {
			uint w = lid + i * THREADS, c = w / (D / 8), e = w % (D / 8);
			next[i] = eightHalves(TV, v + uint64_t(min(begin + c, p.cells - 1)) * p.vs[2], e);
			if (((c < 32 ? low >> c : high >> (c - 32)) & 1u) == 0) next[i] = uvec4(0); // it may be anything
		}
		barrier();
		[[unroll]] for (uint j = 0; j < BC / 16; j++) {
			coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> s = coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>(0.0);
			[[unroll]] for (uint i = 0; i < D / 16; i++) {
				coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB> mk;
				coopMatLoad(mk, kv, j * 16 * LINE + 4 * i, LINE, gl_CooperativeMatrixLayoutColumnMajor);
				s = coopMatMulAdd(mq[i], mk, s);
			}
			coopMatStore(s, scores, warp * 16 * SLINE + 4 * j, SLINE, gl_CooperativeMatrixLayoutRowMajor);
		}
		subgroupBarrier();
		vec4 s[8];
		float top = -INF;
		[[unroll]] for (uint j = 0; j < 8; j++) {
			s[j] = scores[mine * SLINE + half_ * 8 + j];
			[[unroll]] for (uint e = 0; e < 4; e++) {
				float x = s[j][e];
				if (CAP) x = p.cap * tanh_(x / p.cap);
				x = (seen >> (4 * j + e) & 1u) != 0 ? x + sl * mask[j][e] : -INF;
				s[j][e] = x;
				if (!isNaN(x)) top = max(top, x);
			}
		}
		top = max(top, subgroupShuffleXor(top, 16));
		top = max(top, most);
		float keep = most == -INF ? 1.0 : exp(most - top), part = 0.0;
		most = top;
		[[unroll]] for (uint j = 0; j < 8; j++) {
			vec4 w = vec4(0.0);
			[[unroll]] for (uint e = 0; e < 4; e++) {
				if (isNaN(s[j][e])) w[e] = s[j][e];
				else if (s[j][e] != -INF) w[e] = exp(s[j][e] - top);
			}
			part += w.x + w.y + w.z + w.w;
			weights[mine * PLINE + half_ * 8 + j] = f16vec4(w);
		}
		sum = sum * keep + part + subgroupShuffleXor(part, 16);
		keeps[mine * 4 + half_ * 2] = keeps[mine * 4 + half_ * 2 + 1] = vec4(keep);
		bool scaled = subgroupAny(keep != 1.0);
		barrier();
		[[unroll]] for (uint i = 0; i < WORDS; i++) {
			uint w = lid + i * THREADS, c = w / (D / 8), e = w % (D / 8);
			kv[c * LINE + 2 * e] = f16vec4(halves(next[i].x), halves(next[i].y));
			kv[c * LINE + 2 * e + 1] = f16vec4(halves(next[i].z), halves(next[i].w));
		}
		barrier();
		if (scaled) {
			coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> mf;
			coopMatLoad(mf, keeps, warp * 64, 4, gl_CooperativeMatrixLayoutRowMajor);
			[[unroll]] for (uint j = 0; j < D / 16; j++) acc[j] = acc[j] * mf;
		}
		[[unroll]] for (uint i = 0; i < BC / 16; i++) {
			coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> mw;
			coopMatLoad(mw, weights, warp * 16 * PLINE + 4 * i, PLINE, gl_CooperativeMatrixLayoutRowMajor);
			[[unroll]] for (uint j = 0; j < D / 16; j++) {
				coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB> mv;
				coopMatLoad(mv, kv, i * 16 * LINE + 4 * j, LINE, gl_CooperativeMatrixLayoutRowMajor);
				acc[j] = coopMatMulAdd(mw, mv, acc[j]);
			}
		}
	}
	float keep = 1.0;
	if (SINKS) sink(F32(p.sinks + uint64_t(h) * p.ss).v, most, sum, keep);
	float inv = sum == 0.0 ? 0.0 : keep / sum;
	uint64_t to = p.dst + 4 * uint64_t(D) * (h + p.heads * (t + uint64_t(p.tokens) * stream));
	[[unroll]] for (uint j = 0; j < D / 16; j++) {
		subgroupBarrier();
		coopMatStore(acc[j], scores, warp * 16 * SLINE, SLINE, gl_CooperativeMatrixLayoutRowMajor);
		subgroupBarrier();
		if (row0 + mine < rows) {
			F32x4(to + 64 * j + 32 * half_).v = scores[mine * SLINE + half_ * 2] * inv;
			F32x4(to + 64 * j + 32 * half_ + 16).v = scores[mine * SLINE + half_ * 2 + 1] * inv;
		}
	}
}
