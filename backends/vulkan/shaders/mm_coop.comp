#version 450
// Products by cooperative matrices: tiles of BM rows of a, decoded to halves, by BN rows of b, which halve_x has
// converted. What comes next is loaded into registers while a tile is multiplied.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_KHR_shader_subgroup_vote : require
#extension GL_KHR_cooperative_matrix : require
#include "common.glsl"
#include "dequant.glsl"

layout(constant_id = 11) const bool WIDE = false;
#include "blocks.glsl"

layout(constant_id = 2) const uint TA = 0;
layout(constant_id = 3) const bool ID = false;
layout(constant_id = 4) const bool ADD = false;
layout(constant_id = 5) const uint BM = 128;
layout(constant_id = 6) const uint BN = 128;
layout(constant_id = 7) const uint BK = 64;
layout(constant_id = 8) const uint WM = 64; // of a subgroup
layout(constant_id = 9) const uint WN = 32;
layout(constant_id = 10) const uint THREADS = 256;

layout(buffer_reference, scalar, buffer_reference_align = 4) buffer Floats { float v[]; };

layout(push_constant, scalar) uniform Params {
	uint64_t a, x, xs, add, dst, slots, tiles;
	uint m, n, k, kp; // kp: halves in a row of x
	uint groups, cols;
	uint as1, as2;
	uint used, bused, addStep;
};

const uint LINE = BK / 4 + 2; // of fours in shared memory: rows begin in different banks
const uint CM = WM / 16, CN = WN / 16;
const uint A_BLOCKS = (BM * BK / 32 + THREADS - 1) / THREADS; // of quantized weights in an invocation
const uint A_WORDS = (BM * BK / 8 + THREADS - 1) / THREADS;    // of 16 bytes of halves
const uint B_WORDS = (BN * BK / 8 + THREADS - 1) / THREADS;
const bool HALVES = TA == T_F16;

shared f16vec4 sa[BM * LINE];
shared f16vec4 sb[BN * LINE];
shared float sc[THREADS / 32 * 256];

Block wa[HALVES ? 1 : A_BLOCKS];
uvec4 ha[HALVES ? A_WORDS : 1];
uvec4 hb[B_WORDS];
uint64_t pa;
uint tm, first, count;
uint brow[B_WORDS];

// load reads the tile at k into registers.
void load(uint at) {
	uint lid = gl_LocalInvocationID.x;
	if (HALVES) {
		[[unroll]] for (uint i = 0; i < A_WORDS; i++) {
			uint w = lid + i * THREADS, r = w / (BK / 8), c = at + w % (BK / 8) * 8;
			ha[i] = c < k ? U32x4(pa + uint64_t(min(tm * BM + r, m - 1)) * as1 + 2 * c).v : uvec4(0);
		}
	} else {
		[[unroll]] for (uint i = 0; i < A_BLOCKS; i++) {
			uint w = lid + i * THREADS, r = w / (BK / 32), c = at / 32 + w % (BK / 32);
			wa[i] = blockAt(TA, pa + uint64_t(min(tm * BM + r, m - 1)) * as1, min(c, k / 32 - 1));
			if (c >= k / 32) wa[i].d = wa[i].m = vec2(0.0);
		}
	}
	[[unroll]] for (uint i = 0; i < B_WORDS; i++) {
		uint w = lid + i * THREADS;
		hb[i] = U32x4(x + 2 * (uint64_t(brow[i]) * kp + at + w % (BK / 8) * 8)).v;
	}
}

f16vec2 halves(uint w) { return unpackFloat2x16(w); }

// store decodes the registers into shared memory.
void store() {
	uint lid = gl_LocalInvocationID.x;
	if (HALVES) {
		[[unroll]] for (uint i = 0; i < A_WORDS; i++) {
			uint w = lid + i * THREADS, at = w / (BK / 8) * LINE + w % (BK / 8) * 2;
			uvec4 h = ha[i];
			sa[at] = f16vec4(halves(h.x & 0xffffu | h.y << 16), halves(h.x >> 16 | h.y & 0xffff0000u));
			sa[at + 1] = f16vec4(halves(h.z & 0xffffu | h.w << 16), halves(h.z >> 16 | h.w & 0xffff0000u));
		}
	} else {
		// A byte is a half's last bits: 1024 more than itself.
		uint flip = signedBytes(TA) ? 0x80808080u : 0u;
		float16_t zero = signedBytes(TA) ? float16_t(1152.0) : float16_t(1024.0);
		[[unroll]] for (uint i = 0; i < A_BLOCKS; i++) {
			uint w = lid + i * THREADS, at = w / (BK / 32) * LINE + w % (BK / 32) * 8;
			if (BM * BK / 32 % THREADS != 0 && w >= BM * BK / 32) continue;
			[[unroll]] for (uint j = 0; j < 8; j++) {
				uint q = wa[i].q[j] ^ flip;
				f16vec4 v = f16vec4(halves(q & 0x00ff00ffu | 0x64006400u), halves(q >> 8 & 0x00ff00ffu | 0x64006400u)) - zero;
				f16vec2 d = f16vec2(float16_t(wa[i].d[oneScale(TA) ? 0 : j / 4]), float16_t(wa[i].m[oneScale(TA) ? 0 : j / 4]));
				sa[at + j] = zeroMin(TA) ? v * d.x : v * d.x + d.y;
			}
		}
	}
	[[unroll]] for (uint i = 0; i < B_WORDS; i++) {
		uint w = lid + i * THREADS, at = w / (BK / 8) * LINE + w % (BK / 8) * 2;
		if (BN * BK / 8 % THREADS != 0 && w >= BN * BK / 8) continue;
		sb[at] = f16vec4(halves(hb[i].x), halves(hb[i].y));
		sb[at + 1] = f16vec4(halves(hb[i].z), halves(hb[i].w));
	}
}

uint slot(uint j) { return ID ? U32(slots + 4 * uint64_t(j)).v : j; }

// row returns the row of x for row j of the product.
uint row(uint j) {
	uint r = slot(j);
	return ID ? r / used * bused + r % used % bused : r;
}

void main() {
	uint g = linearGroup(), tn = g % cols;
	tm = g / cols;
	if (tm >= groups) return;
	pa = a;
	first = tn * BN;
	count = min(BN, n - first);
	if (ID) {
		uint64_t t = tiles + 12 * uint64_t(tn);
		count = U32(t + 8).v;
		if (count == 0) return;
		pa += uint64_t(U32(t).v) * as2;
		first = U32(t + 4).v;
	}
	uint lid = gl_LocalInvocationID.x;
	[[unroll]] for (uint i = 0; i < B_WORDS; i++) brow[i] = row(first + min((lid + i * THREADS) / (BK / 8), count - 1));
	coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator> acc[CM * CN];
	[[unroll]] for (uint i = 0; i < CM * CN; i++) acc[i] = coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>(0.0);
	uint wm = gl_SubgroupID % (BM / WM) * WM, wn = gl_SubgroupID / (BM / WM) * WN;
	load(0);
	for (uint at = 0; at < k; at += BK) {
		barrier();
		store();
		barrier();
		if (at + BK < k) load(at + BK);
		[[unroll]] for (uint s = 0; s < BK; s += 16) {
			coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA> ma[CM];
			[[unroll]] for (uint i = 0; i < CM; i++) coopMatLoad(ma[i], sa, (wm + i * 16) * LINE + s / 4, LINE, gl_CooperativeMatrixLayoutRowMajor);
			[[unroll]] for (uint j = 0; j < CN; j++) {
				coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB> mb;
				coopMatLoad(mb, sb, (wn + j * 16) * LINE + s / 4, LINE, gl_CooperativeMatrixLayoutColumnMajor);
				[[unroll]] for (uint i = 0; i < CM; i++) acc[i * CN + j] = coopMatMulAdd(ma[i], mb, acc[i * CN + j]);
			}
		}
	}
	// Whole parts of the result go straight to it, all others through shared memory.
	uint lane = gl_SubgroupInvocationID, part = gl_SubgroupID * 256;
	[[unroll]] for (uint j = 0; j < CN; j++) {
		uint c0 = wn + j * 16, mine = c0 + lane % 16;
		float scale = F32(xs + 4 * uint64_t(row(first + min(mine, count - 1)))).v;
		bool plain = !ID && !ADD && c0 + 16 <= count && subgroupAll(scale == 1.0);
		[[unroll]] for (uint i = 0; i < CM; i++) {
			uint r0 = tm * BM + wm + i * 16;
			if (plain && r0 + 16 <= m) {
				coopMatStore(acc[i * CN + j], Floats(dst + 4 * (uint64_t(r0) + uint64_t(m) * (first + c0))).v, 0, m, gl_CooperativeMatrixLayoutColumnMajor);
				continue;
			}
			coopMatStore(acc[i * CN + j], sc, part, 16, gl_CooperativeMatrixLayoutColumnMajor);
			subgroupBarrier();
			[[unroll]] for (uint e = 0; e < 256; e += 32) {
				uint r = r0 + (e + lane) % 16, c = c0 + (e + lane) / 16;
				float s = subgroupShuffle(scale, (e + lane) / 16);
				if (r >= m || c >= count) continue;
				uint to = slot(first + c);
				float y = sc[part + e + lane] * s;
				if (ADD) y += F32(add + uint64_t(to) * addStep + 4 * uint64_t(r)).v;
				F32(dst + 4 * (uint64_t(r) + uint64_t(m) * to)).v = y;
			}
			subgroupBarrier();
		}
	}
}
