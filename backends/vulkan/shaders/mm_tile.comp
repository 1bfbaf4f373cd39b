#version 450
// Products of any types and strides, by tiles of 64 by 64 in shared memory. Sums are F32 of F32.
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "dequant.glsl"

layout(constant_id = 2) const uint TA = 0;
layout(constant_id = 3) const uint TB = 0;
layout(constant_id = 4) const bool ID = false;
layout(constant_id = 5) const bool ADD = false;

layout(push_constant, scalar) uniform Params {
	uint64_t a, b, add, dst, slots, tiles;
	uint m, n, k;
	uint groups, cols; // tiles of rows of a and of b
	uint b2, r2, r3;
	uint as[4], bs[4];
	uint used, bused, addStep;
};

const uint BM = 64, BN = 64, BK = 16, PAD = 4, THREADS = 256;

shared float sa[BK * (BM + PAD)], sb[BK * (BN + PAD)];

void main() {
	uint g = linearGroup(), tm = g % groups, tn = g / groups % cols, plane = g / groups / cols;
	uint p2 = plane % b2, p3 = plane / b2, lid = gl_LocalInvocationID.x;
	uint64_t pa = a + uint64_t(p2 / r2) * as[2] + uint64_t(p3 / r3) * as[3];
	uint64_t pb = b + uint64_t(p2) * bs[2] + uint64_t(p3) * bs[3];
	uint first = tn * BN, count = min(BN, n - first);
	if (ID) {
		uint64_t t = tiles + 12 * uint64_t(tn);
		count = U32(t + 8).v;
		if (count == 0) return;
		pa = a + uint64_t(U32(t).v) * as[2];
		first = U32(t + 4).v;
	}
	// Each invocation loads four of a row of a, and four of one of b.
	uint lr = lid / (BK / 4), lk = lid % (BK / 4) * 4;
	uint64_t ra = pa + uint64_t(min(tm * BM + lr, m - 1)) * as[1], rb;
	uint col = first + min(lr, count - 1);
	if (ID) {
		uint r = U32(slots + 4 * uint64_t(col)).v;
		rb = b + uint64_t(r % used % bused) * bs[1] + uint64_t(r / used) * bs[2];
	} else rb = pb + uint64_t(col) * bs[1];
	uint ti = lid % 16 * 4, tj = lid / 16 * 4;
	vec4 sum[4];
	[[unroll]] for (uint c = 0; c < 4; c++) sum[c] = vec4(0.0);
	for (uint at = 0; at < k; at += BK) {
		vec4 va = vec4(0.0), vb = vec4(0.0);
		if (at + lk < k) {
			va = row4(TA, ra, as[0], at + lk, k);
			vb = row4(TB, rb, bs[0], at + lk, k);
		}
		barrier();
		[[unroll]] for (uint j = 0; j < 4; j++) {
			sa[(lk + j) * (BM + PAD) + lr] = va[j];
			sb[(lk + j) * (BN + PAD) + lr] = vb[j];
		}
		barrier();
		vec4 part[4]; // sums of sums round less
		[[unroll]] for (uint c = 0; c < 4; c++) part[c] = vec4(0.0);
		[[unroll]] for (uint x = 0; x < BK; x++) {
			uint ia = x * (BM + PAD) + ti, ib = x * (BN + PAD) + tj;
			vec4 u = vec4(sa[ia], sa[ia + 1], sa[ia + 2], sa[ia + 3]);
			[[unroll]] for (uint c = 0; c < 4; c++) part[c] = fma(vec4(sb[ib + c]), u, part[c]);
		}
		[[unroll]] for (uint c = 0; c < 4; c++) sum[c] += part[c];
	}
	[[unroll]] for (uint c = 0; c < 4; c++) {
		if (tj + c >= count) continue;
		uint j = first + tj + c;
		if (ID) j = U32(slots + 4 * uint64_t(j)).v;
		[[unroll]] for (uint r = 0; r < 4; r++) {
			uint i = tm * BM + ti + r;
			if (i >= m) continue;
			float s = sum[c][r];
			if (ADD) s += F32(add + uint64_t(j) * addStep + 4 * uint64_t(i)).v;
			F32(dst + 4 * (uint64_t(i) + uint64_t(m) * (uint64_t(j) + uint64_t(n) * plane))).v = s;
		}
	}
}
