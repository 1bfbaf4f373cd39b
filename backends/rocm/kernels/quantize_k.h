#pragma once
#include "quantize.h"

// Encoders of the formats with a superblock of 256 numbers, as package tensor/quant searches without weights: each group of the
// superblock finds its own scale, the superblock's follows from these, and then both are moved to where the error is least. Sums
// are float32 here and float64 there, so that of two scales that are as good another one may win.

// What differs between the formats.
#define K_AFFINE (TO == T_Q2_K || TO == T_Q4_K || TO == T_Q5_K)
#define K_IQ4 (TO == T_IQ4_XS)
#define K_SIZE (TO == T_Q2_K || TO == T_Q3_K || TO == T_Q6_K ? 16u : 32u)
#define K_GROUPS (256u / K_SIZE)
#define K_TOP (TO == T_Q2_K ? 3.0f : TO == T_Q4_K ? 15.0f : 31.0f)                             // the greatest code of an affine format
#define K_HALF (TO == T_Q3_K ? 4.0f : 32.0f)                                                  // codes of a signed one go from -K_HALF to K_HALF-1
#define K_MOST (TO == T_Q2_K ? 15.0f : TO == T_Q6_K ? 128.0f : K_AFFINE ? 63.0f : 32.0f)      // the end of integer scales

// EncoderK has the numbers of a superblock.
struct EncoderK {
	u32 TO; // the format
	float kx[256];
	u32 kcodes[256];
	float kd, kdmin;
	int kscales[16], kmins[16];

	FN float inv0(float d) { return d == 0.0f ? 0.0f : 1.0f / d; }

	// tinyScale rounds a scale to half precision, and not to 0 unless it is 0.f
	FN float tinyScale(float d) {
		if (d == 0.0f) return 0.0f;
		float h = fromF16(toF16(clamp_(d, -65504.0f, 65504.0f)));
		return d > 0.0f ? max_(h, 5.9604644775390625e-8f) : min_(h, -5.9604644775390625e-8f);
	}

	FN float codeIn(float t, float lo, float hi) { return clamp_(rintf(t), lo, hi); }

	// affineSums returns the sums of q, q*q and x*q for the codes of a group.
	FN vec3 affineSums(u32 at, float inv, float from) {
		vec3 s = vec3(0.0f);
		NO_UNROLL for (u32 i = 0; i < K_SIZE; i++) {
			float q = codeIn((kx[at + i] - from) * inv, 0.0f, K_TOP);
			s += q * vec3(1.0f, q, kx[at + i]);
		}
		return s;
	}

	FN float affineError(u32 at, float scale, float from) {
		float inv = inv0(scale), sum = 0.0f;
		NO_UNROLL for (u32 i = 0; i < K_SIZE; i++) {
			float v = kx[at + i] - from, d = v - scale * codeIn(v * inv, 0.0f, K_TOP);
			sum += d * d;
		}
		return sum;
	}

	// tryAffine solves for the best scale and offset of the codes of a start, and takes them if they are better.
	FN bool tryAffine(u32 at, float inv, float from, float sx, vec3& best) {
		float sw = float(K_SIZE);
		vec3 s = affineSums(at, inv, from);
		float det = sw * s.y - s.x * s.x, scale = 0.0f, off = 0.0f;
		if (det > 1e-6f * sw * s.y) {
			scale = (sw * s.z - sx * s.x) / det;
			off = (s.y * sx - s.x * s.z) / det;
		}
		if (off > 0.0f) {
			off = 0.0f;
			scale = s.y > 0.0f ? s.z / s.y : 0.0f;
		}
		if (!(scale > 0.0f)) return false;
		float err = 0.0f; // of these codes with this scale and offset
		NO_UNROLL for (u32 i = 0; i < K_SIZE; i++) {
			float d = kx[at + i] - off - scale * codeIn((kx[at + i] - from) * inv, 0.0f, K_TOP);
			err += d * d;
		}
		if (!(err < best.z)) return false;
		best = vec3(scale, off, err);
		return true;
	}

	// fitAffine returns the scale and offset of a group.
	FN vec2 fitAffine(u32 at) {
		float lo = 0.0f, hi = kx[at], sx = 0.0f;
		NO_UNROLL for (u32 i = 0; i < K_SIZE; i++) {
			lo = min_(lo, kx[at + i]);
			hi = max_(hi, kx[at + i]);
			sx += kx[at + i];
		}
		if (hi <= lo) return vec2(0.0f, lo);
		float step = (hi - lo) / K_TOP;
		vec3 best = vec3(step, lo, affineError(at, step, lo));
		NO_UNROLL for (u32 k = 0; k < 25; k++) { // starts: 10 from the least number, and three times 5 from places around it
			float off = k < 10 ? 0.0f : k < 15 ? -0.25f : k < 20 ? 0.25f : 0.5f;
			float spread = k < 10 ? -1.0f + 0.2f * float(k) : -1.0f + 0.4f * float((k - 10) % 5), from = lo + off * step;
			if (from <= 0.0f && hi > from) tryAffine(at, (K_TOP + spread) / (hi - from), from, sx, best);
		}
		NO_UNROLL for (u32 k = 0; k < 4; k++) {
			if (!tryAffine(at, 1.0f / best.x, best.y, sx, best)) break;
		}
		return vec2(best.x, best.y);
	}

	// signedCode returns the value of the code nearest to t.
	FN float signedCode(float t) { return K_IQ4 ? iq4Values[iq4Code(t)] : codeIn(t, -K_HALF, K_HALF - 1.0f); }

	FN vec2 signedSums(u32 at, float inv) {
		vec2 s = vec2(0.0f);
		NO_UNROLL for (u32 i = 0; i < K_SIZE; i++) {
			float q = signedCode(kx[at + i] * inv);
			s += q * vec2(kx[at + i], q);
		}
		return s;
	}

	FN float signedError(u32 at, float scale) {
		float inv = inv0(scale), sum = 0.0f;
		NO_UNROLL for (u32 i = 0; i < K_SIZE; i++) {
			float d = kx[at + i] - scale * signedCode(kx[at + i] * inv);
			sum += d * d;
		}
		return sum;
	}

	// climbSigned returns the best scale found around an inverse scale, and by how much it lessens the error.
	FN vec2 climbSigned(u32 at, float center, float step, int steps) {
		vec2 best = vec2(0.0f);
		NO_UNROLL for (int k = -steps; k <= steps + 4; k++) { // the last four go on from the best
			if (k > steps && best.x == 0.0f) break;
			vec2 s = signedSums(at, k <= steps ? center + step * float(k) : 1.0f / best.x);
			if (s.y > 0.0f && s.x * s.x > best.y * s.y) best = vec2(s.x / s.y, s.x * s.x / s.y);
		}
		return best;
	}

	// fitSigned returns the best scale of a group, and the best one of the other sign.
	FN vec2 fitSigned(u32 at) {
		float top = 0.0f;
		NO_UNROLL for (u32 i = 0; i < K_SIZE; i++) {
			if (fabsf(kx[at + i]) > fabsf(top)) top = kx[at + i];
		}
		if (fabsf(top) < 1e-30f) return vec2(0.0f);
		float inv = 1.0f / top;
		vec2 a, b;
		if (K_IQ4) {
			a = climbSigned(at, -127.0f * inv, 1.5f * inv, 8);
			b = climbSigned(at, 113.0f * inv, 1.5f * inv, 8);
		} else {
			a = climbSigned(at, -K_HALF * inv, 0.25f * inv, 4);
			b = climbSigned(at, (K_HALF - 1.0f) * inv, 0.25f * inv, 4);
		}
		return b.y > a.y ? vec2(b.x, a.x) : vec2(a.x, b.x);
	}

	FN float groupError(u32 g, int s, int m) {
		if (K_AFFINE) return affineError(g * K_SIZE, kd * float(s), -kdmin * float(m));
		return signedError(g * K_SIZE, kd * float(s));
	}

	FN int placeScale(float s, float inv) {
		return int(K_AFFINE ? codeIn(s * inv, 0.0f, K_MOST) : codeIn(s * inv, -K_MOST, K_MOST - 1.0f));
	}

	vec2 kfits[16];

	// startK fits the groups, and takes the best of four scales of the superblock.
	FN void startK() {
		vec2 most = vec2(0.0f);
		NO_UNROLL for (u32 g = 0; g < K_GROUPS; g++) {
			if (K_AFFINE) {
				vec2 f = fitAffine(g * K_SIZE);
				kfits[g] = vec2(f.x, max_(-f.y, 0.0f));
				most = vec2(max_(most.x, kfits[g].x), max_(most.y, kfits[g].y));
			} else {
				kfits[g] = fitSigned(g * K_SIZE);
				if (fabsf(kfits[g].x) > fabsf(most.x)) most = kfits[g];
			}
		}
		float best = INF, bestD = 0.0f, bestMin = 0.0f;
		NO_UNROLL for (int try_ = 0; try_ < 5; try_++) { // the fifth puts the best back
			if (try_ < 4) {
				float top = 1.0f - float(try_) / 32.0f;
				kd = K_AFFINE ? tinyScale(most.x / (K_MOST * top)) : tinyScale(most.x / (-K_MOST * top));
				kdmin = K_AFFINE ? tinyScale(most.y / (K_MOST * top)) : 0.0f;
			} else {
				kd = bestD;
				kdmin = bestMin;
			}
			float inv = inv0(kd), invMin = inv0(kdmin), sum = 0.0f;
			NO_UNROLL for (u32 g = 0; g < K_GROUPS; g++) {
				kscales[g] = placeScale(kfits[g].x, inv);
				kmins[g] = K_AFFINE ? placeScale(kfits[g].y, invMin) : 0;
				sum += groupError(g, kscales[g], kmins[g]);
			}
			if (sum < best) {
				best = sum;
				bestD = kd;
				bestMin = kdmin;
			}
		}
	}

	// searchK moves each group's integer scale, and minimum, to the best near it, and returns the error of all.
	FN float searchK() {
		float sum = 0.0f, inv = inv0(kd);
		int window = TO == T_Q6_K ? 4 : 1;
		NO_UNROLL for (u32 g = 0; g < K_GROUPS; g++) {
			int s = kscales[g], m = kmins[g], bestS = s, bestM = m;
			float best = groupError(g, s, m);
			if (!K_AFFINE) {
				int other = placeScale(kfits[g].y, inv);
				float e = groupError(g, other, 0);
				if (e < best) {
					best = e;
					bestS = s = other;
				}
			}
			NO_UNROLL for (int s1 = s - window; s1 <= s + window; s1++) {
				NO_UNROLL for (int m1 = K_AFFINE ? m - 1 : 0; m1 <= (K_AFFINE ? m + 1 : 0); m1++) {
					if (float(s1) < (K_AFFINE ? 0.0f : -K_MOST) || float(s1) > (K_AFFINE ? K_MOST : K_MOST - 1.0f) || m1 < 0 || float(m1) > K_MOST) continue;
					float e = groupError(g, s1, m1);
					if (e < best) {
						best = e;
						bestS = s1;
						bestM = m1;
					}
				}
			}
			kscales[g] = bestS;
			kmins[g] = bestM;
			sum += best;
		}
		return sum;
	}

	// refitK sets the superblock's scales to the best for the codes that there are.
	FN void refitK() {
		float ss = 0.0f, sm = 0.0f, mm = 0.0f, sx = 0.0f, mx = 0.0f;
		NO_UNROLL for (u32 g = 0; g < K_GROUPS; g++) {
			float s = float(kscales[g]), m = float(kmins[g]);
			if (!K_AFFINE) {
				vec2 q = signedSums(g * K_SIZE, inv0(kd * s));
				if (s != 0.0f) {
					sx += s * q.x;
					ss += s * s * q.y;
				}
				continue;
			}
			vec3 q = affineSums(g * K_SIZE, inv0(kd * s), -kdmin * m);
			float gx = 0.0f;
			NO_UNROLL for (u32 i = 0; i < K_SIZE; i++) gx += kx[g * K_SIZE + i];
			ss += s * s * q.y;
			sm += s * m * q.x;
			mm += m * m * float(K_SIZE);
			sx += s * q.z;
			mx += m * gx;
		}
		if (!K_AFFINE) {
			if (ss > 0.0f && sx != 0.0f) kd = tinyScale(sx / ss);
			return;
		}
		float det = ss * mm - sm * sm, d = kd, dmin = kdmin;
		if (det > 1e-5f * ss * mm) {
			d = (mm * sx - sm * mx) / det;
			dmin = (sm * sx - ss * mx) / det;
		} else if (ss > 0.0f) d = (sx + sm * dmin) / ss;
		if (d > 0.0f) kd = tinyScale(d);
		if (dmin >= 0.0f) kdmin = tinyScale(dmin);
	}

	FN void codesK() {
		NO_UNROLL for (u32 g = 0; g < K_GROUPS; g++) {
			float scale = kd * float(kscales[g]), inv = inv0(scale), m = kdmin * float(kmins[g]);
			NO_UNROLL for (u32 i = g * K_SIZE; i < (g + 1) * K_SIZE; i++) {
				if (K_AFFINE) kcodes[i] = u32(codeIn((kx[i] + m) * inv, 0.0f, K_TOP));
				else if (K_IQ4) kcodes[i] = iq4Code(kx[i] * inv);
				else kcodes[i] = u32(codeIn(kx[i] * inv, -K_HALF, K_HALF - 1.0f) + K_HALF);
			}
		}
	}

	FN void put8(u64 at, u32 v) { U8(at).v = u8(v & 255u); }

	// putCrumbs writes the low two bits of the codes: a byte holds those of four numbers 32 apart.
	FN void putCrumbs(u64 at) {
		NO_UNROLL for (u32 i = 0; i < 64; i++) {
			u32 c = 128 * (i / 32) + i % 32;
			put8(at + i, kcodes[c] & 3u | (kcodes[c + 32] & 3u) << 2 | (kcodes[c + 64] & 3u) << 4 | (kcodes[c + 96] & 3u) << 6);
		}
	}

	FN void writeK(u64 b) {
		if (TO == T_Q2_K) {
			NO_UNROLL for (u32 g = 0; g < 16; g++) put8(b + g, u32(kscales[g] | kmins[g] << 4));
			putCrumbs(b + 16);
			putHalf(b + 80, kd);
			putHalf(b + 82, kdmin);
		} else if (TO == T_Q4_K || TO == T_Q5_K) {
			putHalf(b, kd);
			putHalf(b + 2, kdmin);
			NO_UNROLL for (u32 g = 0; g < 4; g++) {
				u32 s = u32(kscales[g]), m = u32(kmins[g]), s4 = u32(kscales[g + 4]), m4 = u32(kmins[g + 4]);
				put8(b + 4 + g, s | s4 >> 4 << 6);
				put8(b + 8 + g, m | m4 >> 4 << 6);
				put8(b + 12 + g, s4 & 15u | m4 << 4);
			}
			u64 low = b + (TO == T_Q4_K ? 16 : 48);
			NO_UNROLL for (u32 i = 0; i < 128; i++) {
				u32 c = 64 * (i / 32) + i % 32;
				put8(low + i, kcodes[c] & 15u | kcodes[c + 32] << 4);
			}
			if (TO == T_Q5_K) NO_UNROLL for (u32 i = 0; i < 32; i++) {
				u32 high = 0;
				NO_UNROLL for (u32 g = 0; g < 8; g++) high |= kcodes[32 * g + i] >> 4 << g;
				put8(b + 16 + i, high);
			}
		} else if (TO == T_Q3_K) {
			NO_UNROLL for (u32 i = 0; i < 32; i++) {
				u32 high = 0;
				NO_UNROLL for (u32 g = 0; g < 8; g++) high |= kcodes[32 * g + i] >> 2 << g;
				put8(b + i, high);
			}
			putCrumbs(b + 32);
			NO_UNROLL for (u32 g = 0; g < 8; g++) put8(b + 96 + g, u32(kscales[g] + 32) & 15u | u32(kscales[g + 8] + 32) << 4);
			NO_UNROLL for (u32 g = 0; g < 4; g++) {
				u32 high = 0;
				NO_UNROLL for (u32 k = 0; k < 4; k++) high |= u32(kscales[g + 4 * k] + 32) >> 4 << (2 * k);
				put8(b + 104 + g, high);
			}
			putHalf(b + 108, kd);
		} else if (TO == T_Q6_K) {
			NO_UNROLL for (u32 h = 0; h < 2; h++) {
				NO_UNROLL for (u32 i = 0; i < 32; i++) {
					u32 c0 = kcodes[128 * h + i], c1 = kcodes[128 * h + 32 + i], c2 = kcodes[128 * h + 64 + i], c3 = kcodes[128 * h + 96 + i];
					put8(b + 64 * h + i, c0 & 15u | c2 << 4);
					put8(b + 64 * h + 32 + i, c1 & 15u | c3 << 4);
					put8(b + 128 + 32 * h + i, c0 >> 4 | c1 >> 4 << 2 | c2 >> 4 << 4 | c3 >> 4 << 6);
				}
			}
			NO_UNROLL for (u32 g = 0; g < 16; g++) put8(b + 192 + g, u32(kscales[g]));
			putHalf(b + 208, kd);
		} else { // IQ4_XS
			putHalf(b, kd);
			u32 high = 0;
			NO_UNROLL for (u32 g = 0; g < 8; g++) high |= u32(kscales[g] + 32) >> 4 << (2 * g);
			U16(b + 2).v = u16(high);
			NO_UNROLL for (u32 g = 0; g < 4; g++) put8(b + 4 + g, u32(kscales[2 * g] + 32) & 15u | u32(kscales[2 * g + 1] + 32) << 4);
			NO_UNROLL for (u32 i = 0; i < 128; i++) {
				u32 c = 32 * (i / 16) + i % 16;
				put8(b + 8 + i, kcodes[c] | kcodes[c + 16] << 4);
			}
		}
	}

	// writeQ8_K gives the number of greatest magnitude the code -127, and writes the sums of each 16 codes behind them.
	FN void writeQ8_K(u64 b) {
		float top = 0.0f;
		NO_UNROLL for (u32 i = 0; i < 256; i++) {
			if (fabsf(kx[i]) > fabsf(top)) top = kx[i];
		}
		float inv = top == 0.0f ? 0.0f : -127.0f / top, d = top == 0.0f ? 0.0f : 1.0f / inv;
		if (isinf_(inv)) inv = 0.0f;
		F32(b).v = d;
		NO_UNROLL for (u32 g = 0; g < 16; g++) {
			int sum = 0;
			NO_UNROLL for (u32 i = 16 * g; i < 16 * g + 16; i++) {
				int c = min_(int(rintf(inv * kx[i])), 127);
				put8(b + 4 + i, u32(c));
				sum += c;
			}
			U16(b + 260 + 2 * g).v = u16(sum & 65535);
		}
	}

	// encodeK writes kx as a block of type TO.
	FN void encodeK(u64 b) {
		NO_UNROLL for (u32 i = 0; i < 256; i++) kx[i] = numberIn(kx[i], TO == T_Q8_K ? 3.4027e38f : 6.8719476736e10f);
		if (TO == T_Q8_K) {
			writeQ8_K(b);
			return;
		}
		startK();
		float err = searchK();
		if (err != 0.0f) { // a second round from better scales of the superblock, if it is one
			float d = kd, dmin = kdmin;
			int scales[16], mins[16];
			for (u32 g = 0; g < 16; g++) {
				scales[g] = kscales[g];
				mins[g] = kmins[g];
			}
			refitK();
			if ((kd != d || kdmin != dmin) && searchK() >= err) {
				kd = d;
				kdmin = dmin;
				for (u32 g = 0; g < 16; g++) {
					kscales[g] = scales[g];
					kmins[g] = mins[g];
				}
			}
		}
		codesK();
		writeK(b);
	}
};
