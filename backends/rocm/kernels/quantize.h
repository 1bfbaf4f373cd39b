#pragma once
#include "dequant.h"

// Encoders of the block formats that caches have: 32 numbers become a block, as package tensor/quant does it without weights. What
// is no number is 0, and what lies beyond a format's range is the nearest end.

FN float numberIn(float v, float limit) { return isnan_(v) ? 0.0f : clamp_(v, -limit, limit); }

FN float inverseOr0(float d) {
	float inv = 1.0f / d;
	return d == 0.0f || isinf_(inv) ? 0.0f : inv;
}

FN void putHalf(u64 at, float v) { U16(at).v = u16(toF16(v)); }

// away rounds halves away from zero.
FN int away(float v) {
	float t = truncf(v), f = v - t;
	return int(t) + (f >= 0.5f ? 1 : f <= -0.5f ? -1 : 0);
}

// iq4Code returns the code whose value is nearest.
FN u32 iq4Code(float t) {
	u32 c = 0;
	for (u32 i = 0; i < 15; i++) c += u32(t > (iq4Values[i] + iq4Values[i + 1]) * 0.5f);
	return c;
}

// Encoder has the numbers of a block.
struct Encoder {
	float quantX[32];

	// largestX returns the number of greatest magnitude, the first of several.
	FN float largestX() {
		float best = 0.0f, most = 0.0f;
		for (u32 i = 0; i < 32; i++) {
			float a = fabsf(quantX[i]);
			if (a > most) {
				best = quantX[i];
				most = a;
			}
		}
		return best;
	}

	// putCodes writes the low four bits of 32 codes at nibbles, and their fifth bits at high if that is not 0.f
	FN void putCodes(const u32* codes, u64 nibbles, u64 high) {
		u32 bits = 0;
		for (u32 i = 0; i < 16; i++) {
			U8(nibbles + i).v = u8(codes[i] & 15u | (codes[i + 16] & 15u) << 4);
			bits |= (codes[i] >> 4 & 1u) << i | (codes[i + 16] >> 4 & 1u) << (i + 16);
		}
		if (high != 0) {
			U16(high).v = u16(bits);
			U16(high + 2).v = u16(bits >> 16);
		}
	}

	FN void encodeSymmetric(u64 b, float half_, u64 nibbles, u64 high) {
		for (u32 i = 0; i < 32; i++) quantX[i] = numberIn(quantX[i], half_ * 65504.0f);
		float d = largestX() / -half_, inv = inverseOr0(d);
		putHalf(b, d);
		u32 codes[32];
		for (u32 i = 0; i < 32; i++) {
			codes[i] = inv == 0.0f && d != 0.0f ? 0u : u32(clamp_(quantX[i] * inv + (half_ + 0.5f), 0.0f, 2.0f * half_ - 1.0f));
		}
		putCodes(codes, nibbles, high);
	}

	FN void encodeAffine(u64 b, float top, u64 nibbles, u64 high) {
		float lo = INF, hi = -INF;
		for (u32 i = 0; i < 32; i++) {
			quantX[i] = numberIn(quantX[i], top * 65504.0f);
			lo = min_(lo, quantX[i]);
			hi = max_(hi, quantX[i]);
		}
		float m = clamp_(lo, -65504.0f, 65504.0f), d = clamp_((hi - m) / top, -65504.0f, 65504.0f), inv = inverseOr0(d);
		putHalf(b, d);
		putHalf(b + 2, m);
		u32 codes[32];
		for (u32 i = 0; i < 32; i++) codes[i] = u32(clamp_((quantX[i] - m) * inv + 0.5f, 0.0f, top));
		putCodes(codes, nibbles, high);
	}

	FN void encodeQ8(u64 b, u64 codes, bool sum) {
		for (u32 i = 0; i < 32; i++) quantX[i] = numberIn(quantX[i], 127.0f * 65504.0f);
		float d = fabsf(largestX()) / 127.0f, inv = inverseOr0(d);
		putHalf(b, d);
		int all = 0;
		for (u32 i = 0; i < 32; i++) {
			int c = clamp_(away(quantX[i] * inv), -127, 127);
			all += c;
			U8(codes + i).v = u8(c & 255);
		}
		if (sum) putHalf(b + 2, float(all) * d);
	}

	// tryIQ4 fits the scale to the codes of an inverse scale: sums of x*q and q*q.
	FN vec2 tryIQ4(float inv) {
		vec2 s = vec2(0.0f);
		for (u32 i = 0; i < 32; i++) {
			float q = iq4Values[iq4Code(quantX[i] * inv)];
			s += q * vec2(quantX[i], q);
		}
		return s;
	}

	// fitIQ4 climbs from scales around those that reach the greatest number exactly, on both sides.
	FN float fitIQ4(float top) {
		float best = 0.0f, score = 0.0f, inv = 1.0f / top;
		for (u32 side = 0; side < 2; side++) {
			float center = (side == 0 ? -127.0f : 113.0f) * inv, own = 0.0f, ownScore = 0.0f;
			for (int k = -8; k <= 12; k++) { // the last four begin at the best so far
				vec2 s = tryIQ4(k <= 8 ? center + 1.5f * float(k) * inv : own == 0.0f ? 0.0f : 1.0f / own);
				if (s.y > 0.0f && s.x * s.x > ownScore * s.y) {
					own = s.x / s.y;
					ownScore = s.x * s.x / s.y;
				}
			}
			if (ownScore > score) {
				best = own;
				score = ownScore;
			}
		}
		return best;
	}

	FN void encodeIQ4_NL(u64 b) {
		for (u32 i = 0; i < 32; i++) quantX[i] = numberIn(quantX[i], 127.0f * 65504.0f);
		float top = largestX(), d = 0.0f;
		if (fabsf(top) > 1e-30f) d = fromF16(toF16(clamp_(fitIQ4(top), -65504.0f, 65504.0f)));
		putHalf(b, d);
		float inv = inverseOr0(d);
		u32 codes[32];
		for (u32 i = 0; i < 32; i++) codes[i] = iq4Code(quantX[i] * inv);
		putCodes(codes, b + 2, u64(0));
	}

	FN void encodeMXFP4(u64 b) {
		for (u32 i = 0; i < 32; i++) quantX[i] = numberIn(quantX[i], 3.4028234e38f);
		int e = int(__float_as_uint(fabsf(largestX())) >> 23 & 255u); // 0 for what is below the least normal number
		e = max_(e - 2, 0);
		U8(b).v = u8(e);
		float up = 1.0f; // numbers and scale are raised together where the scale would be below the least normal number
		if (e < 2) {
			up = 16.0f;
			e += 4;
		}
		float d = __uint_as_float(u32(e - 1) << 23);
		u32 codes[32];
		for (u32 i = 0; i < 32; i++) {
			float a = fabsf(quantX[i]) * up;
			u32 c = u32(a > 0.5f * d) + u32(a > 1.5f * d) + u32(a > 2.5f * d) + u32(a > 3.5f * d) + u32(a > 5.0f * d) + u32(a > 7.0f * d) + u32(a > 10.0f * d);
			codes[i] = c | (quantX[i] < 0.0f && c > 0 ? 8u : 0u);
		}
		for (u32 i = 0; i < 16; i++) U8(b + 1 + i).v = u8(codes[i] | codes[i + 16] << 4);
	}

	// encode writes quantX as a block.
	FN void encode(u32 type, u64 b) {
		switch (type) {
		case T_Q4_0: encodeSymmetric(b, 8.0f, b + 2, u64(0)); break;
		case T_Q4_1: encodeAffine(b, 15.0f, b + 4, u64(0)); break;
		case T_Q5_0: encodeSymmetric(b, 16.0f, b + 6, b + 2); break;
		case T_Q5_1: encodeAffine(b, 31.0f, b + 8, b + 4); break;
		case T_Q8_0: encodeQ8(b, b + 2, false); break;
		case T_Q8_1: encodeQ8(b, b + 4, true); break;
		case T_IQ4_NL: encodeIQ4_NL(b); break;
		case T_MXFP4: encodeMXFP4(b); break;
		}
	}
};
