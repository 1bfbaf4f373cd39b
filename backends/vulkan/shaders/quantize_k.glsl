// Encoders of the formats with a superblock of 256 numbers, as package tensor/quant searches without weights: each group of the
// superblock finds its own scale, the superblock's follows from these, and then both are moved to where the error is least. Sums
// are float32 here and float64 there, so that of two scales that are as good another one may win. Who includes this sets TO to the type first.

float kx[256];
uint kcodes[256];
float kd, kdmin;
int kscales[16], kmins[16];

const bool K_AFFINE = TO == T_Q2_K || TO == T_Q4_K || TO == T_Q5_K;
const bool K_IQ4 = TO == T_IQ4_XS;
const uint K_SIZE = TO == T_Q2_K || TO == T_Q3_K || TO == T_Q6_K ? 16 : 32;
const uint K_GROUPS = 256 / K_SIZE;
const float K_TOP = TO == T_Q2_K ? 3.0 : TO == T_Q4_K ? 15.0 : 31.0;                       // the greatest code of an affine format
const float K_HALF = TO == T_Q3_K ? 4.0 : 32.0;                                            // codes of a signed one go from -K_HALF to K_HALF-1
const float K_MOST = TO == T_Q2_K ? 15.0 : TO == T_Q6_K ? 128.0 : K_AFFINE ? 63.0 : 32.0;  // the end of integer scales

float inv0(float d) { return d == 0.0 ? 0.0 : 1.0 / d; }

// tinyScale rounds a scale to half precision, and not to 0 unless it is 0.
float tinyScale(float d) {
	if (d == 0.0) return 0.0;
	float h = fromF16(toF16(clamp(d, -65504.0, 65504.0)));
	return d > 0.0 ? max(h, 5.9604644775390625e-8) : min(h, -5.9604644775390625e-8);
}

float codeIn(float t, float lo, float hi) { return clamp(roundEven(t), lo, hi); }

// affineSums returns the sums of q, q*q and x*q for the codes of a group.
vec3 affineSums(uint at, float inv, float from) {
	vec3 s = vec3(0.0);
	[[dont_unroll]] for (uint i = 0; i < K_SIZE; i++) {
		float q = codeIn((kx[at + i] - from) * inv, 0.0, K_TOP);
		s += q * vec3(1.0, q, kx[at + i]);
	}
	return s;
}

float affineError(uint at, float scale, float from) {
	float inv = inv0(scale), sum = 0.0;
	[[dont_unroll]] for (uint i = 0; i < K_SIZE; i++) {
		float v = kx[at + i] - from, d = v - scale * codeIn(v * inv, 0.0, K_TOP);
		sum += d * d;
	}
	return sum;
}

// tryAffine solves for the best scale and offset of the codes of a start, and takes them if they are better.
bool tryAffine(uint at, float inv, float from, float sx, inout vec3 best) {
	float sw = float(K_SIZE);
	vec3 s = affineSums(at, inv, from);
	float det = sw * s.y - s.x * s.x, scale = 0.0, off = 0.0;
	if (det > 1e-6 * sw * s.y) {
		scale = (sw * s.z - sx * s.x) / det;
		off = (s.y * sx - s.x * s.z) / det;
	}
	if (off > 0.0) {
		off = 0.0;
		scale = s.y > 0.0 ? s.z / s.y : 0.0;
	}
	if (!(scale > 0.0)) return false;
	float err = 0.0; // of these codes with this scale and offset
	[[dont_unroll]] for (uint i = 0; i < K_SIZE; i++) {
		float d = kx[at + i] - off - scale * codeIn((kx[at + i] - from) * inv, 0.0, K_TOP);
		err += d * d;
	}
	if (!(err < best.z)) return false;
	best = vec3(scale, off, err);
	return true;
}

// fitAffine returns the scale and offset of a group.
vec2 fitAffine(uint at) {
	float lo = 0.0, hi = kx[at], sx = 0.0;
	[[dont_unroll]] for (uint i = 0; i < K_SIZE; i++) {
		lo = min(lo, kx[at + i]);
		hi = max(hi, kx[at + i]);
		sx += kx[at + i];
	}
	if (hi <= lo) return vec2(0.0, lo);
	float step = (hi - lo) / K_TOP;
	vec3 best = vec3(step, lo, affineError(at, step, lo));
	[[dont_unroll]] for (uint k = 0; k < 25; k++) { // starts: 10 from the least number, and three times 5 from places around it
		float off = k < 10 ? 0.0 : k < 15 ? -0.25 : k < 20 ? 0.25 : 0.5;
		float spread = k < 10 ? -1.0 + 0.2 * float(k) : -1.0 + 0.4 * float((k - 10) % 5), from = lo + off * step;
		if (from <= 0.0 && hi > from) tryAffine(at, (K_TOP + spread) / (hi - from), from, sx, best);
	}
	[[dont_unroll]] for (uint k = 0; k < 4; k++) {
		if (!tryAffine(at, 1.0 / best.x, best.y, sx, best)) break;
	}
	return best.xy;
}

// signedCode returns the value of the code nearest to t.
float signedCode(float t) { return K_IQ4 ? iq4Values[iq4Code(t)] : codeIn(t, -K_HALF, K_HALF - 1.0); }

vec2 signedSums(uint at, float inv) {
	vec2 s = vec2(0.0);
	[[dont_unroll]] for (uint i = 0; i < K_SIZE; i++) {
		float q = signedCode(kx[at + i] * inv);
		s += q * vec2(kx[at + i], q);
	}
	return s;
}

float signedError(uint at, float scale) {
	float inv = inv0(scale), sum = 0.0;
	[[dont_unroll]] for (uint i = 0; i < K_SIZE; i++) {
		float d = kx[at + i] - scale * signedCode(kx[at + i] * inv);
		sum += d * d;
	}
	return sum;
}

// climbSigned returns the best scale found around an inverse scale, and by how much it lessens the error.
vec2 climbSigned(uint at, float center, float step, int steps) {
	vec2 best = vec2(0.0);
	[[dont_unroll]] for (int k = -steps; k <= steps + 4; k++) { // the last four go on from the best
		if (k > steps && best.x == 0.0) break;
		vec2 s = signedSums(at, k <= steps ? center + step * float(k) : 1.0 / best.x);
		if (s.y > 0.0 && s.x * s.x > best.y * s.y) best = vec2(s.x / s.y, s.x * s.x / s.y);
	}
	return best;
}

// fitSigned returns the best scale of a group, and the best one of the other sign.
vec2 fitSigned(uint at) {
	float top = 0.0;
	[[dont_unroll]] for (uint i = 0; i < K_SIZE; i++) {
		if (abs(kx[at + i]) > abs(top)) top = kx[at + i];
	}
	if (abs(top) < 1e-30) return vec2(0.0);
	float inv = 1.0 / top;
	vec2 a, b;
	if (K_IQ4) {
		a = climbSigned(at, -127.0 * inv, 1.5 * inv, 8);
		b = climbSigned(at, 113.0 * inv, 1.5 * inv, 8);
	} else {
		a = climbSigned(at, -K_HALF * inv, 0.25 * inv, 4);
		b = climbSigned(at, (K_HALF - 1.0) * inv, 0.25 * inv, 4);
	}
	return b.y > a.y ? vec2(b.x, a.x) : vec2(a.x, b.x);
}

float groupError(uint g, int s, int m) {
	if (K_AFFINE) return affineError(g * K_SIZE, kd * float(s), -kdmin * float(m));
	return signedError(g * K_SIZE, kd * float(s));
}

int placeScale(float s, float inv) {
	return int(K_AFFINE ? codeIn(s * inv, 0.0, K_MOST) : codeIn(s * inv, -K_MOST, K_MOST - 1.0));
}

vec2 kfits[16];

// startK fits the groups, and takes the best of four scales of the superblock.
void startK() {
	vec2 most = vec2(0.0);
	[[dont_unroll]] for (uint g = 0; g < K_GROUPS; g++) {
		if (K_AFFINE) {
			vec2 f = fitAffine(g * K_SIZE);
			kfits[g] = vec2(f.x, max(-f.y, 0.0));
			most = max(most, kfits[g]);
		} else {
			kfits[g] = fitSigned(g * K_SIZE);
			if (abs(kfits[g].x) > abs(most.x)) most = kfits[g];
		}
	}
	float best = INF, bestD = 0.0, bestMin = 0.0;
	[[dont_unroll]] for (int try_ = 0; try_ < 5; try_++) { // the fifth puts the best back
		if (try_ < 4) {
			float top = 1.0 - float(try_) / 32.0;
			kd = K_AFFINE ? tinyScale(most.x / (K_MOST * top)) : tinyScale(most.x / (-K_MOST * top));
			kdmin = K_AFFINE ? tinyScale(most.y / (K_MOST * top)) : 0.0;
		} else {
			kd = bestD;
			kdmin = bestMin;
		}
		float inv = inv0(kd), invMin = inv0(kdmin), sum = 0.0;
		[[dont_unroll]] for (uint g = 0; g < K_GROUPS; g++) {
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
float searchK() {
	float sum = 0.0, inv = inv0(kd);
	int window = TO == T_Q6_K ? 4 : 1;
	[[dont_unroll]] for (uint g = 0; g < K_GROUPS; g++) {
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
		[[dont_unroll]] for (int s1 = s - window; s1 <= s + window; s1++) {
			[[dont_unroll]] for (int m1 = K_AFFINE ? m - 1 : 0; m1 <= (K_AFFINE ? m + 1 : 0); m1++) {
				if (float(s1) < (K_AFFINE ? 0.0 : -K_MOST) || float(s1) > (K_AFFINE ? K_MOST : K_MOST - 1.0) || m1 < 0 || float(m1) > K_MOST) continue;
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
void refitK() {
	float ss = 0.0, sm = 0.0, mm = 0.0, sx = 0.0, mx = 0.0;
	[[dont_unroll]] for (uint g = 0; g < K_GROUPS; g++) {
		float s = float(kscales[g]), m = float(kmins[g]);
		if (!K_AFFINE) {
			vec2 q = signedSums(g * K_SIZE, inv0(kd * s));
			if (s != 0.0) {
				sx += s * q.x;
				ss += s * s * q.y;
			}
			continue;
		}
		vec3 q = affineSums(g * K_SIZE, inv0(kd * s), -kdmin * m);
		float gx = 0.0;
		[[dont_unroll]] for (uint i = 0; i < K_SIZE; i++) gx += kx[g * K_SIZE + i];
		ss += s * s * q.y;
		sm += s * m * q.x;
		mm += m * m * float(K_SIZE);
		sx += s * q.z;
		mx += m * gx;
	}
	if (!K_AFFINE) {
		if (ss > 0.0 && sx != 0.0) kd = tinyScale(sx / ss);
		return;
	}
	float det = ss * mm - sm * sm, d = kd, dmin = kdmin;
	if (det > 1e-5 * ss * mm) {
		d = (mm * sx - sm * mx) / det;
		dmin = (sm * sx - ss * mx) / det;
	} else if (ss > 0.0) d = (sx + sm * dmin) / ss;
	if (d > 0.0) kd = tinyScale(d);
	if (dmin >= 0.0) kdmin = tinyScale(dmin);
}

void codesK() {
	[[dont_unroll]] for (uint g = 0; g < K_GROUPS; g++) {
		float scale = kd * float(kscales[g]), inv = inv0(scale), m = kdmin * float(kmins[g]);
		[[dont_unroll]] for (uint i = g * K_SIZE; i < (g + 1) * K_SIZE; i++) {
			if (K_AFFINE) kcodes[i] = uint(codeIn((kx[i] + m) * inv, 0.0, K_TOP));
			else if (K_IQ4) kcodes[i] = iq4Code(kx[i] * inv);
			else kcodes[i] = uint(codeIn(kx[i] * inv, -K_HALF, K_HALF - 1.0) + K_HALF);
		}
	}
}

void put8(uint64_t at, uint v) { U8(at).v = uint8_t(v & 255u); }

// putCrumbs writes the low two bits of the codes: a byte holds those of four numbers 32 apart.
void putCrumbs(uint64_t at) {
	[[dont_unroll]] for (uint i = 0; i < 64; i++) {
		uint c = 128 * (i / 32) + i % 32;
		put8(at + i, kcodes[c] & 3u | (kcodes[c + 32] & 3u) << 2 | (kcodes[c + 64] & 3u) << 4 | (kcodes[c + 96] & 3u) << 6);
	}
}

void writeK(uint64_t b) {
	if (TO == T_Q2_K) {
		[[dont_unroll]] for (uint g = 0; g < 16; g++) put8(b + g, uint(kscales[g] | kmins[g] << 4));
		putCrumbs(b + 16);
		putHalf(b + 80, kd);
		putHalf(b + 82, kdmin);
	} else if (TO == T_Q4_K || TO == T_Q5_K) {
		putHalf(b, kd);
		putHalf(b + 2, kdmin);
		[[dont_unroll]] for (uint g = 0; g < 4; g++) {
			uint s = uint(kscales[g]), m = uint(kmins[g]), s4 = uint(kscales[g + 4]), m4 = uint(kmins[g + 4]);
			put8(b + 4 + g, s | s4 >> 4 << 6);
			put8(b + 8 + g, m | m4 >> 4 << 6);
			put8(b + 12 + g, s4 & 15u | m4 << 4);
		}
		uint64_t low = b + (TO == T_Q4_K ? 16 : 48);
		[[dont_unroll]] for (uint i = 0; i < 128; i++) {
			uint c = 64 * (i / 32) + i % 32;
			put8(low + i, kcodes[c] & 15u | kcodes[c + 32] << 4);
		}
		if (TO == T_Q5_K) [[dont_unroll]] for (uint i = 0; i < 32; i++) {
			uint high = 0;
			[[dont_unroll]] for (uint g = 0; g < 8; g++) high |= kcodes[32 * g + i] >> 4 << g;
			put8(b + 16 + i, high);
		}
	} else if (TO == T_Q3_K) {
		[[dont_unroll]] for (uint i = 0; i < 32; i++) {
			uint high = 0;
			[[dont_unroll]] for (uint g = 0; g < 8; g++) high |= kcodes[32 * g + i] >> 2 << g;
			put8(b + i, high);
		}
		putCrumbs(b + 32);
		[[dont_unroll]] for (uint g = 0; g < 8; g++) put8(b + 96 + g, uint(kscales[g] + 32) & 15u | uint(kscales[g + 8] + 32) << 4);
		[[dont_unroll]] for (uint g = 0; g < 4; g++) {
			uint high = 0;
			[[dont_unroll]] for (uint k = 0; k < 4; k++) high |= uint(kscales[g + 4 * k] + 32) >> 4 << (2 * k);
			put8(b + 104 + g, high);
		}
		putHalf(b + 108, kd);
	} else if (TO == T_Q6_K) {
		[[dont_unroll]] for (uint h = 0; h < 2; h++) {
			[[dont_unroll]] for (uint i = 0; i < 32; i++) {
				uint c0 = kcodes[128 * h + i], c1 = kcodes[128 * h + 32 + i], c2 = kcodes[128 * h + 64 + i], c3 = kcodes[128 * h + 96 + i];
				put8(b + 64 * h + i, c0 & 15u | c2 << 4);
				put8(b + 64 * h + 32 + i, c1 & 15u | c3 << 4);
				put8(b + 128 + 32 * h + i, c0 >> 4 | c1 >> 4 << 2 | c2 >> 4 << 4 | c3 >> 4 << 6);
			}
		}
		[[dont_unroll]] for (uint g = 0; g < 16; g++) put8(b + 192 + g, uint(kscales[g]));
		putHalf(b + 208, kd);
	} else { // IQ4_XS
		putHalf(b, kd);
		uint high = 0;
		[[dont_unroll]] for (uint g = 0; g < 8; g++) high |= uint(kscales[g] + 32) >> 4 << (2 * g);
		U16(b + 2).v = uint16_t(high);
		[[dont_unroll]] for (uint g = 0; g < 4; g++) put8(b + 4 + g, uint(kscales[2 * g] + 32) & 15u | uint(kscales[2 * g + 1] + 32) << 4);
		[[dont_unroll]] for (uint i = 0; i < 128; i++) {
			uint c = 32 * (i / 16) + i % 16;
			put8(b + 8 + i, kcodes[c] | kcodes[c + 16] << 4);
		}
	}
}

// writeQ8_K gives the number of greatest magnitude the code -127, and writes the sums of each 16 codes behind them.
void writeQ8_K(uint64_t b) {
	float top = 0.0;
	[[dont_unroll]] for (uint i = 0; i < 256; i++) {
		if (abs(kx[i]) > abs(top)) top = kx[i];
	}
	float inv = top == 0.0 ? 0.0 : -127.0 / top, d = top == 0.0 ? 0.0 : 1.0 / inv;
	if (isinf(inv)) inv = 0.0;
	F32(b).v = d;
	[[dont_unroll]] for (uint g = 0; g < 16; g++) {
		int sum = 0;
		[[dont_unroll]] for (uint i = 16 * g; i < 16 * g + 16; i++) {
			int c = min(int(roundEven(inv * kx[i])), 127);
			put8(b + 4 + i, uint(c));
			sum += c;
		}
		U16(b + 260 + 2 * g).v = uint16_t(sum & 65535);
	}
}

// encodeK writes kx as a block of type TO.
void encodeK(uint64_t b) {
	[[dont_unroll]] for (uint i = 0; i < 256; i++) kx[i] = numberIn(kx[i], TO == T_Q8_K ? 3.4027e38 : 6.8719476736e10);
	if (TO == T_Q8_K) {
		writeQ8_K(b);
		return;
	}
	startK();
	float err = searchK();
	if (err != 0.0) { // a second round from better scales of the superblock, if it is one
		float d = kd, dmin = kdmin;
		int scales[16] = kscales, mins[16] = kmins;
		refitK();
		if ((kd != d || kdmin != dmin) && searchK() >= err) {
			kd = d;
			kdmin = dmin;
			kscales = scales;
			kmins = mins;
		}
	}
	codesK();
	writeK(b);
}
